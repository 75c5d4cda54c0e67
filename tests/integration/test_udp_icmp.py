"""UDP and ICMP through the gateway."""
from conftest import HUB, SERVER, SERVER2, PEER
import json


def test_datagrams_of_every_size_come_back_equal(peer):
    answer = peer("udp", 0, 1, 2, 100, 1471, 1472, 1473, 2000, 9000, 20000, 40000, 65507)
    assert answer["ok"], answer


def test_ten_thousand_datagrams_by_hash(peer):
    answer = peer("udp_hash", 10000, 700)
    assert answer["ok"], answer


def test_mapping_is_endpoint_independent(gateway):
    answer = json.loads(gateway.guest.run(PEER, "udp_mapping", SERVER, SERVER2).stdout)
    assert len(set(answer["seen"])) == 1  # RFC 4787 REQ-1


def test_port_unreachable_reaches_the_guest(peer):
    assert peer("udp_refused", 9)["error"] == "ConnectionRefusedError"


def test_ping_the_gateway(gateway):
    assert " 0% packet loss" in gateway.guest.run("ping", "-c", 3, "-i", 0.1, HUB).stdout


def test_ping_beyond_the_gateway_is_real(gateway):
    assert " 0% packet loss" in gateway.guest.run("ping", "-c", 3, "-i", 0.1, "-s", 1000, SERVER).stdout
    silent = gateway.guest.run("ping", "-c", 2, "-i", 0.1, "-W", 1, "198.18.1.77", check=False)
    assert " 0% packet loss" not in silent.stdout, "an echo reply was invented"


def test_traceroute_shows_the_gateway_first(gateway):
    lines = gateway.guest.run("traceroute", "-n", "-q", 1, "-w", 1, "-m", 4, SERVER).stdout.splitlines()
    assert HUB in lines[1] and SERVER in lines[-1], lines
