"""What only root can open: opened before root's power goes, handed to natproxy, and closed when it is not wanted any more."""
import os, socket
import pytest
from conftest import OUTSIDE, ROUTER, SERVER, leased_address, program, serve, wait_for
from operator_client import change, reload
from test_fence import own_socket

GUEST, FIXED, TAKEN = "192.168.30.10", "198.18.1.77", 90
CONFIG = f"""\
hubs:
  default:
    attach: ["netns:GUEST_NAMESPACE"]
    nat:
      vrfs: {{blue: {{device: w0}}}}
      publish:
        - {{proto: tcp, listen: "{OUTSIDE}:80", to: "{GUEST}:7001"}}
        - {{proto: udp, listen: "{OUTSIDE}:53", to: "{GUEST}:7001"}}
        - {{proto: tcp, listen: "0.0.0.0:82", to: "{GUEST}:7001", vrf: blue}}
        - {{proto: tcp, listen: "{OUTSIDE}:{TAKEN}", to: "{GUEST}:7001"}}
      static:
        - {{inside: {GUEST}, outside: {FIXED}, ports: [25]}}
"""
ASK = """
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
s = socket.socket(type=socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
s.settimeout(1)
try:
    s.connect((address, port)); s.send(b"who"); print(len(s.recv(100)) > 0)
except OSError as e:
    print(type(e).__name__)
"""
ANSWER = f"""
import socket
s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(("{GUEST}", 25)); s.listen(); print("ready", flush=True)
while True:
    c, _ = s.accept(); c.send(c.recv(100)); c.close()
"""
HOLD = f"import socket, time\ns = socket.socket()\ns.bind(('{OUTSIDE}', {TAKEN}))\ns.listen()\nprint('held', flush=True)\ntime.sleep(600)"


def ask(where, kind, address, port):
    """'True' when the guest answers."""
    return where.run("/usr/bin/python3", "-c", ASK, kind, address, port).stdout.strip()


@pytest.fixture(scope="module")
def served(world, spawn):
    world.gateway.run("ip", "addr", "add", f"{FIXED}/32", "dev", "w0")
    holder = world.gateway.start("/usr/bin/python3", "-c", HOLD)
    assert holder.stdout.readline() == "held\n"
    guest = spawn.guest("grant")
    gateway = spawn.gateway("grant", guest=guest, config=CONFIG.replace("GUEST_NAMESPACE", guest.name))
    assert leased_address(guest) == GUEST
    serve(guest, GUEST)
    assert guest.start("/usr/bin/python3", "-c", ANSWER).stdout.readline() == "ready\n"
    yield gateway
    holder.kill()
    holder.wait()
    world.gateway.run("ip", "addr", "del", f"{FIXED}/32", "dev", "w0")


PORTS = [("tcp", OUTSIDE, 80), ("udp", OUTSIDE, 53), ("tcp", OUTSIDE, 82), ("tcp", FIXED, 25)]


def state(gateway, port):
    return [row["state"] for row in gateway.table("nat", "publish", "list") if row["listen"].endswith(f":{port}")]


@pytest.mark.parametrize("kind, address, port", PORTS, ids=lambda v: str(v))
def test_ports_below_1024_lead_to_the_guest(world, served, kind, address, port):
    assert ask(world.internet, kind, address, port) == "True"


def test_packet_filters_see_natproxys_uid(world, served):
    """A socket that root opened would be root's to nftables (meta skuid) and ss."""
    uid = served.processes()["natproxy"]["user"]
    for table, port in (("tcp", 80), ("udp", 53)):
        rows = [line.split() for line in world.gateway.run("cat", f"/proc/net/{table}").stdout.splitlines()[1:]]
        assert {r[7] for r in rows if r[1].endswith(f":{port:04X}")} == {uid}, table


def test_the_fence_holds_what_root_opened_too(world, served):
    """nft asks who opened a socket, not whose it is now."""
    with own_socket(served, 53) as held:
        for address in ("127.0.0.1", OUTSIDE):
            with pytest.raises(PermissionError):
                held.sendto(b"anybody", (address, 9))
        assert held.sendto(b"anybody", (SERVER, 9)) == 7


def test_a_port_that_was_taken_is_named_with_what_to_do(served):
    text = f"cannot listen on {OUTSIDE}:{TAKEN}/tcp: it was in use when natlock started. See who has it: ss -tulnp; end it, then restart natlock"
    assert text in served.text() and text in served.control("status").stdout
    assert state(served, TAKEN) == ["cannot: in use"]


def test_a_natproxy_that_is_born_again_gets_them_again(world, served):
    before = served.processes()["natproxy"]["pid"]
    served.control("process", "restart", "natproxy")
    wait_for(lambda: served.processes()["natproxy"]["pid"] not in (before, 0) and served.processes()["natproxy"]["state"] == "ok", 8, "the new natproxy")
    wait_for(lambda: state(served, 80) == ["listening"], 3, "its ports")
    for kind, address, port in PORTS:
        assert ask(world.internet, kind, address, port) == "True", port


