"""Nothing of the host is open to a guest, and nothing of natlock to a stranger."""
import json, os, subprocess
import pytest
from conftest import HUB, OUTSIDE, PEER, ROUTER, SERVER, act, program, serve, sh, wait_for

# How far a guest gets with one address by each protocol. Its own kernel is told to send even loopback out.
PROBE = """
import json, socket, subprocess, sys
address, got = sys.argv[1], {}
t = socket.socket(); t.settimeout(1.5)
try:
    t.connect((address, 7001)); got["tcp"] = "open"
except OSError as e:
    got["tcp"] = type(e).__name__
u = socket.socket(type=socket.SOCK_DGRAM); u.settimeout(0.7); u.setsockopt(1, socket.SO_BROADCAST, 1)
try:
    u.sendto(b"who", (address, 7001)); u.recvfrom(100); got["udp"] = "open"
except OSError as e:
    got["udp"] = type(e).__name__
ping = subprocess.run(["ping", "-b", "-c1", "-W1", address], capture_output=True, text=True).stdout
got["icmp"] = "open" if " 0% packet loss" in ping else "silent"
print(json.dumps(got))
"""


def probe(where, address):
    return json.loads(where.run("/usr/bin/python3", "-c", PROBE, address).stdout)


@pytest.fixture(scope="module")
def exposed(world, gateway):
    """A host that serves on every address it has; a router with link-local and multicast listeners behind it."""
    server = serve(world.gateway, "0.0.0.0")
    world.gateway.run("ip", "addr", "add", "203.0.113.5/32", "dev", "lo")
    world.gateway.run("ip", "route", "add", "169.254.0.0/16", "via", ROUTER)
    world.internet.run("ip", "addr", "add", "169.254.169.254/32", "dev", "lo")
    metadata = serve(world.internet, "169.254.169.254")
    world.guest.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=1", "net.ipv4.conf.eth0.route_localnet=1")
    world.guest.run("ip", "route", "del", "local", "127.0.0.0/8", "dev", "lo", "table", "local")
    world.guest.run("ip", "route", "del", "local", "127.0.0.1", "dev", "lo", "table", "local")
    world.guest.run("ip", "route", "add", "127.0.0.0/8", "via", HUB)
    wait_for(lambda: "203.0.113.5" in world.gateway.run("ip", "addr").stdout, 2, "the address")
    yield gateway
    world.guest.run("ip", "route", "del", "127.0.0.0/8")
    for verb in ("del", "add"):
        world.guest.run("ip", "addr", verb, "127.0.0.1/8", "dev", "lo")
    world.guest.run("sysctl", "-qw", "net.ipv4.conf.all.route_localnet=0", "net.ipv4.conf.eth0.route_localnet=0")
    world.internet.run("ip", "addr", "del", "169.254.169.254/32", "dev", "lo")
    world.gateway.run("ip", "route", "del", "169.254.0.0/16")
    world.gateway.run("ip", "addr", "del", "203.0.113.5/32", "dev", "lo")
    for process in (server, metadata):
        process.kill()
        process.wait()


def test_the_servers_are_there(world, exposed):
    """Without this the next test could not fail."""
    everything = {"tcp": "open", "udp": "open", "icmp": "open"}
    assert probe(world.internet, OUTSIDE) == everything
    for address in ("127.0.0.1", "203.0.113.5", "169.254.169.254"):
        assert probe(world.gateway, address) == everything, address
    assert probe(world.guest, SERVER) == everything


@pytest.mark.parametrize("address", [OUTSIDE, "127.0.0.1", "127.53.2.1", "203.0.113.5", "169.254.169.254", "255.255.255.255", "198.18.1.255"])
def test_host_addresses_are_closed_to_the_guest(world, exposed, address):
    def refused():
        return sum(int(row["count"]) for row in exposed.table("drops") if row["reason"] in ("DENIED", "IP_DESTINATION", "SOCKET"))

    before = refused()
    got = probe(world.guest, address)
    assert "open" not in got.values(), got
    assert refused() >= before + 2, "the probe did not even arrive"


def test_the_gateways_own_address_serves_dns_and_ping_only(world, exposed):
    got = probe(world.guest, HUB)
    assert got["tcp"] == "ConnectionRefusedError" and got["udp"] != "open" and got["icmp"] == "open", got


def test_multicast_stays_on_the_hub(world, exposed):
    code = ("import socket, struct\ns = socket.socket(type=2)\ns.bind(('', 7077))\n"
            "s.setsockopt(0, 35, struct.pack('4s4s', socket.inet_aton('239.1.1.1'), socket.inet_aton('%s')))\ns.settimeout(2)\nprint('ready', flush=True)\n"
            "try: print(s.recvfrom(100), flush=True)\nexcept TimeoutError: print('silence', flush=True)")
    listener = world.internet.start("/usr/bin/python3", "-c", code % ROUTER)
    assert listener.stdout.readline() == "ready\n"
    for address in ("239.1.1.1", "224.0.0.1"):
        world.guest.run("/usr/bin/python3", "-c", f"import socket; s = socket.socket(type=2); s.setsockopt(0, 33, 8); s.sendto(b'x', ('{address}', 7077))")
    assert listener.communicate(timeout=10)[0] == "silence\n"


def test_foreign_source_addresses_do_not_leave(world, exposed):
    """BCP 38: a guest with an address that is not the hub's."""
    world.guest.run("ip", "addr", "add", "198.18.2.77/32", "dev", "lo")
    try:
        result = world.guest.run("ping", "-c", 1, "-W", 1, "-I", "198.18.2.77", SERVER, check=False)
        assert " 0% packet loss" not in result.stdout
        assert [r for r in exposed.table("drops") if r["reason"] == "IP_SOURCE" and int(r["count"])]
    finally:
        world.guest.run("ip", "addr", "del", "198.18.2.77/32", "dev", "lo")


@pytest.mark.parametrize("words", [["status"], ["nat", "table"], ["shutdown"], ["process", "restart", "alg"]])
def test_natlockctl_refuses_a_third_user(gateway, words):
    pid = gateway.processes()["alg"]["pid"]
    result = sh("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", program("natlockctl"), *words, env=gateway.environment, check=False)
    assert result.returncode in (3, 5) and "Permission denied" in result.stderr and not result.stdout, (result.returncode, result.stdout, result.stderr)
    assert gateway.processes()["alg"]["pid"] == pid
