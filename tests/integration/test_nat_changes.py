"""What an operator changes of the NAT while it runs: ports, switches, limits, sessions that are to end. Nothing else is touched."""
import socket, struct, time
import pytest
from conftest import OUTSIDE, ROUTER, SERVER, Gateway, Namespace, act, leased_address, serve, wait_for
from operator_client import ask, change, proto

KEPT, MORE, UDP = 7201, 7202, 7203
GUEST = "192.168.30.10"
CONFIG = """
hubs:
  default:
    attach: ["netns:{guest}"]
    nat:
      publish:
        - {{proto: tcp, listen: "{outside}:{kept}", to: "{address}:7001"}}
"""


def rule(proto_name, port):
    return f'{{proto: {proto_name}, listen: "{OUTSIDE}:{port}", to: "{GUEST}:7001"}}'


@pytest.fixture(scope="module")
def running(world):
    guest = Namespace("nch")
    gateway = Gateway(world, "natchanges", CONFIG.format(guest=guest.name, outside=OUTSIDE, kept=KEPT, address=GUEST), guest=guest)
    assert leased_address(guest) == GUEST
    serve(guest, GUEST)
    yield gateway
    print(gateway.text())
    gateway.end()
    guest.remove()


HOLD = """
import socket, struct, sys, time
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
end, count = time.monotonic() + float(sys.argv[3]), 0
while time.monotonic() < end:
    c.sendall(struct.pack(">Q", count))
    assert struct.unpack(">Q", c.recv(8, socket.MSG_WAITALL))[0] == count
    count += 1
    if count == 1:
        print("begun", flush=True)
    time.sleep(0.01)
print("held")
"""


def hold(where, address, port, seconds):
    flow = where.start("/usr/bin/python3", "-c", HOLD, address, port, seconds)
    assert flow.stdout.readline() == "begun\n"
    return flow


def reaches(where, port, address=OUTSIDE):
    return act(where, "refused", port, address=address)["error"] == "connected"


def test_ports_come_and_go_and_no_connection_is_lost(world, running):
    outward, kept = hold(running.guest, SERVER, 7001, 2.5), hold(world.internet, OUTSIDE, KEPT, 2.5)
    assert not reaches(world.internet, MORE)
    change(running, ("add", "nat.publish", rule("tcp", MORE)), ("add", "nat.publish", rule("udp", UDP)))
    wait_for(lambda: reaches(world.internet, MORE), 2, "the new port")
    probe = f"import socket\ns = socket.socket(type=2)\ns.settimeout(2)\ns.sendto(b'who', ('{OUTSIDE}', {UDP}))\nprint(s.recv(99).decode(), s.getsockname()[1])"
    seen, port = world.internet.run("/usr/bin/python3", "-c", probe).stdout.split()
    assert seen == f"{ROUTER}:{port}", "the guest sees the peer's own address"
    by_more = hold(world.internet, OUTSIDE, MORE, 1.5)
    change(running, ("remove", "nat.publish", rule("tcp", MORE)), ("remove", "nat.publish", rule("udp", UDP)))
    wait_for(lambda: not reaches(world.internet, MORE), 2, "the port's end")
    assert reaches(world.internet, KEPT)
    wait_for(lambda: "ended: its published port is not in the configuration any more" in running.log(), 2, "the end of its datagrams")
    for flow in (outward, kept, by_more):
        assert "held\n" in flow.communicate(timeout=20)[0]


def test_the_nat_is_switched_off_and_on(world, running):
    outward, inward = hold(running.guest, SERVER, 7001, 20), hold(world.internet, OUTSIDE, KEPT, 20)
    begin = time.monotonic()
    change(running, ("set", "nat.enable", "false"))
    for flow in (outward, inward):
        assert "ConnectionResetError" in flow.communicate(timeout=5)[0]
    assert time.monotonic() - begin < 2
    wait_for(lambda: "ended: the NAT was switched off" in running.log(), 2, "the reason")
    assert act(running.guest, "unreachable", 7001)["errno"] in (101, 113) and not reaches(world.internet, KEPT)
    change(running, ("set", "nat.enable", "true"))
    wait_for(lambda: act(running.guest, "unreachable", 7001)["errno"] is None, 2, "the way out")
    wait_for(lambda: reaches(world.internet, KEPT), 2, "the port")


def forwards(gateway):
    """The rows of FORWARDS by where they listen and what they are."""
    found = {}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(5)
        s.connect(str(gateway.api))
        s.send(proto.OperatorRequest(table=proto.TableRequest(topic=proto.FORWARDS)).SerializeToString())
        while True:
            rows = proto.OperatorAnswer.FromString(s.recv(1 << 17)).rows
            for row in map(proto.ForwardRow.FromString, rows.rows):
                found[socket.inet_ntoa(struct.pack("=I", row.listen.ip_be)), row.listen.port, row.proto] = row
            if rows.last:
                return found


