"""The hosts of esp_peers.py by themselves, without any gateway: their ESP is scapy's, and what reaches the wrong one is seen. What the tests through natlock say rests on that."""
import pytest
from scapy.layers.inet import IP
from scapy.layers.ipsec import ESP, SecurityAssociation
from conftest import Namespace, sh
from esp_peers import GUEST, RESPONDER, SUITES, Cbc, End, Keys, Peering
from packets import UDP, Packet, ip, udp

FIRST, SECOND, FAR = "198.18.25.10", "198.18.25.11", "198.18.25.1"


def scapys(keys, sender):
    """A security association of scapy's with the same keys."""
    way = keys.ways[sender]
    algorithms = dict(crypt_algo="AES-CBC", crypt_key=way.key, auth_algo="SHA2-256-128", auth_key=way.auth) if isinstance(way, Cbc) else dict(crypt_algo="AES-GCM", crypt_key=way.key + way.salt)
    return SecurityAssociation(ESP, spi=keys.spis[sender], tunnel_header=IP(src=FIRST, dst=FAR), **algorithms)


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 14, 15, 1300, 20000])
def test_esp_is_what_scapy_takes_for_it_and_makes(suite, size):
    keys = Keys(suite)
    inner = ip("10.99.1.1", "10.99.0.1", UDP, udp("10.99.1.1", "10.99.0.1", 9, 9, bytes(size)))
    for sender in (GUEST, RESPONDER):
        theirs = scapys(keys, sender)
        assert bytes(theirs.decrypt(IP(ip(FIRST, FAR, 50, keys.seal(sender, inner))))) == inner
        assert keys.open(sender, Packet(bytes(theirs.encrypt(IP(inner)))).body).raw == inner
        with pytest.raises(Exception):
            keys.open(1 - sender, keys.seal(sender, inner))


@pytest.fixture(scope="module")
def hosts():
    """Two guests and a responder with nothing but a cable between them."""
    near, far = Namespace("esp-near"), Namespace("esp-far")
    sh("ip", "link", "add", "e0", "netns", near.name, "type", "veth", "peer", "name", "e0", "netns", far.name)
    for where, addresses in ((near, (FIRST, SECOND)), (far, (FAR,))):
        for address in addresses:
            where.run("ip", "addr", "add", f"{address}/24", "dev", "e0")
        where.run("ip", "link", "set", "e0", "up")
    yield near, far
    for where in (near, far):
        where.remove()


@pytest.fixture
def both(hosts):
    """Two tunnels to one responder."""
    near, far = hosts
    ends = [End(near, FIRST), End(near, SECOND), End(far, FAR)]
    made = [Peering(guest, ends[2]) for guest in ends[:2]]
    for one in made:
        one.open()
        assert one.ping()
    yield made
    for end in ends:
        end.close()


def test_tunnels_and_rekeying_without_a_gateway(both):
    for by in (GUEST, RESPONDER):
        for one in both:
            one.rekey(by)
            assert one.answers(by) and one.keys[GUEST] is one.keys[RESPONDER]
            one.retire()
            assert one.moves([0, 100, 1300, 1500, 20000])
    assert not any(end.strange + end.wrong for one in both for end in one.ends)


def test_packets_of_two_guests_that_are_swapped_are_seen(both):
    """Which is how a gateway's fault would look"""
    one, other = both
    one.at[GUEST], other.at[GUEST] = other.at[GUEST], one.at[GUEST]
    for each in both:
        assert not each.ping(seconds=0.3) and not each.moves([100], [RESPONDER])
    assert one.ends[GUEST].strange and other.ends[GUEST].strange and not one.ends[RESPONDER].strange


def test_what_is_inside_for_somebody_else_is_seen(both):
    """Rightly encrypted, by keys of the wrong tunnel"""
    one, other = both
    inner = ip(other.inner[RESPONDER], other.inner[GUEST], UDP, udp(other.inner[RESPONDER], other.inner[GUEST], 9, 9, b"\0\0\0\1"))
    one.say(RESPONDER, inner)
    assert one.answers(RESPONDER)
    assert [strange[2] for strange in one.ends[GUEST].strange] == [other.inner[GUEST]]


def test_a_changed_octet_and_an_old_key_are_seen(both):
    one, other = both
    sealed = bytearray(one.keys[GUEST].seal(GUEST, ip(one.inner[GUEST], one.inner[RESPONDER], UDP, bytes(40))))
    sealed[30] ^= 1
    one.ends[GUEST].say(bytes(sealed), FAR)
    assert one.answers() and len(one.ends[RESPONDER].strange) == 1
    other.rekey(GUEST)
    assert other.answers()
    old = other.valid[0]
    other.retire()
    other.ends[GUEST].say(old.seal(GUEST, ip(other.inner[GUEST], other.inner[RESPONDER], UDP, bytes(40))), FAR)
    assert other.answers() and [strange[2] for strange in other.ends[RESPONDER].strange][1:] == ["unknown"]