def test_a_port_comes_and_goes_while_natlock_runs(world, served):
    entries = {"tcp": f'{{proto: tcp, listen: "{OUTSIDE}:80", to: "{GUEST}:7001"}}', "udp": f'{{proto: udp, listen: "{OUTSIDE}:53", to: "{GUEST}:7001"}}'}
    natproxy = served.processes()["natproxy"]["pid"]
    change(served, *[("remove", "nat.publish", e) for e in entries.values()])
    assert ask(world.internet, "tcp", OUTSIDE, 80) == "ConnectionRefusedError"
    assert ask(world.internet, "udp", OUTSIDE, 53) == "TimeoutError"
    change(served, *[("add", "nat.publish", e) for e in entries.values()])
    wait_for(lambda: state(served, 80) == state(served, 53) == ["listening"], 3, "the ports")
    assert ask(world.internet, "tcp", OUTSIDE, 80) == ask(world.internet, "udp", OUTSIDE, 53) == "True"
    assert served.processes()["natproxy"]["pid"] == natproxy, "news of a socket that others have open made it break its policy"


def test_what_was_not_there_at_the_start_needs_a_restart(served):
    said = change(served, ("add", "nat.publish", f'{{proto: tcp, listen: "{OUTSIDE}:443", to: "{GUEST}:7001"}}'))
    assert said.startswith("changed nat.publish; port 443 is not open: only root may") and "restart natlock as root" in said, said
    wait_for(lambda: state(served, 443) == ["cannot: needs a restart of natlock"], 3, "the refusal")
    assert f"cannot listen on {OUTSIDE}:443/tcp: root's rights are gone" in served.control("status").stdout


def test_root_without_the_capability_hears_of_it(spawn):
    gateway = spawn.gateway("nobind", config=f'hubs: {{default: {{attach: [], nat: {{publish: [{{proto: tcp, listen: "{OUTSIDE}:87", to: "{GUEST}:1"}}]}}}}}}\n',
                            prefix=("setpriv", "--bounding-set", "-net_bind_service"))
    wait_for(lambda: state(gateway, 87) == ["cannot: needs privilege"], 3, "the refusal")
    assert f"cannot listen on {OUTSIDE}:87/tcp: root had no CAP_NET_BIND_SERVICE when natlock started." in gateway.control("status").stdout


def test_what_leaves_the_file_is_let_go(world, served):
    bind = f"import socket; s = socket.socket(); s.bind(('{OUTSIDE}', 80)); s.listen()"
    assert world.gateway.run("/usr/bin/python3", "-c", bind, check=False).returncode != 0
    file = served.folder / "natlock.yaml"
    file.write_text("".join(line for line in file.read_text().splitlines(True) if ":80" not in line))
    reload(served)
    assert ask(world.internet, "tcp", OUTSIDE, 80) == "ConnectionRefusedError"
    world.gateway.run("/usr/bin/python3", "-c", bind)
    assert ask(world.internet, "tcp", OUTSIDE, 82) == "True"


