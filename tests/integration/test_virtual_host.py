"""The virtual host on its hub (seed 3.7.2 to 3.7.4, 3.7.7): its session, who may be it, and a host that would be its own guest."""
import time
import pytest
from conftest import HUB, SERVER, act, lease, leased_address, sh, wait_for
from packets import Station

SECURENAT = "SID-SECURENAT-1"
MINE, THEIRS = "192.168.30.60", "192.168.30.61"


@pytest.fixture(scope="module")
def hub(spawn):
    return spawn.two_guests("virtual", "vh")


def sessions(gateway):
    return {row["session"]: row for row in gateway.table("session", "list")}


def spoofs(gateway):
    return sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "ARP_SPOOF")


def test_the_securenat_session_is_listed_like_any_other(hub):
    """Seed 3.7.7"""
    now = time.time() * 1000
    before = sessions(hub)
    gateway, ports = before.pop(SECURENAT), before
    assert gateway["kind"] == "securenat" and gateway["macs"] == 1 and 0 <= now - gateway["created_ms"] < 600000
    assert [row["kind"] for row in ports.values()] == ["tap", "tap"] and [row["macs"] for row in ports.values()] == [1, 1], ports
    assert act(hub.guests[0], "up", 1000000)["ok"] and act(hub.guests[0], "down", 500000)["ok"]
    after = sessions(hub)
    assert after[SECURENAT]["tx_bytes"] - gateway["tx_bytes"] > 1000000, "what guests send goes to it"
    assert after[SECURENAT]["rx_bytes"] - gateway["rx_bytes"] > 500000
    first = [name for name, row in ports.items() if row["port"] == min(r["port"] for r in ports.values())][0]
    assert after[first]["rx_bytes"] - ports[first]["rx_bytes"] > 1000000 and after[first]["tx_bytes"] - ports[first]["tx_bytes"] > 500000


def test_a_neighbours_address_cannot_be_claimed(hub):
    """ARP of another port about a leased address, and about one that a station was seen with, reaches nobody."""
    mine, thief = Station(hub.guests[0], MINE), Station(hub.guests[1], THEIRS)
    try:
        leased = leased_address(hub.guests[0])
        before = spoofs(hub)
        for victim in (leased, MINE):
            mine.forget()
            thief.arp(2, victim, victim)
            thief.arp(1, victim, MINE)
            with pytest.raises(Exception):
                mine.arps.get(timeout=0.3)
        assert spoofs(hub) >= before + 4
        thief.arp(1, THEIRS, MINE)
        assert mine.arps.get(timeout=2)[2] == THEIRS, "its own address it may say"
    finally:
        mine.close()
        thief.close()
    assert " 0% packet loss" in hub.guests[1].run("ping", "-c", 1, "-W", 2, leased).stdout


def test_a_claim_passes_where_it_is_allowed(spawn):
    guests = spawn.two_guests("open", "vo", config="    arp_guard: false\n").guests
    one, two = Station(guests[0], MINE), Station(guests[1], THEIRS)
    try:
        one.forget()
        two.arp(1, MINE, MINE)
        wait_for(lambda: one.arps.get(timeout=2)[2] == MINE, 5, "the claim")  # others may come before it
    finally:
        one.close()
        two.close()


# What a program says to a server by one device of its computer comes back.
BY_DEVICE = """
import socket, sys
s = socket.socket()
s.settimeout(3)
s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[1].encode() + bytes(1))  # SO_BINDTODEVICE
s.connect((sys.argv[2], 7001))
s.sendall(b"round trip")
assert s.recv(100) == b"round trip"
"""


class Host:
    """A computer of its own that natlock runs on: an uplink to the Internet, and whatever a test makes of its network."""

    def __init__(self, world, spawn, name, last):
        self.world, self.namespace = world, spawn.guest(name)
        self.uplink, self.address = f"u{last}", f"198.18.{last}.2"
        sh("ip", "link", "add", "up0", "netns", self.namespace.name, "type", "veth", "peer", "name", self.uplink, "netns", world.internet.name)
        self.run("ip", "addr", "add", f"{self.address}/24", "dev", "up0")
        self.run("ip", "link", "set", "up0", "up")
        world.internet.run("ip", "addr", "add", f"198.18.{last}.1/24", "dev", self.uplink)
        world.internet.run("ip", "link", "set", self.uplink, "up")
        self.router = f"198.18.{last}.1"

    def run(self, *command, **options):
        return self.namespace.run(*command, **options)

    def route(self, via):
        self.run("ip", "route", "replace", "default", "via", via)


