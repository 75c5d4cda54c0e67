"""ESP itself through a gateway that lets it: real tunnels (esp_peers.py) from guests that share one outside address to responders on the internet.

    guests .10, .11, .12, and .50 (nat.static 198.18.1.92) ~~~ natlock ---- internet [responders on 198.18.24.x, each test has its own]

What reaches a guest that it is not for cannot be opened there, and is seen: `kept_apart`.
"""
import os, re, signal, socket, struct, threading, time
from concurrent.futures import ThreadPoolExecutor
import pytest
from conftest import HUB, OUTSIDE, ROUTER, SERVER2, alive, wait_for
from esp_peers import ESP, FIXED, GUEST, GUESTS, IKE, MTU_DISCOVER, RESPONDER, STATIC, SUITES, Peering, Site, dice, natlock, new_spi, site_of, stage  # noqa: F401
from packets import EXCEEDED, ICMP, UNREACHABLE, Packet, icmp, open_socket

HUB_KEYS = f"""
    nat:
      static: [{{inside: {STATIC}, outside: {FIXED}, ports: [{IKE}]}}]
      access_lists: [{{number: 40, permit: [198.18.24.128/25, {GUESTS[2]}/32]}}]
    alg: {{ipsec: {{esp: true, spi_match_list: 40}}}}
"""
SYMMETRIC = 2  # the guest that is on the list itself
SIZES = [dice.randrange(0, 1380) for _ in range(180)] + [dice.randrange(1500, 9000) for _ in range(18)] + [20000, 1473]
FEW = SIZES[::8] + [3000]
LEAD = 2.1  # seconds by which an exchange of keys must be the last one to tell whose an SPI is
OPENING = 30  # seconds that an opener has its peer for itself
OPENED_AGAIN = 0.1  # seconds: more SPIs in that time than a peer has room for

site = site_of(lambda world, spawn, kernel: Site(world, spawn, "esp", HUB_KEYS, kernel))


def esp(spi, sequence=1, size=80):
    """Octets that nobody can open."""
    return struct.pack(">II", spi, sequence) + dice.randbytes(size)


def flows(gateway, **wanted):
    rows = [row for row in gateway.table("nat", "table") if row["proto"] == "esp"]
    return [row for row in rows if all((row[key] or "").startswith(value) for key, value in wanted.items())]


def dropped(gateway):
    """Of all reasons."""
    return sum(int(row["count"]) for row in gateway.table("drops"))


def openers(gateway, peer):
    return [row for row in gateway.table("alg", "expectations") if row["alg"] == "ipsec" and (row["peer"] or "").startswith(peer)]


# ---- one guest ----
@pytest.mark.parametrize("suite", SUITES)
def test_a_tunnel_carries_pings_and_data_whole(stage, suite):
    """Up to 20,000 octets, in fragments both ways; ESP in order and once"""
    one, = stage.peerings(1, suite)
    assert one.ping(GUEST) and one.ping(RESPONDER)
    assert {one.outer[RESPONDER].source, *one.ends[RESPONDER].sources[one.valid[0].spis[GUEST]]} == {OUTSIDE}
    assert one.outer[GUEST].source == one.ends[RESPONDER].address
    assert one.moves(SIZES)
    stage.kept_apart()


def test_hops_and_class_are_as_of_any_packet(stage):
    """RFC 1812 5.3.1, RFC 2474: TTL one less, DSCP as it was, both ways; at the last hop the gateway says so"""
    one, = stage.tunnels(1)
    for by in (GUEST, RESPONDER):
        assert one.ping(by, ttl=33, tos=0xB8)
        assert (one.outer[1 - by].ttl, one.outer[1 - by].tos) == (32, 0xB8)
    with open_socket(one.ends[GUEST].where, socket.SOCK_RAW, ICMP, at=(one.ends[GUEST].address, 0)) as errors:
        assert not one.ping(seconds=0.1, ttl=1)
        told = Packet(errors.recv(2000))
    assert (told.source, told.kind, told.code) == (HUB, EXCEEDED, 0)
    assert (told.quote.protocol, told.quote.target, told.quote.body[:4]) == (ESP, one.ends[RESPONDER].address, struct.pack(">I", one.keys[GUEST].spis[GUEST]))
    stage.kept_apart()


def test_one_guest_has_tunnels_with_two_responders(stage):
    """Which chose the same SPI: each is its receiver's own (RFC 4303 2.1)"""
    guest, chosen = stage.guest(), new_spi()
    made = [Peering(guest, stage.responder()) for _ in range(2)]
    for one in made:
        one.open((chosen, new_spi()))
        assert one.ping()
    assert all(one.moves(FEW) for one in made)
    stage.kept_apart()


