"""TCP of two real kernels over a bad link between guest and gateway, next to kernel NAT over the same link.

Short and with a wide bound here; tests/bench/impaired measures.
"""
import pytest
from conftest import act
from link import PROFILES, KernelNat, Link

MIB, SEED, LEAST_OF_KERNEL = 1 << 20, 20261121, 0.25
BYTES = {"A": 4 * MIB, "B": MIB, "C": 4 * MIB}  # of each flow


@pytest.fixture(scope="module")
def kernel(world):
    nat = KernelNat(world, "imp")
    link = Link(world.folder, nat.guest, nat.namespace, "impk")
    nat.serve("impk")
    link.address("192.168.30.10/24", "192.168.30.1")
    yield link
    link.remove()
    nat.remove()


@pytest.fixture(scope="module")
def natlock(world, spawn):
    guest = spawn.guest("imp")
    link = Link(world.folder, guest, world.gateway, "impn")
    guest.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
    spawn.gateway("imp", guest=guest, config='hubs:\n  default:\n    attach: ["veth:impn"]\n')
    link.address("192.168.30.10/24", "192.168.30.1")
    yield link
    link.remove()


def over(link, profile):
    link.begin(SEED, PROFILES[profile])
    answer = act(link.guest, "both_ways", BYTES[profile], 2, 60, timeout=90)
    answer["link"] = link.end()
    for way in answer["link"].values():
        assert way["overrun"] == 0, "the relay itself lost frames"
    return answer


@pytest.mark.parametrize("profile", ["A", "B", "C"])
def test_every_byte_is_right_over_a_bad_link(natlock, kernel, profile):
    """RFC 9293 3.8, RFC 6675, RFC 1122 4.2.2.7: all flows end, equal hashes, goodput at least a quarter of kernel NAT's."""
    ours, theirs = over(natlock, profile), over(kernel, profile)
    print(profile, ours, theirs)
    assert ours["ok"] == ours["flows"] and not ours["wrong"], ours
    assert ours["link"]["forth"]["frames"] > 1000 and ours["link"]["back"]["frames"] > 1000
    harmed = [sum(way[k] for k in ("lost", "damaged", "cut")) for way in ours["link"].values()]
    assert min(harmed) > 10, ours["link"]
    assert ours["mbits"] >= LEAST_OF_KERNEL * theirs["mbits"], (ours, theirs)
