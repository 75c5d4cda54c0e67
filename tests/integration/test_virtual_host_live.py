"""The virtual host is changed by natlockctl while guests use it (seed 3.7.2, 3.7.3, 3.7.7): flows go on, or end with a reason."""
import json, threading, time
import pytest
from conftest import HUB, SERVER, act, lease, wait_for

NEW_MAC, NEW_IP = "00:ac:55:44:33:22", "192.168.30.254"


@pytest.fixture(scope="module")
def live(spawn):
    return spawn.two_guests("live", "lv")


def neighbour(guest, address=HUB):
    return guest.run("ip", "neigh", "show", address).stdout


def ping(guest, address):
    return " 0% packet loss" in guest.run("ping", "-c", 2, "-i", 0.2, "-W", 1, address, check=False).stdout


def under_load(live, *changes):
    """Both directions busy, compared by hash, while the changes are made."""
    answers = {}

    def run(name):
        answers[name] = act(live.guests[0], name, 600 << 20, timeout=110)

    threads = [threading.Thread(target=run, args=(name,)) for name in ("up", "down")]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    for change in changes:
        live.control(*change)
        time.sleep(0.3)
    assert any(t.is_alive() for t in threads), "it was over before the changes"
    for thread in threads:
        thread.join()
    assert answers["up"]["ok"] and answers["down"]["ok"], answers


def test_mac_and_mtu_under_load(live):
    under_load(live, ("hub", "set", f"host.mac={NEW_MAC}"), ("hub", "set", "nat.mtu=900"), ("hub", "set", "nat.mtu=1500"))
    wait_for(lambda: NEW_MAC in neighbour(live.guests[0]), 5, "the guest to hear of the MAC")
    assert live.table("hub", "list")[0]["mac"].lower() == NEW_MAC


def test_address_under_load(live):
    under_load(live, ("hub", "set", f"host.address={NEW_IP}", f"dhcp.gateway={NEW_IP}", f"dhcp.dns=[{NEW_IP}]"))
    assert ping(live.guests[0], NEW_IP) and act(live.guests[0], "up", 100000)["ok"], "by the gateway of before"
    for address in (HUB, NEW_IP):
        for how in ("+notcp", "+tcp"):
            assert SERVER in live.guests[0].run("dig", "+short", "+time=2", "+tries=1", how, f"@{address}", "www.example.test", check=False).stdout, (address, how)
    lease(live.guests[0])
    live.control("hub", "set", f"host.address={HUB}", f"dhcp.gateway={HUB}", f"dhcp.dns=[{HUB}]")
    lease(live.guests[0])


def hold(live):
    """A connection that stands, in a process of the guest."""
    process = live.guests[0].start("/usr/bin/python3", "-c", f"""
import socket
s = socket.create_connection(('{SERVER}', 7001))
print('ready', flush=True)
try:
    print('end' if s.recv(1) == b'' else 'data')
except OSError as e:
    print('reset', e.errno)""")
    assert process.stdout.readline() == "ready\n"
    return process


def test_nat_off_and_on(live):
    held = hold(live)
    live.control("hub", "set", "nat.enable=false")
    assert "reset 104" in held.stdout.readline()
    assert ping(live.guests[0], HUB) and not ping(live.guests[0], SERVER)
    answer = act(live.guests[0], "unreachable", 80)
    assert answer["errno"] == 113 and answer["seconds"] < 1, answer
    assert not live.table("nat", "table")
    live.control("hub", "set", "nat.enable=true")
    assert act(live.guests[0], "up", 100000)["ok"]


def test_securenat_off_and_on(live):
    names = lambda: [row["session"] for row in live.table("session", "list")]
    assert "SID-SECURENAT-1" in names()
    held = hold(live)
    live.control("hub", "disable")
    assert "reset 104" in held.stdout.readline()
    assert "SID-SECURENAT-1" not in names() and len(names()) == 2
    for guest in live.guests:
        guest.run("ip", "neigh", "flush", "all")
    assert not ping(live.guests[0], HUB)
    other = json.loads(live.guests[1].run("ip", "-j", "-4", "addr", "show", "eth0").stdout)[0]["addr_info"][0]["local"]
    assert ping(live.guests[0], other), "the hub still switches"
    live.control("hub", "enable")
    row = [row for row in live.table("session", "list") if row["session"] == "SID-SECURENAT-1"][0]
    assert time.time() * 1000 - row["created_ms"] < 5000
    wait_for(lambda: ping(live.guests[0], HUB), 5, "the gateway")
    assert act(live.guests[0], "up", 100000)["ok"]


def test_icmp_mode_and_limits(live):
    live.control("hub", "set", "nat.icmp=dummy")
    assert ping(live.guests[0], "198.18.1.77"), "answered by the gateway"
    live.control("hub", "set", "nat.icmp=echo")
    assert not ping(live.guests[0], "198.18.1.77") and ping(live.guests[0], SERVER)
    live.control("hub", "set", "limits.tcp_sessions_per_host=1")
    held = hold(live)
    answer = act(live.guests[0], "unreachable", 7001)
    assert answer["errno"] == 111, answer
    live.control("hub", "set", "limits.tcp_sessions_per_host=1024")
    assert act(live.guests[0], "up", 100000)["ok"]
    held.terminate()


# Frames from so many stations behind one port.
STATIONS = "import socket\ns = socket.socket(17, 3)\ns.bind(('eth0', 0))\nfor i in range(%d):\n s.send(bytes(5) + b'\\1' + bytes([2, 9, 9, 9, 9, i]) + b'\\x88\\xb5' + bytes(46))"


def test_a_crowded_port_is_told_with_the_way_out(live):
    live.control("hub", "set", "limits.macs_per_port=3")
    live.guests[1].run("/usr/bin/python3", "-c", STATIONS % 2)
    assert "limits.macs_per_port" not in live.control("status").stdout
    live.guests[1].run("/usr/bin/python3", "-c", STATIONS % 9)
    told = f"netns:{live.guests[1].name} has 3 stations, as many as limits.macs_per_port allows"
    wait_for(lambda: told in live.control("status").stdout, 2, "the note")
    live.control("hub", "set", "limits.macs_per_port=64")
    before = sum(int(row["count"]) for row in live.table("drops") if row["reason"] == "MAC_LIMIT")
    live.guests[1].run("/usr/bin/python3", "-c", STATIONS % 9)
    assert before == sum(int(row["count"]) for row in live.table("drops") if row["reason"] == "MAC_LIMIT") > 0
    assert live.text().count(told) == 1


def test_a_kicked_session_ends(live):
    held = hold(live)
    port = sorted((row for row in live.table("session", "list") if row["port"] is not None), key=lambda row: row["port"])[0]
    live.control("session", "kick", port["session"])
    wait_for(lambda: port["session"] not in [row["session"] for row in live.table("session", "list")], 3, "its end")
    wait_for(lambda: not live.table("nat", "table"), 3, "its flows' end")
    assert "eth0" not in live.guests[0].run("ip", "-br", "link").stdout, "the TAP is gone"
    held.terminate()