def test_the_peer_gives_a_tunnel_new_keys_and_speaks_first(stage):
    """Time after time, without any word from the guest in between"""
    one, = stage.tunnels(1)
    for _ in range(8):
        one.rekey(RESPONDER)
        assert one.answers(RESPONDER), "to the only guest at once"
        one.retire()
    assert one.moves(FEW)
    stage.kept_apart()


# ---- several guests ----
def test_two_guests_open_tunnels_at_once(stage, natlock):
    """Both insist; the one that has to wait waits for the other's answer only"""
    both = stage.peerings(2)
    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(lambda one: one.ping(seconds=5, every=0.05), both))
        assert all(pool.map(lambda one: one.moves(FEW), both))
    stage.kept_apart()


class Traffic:
    """Pings of both ends of a peering, while something else happens."""

    def __init__(self, peering):
        self.peering, self.ends, self.lost = peering, False, 0
        self.thread = threading.Thread(target=self.go_on)
        self.thread.start()

    def go_on(self):
        while not self.ends:
            for by in (GUEST, RESPONDER):
                self.lost += not self.peering.ping(by, seconds=3, every=0.2)
                time.sleep(0.005)

    def end(self):
        self.ends = True
        self.thread.join()
        return self.lost


def led(other):
    """Waits until whoever exchanges keys next has done so last, by enough."""
    time.sleep(max(0, other.exchanged_at + LEAD - time.monotonic()))


def test_two_guests_keep_their_tunnels_apart_through_rekeying(stage, natlock):
    """Begun by either guest and by the responder, while data move in both tunnels: the responder tells them apart by SPI, the gateway by nothing that stays"""
    both = stage.tunnels(2)
    assert all(one.moves(SIZES[-40:]) for one in both)
    for number, by in (0, GUEST), (1, GUEST), (0, RESPONDER), (1, RESPONDER), (1, GUEST):
        one, other = both[number], both[1 - number]
        traffic = [Traffic(each) for each in both]
        try:
            if by == RESPONDER:
                led(other)
            keys = one.rekey(by)
            wait_for(lambda: one.keys == [keys, keys], 3, "both ends to have the new keys")
        finally:
            assert [each.end() for each in traffic] == [0, 0]
        one.retire()
        with ThreadPoolExecutor(2) as pool:
            assert list(pool.map(lambda each: each.moves(FEW), both)) == [True, True]
    stage.kept_apart()


def test_what_may_be_for_either_guest_is_for_none(stage, natlock):
    """The responder gives both new keys within a moment and speaks first: the gateway cannot know, and the guests have to speak"""
    both, before = stage.tunnels(2), dropped(natlock)
    for one in both:
        one.rekey(RESPONDER)
    for one in both:
        assert not one.ping(RESPONDER, seconds=0.3)
    wait_for(lambda: dropped(natlock) >= before + 2, 2, "what was dropped to be counted")
    stage.kept_apart()
    for one in both:
        one.switch(GUEST)
        assert one.ping(GUEST)
        one.retire()
    assert all(one.moves(FEW) for one in both)
    stage.kept_apart()


def test_an_opener_without_answer_keeps_nobody_out_for_longer_than_its_time(stage, natlock):
    """Although it opens again and again, for the responder never answers: the other guest's turn comes"""
    first, one = stage.peerings(2)
    silent, responder, begun, ends = first.ends[GUEST], one.ends[RESPONDER], time.monotonic(), threading.Event()

    def opens():
        while not ends.wait(OPENED_AGAIN):
            silent.say(esp(new_spi()), responder.address)

    silent.say(esp(0xC0FFEE00), responder.address)
    wait_for(lambda: responder.strange, 2, "the opener")
    row, = openers(natlock, responder.address)
    assert (row["kind"], row["spi"]) == ("ESP", "0xc0ffee00") and row["guest"].startswith(GUESTS[0]) and 0 < int(row["expires_in_ms"]) <= OPENING * 1000
    thread = threading.Thread(target=opens)
    thread.start()
    try:
        assert one.ping(seconds=OPENING + 3, every=0.25)
        assert time.monotonic() - begun < OPENING + 2
        assert one.moves(FEW)
    finally:
        ends.set()
        thread.join()
    stage.kept_apart()


