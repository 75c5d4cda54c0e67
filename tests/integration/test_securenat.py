"""What each hub of SecureNAT can be without: NAT only, DHCP only, addresses without a gateway (seed 3.7.1, 3.7.5, 3.7.6)."""
import os, subprocess
import pytest
from conftest import HUB, SERVER, TOP, act, lease, sh

CONFIG = """hubs:
  dhcp-only: {{attach: ["netns:{0}"], nat: {{enable: false}}}}
  nat-only: {{attach: ["netns:{1}"], dhcp: {{enable: false}}}}
  bare: {{attach: ["netns:{2}"], nat: {{enable: false}}, dhcp: {{gateway: none, dns: [], domain: none}}}}
  apart: {{attach: ["netns:{3}"], host: {{address: 10.9.0.1, netmask: 255.255.0.0}},
          dhcp: {{range: 10.9.1.0-10.9.1.9, netmask: 255.255.0.0, lease: 1h, gateway: 10.9.0.1, dns: [10.9.0.1, 9.9.9.9], domain: lab.example}}}}
"""


@pytest.fixture(scope="module")
def parts(spawn):
    guests = {name: spawn.guest(name) for name in ("dhcp-only", "nat-only", "bare", "apart")}
    gateway = spawn.gateway("parts", config=CONFIG.format(*(guest.name for guest in guests.values())))
    gateway.guests = guests
    return gateway


def test_dhcp_alone_gives_addresses_and_no_way_out(parts):
    guest = parts.guests["dhcp-only"]
    assert "ip=192.168.30.10" in lease(guest)
    answer = act(guest, "unreachable", 7001, address=SERVER)
    assert answer["errno"] is not None, answer


def test_nat_alone_serves_a_guest_that_set_its_own_address(parts):
    """The second step of seed 3.7.3: the client's TCP/IP settings name the virtual host as default gateway."""
    guest = parts.guests["nat-only"]
    found = guest.run("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "1", "-T", "1", "-s", TOP / "tests/integration/udhcpc.sh", check=False,
                      env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
    assert found.returncode != 0, found.stdout
    guest.run("ip", "addr", "add", "192.168.30.77/24", "dev", "eth0")
    guest.run("ip", "route", "add", "default", "via", HUB)
    assert act(guest, "up", 1 << 20)["ok"] and act(guest, "udp", 1, 1400, 100)["ok"]
    assert " 0% packet loss" in guest.run("ping", "-c", 1, "-W", 2, SERVER).stdout


def test_an_address_alone(parts):
    """Neither gateway nor DNS nor domain is sent, so that the client keeps its own (seed 3.7.6)."""
    said = lease(parts.guests["bare"])
    assert "ip=192.168.30.10 " in said and "router= " in said and "dns= " in said and said.rstrip().endswith("domain="), said


def test_the_virtual_hosts_mac_is_00_ac_and_stays(parts):
    """Seed 3.7.2; each hub has its own."""
    before = {row["name"]: row["mac"] for row in parts.table("hub", "list")}
    assert all(mac.upper().startswith("00:AC:") for mac in before.values()) and len(set(before.values())) == len(before), before
    parts.end()
    parts.start()
    assert {row["name"]: row["mac"] for row in parts.table("hub", "list")} == before


def test_every_setting_of_the_virtual_dhcp_server_arrives(parts):
    said = lease(parts.guests["apart"])
    for word in ("ip=10.9.1.0", "mask=16", "router=10.9.0.1", "dns=10.9.0.1 9.9.9.9", "lease=3600", "domain=lab.example", "serverid=10.9.0.1"):
        assert word in said, (word, said)
    assert act(parts.guests["apart"], "down", 1 << 20)["ok"]
