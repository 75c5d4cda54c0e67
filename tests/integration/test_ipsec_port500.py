"""IKE that keeps its source port 500 (preserve_port_list) although several guests have it, towards one peer at once: for whom an answer is, the initiator's cookie tells.

    guests .10 and .11, which are on the list, and .12, which is not ~~~ natlock ---- internet [peers on 198.18.24.x, each test has its own; the upper half is on the list]
"""
import os, signal, time
import pytest
from conftest import OUTSIDE, alive, wait_for
from esp_peers import CREATE_CHILD, FIXED, GUESTS, IKE, INIT, INITIATOR, RESPONSE, STATIC, Site, dice, ike_message, natlock, site_of  # noqa: F401
from packets import open_socket
from strongswan import Strongswan
from test_ipsec import NAT_T, said
from test_ipsec_strongswan import FAR, NEAR, RESPONDER, connections

FIRST, SECOND, NOT_ON_LIST, OF_ITS_OWN = range(4)
KEPT = OUTSIDE, IKE
LEAD = 2.1  # seconds by which a guest must be the last one that spoke, to get what nobody is known to have asked for
HUB_KEYS = f"""
    nat:
      static: [{{inside: {STATIC}, outside: {FIXED}}}]
      access_lists: [{{number: 50, permit: [{GUESTS[FIRST]}/32, {GUESTS[SECOND]}/32, 198.18.24.128/25]}}]
    alg: {{ipsec: {{preserve_port_list: 50}}}}
"""

site = site_of(lambda world, spawn, kernel: Site(world, spawn, "port500", HUB_KEYS, kernel))


class Stage:
    """Ports of guests and of peers; they end with the test."""

    def __init__(self, site):
        self.site, self.made = site, []

    def keep(self, made):
        self.made.append(made)
        return made

    def guest(self, number, port=IKE):
        return self.keep(open_socket(self.site.where[number], at=((*GUESTS, STATIC)[number], port)))

    def peer(self, address=None, port=IKE):
        return self.keep(open_socket(self.site.world.internet, at=(address or self.site.address(), port)))

    def close(self):
        for made in self.made:
            made.close()


@pytest.fixture
def stage(site):
    stage = Stage(site)
    yield stage
    stage.close()


def crosses(sender, data, to, receiver):
    """From where it arrives, whole."""
    sender.sendto(data, to)
    arrived, source = receiver.recvfrom(65536)
    assert arrived == data, (arrived[:28].hex(), data[:28].hex())
    return source


def hears_nothing(*ends, seconds=0.2):
    for end in ends:
        end.settimeout(seconds)
        with pytest.raises(TimeoutError):
            end.recv(65536)
        end.settimeout(2)


class Association:
    """IKE of a guest's with a peer."""

    def __init__(self, guest, peer):
        self.guest, self.peer, self.cookies, self.number = guest, peer, [dice.randbytes(8), bytes(8)], 0
        self.seen = None

    def message(self, flags, kind=None):
        return ike_message(self.cookies, kind or (CREATE_CHILD if self.number else INIT), flags, self.number)

    def asks(self):
        """From where the peer hears that."""
        self.seen = crosses(self.guest, self.message(INITIATOR), self.peer.getsockname(), self.peer)
        return self.seen

    def is_answered(self):
        if not self.number:
            self.cookies[1] = dice.randbytes(8)
        assert crosses(self.peer, self.message(RESPONSE), self.seen, self.guest) == self.peer.getsockname()
        self.number += 1

    def is_asked(self):
        """The peer begins within the same association."""
        assert crosses(self.peer, self.message(0, CREATE_CHILD), self.seen, self.guest) == self.peer.getsockname()
        assert crosses(self.guest, self.message(INITIATOR | RESPONSE, CREATE_CHILD), self.peer.getsockname(), self.peer) == self.seen


def unknown():
    """What a peer says that begins by itself."""
    return ike_message([dice.randbytes(8), bytes(8)])