# ---- what is hostile ----
def test_a_guest_that_opens_hundreds_takes_nothing_from_another(stage, natlock):
    one, other = stage.tunnels(2)
    responder, guest = one.ends[RESPONDER], one.ends[GUEST]
    opened = 0
    while opened < 600:
        for _ in range(20):
            guest.say(esp(new_spi()), responder.address)
        opened += 20
        assert other.answers() and other.answers(RESPONDER)
    assert other.moves(FEW)
    stage.kept_apart()


def test_a_guest_that_sends_by_the_spi_of_another_gets_nothing_of_it(stage, natlock):
    one, other = stage.tunnels(2)
    for _ in range(20):
        one.ends[GUEST].say(esp(other.keys[GUEST].spis[GUEST]), one.ends[RESPONDER].address)
        assert other.ping() and other.ping(RESPONDER)
    assert other.moves(FEW) and one.moves(FEW)
    stage.kept_apart()


def forger(stage, responder):
    """Somebody on the internet who has taken the responder's address."""
    return stage.keep(open_socket(stage.site.world.internet, socket.SOCK_RAW, ESP, at=(responder.address, 0)))


def forge(raw, count, to=OUTSIDE):
    """So many packets of SPIs that nobody agreed on; these."""
    spis = [new_spi() for _ in range(count)]
    for spi in spis:
        raw.sendto(esp(spi), (to, 0))
    return spis


def test_forged_packets_of_the_peer_end_no_tunnel(stage, natlock):
    """Of unknown SPIs, between the packets of two guests; of known ones, which their receivers cannot open; while a guest opens"""
    both, forged = stage.tunnels(2), []
    raw = forger(stage, both[0].ends[RESPONDER])
    for _ in range(10):
        forged += forge(raw, 30)
        for one in both:
            assert one.ping(RESPONDER) and one.ping()
    for one in both:
        raw.sendto(esp(one.keys[RESPONDER].spis[RESPONDER], 1 << 31), (OUTSIDE, 0))
        forged.append(one.keys[RESPONDER].spis[RESPONDER])
    assert all(one.moves(FEW) for one in both)
    led(both[1])
    both[0].rekey(GUEST)
    both[0].send(GUEST, 1, b"by a new SPI")  # whose answer is now awaited
    forged += forge(raw, 30)
    assert both[0].ping() and both[0].ping(RESPONDER)
    assert all(one.moves(FEW) for one in both)
    assert natlock.processes()["natproxy"]["restarts"] in (0, "0")
    stage.kept_apart(set(forged))


def test_forged_packets_do_not_turn_a_silent_tunnel_over_to_another_guest(stage, natlock):
    """They come for the guest that spoke of keys last, and would push out by what its own tunnel is known"""
    one, other = stage.tunnels(2)
    led(other)
    one.exchange(GUEST, 37)
    forged = set(forge(forger(stage, one.ends[RESPONDER]), 200))
    led(one)
    other.exchange(GUEST, 37)
    assert one.ping(RESPONDER) and other.ping(RESPONDER)
    assert one.moves(FEW) and other.moves(FEW)
    stage.kept_apart(forged)


def test_what_is_no_esp_goes_nowhere(stage, natlock):
    """RFC 4303 2.1: no SPI 0. Less than SPI and sequence number is none either. Both ways"""
    one, = stage.tunnels(1)
    responder = one.ends[RESPONDER]
    raw = forger(stage, responder)
    for data in [bytes(40), *(bytes([0xC0] * n) for n in range(8))]:
        one.ends[GUEST].say(data, responder.address)
        raw.sendto(data, (OUTSIDE, 0))
    assert one.moves(FEW) and not responder.strange
    assert natlock.processes()["netstack"]["restarts"] in (0, "0") and natlock.processes()["natproxy"]["restarts"] in (0, "0")
    stage.kept_apart()


def test_nobody_else_reaches_a_guest_by_its_spi(stage, natlock):
    """From another address than the tunnel's; and from one that no guest ever spoke with, by any"""
    one, = stage.tunnels(1)
    with open_socket(stage.site.world.internet, socket.SOCK_RAW, ESP, at=(stage.site.address(), 0)) as stranger:
        for spi in (one.keys[RESPONDER].spis[RESPONDER], new_spi()):
            stranger.sendto(esp(spi), (OUTSIDE, 0))
    assert one.moves(FEW)
    stage.kept_apart()


