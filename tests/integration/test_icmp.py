"""Echo where the kernel refuses it, errors, fragments."""
import pytest
from conftest import HUB, SERVER, act, leased_address, wait_for

HOSTLESS = "198.18.1.77"  # on the outside link, nobody answers ARP


@pytest.fixture
def closed(world, gateway):
    """A host whose kernel gives ping sockets to nobody."""
    world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    yield world
    world.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")


def ping(guest, address, *options):
    return " 0% packet loss" in guest.run("ping", "-c", 2, "-i", 0.1, "-W", 2, *options, address, check=False).stdout


def test_echo_refused_by_the_kernel_is_said_at_start(closed, spawn):
    guest = spawn.guest("icmp")
    gateway = spawn.gateway("icmp", guest=guest, prefix=("setpriv", "--bounding-set", "-net_raw"), config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n')
    assert "pings stop at the gateway: net.ipv4.ping_group_range is 1 0" in gateway.text()
    assert "sysctl -w net.ipv4.ping_group_range='0 2147483647', or restart natlock with nat.icmp: echo and CAP_NET_RAW" in gateway.text() and "nat.icmp: dummy" in gateway.text()
    assert "1 hub is up; pings stop at the gateway." in gateway.text()
    leased_address(guest)
    assert ping(guest, HUB), "the gateway's own echo needs no socket"
    assert not ping(guest, SERVER, "-W", 1), "an echo reply was invented"
    assert act(guest, "up", 100000)["ok"]


def test_the_configured_fallback_answers_itself(closed, spawn):
    guest = spawn.guest("dummy")
    gateway = spawn.gateway("dummy", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat: {{icmp: dummy}}\n')
    assert "1 hub is up; pings are answered by the gateway itself (nat.icmp: dummy)." in gateway.text() and "ping_group_range" not in gateway.text()
    leased_address(guest)
    assert ping(guest, SERVER) and ping(guest, HOSTLESS, "-s", 1000)


def test_echo_that_is_forwarded_is_said_at_start(gateway):
    assert "1 hub is up; pings are forwarded (nat.icmp: echo)." in gateway.text() and "ping_group_range" not in gateway.text()
    assert ping(gateway.guest, SERVER) and not ping(gateway.guest, HOSTLESS, "-W", 1), "no reply is invented"


def test_time_exceeded(gateway):
    text = gateway.guest.run("ping", "-c", 1, "-W", 2, "-t", 1, SERVER, check=False).stdout
    assert f"From {HUB}" in text and "Time to live exceeded" in text, text


@pytest.mark.parametrize("address", [HUB, SERVER])
@pytest.mark.parametrize("size", [1472, 1473, 20000, 60000])
def test_fragmented_echo(gateway, address, size):
    assert ping(gateway.guest, address, "-s", size)


def test_unreachable_host_is_told_within_five_seconds(gateway):
    answer = act(gateway.guest, "unreachable", 80, address=HOSTLESS)
    assert answer["errno"] == 113 and answer["seconds"] < 5, answer


def test_a_destination_without_a_route_is_told_at_once(world, gateway):
    world.gateway.run("ip", "route", "add", "unreachable", "203.0.113.0/25")
    try:
        answer = act(gateway.guest, "unreachable", 80, address="203.0.113.9")
        assert answer["errno"] in (101, 113) and answer["seconds"] < 1, answer
    finally:
        world.gateway.run("ip", "route", "del", "unreachable", "203.0.113.0/25")