# ---- the port ----
def test_ike_of_a_guest_on_the_list_keeps_its_port(site, stage):
    one = Association(stage.guest(FIRST), stage.peer())
    for _ in range(3):
        assert one.asks() == KEPT
        one.is_answered()
        one.is_asked()
    if not site.kernel:
        row, = [row for row in site.gateway.table("nat", "table") if row["source"] == f"{GUESTS[FIRST]}:{IKE}" and row["destination"] == "{}:{}".format(*one.peer.getsockname())]
        assert (row["proto"], row["outside"]) == ("udp", "{}:{}".format(*KEPT))


def test_a_guest_that_is_not_on_the_list_gets_another_port(stage, natlock):
    """Both at once; with a peer that is on the list it has port 500, too"""
    peer = stage.peer()
    listed, other = Association(stage.guest(FIRST), peer), Association(stage.guest(NOT_ON_LIST), peer)
    for _ in range(3):
        assert listed.asks() == KEPT
        address, port = other.asks()
        assert address == OUTSIDE and port != IKE
        listed.is_answered()
        other.is_answered()
    by_peer = Association(other.guest, stage.peer(stage.site.listed_address()))
    assert by_peer.asks() == KEPT
    by_peer.is_answered()
    other.asks()
    other.is_answered()


def test_only_port_500_is_kept(stage, natlock):
    """Not another port of that guest's, and not towards another port of the peer's: NAT-T is on 4500 and has its own"""
    peer, address = stage.peer(), stage.site.address()
    one = Association(stage.guest(FIRST), peer)
    assert one.asks() == KEPT
    for port in (501, NAT_T):
        assert crosses(stage.guest(FIRST, port), unknown(), peer.getsockname(), peer) != KEPT
    nat_t, floated = stage.peer(address, NAT_T), stage.guest(SECOND, NAT_T)
    marked = bytes(4) + unknown()  # RFC 3948 2.2
    seen = crosses(floated, marked, nat_t.getsockname(), nat_t)
    assert seen != KEPT and crosses(nat_t, marked, seen, floated) == nat_t.getsockname()
    one.is_answered()


def test_a_guest_with_an_address_of_its_own_leaves_by_that(site, stage, natlock):
    """Though its peer is on the list: the port that all share is of the address that all share"""
    peer = stage.peer(site.listed_address())
    own, shared = Association(stage.guest(OF_ITS_OWN), peer), Association(stage.guest(FIRST), peer)
    seen = own.asks()
    assert seen[0] == FIXED and shared.asks() == KEPT
    own.is_answered()
    shared.is_answered()
    assert crosses(peer, unknown(), seen, own.guest) == peer.getsockname()
    hears_nothing(shared.guest)


@pytest.mark.parametrize("capture, count", [("ISAKMP_sa_setup.pcap", 9), ("isakmp4500.pcap", 27), ("ipsec_isakmp_esp.pcap", 834), ("own-ikev2-raw-esp-userspace.pcap", 4)])
def test_recorded_ike_arrives_byte_for_byte_and_keeps_its_port(site, stage, capture, count):
    address, seen, passed = site.address(), {}, 0
    ends = {port: (stage.guest(FIRST, port), stage.peer(address, port)) for port in (IKE, NAT_T)}
    for port, by_guest, data in said(capture):
        guest, peer = ends[port]
        if by_guest:
            source = crosses(guest, data, (address, port), peer)
            assert source[0] == OUTSIDE and seen.setdefault(port, source) == source
        else:
            assert crosses(peer, data, seen[port], guest) == (address, port)
        passed += 1
    assert passed == count and seen.get(IKE, KEPT) == KEPT


# ---- whose an answer is ----
def test_two_guests_with_one_peer_get_their_own_answers(stage, natlock):
    """Each with port 500; answers in any order, among them the peer's own requests"""
    peer = stage.peer()
    guests = [stage.guest(number) for number in (FIRST, SECOND)]
    made = [Association(guest, peer) for guest in guests for _ in range(4)]
    for _ in range(5):
        for one in dice.sample(made, len(made)):
            assert one.asks() == KEPT
        for one in dice.sample(made, len(made)):
            one.is_answered()
        for one in dice.sample(made, len(made)):
            one.is_asked()
    hears_nothing(*guests, peer, seconds=0.05)