# ---- spi_match_list ----
def test_a_symmetric_tunnel_waits_for_nobody(stage, natlock):
    """Its guest is on the list: both ways have one SPI, so what comes is known, although another guest has opened and is waiting"""
    responder = stage.responder()
    first = Peering(stage.guest(0), responder)
    one = Peering(stage.guest(SYMMETRIC), responder)
    spi = new_spi()
    first.open()
    one.open((spi, spi))
    first.ends[GUEST].say(esp(new_spi()), responder.address)
    wait_for(lambda: responder.strange, 2, "the other guest's opener")
    one.send(GUEST, 1, b"one word only")
    assert one.comes(RESPONDER, [1], 1)
    assert all(one.answers(RESPONDER) for _ in range(3))
    assert one.moves(FEW)
    row, = flows(natlock, source=GUESTS[SYMMETRIC], destination=responder.address)
    assert row["spi"] == f"{spi:#010x}/{spi:#010x}"
    first.switch(GUEST)
    assert first.ping() and first.moves(FEW), "whose opener was its own"
    stage.kept_apart()


def test_symmetric_tunnels_of_two_guests_with_a_peer_on_the_list(stage, natlock):
    """Opened at once, and each spoken to at once"""
    responder = stage.responder(stage.site.listed_address())
    both = [Peering(stage.guest(number), responder) for number in range(2)]
    for one in both:
        spi = new_spi()
        one.open((spi, spi))
        one.switch(RESPONDER)
    for one in both:
        one.send(GUEST, 1, b"one word each")
    assert all(one.comes(RESPONDER, [1], 1) for one in both) and not openers(natlock, responder.address)
    assert all(one.answers(RESPONDER) for one in reversed(both))
    both[0].ends[GUEST].say(esp(both[1].keys[GUEST].spis[GUEST]), responder.address)  # by the other one's
    assert all(one.moves(FEW) for one in both)
    stage.kept_apart()


# ---- nat.static ----
def test_a_guest_with_an_address_of_its_own_is_spoken_to_first(stage, natlock):
    """And leaves from there, although other guests are open towards the same peer"""
    other, = stage.peerings(1)
    responder = other.ends[RESPONDER]
    one = Peering(stage.fixed(), responder)
    one.at[GUEST] = (FIXED, IKE)
    one.exchange(RESPONDER, 34)
    other.ends[GUEST].say(esp(new_spi()), responder.address)  # an opener, at the address that all share
    wait_for(lambda: responder.strange, 2, "it")
    keys = one.agree(RESPONDER)
    assert one.ping(RESPONDER), "the guest has not sent any ESP before"
    assert one.ping() and one.moves(FEW)
    assert responder.sources[keys.spis[GUEST]] == {FIXED} and one.outer[GUEST].target == STATIC
    assert all(row["outside"].startswith(FIXED) for row in flows(natlock, source=STATIC))
    one.rekey(RESPONDER)
    assert one.answers(RESPONDER)
    assert other.ping() and other.moves(FEW)
    stage.kept_apart()


# ---- errors ----
def told(errors, seconds=2):
    """The next error that a guest gets."""
    errors.settimeout(seconds)
    while True:
        packet = Packet(errors.recv(2000))
        if packet.kind in (UNREACHABLE, EXCEEDED):
            return packet


@pytest.mark.parametrize("kind,code,detail", [(UNREACHABLE, code, 0) for code in (0, 1, 2, 13)] + [(UNREACHABLE, 4, 1400), (EXCEEDED, 0, 0)])
def test_an_error_about_a_packet_reaches_its_guest(stage, kind, code, detail):
    """RFC 4301 6, RFC 5508 4: of some router on the way, with the guest's own address inside; the other guest hears nothing"""
    both = stage.tunnels(2) if not stage.site.kernel else stage.tunnels(1)
    errors = [stage.keep(open_socket(one.ends[GUEST].where, socket.SOCK_RAW, ICMP, at=(one.ends[GUEST].address, 0))) for one in both]
    router = stage.keep(open_socket(stage.site.world.internet, socket.SOCK_RAW, ICMP, at=(ROUTER, 0)))
    try:
        for one, error in zip(both, errors):
            if detail:
                one.ends[GUEST].raw.setsockopt(socket.IPPROTO_IP, MTU_DISCOVER, 3)  # DF
            assert one.ping()
            router.sendto(icmp(kind, code, detail, one.outer[RESPONDER].raw[:28]), (OUTSIDE, 0))
            packet = told(error)
            assert (packet.source, packet.kind, packet.code, packet.rest) == (ROUTER, kind, code, detail)
            quote = packet.quote
            assert (quote.protocol, quote.source, quote.target) == (ESP, one.ends[GUEST].address, one.ends[RESPONDER].address)
            assert quote.body[:4] == struct.pack(">I", one.keys[GUEST].spis[GUEST])
        if len(both) > 1:
            with pytest.raises(TimeoutError):
                told(errors[0], 0.1)
    finally:
        stage.site.world.gateway.run("ip", "route", "flush", "cache")  # of the smaller MTU
    assert all(one.ping() for one in both)
    stage.kept_apart()


