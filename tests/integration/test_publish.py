"""Published ports: a client on the Internet side reaches a kernel server in the guest."""
import pytest
from conftest import OUTSIDE, PEER, ROUTER, act, leased_address, serve, wait_for
from packets import open_socket

EMPTY, TAKEN, FREE, UNHEARD = 7009, 7020, 7021, 7030
SILENT = "192.168.30.77"
PORTS = [("tcp", port) for port in (7001, 7002, 7003, 7004, 7005, 7008, EMPTY, TAKEN)] + [("udp", 7001), ("udp", TAKEN)]
SOCKETS = "import socket, time\nheld = [socket.socket(type=t) for t in (1, 2)]\n[s.bind(('{}', {})) for s in held]\nheld[0].listen()\nprint('held', flush=True)\ntime.sleep(600)"


@pytest.fixture(scope="module")
def server(world, spawn):
    holder = world.gateway.start("/usr/bin/python3", "-c", SOCKETS.format(OUTSIDE, TAKEN))
    assert holder.stdout.readline() == "held\n"
    guest = spawn.guest("pub")
    lines = "".join(f'        - {{proto: {proto}, listen: "{OUTSIDE}:{port}", to: "192.168.30.10:{port}"}}\n' for proto, port in PORTS)
    lines += f'        - {{proto: udp, listen: "{OUTSIDE}:{UNHEARD}", to: "{SILENT}:{UNHEARD}"}}\n'
    gateway = spawn.gateway("publish", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat:\n      publish:\n{lines}')
    assert leased_address(guest) == "192.168.30.10"
    serve(guest, "192.168.30.10")
    yield gateway
    holder.kill()
    holder.wait()


@pytest.mark.parametrize("command", [("up", 32 << 20), ("down", 32 << 20), ("half", 1 << 20), ("at_once", 50)], ids=lambda c: c[0])
def test_tcp_by_hash(world, server, command):
    answer = act(world.internet, *command, address=OUTSIDE)
    assert answer.get("ok") or answer.get("good") == 50, answer


def test_datagrams_by_hash(world, server):
    assert act(world.internet, "udp", 1, 1400, 9000, address=OUTSIDE)["ok"]
    assert act(world.internet, "udp_hash", 500, 900, address=OUTSIDE)["ok"]


def test_the_first_datagrams_wait_until_it_is_known_where_the_guest_is(world, server):
    """They are here before the guest has the address and says so itself."""
    words = [b"first", b"second", b"third"]
    with open_socket(world.internet) as outside:
        for word in words:
            outside.sendto(word, (OUTSIDE, UNHEARD))
        wait_for(lambda: [r for r in server.table("nat", "table") if r["source"] == f"{SILENT}:{UNHEARD}"], 3, "the session")
        server.guest.run("ip", "addr", "add", f"{SILENT}/32", "dev", "eth0")
        with open_socket(server.guest, at=(SILENT, UNHEARD)) as inside:
            inside.sendto(b"here", (ROUTER, outside.getsockname()[1]))
            assert [inside.recv(100) for _ in words] == words
            assert outside.recv(100) == b"here"


def test_the_guest_sees_the_peers_own_address(world, server):
    answer = act(world.internet, "who", 40123, address=OUTSIDE)
    assert answer["seen"] == answer["own"] == f"{ROUTER}:40123"
    seen = act(world.internet, "udp_mapping", address=OUTSIDE)
    assert seen["seen"] == [f"{ROUTER}:{seen['local_port']}"]


def test_without_a_server_in_the_guest_the_peer_is_reset(world, server):
    code = f"import socket\nc = socket.create_connection(('{OUTSIDE}', {EMPTY}), 5)\nc.settimeout(2)\nprint(c.recv(1))"
    result = world.internet.run("/usr/bin/python3", "-c", code, check=False)
    assert "ConnectionResetError" in result.stderr or "ConnectionRefusedError" in result.stderr, result.stdout + result.stderr


def test_the_session_stands_in_the_table(world, server):
    flow = world.internet.start(PEER, "hold", OUTSIDE, 1)
    wait_for(lambda: [r for r in server.table("nat", "table") if r["source"] == "192.168.30.10:7001" and r["destination"].startswith(ROUTER)], 3, "the session")
    assert '"ok": true' in flow.communicate(timeout=20)[0]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_port_in_use_is_named_and_the_gateway_goes_on(server, proto):
    text = f"cannot listen on {OUTSIDE}:{TAKEN}/{proto}: in use. Choose another port or see who has it: ss -tulnp"
    assert text in server.text() and text in server.control("status").stdout
    assert server.table("process", "list")[0]["restarts"] in (0, None)