def expect_refusal(gateway, guest, count=200):
    """ICMP at once for everybody, a line, a note in the status; and however much is asked for, nothing goes round."""
    text = f"loop: this hub's gateway {HUB} is also this host's default gateway (seed 3.7.4). Refusing sessions."
    wait_for(lambda: text in gateway.text(), 5, "the loop guard's line")
    assert text in gateway.control("status").stdout
    answer = act(guest, "unreachable", 80, address=SERVER)
    assert answer["errno"] == 101 and answer["seconds"] < 1, answer
    before = sum(row["rx_frames"] for row in gateway.table("session", "list"))
    guest.run("/usr/bin/python3", "-c", f"import socket\ns = socket.socket(type=2)\nfor i in range({count}):\n try:\n  s.sendto(b'x', ('{SERVER}', 9))\n except OSError:\n  pass")
    time.sleep(0.3)
    assert not [row for row in gateway.table("nat", "table") if row["destination"].startswith("198.18.2.")]
    assert sum(row["rx_frames"] for row in gateway.table("session", "list")) - before < 3 * count, "frames go round"


def test_loop_by_the_hubs_own_adapter(world, spawn):
    """Seed 3.7.4, first case: this computer is a guest of its own hub and has it as default gateway."""
    host, guest = Host(world, spawn, "lc", 41), spawn.guest("lcg")
    gateway = spawn.gateway("loop-tap", where=host.namespace, guest=guest, config=f'hubs:\n  default:\n    attach: ["tap:nl0", "netns:{guest.name}"]\n')
    host.run("ip", "addr", "add", f"{MINE}/24", "dev", "nl0")
    host.run("ip", "link", "set", "nl0", "up")
    host.route(host.router)
    lease(guest)
    assert act(guest, "up", 100000)["ok"]
    assert " 0% packet loss" in host.run("ping", "-c", 1, "-W", 2, "-I", "nl0", HUB).stdout
    host.run("ip", "route", "add", "default", "via", HUB, "metric", "500")
    time.sleep(0.5)
    assert act(guest, "up", 100000)["ok"], "a route that is not used is no loop"
    assert "loop:" not in gateway.text()
    host.run("/usr/bin/python3", "-c", BY_DEVICE, "nl0", SERVER)
    host.run("ip", "route", "del", "default", "via", host.router)
    expect_refusal(gateway, guest)
    expect_refusal(gateway, host.namespace)
    host.run("ip", "route", "del", "default", "via", HUB, "metric", "500")
    host.route(host.router)
    wait_for(lambda: act(guest, "unreachable", 80, address=SERVER)["errno"] != 101, 3, "service again")
    assert act(guest, "up", 100000)["ok"]


def test_loop_by_a_bridged_adapter(world, spawn):
    """Seed 3.7.4, second case: this computer's own adapter is bridged to the hub, whose virtual host is its default gateway."""
    host, guest = Host(world, spawn, "lb", 42), spawn.guest("lbg")
    for command in ("link add br0 type bridge", "link set up0 master br0", "addr flush dev up0", f"addr add {host.address}/24 dev br0",
                    "link set br0 up"):
        host.run("ip", *command.split())
    gateway = spawn.gateway("loop-bridge", where=host.namespace, guest=guest, config=f'hubs:\n  default:\n    attach: ["tap:nl0", "netns:{guest.name}"]\n')
    host.run("ip", "addr", "add", f"{MINE}/24", "dev", "br0")
    host.run("ip", "link", "set", "nl0", "master", "br0")
    host.run("ip", "link", "set", "nl0", "up")
    host.route(host.router)
    lease(guest)
    assert act(guest, "up", 100000)["ok"], "bridged, but the way out is another one"
    host.route(HUB)
    expect_refusal(gateway, guest)
    expect_refusal(gateway, host.namespace)
    host.route(host.router)
    wait_for(lambda: act(guest, "unreachable", 80, address=SERVER)["errno"] != 101, 3, "service again")
    assert act(guest, "up", 100000)["ok"]


def test_loop_by_the_way_to_one_network(world, spawn):
    """Seed 3.7.4 once more: only the way to one network leads into the hub. That is refused, the rest of the world is served."""
    host, guest = Host(world, spawn, "ln", 43), spawn.guest("lng")
    gateway = spawn.gateway("loop-network", where=host.namespace, guest=guest, config=f'hubs:\n  default:\n    attach: ["tap:nl0", "netns:{guest.name}"]\n')
    host.run("ip", "addr", "add", f"{MINE}/24", "dev", "nl0")
    host.run("ip", "link", "set", "nl0", "up")
    host.route(host.router)
    host.run("ip", "route", "add", "203.0.113.0/24", "via", HUB)
    lease(guest)
    time.sleep(1)  # until natproxy has heard of this computer's new address
    before = sum(row["rx_frames"] for row in gateway.table("session", "list"))
    for _ in range(5):
        answer = act(guest, "unreachable", 80, address="203.0.113.9")
        assert answer["errno"] == 113 and answer["seconds"] < 2, answer
    assert sum(row["rx_frames"] for row in gateway.table("session", "list")) - before < 200, "frames go round"
    assert sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "DENIED") >= 5
    assert act(guest, "up", 100000)["ok"]