def test_the_audit_knows_what_was_opened(served):
    result = served.control("policy", "audit", check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_each_shard_gets_the_ports_of_its_guests(world, spawn):
    """More low ports than shards: each leads to the natproxy that serves its guest, which the supervisor alone decides."""
    lines = "".join(f'        - {{proto: {kind}, listen: "{OUTSIDE}:{100 + i}", to: "192.168.30.{20 + i}:7001"}}\n' for i in range(12) for kind in ("tcp", "udp"))
    gateway = spawn.gateway("grantshards", config=f"hubs:\n  default:\n    shards: 2\n    attach: []\n    nat:\n      publish:\n{lines}")
    wait_for(lambda: [row["state"] for row in gateway.table("nat", "publish", "list")] == ["listening"] * 24, 5, "the ports")
    rows = [line.split() for line in world.gateway.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    owners = {row[7] for row in rows if 100 <= int(row[1].split(":")[1], 16) < 112}
    assert owners == {row["user"] for row in gateway.processes().values() if row["process"].startswith("natproxy")} and len(owners) == 2
    assert gateway.control("policy", "audit", check=False).returncode == 0


def test_run_by_root_publishes_low_ports_too(world):
    folder = str(world.folder / "runlow")
    run = world.gateway.start(program("natlock"), "run", "--publish", f"{OUTSIDE}:88:88", "--", "/usr/bin/python3", "-c", ANSWER.replace(f'"{GUEST}", 25', '"", 88'),
                              env=dict(os.environ, RUNTIME_DIRECTORY=folder, STATE_DIRECTORY=folder, LOGS_DIRECTORY=folder))
    try:
        assert run.stdout.readline() == "ready\n"
        assert wait_for(lambda: ask(world.internet, "tcp", OUTSIDE, 88) == "True", 3, "an answer")
    finally:
        run.terminate()
        run.wait(10)


# ---- pings without ping sockets ----
@pytest.fixture(scope="module")
def pinging(world, spawn):
    """Two guests of a gateway that the kernel gives no ping socket (net.ipv4.ping_group_range)."""
    world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    try:
        yield spawn.two_guests("ping", "ping", "    nat: {log: false}\n")
    finally:
        world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")


def ping(guest, *options):
    return guest.run("ping", "-W", "2", *options, check=False).stdout


def test_pings_are_forwarded_by_a_raw_socket(pinging):
    assert "pings are forwarded (nat.icmp: echo)" in pinging.text()
    for guest in pinging.guests:
        assert " 0% packet loss" in ping(guest, "-c", "5", "-i", "0.05", SERVER)
    assert " 0% packet loss" in ping(pinging.guests[0], "-c", "3", "-i", "0.05", "-s", "1401", SERVER), "odd, and not cut"
    assert " 0% packet loss" in ping(pinging.guests[0], "-c", "3", "-i", "0.05", "-s", "4000", SERVER), "cut and put together"


def test_the_fence_lets_a_raw_socket_ping_and_nothing_else(world, pinging):
    request, redirect = bytes([8, 0, 0xf7, 0xff, 0, 0, 0, 0]), bytes([5, 1, 0xfa, 0xfe, 0, 0, 0, 0])
    with own_socket(pinging, socket.IPPROTO_ICMP, socket.SOCK_RAW) as held:
        assert held.sendto(request, (SERVER, 0)) == 8
        for packet, address in ((redirect, SERVER), (request, "127.0.0.1"), (request, OUTSIDE)):
            with pytest.raises(PermissionError):
                held.sendto(packet, (address, 0))


def test_guests_with_the_same_identifier_hear_their_own_answers(pinging):
    running = [guest.start("ping", "-c", "20", "-i", "0.02", "-e", "77", "-s", size, SERVER) for guest, size in zip(pinging.guests, ("100", "200"))]
    for process, size in zip(running, (100, 200)):
        text = process.communicate(timeout=20)[0]
        assert " 0% packet loss" in text and f"{size + 8} bytes from {SERVER}" in text and "DUP" not in text and "wrong" not in text, text
    rows = [row for row in pinging.table("nat", "table") if row["proto"] == "icmp"]
    assert len({row["outside"] for row in rows}) == len(rows) >= 2, rows


def test_errors_about_pings_reach_who_sent_them(world, pinging):
    routes = (("unreachable", "198.18.4.0/24"), ("198.18.5.0/24", "via", OUTSIDE))
    for route in routes:
        world.internet.run("ip", "route", "add", *route)
    world.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    try:
        assert "Unreachable" in ping(pinging.guests[1], "-c", "1", "198.18.4.1")
        assert "Time to live exceeded" in ping(pinging.guests[0], "-c", "1", "-t", "2", "198.18.5.1")
    finally:
        world.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=0")
        for route in routes:
            world.internet.run("ip", "route", "del", *route)


def test_a_path_that_takes_less_is_told_to_those_that_may_not_be_cut(world, pinging):
    """One socket serves both guests, and DF belongs to it: each ping leaves as its sender wants."""
    world.gateway.run("ip", "route", "add", f"{SERVER}/32", "via", ROUTER, "mtu", "1000")
    try:
        whole = pinging.guests[0].start("ping", "-c", "10", "-i", "0.05", "-M", "do", "-s", "1200", SERVER)
        assert " 0% packet loss" in ping(pinging.guests[1], "-c", "10", "-i", "0.05", "-M", "dont", "-s", "1200", SERVER)
        text = whole.communicate(timeout=20)[0]
        assert "mtu = 1000" in text or "mtu=1000" in text, text
    finally:
        world.gateway.run("ip", "route", "del", f"{SERVER}/32")


def test_pings_of_the_computer_itself_are_none_of_the_guests(world, pinging):
    """The filter is the supervisor's, locked, and belongs to natproxy's uid; what it lets in is what a guest of ours began."""
    def strangers():
        return sum(int(row["count"]) for row in pinging.table("drops") if row["reason"] == "FILTERED")
    before = strangers()
    assert " 0% packet loss" in world.gateway.run("ping", "-c", "20", "-i", "0.02", SERVER).stdout
    assert strangers() == before
    uid = pinging.processes()["natproxy"]["user"]
    rows = [line.split() for line in world.gateway.run("cat", "/proc/net/raw").stdout.splitlines()[1:]]
    assert [row[7] for row in rows] == [uid]
    result = pinging.control("policy", "audit", check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_natproxy_that_is_born_again_pings_again(pinging):
    before = pinging.processes()["natproxy"]["pid"]
    pinging.control("process", "restart", "natproxy")
    wait_for(lambda: pinging.processes()["natproxy"]["pid"] not in (before, 0) and pinging.processes()["natproxy"]["state"] == "ok", 8, "the new natproxy")
    wait_for(lambda: " 0% packet loss" in ping(pinging.guests[0], "-c", "1", SERVER), 5, "an answer")


def test_pings_that_were_answered_by_the_gateway_at_the_start_need_a_restart(spawn, pinging):
    """The raw socket can only be opened at the start, and natlock was root's."""
    gateway = spawn.gateway("dummy", config="hubs: {default: {attach: [], nat: {icmp: dummy}}}\n")
    gateway.control("nat", "set", "icmp=echo")
    said = gateway.control("status").stdout
    assert "pings stop at the gateway" in said and "or restart natlock with nat.icmp: echo" in said, said