def test_ports_and_addresses_are_listed_with_their_states(world, running):
    change(running, ("add", "nat.publish", '{proto: tcp, listen: "198.18.1.99:7204", to: "192.168.30.10:7001"}'),
           ("add", "nat.static", "{inside: 192.168.30.77, outside: 198.18.1.88}"))
    flow = hold(world.internet, OUTSIDE, KEPT, 1)
    rows = forwards(running)
    kept = rows[OUTSIDE, KEPT, "tcp"]
    assert (kept.kind, kept.state, kept.sessions) == ("publish", "listening", 1)
    assert rows["198.18.1.99", 7204, "tcp"].state == rows["198.18.1.88", 0, "all"].state == "waiting for address"
    for address in ("198.18.1.99", "198.18.1.88"):
        world.gateway.run("ip", "addr", "add", f"{address}/24", "dev", "w0")
    try:
        wait_for(lambda: forwards(running)["198.18.1.99", 7204, "tcp"].state == "listening", 2, "the port")
        wait_for(lambda: forwards(running)["198.18.1.88", 0, "all"].state == "ready", 2, "the address")
        assert reaches(world.internet, 7204, "198.18.1.99")
    finally:
        for address in ("198.18.1.99", "198.18.1.88"):
            world.gateway.run("ip", "addr", "del", f"{address}/24", "dev", "w0")
        change(running, ("remove", "nat.publish", "{proto: tcp, listen: \"198.18.1.99:7204\"}"), ("set", "nat.static", "[]"))
    assert "held\n" in flow.communicate(timeout=20)[0]


def sessions(gateway):
    return {row["source"]: row for row in gateway.table("nat", "table") if row["proto"] == "tcp" and row["state"] == "RUNNING"}


def end(gateway, **which):
    return ask(gateway, order=proto.OrderRequest(order=proto.Order(sessions_end=proto.SessionsEnd(**which))))


def test_sessions_end_by_number_or_all_of_them(world, running):
    first, second = hold(running.guest, SERVER, 7001, 20), hold(running.guest, SERVER, 7001, 20)
    wait_for(lambda: len(sessions(running)) == 2, 2, "both sessions")
    rows = sorted(sessions(running).values(), key=lambda row: row["id"])
    end(running, id=[rows[0]["id"], 4000000000])
    assert "ConnectionResetError" in first.communicate(timeout=3)[0]
    assert [row["id"] for row in sessions(running).values()] == [rows[1]["id"]] and second.poll() is None
    end(running, all=True)
    assert "ConnectionResetError" in second.communicate(timeout=3)[0]
    wait_for(lambda: not sessions(running), 2, "an empty table")
    assert running.log().count("ended: ended by the operator") >= 2


def test_limits_and_lists_hold_at_once(world, running):
    flow = hold(running.guest, SERVER, 7001, 3)
    change(running, ("set", "nat.access_lists", "[{number: 1, deny: [0.0.0.0/0]}]"), ("set", "nat.destination_list", "1"))
    wait_for(lambda: act(running.guest, "unreachable", 7001)["errno"] == 113, 2, "the refusal")
    change(running, ("set", "nat.destination_list", "0"), ("set", "limits.tcp_sessions_per_host", "1"))
    wait_for(lambda: act(running.guest, "refused", 7001)["error"] == "ConnectionRefusedError", 2, "the limit")
    change(running, ("set", "limits.tcp_sessions_per_host", "1024"))
    wait_for(lambda: act(running.guest, "refused", 7001)["error"] == "connected", 2, "the end of the limit")
    assert "held\n" in flow.communicate(timeout=20)[0]


def test_a_static_address_at_run_time(world, running):
    world.gateway.run("ip", "addr", "add", "198.18.1.77/24", "dev", "w0")
    try:
        change(running, ("add", "nat.static", f"{{inside: {GUEST}, outside: 198.18.1.77, ports: [7001]}}"))
        wait_for(lambda: act(running.guest, "who")["seen"].startswith("198.18.1.77:"), 2, "the new address")
        assert reaches(world.internet, 7001, "198.18.1.77")
        change(running, ("set", "nat.static", "[]"))
        wait_for(lambda: act(running.guest, "who")["seen"].startswith(f"{OUTSIDE}:"), 2, "the old address")
        assert not reaches(world.internet, 7001, "198.18.1.77")
    finally:
        world.gateway.run("ip", "addr", "del", "198.18.1.77/24", "dev", "w0")