def test_a_guest_with_two_peers_that_answer_by_the_same_cookie(stage, natlock):
    """A cookie is one peer's: another host that has it, or guesses it, is not heard"""
    guest, peers = stage.guest(FIRST), [stage.peer() for _ in range(2)]
    other = Association(stage.guest(SECOND), peers[1])
    both = [Association(guest, peer) for peer in peers]
    both[1].cookies = list(both[0].cookies)
    for one in (other, *both):
        assert one.asks() == KEPT
    for one in (*both, other):
        one.is_answered()
    stranger = stage.peer()
    stranger.sendto(both[0].message(RESPONSE), KEPT)
    hears_nothing(guest, other.guest)


def test_what_a_peer_begins_is_for_the_only_guest_that_speaks_with_it(stage, natlock):
    """An association that was rekeyed has new cookies; from then on they are that guest's"""
    one = Association(stage.guest(FIRST), stage.peer())
    elsewhere = Association(stage.guest(SECOND), stage.peer())
    for each in (one, elsewhere):
        assert each.asks() == KEPT
        each.is_answered()
    begun = unknown()
    assert crosses(one.peer, begun, KEPT, one.guest) == one.peer.getsockname()
    assert crosses(one.guest, begun, one.peer.getsockname(), one.peer) == KEPT
    late = Association(elsewhere.guest, one.peer)  # now there are two, and it spoke last
    assert late.asks() == KEPT
    assert crosses(one.peer, begun, KEPT, one.guest) == one.peer.getsockname()
    late.is_answered()
    hears_nothing(one.guest, elsewhere.guest, seconds=0.05)


def test_what_a_peer_of_two_guests_begins_is_for_the_one_that_spoke_last(stage, natlock):
    """If that is certain; else for nobody"""
    peer = stage.peer()
    both = [Association(stage.guest(number), peer) for number in (FIRST, SECOND)]
    for one in both:
        one.asks()
        one.is_answered()
    peer.sendto(unknown(), KEPT)
    hears_nothing(*(one.guest for one in both))
    time.sleep(LEAD)
    both[0].asks()
    assert crosses(peer, unknown(), KEPT, both[0].guest) == peer.getsockname()
    hears_nothing(both[1].guest)


def test_what_a_stranger_begins_is_for_nobody(stage, natlock):
    """A peer that no guest speaks with"""
    one = Association(stage.guest(FIRST), stage.peer())
    one.asks()
    stage.peer().sendto(unknown(), KEPT)
    hears_nothing(one.guest)
    one.is_answered()


# ---- what is hostile ----
def test_a_guest_that_has_heard_the_cookie_of_another_does_not_get_its_answers(stage, natlock):
    peer = stage.peer()
    one, thief = Association(stage.guest(FIRST), peer), Association(stage.guest(SECOND), peer)
    one.asks()
    one.is_answered()
    thief.cookies = list(one.cookies)
    for _ in range(10):
        thief.guest.sendto(thief.message(INITIATOR), peer.getsockname())
    peer.settimeout(0.3)
    with pytest.raises(TimeoutError):  # whether or not the thief's came
        while True:
            peer.recv(65536)
    peer.settimeout(2)
    one.is_asked()
    assert one.asks() == KEPT
    one.is_answered()
    hears_nothing(thief.guest)


def test_a_guest_with_very_many_cookies_takes_none_from_another(stage, natlock):
    """It has room for some, and what it pushes out is its own"""
    peer = stage.peer()
    one, hostile = Association(stage.guest(FIRST), peer), stage.guest(SECOND)
    one.asks()
    for _ in range(3000):
        crosses(hostile, ike_message([dice.randbytes(8), bytes(8)], body=b"?"), peer.getsockname(), peer)
    one.is_answered()
    one.is_asked()
    last = Association(hostile, peer)
    assert last.asks() == KEPT
    last.is_answered()
    hears_nothing(one.guest, hostile, seconds=0.05)


