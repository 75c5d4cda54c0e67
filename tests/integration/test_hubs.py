"""Several hubs with one subnet, in one natlock and in several."""
import json, subprocess
import pytest
from conftest import HUB, PEER, SERVER, act, leased_address, wait_for

ONE_SUBNET = """hubs:
  left: {{attach: ["netns:{0}"]}}
  right: {{attach: ["netns:{1}"]}}
"""


@pytest.fixture(scope="module")
def hubs(spawn):
    """Hubs left and right of one natlock, and a second natlock: three times 192.168.30.0/24, three guests with the same address."""
    guests = [spawn.guest(name) for name in ("left", "right", "third")]
    gateway = spawn.gateway("twohubs", config=ONE_SUBNET.format(guests[0].name, guests[1].name))
    gateway.second = spawn.gateway("third", guest=guests[2])
    gateway.guests = guests
    gateway.addresses = [leased_address(guest) for guest in guests]
    return gateway


def rows(gateway, hub, *command):
    return json.loads(gateway.control("--hub", hub, "-o", "json", *command, check=False).stdout)["items"]


def test_every_hub_leases_from_its_own_pool(hubs):
    assert len(set(hubs.addresses)) == 1, "each pool begins anew"
    for hub, guest in zip(("left", "right"), hubs.guests):
        leases = rows(hubs, hub, "dhcp", "table")
        mac = json.loads(guest.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"]
        assert [row["mac"].lower().replace("-", ":") for row in leases] == [mac], leases
    workers = sorted(row["process"] for row in hubs.table("process", "list") if row["process"] != "supervisor")
    assert workers == sorted(2 * ["broker", "netstack", "natproxy", "dhcpd", "alg"]), "each hub has its own"


def test_all_move_data_at_once_by_hash(hubs):
    flows = [guest.start(PEER, way, SERVER, 24 << 20) for guest in hubs.guests for way in ("up", "down")]
    for flow in flows:
        answer = json.loads(flow.communicate(timeout=60)[0])
        assert answer["ok"], answer


def test_one_source_port_in_every_hub_at_once(hubs):
    """Same inside address, same inside port, same destination: only the hub tells the sessions apart."""
    code = ("import socket\nc = socket.socket()\nc.bind(('0.0.0.0', 40555))\nc.connect(('%s', 7001))\nprint('open', flush=True)\ninput()\n"
            "c.sendall(b'%s' * 100)\nd = b''\nwhile len(d) < 300: d += c.recv(300)\nprint(d == b'%s' * 100, flush=True)")
    flows = [guest.start("/usr/bin/python3", "-c", code % (SERVER, word, word), stdin=subprocess.PIPE) for guest, word in zip(hubs.guests, ("one", "two", "six"))]
    for flow in flows:
        assert flow.stdout.readline() == "open\n"
    for hub in ("left", "right"):
        assert len([row for row in rows(hubs, hub, "nat", "table") if row["source"] == f"{hubs.addresses[0]}:40555"]) == 1
    for flow in flows:
        assert flow.communicate("\n", timeout=10)[0] == "True\n"


def test_hubs_do_not_hear_each_other(hubs):
    """A broadcast stays on its hub: the guests of the others have the same address and would answer for it."""
    left, right = hubs.guests[0], hubs.guests[1]
    left.run("ip", "addr", "add", "192.168.30.240/24", "dev", "eth0")
    try:
        answer = right.run("ping", "-c", 1, "-W", 1, "192.168.30.240", check=False)
        assert " 0% packet loss" not in answer.stdout
        assert " 0% packet loss" in right.run("ping", "-c", 1, "-W", 1, HUB).stdout
    finally:
        left.run("ip", "addr", "del", "192.168.30.240/24", "dev", "eth0")


def test_logs_are_apart(hubs):
    folder = hubs.folder / "log"
    mac = {hub: json.loads(guest.run("ip", "-j", "link", "show", "eth0").stdout)[0]["address"].upper().replace(":", "-") for hub, guest in zip(("left", "right"), hubs.guests)}

    def text(hub):
        return "".join(f.read_text() for f in folder.rglob(f"security_log/{hub}/sec_*.log"))

    for hub, other in (("left", "right"), ("right", "left")):
        wait_for(lambda: mac[hub] in text(hub), 3, f"the lease in the log of {hub}")
        assert mac[other] not in text(hub)
        assert text(hub).count("The DHCP entry 1 was created.") == 1
    assert not list((hubs.second.folder / "log").rglob("security_log/left"))


def test_one_hub_goes_on_when_the_other_ones_worker_dies(hubs):
    flow = hubs.guests[1].start(PEER, "hold", SERVER, 2)
    hubs.control("--hub", "left", "process", "restart", "netstack")
    held = json.loads(flow.communicate(timeout=20)[0])
    assert held["ok"] and held["worst"] < 1, held
    assert act(hubs.guests[0], "up", 1 << 20)["ok"] and act(hubs.guests[2], "up", 1 << 20)["ok"]