def test_a_host_without_ipsec_says_so(stage):
    """Its kernel's own word: protocol unreachable"""
    guest, spi = stage.guest(), new_spi()
    errors = stage.keep(open_socket(guest.where, socket.SOCK_RAW, ICMP, at=(guest.address, 0)))
    guest.say(esp(spi), SERVER2)
    packet = told(errors)
    assert (packet.source, packet.kind, packet.code) == (SERVER2, UNREACHABLE, 2)
    assert (packet.quote.protocol, packet.quote.source, packet.quote.target, packet.quote.body[:4]) == (ESP, guest.address, SERVER2, struct.pack(">I", spi))


def test_an_invented_error_reaches_nobody(stage, natlock):
    """About an SPI that no guest has, and about one that has another peer"""
    one, = stage.tunnels(1)
    errors = stage.keep(open_socket(one.ends[GUEST].where, socket.SOCK_RAW, ICMP, at=(one.ends[GUEST].address, 0)))
    router = stage.keep(open_socket(stage.site.world.internet, socket.SOCK_RAW, ICMP, at=(ROUTER, 0)))
    quote = one.outer[RESPONDER].raw[:28]
    for wrong in (quote[:20] + struct.pack(">I", new_spi()) + quote[24:], quote[:16] + socket.inet_aton(stage.site.address()) + quote[20:]):
        router.sendto(icmp(UNREACHABLE, 2, 0, wrong), (OUTSIDE, 0))
    with pytest.raises(TimeoutError):
        told(errors, 0.3)
    assert one.moves(FEW)
    stage.kept_apart()


# ---- what the operator sees ----
def test_rows_counters_and_log(stage, natlock):
    responder = stage.responder()
    one = Peering(stage.guest(1), responder)
    keys = one.open((0xC0FFEE01, 0x5EED0002))
    before = stage.site.stats()
    del responder.inbound[0xC0FFEE01]
    assert not one.ping(seconds=0.1)
    opener, = openers(natlock, responder.address)
    assert (opener["kind"], opener["spi"]) == ("ESP", "0xc0ffee01") and opener["guest"].startswith(GUESTS[1])
    assert re.search(rf"ipsec +ESP +{re.escape(GUESTS[1])} .* 0xc0ffee01 +waiting", natlock.control("alg", "expectations").stdout)
    responder.inbound[0xC0FFEE01] = (one, RESPONDER, keys)
    assert one.ping()
    wait_for(lambda: not openers(natlock, responder.address), 2, "nobody to wait any more")
    row, = flows(natlock, source=GUESTS[1], destination=responder.address)
    assert row["spi"] == "0xc0ffee01/0x5eed0002" and row["outside"].startswith(OUTSIDE) and int(row["rx_bytes"]) > 0 < int(row["tx_bytes"])
    assert re.search(r"^\d+ +esp .* 0xc0ffee01/0x5eed0002 +RUNNING", natlock.control("nat", "table").stdout, re.M)
    after = stage.site.stats()
    assert sum(after.values()) > sum(before.values()) and all(after[key] >= before[key] for key in after), (before, after)
    number, log = row["id"], natlock.log
    wait_for(lambda: re.search(rf"SecureNAT: The ESP session {number} was created\. Connection source {re.escape(GUESTS[1])}", log()), 3, "the log's first line")
    natlock.control("nat", "flush", f"src={GUESTS[1]}")
    wait_for(lambda: re.search(rf"SecureNAT: The ESP session {number} ended: [a-z' ]+, \d+ bytes from the guest, \d+ bytes to the guest", log()), 3, "its last one")
    assert not flows(natlock, source=GUESTS[1], destination=responder.address)
    assert one.ping() and one.moves(FEW), "it opens again"
    stage.kept_apart()


def test_tunnels_survive_a_new_natproxy(stage, natlock):
    """Which knows nothing: each guest's next packet opens again"""
    both = stage.tunnels(2)
    before = natlock.processes()["natproxy"]
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: not alive(before["pid"]) and (row := natlock.processes()["natproxy"])["pid"] not in (0, None, before["pid"]) and row["state"] == "ok", 5, "a new natproxy")
    for one in both:
        assert one.ping(seconds=5)
    assert all(one.moves(FEW) for one in both)
    stage.kept_apart()