def test_what_is_no_ike_does_no_harm(stage, natlock):
    """Nothing, too short a header, no cookie, a length that is not true, rubbish, the longest datagram; both ways"""
    peer = stage.peer()
    one, other = Association(stage.guest(FIRST), peer), Association(stage.guest(SECOND), peer)
    for each in (one, other):
        each.asks()
        each.is_answered()
    good = one.message(INITIATOR)
    for data in [b"", b"\xff", *(good[:n] for n in (7, 8, 16, 27)), bytes(8) + good[8:], good[:24] + b"\xff\xff\xff\xff" + good[28:], good[:24] + bytes(4) + good[28:], bytes(28), dice.randbytes(65507)]:
        one.guest.sendto(data, peer.getsockname())
        peer.sendto(data, KEPT)
    for end in (peer, one.guest, other.guest):  # whatever of that has come
        end.settimeout(0.2)
        with pytest.raises(TimeoutError):
            while True:
                end.recv(65536)
        end.settimeout(2)
    for each in (one, other):
        assert each.asks() == KEPT
        each.is_answered()
        each.is_asked()
    assert all(natlock.processes()[name]["restarts"] in (0, "0") for name in ("netstack", "natproxy"))


def test_ended_sessions_are_forgotten_and_begin_anew(stage, natlock):
    one = Association(stage.guest(FIRST), stage.peer())
    one.asks()
    one.is_answered()
    natlock.control("nat", "flush", f"src={GUESTS[FIRST]}")
    one.peer.sendto(one.message(RESPONSE), KEPT)
    hears_nothing(one.guest)
    assert one.asks() == KEPT
    one.is_answered()


def test_the_port_is_kept_by_a_new_natproxy(stage, natlock):
    """Which learns from what guests say"""
    peer = stage.peer()
    both = [Association(stage.guest(number), peer) for number in (FIRST, SECOND)]
    before = natlock.processes()["natproxy"]
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: not alive(before["pid"]) and (row := natlock.processes()["natproxy"])["pid"] not in (0, None, before["pid"]) and row["state"] == "ok", 5, "a new natproxy")
    for _ in range(2):
        assert [one.asks() for one in both] == [KEPT, KEPT]
        for one in reversed(both):
            one.is_answered()


# ---- strongSwan ----
@pytest.fixture
def charons(site):
    """Of a responder and of two guests, with the addresses that are inside their tunnels. The hosts' ports 500 are theirs."""
    held, world = [], site.world
    for where, *addresses in ((world.internet, RESPONDER, FAR), *((site.where[number], NEAR[number]) for number in (FIRST, SECOND))):
        for address in addresses:
            where.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
            held.append((where, address))
    made = []
    try:
        made.append(Strongswan(world.folder / "port500-responder", world.internet, connections("any", ends=f"local_addrs = {RESPONDER}", id="responder", local=f"{FAR}/32", remote="10.99.1.0/24")))
        for number in (FIRST, SECOND):
            made.append(Strongswan(world.folder / f"port500-{number}", site.where[number], connections(
                "ikev1", "ikev2", ends=f"remote_addrs = {RESPONDER}", id=f"guest{number}", local=f"{NEAR[number]}/32", remote=f"{FAR}/32")))
        yield made
    finally:
        for one in made:
            one.stop()
        for where, address in held:
            where.run("ip", "addr", "del", f"{address}/32", "dev", "lo")


def test_strongswan_of_two_guests_begins_from_port_500(natlock, charons):
    """Both at once, by IKEv1 and by IKEv2; then both ends see that there is a NAT and go to port 4500, where each guest has its own"""
    responder, *guests = charons
    for version in ("ikev1", "ikev2"):
        for guest in guests:
            guest.initiate(version)
    first = f"received packet: from {OUTSIDE}[{IKE}] to {RESPONDER}[{IKE}]"
    assert responder.log().count(first) >= 2 * len(guests) and f"to {RESPONDER}[{IKE}]" not in responder.log().replace(first, "")
    (ports,) = responder.tunnels("remote-port")
    assert len(ports) == len(guests) and str(IKE) not in ports
