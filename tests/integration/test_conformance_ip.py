"""IPv4, ARP and ICMP as a host and router must do them: conformance I5 to I14, by frames from a guest's own interface.

`--gateway kernel` runs what is true of kernel NAT too against kernel NAT.
"""
import json, queue, random, socket, struct, time
import pytest
from conftest import HUB, OUTSIDE, PEER, ROUTER, SERVER, KernelGateway, Namespace, sh, wait_for
from packets import (BROADCAST, ECHO_REPLY, EXCEEDED, ICMP, MORE, TCP, UDP, UNREACHABLE, Packet, Station, address, checksum, datagram, echo, error, icmp, inside, ip,
                     open_socket, tcp, udp)
from stations import clean, natlock, other, station

FAR = "198.18.3.2"
STATIONS = ("192.168.30.220", "192.168.30.221")


@pytest.fixture
def server(world):
    s = open_socket(world.internet, at=(SERVER, 0))
    yield s
    s.close()


@pytest.fixture(scope="module")
def far(world):
    """A host two routers away: gateway - 198.18.1.1 - 198.18.3.2."""
    there = Namespace("far")
    sh("ip", "link", "add", "f0", "netns", world.internet.name, "type", "veth", "peer", "name", "e0", "netns", there.name)
    world.internet.run("ip", "addr", "add", "198.18.3.1/24", "dev", "f0")
    world.internet.run("ip", "link", "set", "f0", "up")
    world.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0")
    there.run("ip", "addr", "add", f"{FAR}/24", "dev", "e0")
    there.run("ip", "link", "set", "e0", "up")
    there.run("ip", "route", "add", "default", "via", "198.18.3.1")
    there.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")
    world.gateway.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=0")  # of the host's kernel, which is the gateway in the control only
    yield there
    world.gateway.run("sysctl", "-qw", "net.ipv4.icmp_ratelimit=1000")
    world.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv4.icmp_ratelimit=1000")
    world.internet.run("ip", "link", "del", "f0")
    there.remove()


def replied(p):
    return p.protocol == ICMP and p.kind == ECHO_REPLY


def pings(station, target=HUB, word=b"alive"):
    station.send(target, ICMP, echo(61900, 1, word))
    got = station.wait(lambda p: replied(p) and p.data == word)
    return got is not None and got.source == target


def receive(s, seconds=0.3):
    s.settimeout(seconds)
    try:
        return s.recvfrom(70000)[0]
    except TimeoutError:
        return None


def drops(gateway, reason):
    return sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == reason)


# ---- I5 ----
@pytest.mark.parametrize("target", [HUB, SERVER])
def test_i5_a_bad_icmp_checksum_is_not_answered(station, target):
    """I5 (RFC 1122 3.2.2, RFC 792)"""
    right = struct.unpack(">H", echo(61300, 1, b"x" * 100)[2:4])[0]
    station.send(target, ICMP, echo(61300, 1, b"x" * 100, sum_=right ^ 4))
    assert not station.wait(replied, 0.3)
    assert pings(station, target)


# ---- I6 ----
@pytest.mark.parametrize("protocol", [UDP, TCP, ICMP])
def test_i6_ttl_one_is_answered_by_the_gateway(station, protocol):
    """I6 (RFC 1812 5.3.1, RFC 792): for UDP, TCP and ICMP"""
    body = {UDP: udp(station.own, SERVER, 61310, 33434, b"probe"), TCP: tcp(station.own, SERVER, 61310, 80), ICMP: echo(61310, 5, b"probe")}[protocol]
    sent = ip(station.own, SERVER, protocol, body, ttl=1, ident=0x4242, tos=0)
    station.frame(sent)
    got = station.wait(error())
    assert got and (got.kind, got.code, got.source) == (EXCEEDED, 0, HUB)
    assert got.data[:28] == sent[:28], "header and at least 8 bytes of what was sent"


def test_i6_ttl_two_is_answered_by_the_next_router(station, far):
    """I6 (RFC 5508 REQ-4): the error of a router beyond is translated, for each protocol"""
    for protocol, body in ((UDP, udp(station.own, FAR, 61311, 33435, b"probe")), (ICMP, echo(61311, 6, b"probe")), (TCP, tcp(station.own, FAR, 61311, 7001))):
        sent = ip(station.own, FAR, protocol, body, ttl=2, ident=0x4243)
        station.frame(sent)
        got = station.wait(error())
        assert got and (got.kind, got.code, got.source) == (EXCEEDED, 0, ROUTER), protocol
        assert got.quote.ident == 0x4243 and got.quote.total == len(sent)
        assert got.data[12:28] == sent[12:28], "addresses and the first 8 bytes as the guest wrote them"


@pytest.mark.parametrize("mode", [["-U"], ["-U", "-p", "33434"], ["-I"], ["-T", "-p", "7001"]], ids=["udp", "udp-one-port", "icmp", "tcp"])
def test_i6_traceroute_sees_every_hop(gateway, far, mode):
    """I6 (RFC 1812 5.3.1): Debian's traceroute in its three modes, two hops and the host; no probe of its three at once is lost"""
    lines = gateway.guest.run("traceroute", "-n", "-w", 2, "-m", 5, *mode, FAR).stdout.splitlines()[1:]
    assert [line.split()[1] for line in lines] == [HUB, ROUTER, FAR] and not [line for line in lines if "*" in line], lines


def test_i6_a_connection_with_few_hops_left_stands(world, gateway):
    """I6, U16 (RFC 1812 5.3.1, RFC 5927 5.2): TTL and DSCP of the SYN go out, and no forged error ends what was a probe"""
    watch, router = open_socket(world.internet, socket.SOCK_RAW, TCP), open_socket(world.internet, socket.SOCK_RAW, ICMP, (ROUTER, 0))
    c = open_socket(gateway.guest, socket.SOCK_STREAM)
    c.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 20)
    c.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x28)
    c.connect((SERVER, 7001))
    syn = Packet(watch.recv(100))
    assert (syn.ttl, syn.tos, syn.body[13]) == (19, 0x28, 2)
    for number in range(3):
        c.sendall(b"still here")
        assert c.recv(100) == b"still here"
        segment = syn
        while segment.source != OUTSIDE or segment.body[20:].find(b"still here") < 0:
            segment = Packet(watch.recv(200))
        router.sendto(icmp(UNREACHABLE, (0, 1, 13)[number], 0, segment.raw[:28]), (OUTSIDE, 0))
        router.sendto(icmp(EXCEEDED, 0, 0, segment.raw[:28]), (OUTSIDE, 0))
        time.sleep(0.05)
    c.sendall(b"the end")
    assert c.recv(100) == b"the end"
    for one in (watch, router, c):
        one.close()


# ---- I7 ----
def arp_answers(station, seconds=0.4):
    got, end = [], time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        try:
            got.append(station.arps.get(timeout=left))
        except queue.Empty:
            break
    return [(mac, sender, target) for op, mac, sender, _, target, _ in got if op == 2]


def test_i7_the_gateways_answer_is_stable(station):
    """I7a (RFC 826)"""
    for _ in range(5):
        station.arp(1, station.own, HUB)
    got = arp_answers(station)
    assert got == [(station.gateway, HUB, station.own)] * 5


def test_i7_a_probe_for_the_gateways_address_is_defended(station):
    """I7b (RFC 5227 2.1.1, 2.4): sender 0.0.0.0"""
    station.arp(1, "0.0.0.0", HUB)
    assert [(mac, sender) for mac, sender, _ in arp_answers(station)] == [(station.gateway, HUB)]


def test_i7_a_guests_probe_and_unused_addresses_are_not_answered(station):
    """I7c, I7d (RFC 5227 2.1, RFC 826): no proxy ARP"""
    for sender, target in (("0.0.0.0", station.own), ("0.0.0.0", "192.168.30.77"), (station.own, "192.168.30.77"), (station.own, "192.168.30.255"), (station.own, "192.168.30.0"),
                           (station.own, SERVER)):
        station.arp(1, sender, target)
    assert not [a for a in arp_answers(station) if a[0] == station.gateway]


def test_i7_a_spoofed_gateway_is_harmless(natlock, station, other):
    """I7e (RFC 5227 2.4): a claim of the gateway's address is met with an announcement, nobody is diverted; nor is a guest's address taken"""
    assert pings(other)
    station.arp(2, HUB, HUB)
    station.arp(1, HUB, other.own)
    assert [a for a in arp_answers(other) if a[0] == station.gateway and a[1] == HUB] or drops(natlock, "ARP_SPOOF")
    station.arp(2, other.own, HUB, to=station.gateway)
    station.send(HUB, ICMP, echo(1, 1), source=other.own)
    station.forget()
    assert pings(other) and pings(station)


def test_i7_malformed_arp_is_harmless(gateway, station):
    """I7f (RFC 826)"""
    for shape in ((6, 0x800, 6, 4), (1, 0x86DD, 6, 4), (1, 0x800, 8, 4), (1, 0x800, 6, 16)):
        station.arp(1, station.own, HUB, shape=shape)
    for op in (0, 3, 9, 65535):
        station.arp(op, station.own, HUB)
    for length in (0, 1, 8, 20, 27):
        station.frame((struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + station.mac + address(station.own) + bytes(6) + address(HUB))[:length], BROADCAST, 0x806)
    station.arp(1, station.own, HUB, sender_mac=b"\xff" * 6)
    answers = [a for a in arp_answers(station) if a[0] == station.gateway]
    assert not answers or isinstance(gateway, KernelGateway), "Linux looks past the address lengths"
    assert pings(station)


# ---- I8 ----
BAD_HEADERS = {
    "checksum": dict(header_sum=0x1234), "version 5": dict(version=5), "version 6": dict(version=6), "version 0": dict(version=0), "header of 16 bytes": dict(ihl=4),
    "header of 0 bytes": dict(ihl=0), "header longer than the packet": dict(ihl=15), "total shorter than the header": dict(total=19), "total of 0": dict(total=0),
    "total longer than the frame": dict(total=1400),
    "loose source route": dict(options=bytes([131, 7, 4]) + address(ROUTER) + b"\0"), "strict source route": dict(options=bytes([137, 7, 4]) + address(ROUTER) + b"\0"),
    "option of length 0": dict(options=bytes([7, 0, 4, 0])), "option of length 1": dict(options=bytes([68, 1, 4, 0])), "option beyond the header": dict(options=bytes([7, 40, 4, 0])),
}


@pytest.mark.parametrize("what", BAD_HEADERS)
def test_i8_bad_headers_do_not_pass(station, server, what):
    """I8 (RFC 791 3.1, RFC 1122 3.2.1, RFC 1812 5.2.2, 5.3.13.4)"""
    station.udp(SERVER, 61330, server.getsockname()[1], b"bad", **BAD_HEADERS[what])
    station.send(HUB, ICMP, echo(61330, 1, b"bad"), **BAD_HEADERS[what])
    assert receive(server, 0.1) is None and not station.wait(replied, 0.05)


GOOD_HEADERS = {
    "plain": dict(), "no operation": dict(options=b"\1\1\1\0"), "record route": dict(options=bytes([7, 7, 4]) + bytes(5)), "timestamp": dict(options=bytes([68, 8, 5, 0]) + bytes(4)),
    "router alert": dict(options=bytes([148, 4, 0, 0])), "unknown option": dict(options=bytes([0x5E, 4, 1, 2])), "40 bytes of options": dict(options=b"\1" * 39 + b"\0"),
}


@pytest.mark.parametrize("what", GOOD_HEADERS)
def test_i8_good_headers_pass(station, server, what):
    """I8 (RFC 1122 3.2.1.8, RFC 1812 4.2.2.1): options are no reason to lose a datagram"""
    station.udp(SERVER, 61331, server.getsockname()[1], b"good", **GOOD_HEADERS[what])
    assert receive(server, 1) == b"good"


def test_i8_padding_is_cut_off(station, server):
    """I8 (RFC 894, RFC 1042): bytes beyond the total length are no data"""
    station.frame(ip(station.own, SERVER, UDP, udp(station.own, SERVER, 61332, server.getsockname()[1], b"x")) + b"padding, not data")
    assert receive(server, 1) == b"x"
    station.frame(ip(station.own, HUB, ICMP, echo(61332, 1, b"y")) + bytes(40))
    assert station.wait(replied).data == b"y"


# ---- I9 ----
@pytest.mark.parametrize("source", ["198.18.2.77", "10.0.0.1", "192.168.31.5", "127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.168.30.0",
                                    "192.168.30.255", HUB, SERVER, OUTSIDE])
def test_i9_a_foreign_source_is_not_forwarded(natlock, world, station, server, source):
    """I9 (BCP 38, RFC 1812 5.3.7, RFC 1122 3.2.1.3)"""
    before = drops(natlock, "IP_SOURCE")
    watch = open_socket(world.internet, socket.SOCK_RAW, ICMP)
    station.udp(SERVER, 61340, server.getsockname()[1], b"forged", source=source)
    station.send(SERVER, ICMP, echo(61340, 1, b"forged"), source=source)
    station.send(SERVER, TCP, tcp(source, SERVER, 61340, 7001), source=source)
    assert receive(server, 0.1) is None
    assert (got := receive(watch, 0.05)) is None or b"forged" not in got
    assert drops(natlock, "IP_SOURCE") == before + 3
    watch.close()


@pytest.mark.parametrize("target", ["255.255.255.255", "192.168.30.255", "198.18.1.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "254.1.2.3", "0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.1.1"])
def test_i9_to_destinations_that_must_not_leave(natlock, world, station, target):
    """I9.to (RFC 1122 3.2.1.3, RFC 1812 5.3.5, RFC 3927 2.7): seen by a tap on the outside link"""
    with inside(world.gateway):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind(("w0", 0))
    word = b"not out " + target.encode()
    for to in (station.gateway, BROADCAST):
        station.udp(target, 61350, 61350, word, to=to)
        station.send(target, ICMP, echo(61350, 1, word), to=to)
    time.sleep(0.1)
    tap.setblocking(False)
    try:
        while True:
            assert word not in tap.recv(2000)
    except BlockingIOError:
        pass
    tap.close()


def test_i9_to_the_tap_sees_what_does_leave(world, station):
    """Without this the test before could not fail."""
    with inside(world.gateway):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        tap.bind(("w0", 0))
    tap.settimeout(2)
    station.udp(SERVER, 61351, 61351, b"goes out")
    while b"goes out" not in tap.recv(2000):
        pass
    tap.close()


# ---- I10 ----
def test_i10_fragments_are_never_mixed(natlock, station, server):
    """I10a-d (RFC 5722, RFC 8900 3.1): an overlap ends the datagram; an exact repetition is harmless"""
    port = server.getsockname()[1]
    whole = udp(station.own, SERVER, 61360, port, bytes(range(256)) * 8)
    evil = whole[:1400] + b"\xee" * (len(whole) - 1400)

    def piece(data, at, end, ident):
        return ip(station.own, SERVER, UDP, data[at:end], ident=ident, frag=at // 8 | (MORE if end < len(data) else 0))

    overlaps = [[(whole, 0, 1024), (evil, 1000, 1480), (whole, 1480, len(whole))], [(whole, 1480, len(whole)), (evil, 1400, 1488), (whole, 0, 1480)],
                [(whole, 0, 1480), (evil, 1400, len(whole))], [(whole, 0, 1480), (evil[:1480], 8, 1472), (whole, 1480, len(whole))]]
    for ident, pieces in enumerate(overlaps, 0x100):
        for data, at, end in pieces:
            station.frame(piece(data, at, end, ident))
        assert receive(server, 0.1) is None, ident
    for data, at, end in [(whole, 1480, len(whole)), (whole, 1480, len(whole)), (whole, 0, 1480)]:
        station.frame(piece(data, at, end, 0x200))
    assert receive(server, 1) == whole[8:]


def test_i10_ping_of_death_and_tiny_fragments(station, server):
    """I10e, I10g (RFC 791, RFC 1858): beyond 65535 bytes; a header cut in two is put together first"""
    for ident, at, body in ((1, 65528, bytes(1000)), (2, 65512, bytes(1480)), (3, 65535 & ~7, bytes(8))):
        station.frame(ip(station.own, HUB, ICMP, body, ident=ident, frag=at // 8))
    station.frame(ip(station.own, SERVER, UDP, b"", ident=4, frag=MORE))
    station.frame(ip(station.own, SERVER, UDP, bytes(7), ident=5, frag=MORE))
    for frame in station.fragments(SERVER, UDP, udp(station.own, SERVER, 61361, server.getsockname()[1], b"header in pieces"), 8):
        station.frame(frame)
    assert receive(server, 1) == b"header in pieces"
    assert pings(station)


def flood_around(station, flood, good, pieces, distance):
    """Frames in a row, those of `pieces` between them; waits for the gateway now and then, so that no queue before it overflows."""
    for number, frame in enumerate(flood):
        station.frame(frame)
        if number % distance == distance // 2 and pieces:
            good.frame(pieces.pop(0))
        if number % 400 == 399:
            assert pings(station)
    for frame in pieces:
        good.frame(frame)


@pytest.mark.parametrize("victim", ["the same guest", "another guest"])
def test_i10_f_six_thousand_unfinished_fragments_block_nobody(natlock, station, other, server, victim):
    """I10f (RFC 815, RFC 1122 3.3.2): a good datagram passes at once, before, between and after"""
    good = station if victim == "the same guest" else other
    data = random.Random(10).randbytes(20000)
    port = server.getsockname()[1]
    pieces = good.fragments(SERVER, UDP, udp(good.own, SERVER, 61370, port, data))
    flood = [ip(station.own, SERVER, UDP, bytes(64), ident=n & 0xFFFF, frag=(0, MORE, 100 | MORE, 8000)[n % 4] | MORE) for n in range(6000)]
    flood_around(station, flood, good, pieces, 40)
    assert receive(server, 2) == data, "a datagram whose fragments lie between those of the flood"
    begin = time.monotonic()
    for frame in good.fragments(SERVER, UDP, udp(good.own, SERVER, 61370, port, data[::-1])):
        good.frame(frame)
    assert receive(server, 2) == data[::-1] and time.monotonic() - begin < 1
    assert drops(natlock, "FRAGMENT_BUDGET") > 5000


def test_i10_f_many_addresses_of_one_port(natlock, station, other, server):
    """I10f: one station with two hundred addresses has one port's share"""
    port = server.getsockname()[1]
    data = random.Random(11).randbytes(9000)
    pieces = other.fragments(SERVER, UDP, udp(other.own, SERVER, 61371, port, data))
    flood = [ip(f"192.168.30.{10 + number % 180}", SERVER, UDP, bytes(64), ident=number, frag=MORE) for number in range(1500)]
    flood_around(station, flood, other, pieces, 80)
    assert receive(server, 2) == data


# ---- I11 ----
@pytest.mark.parametrize("target", [HUB, SERVER])
def test_i11_an_unknown_protocol_is_told(natlock, station, target):
    """I11 (RFC 1122 3.2.2.1, RFC 792)"""
    for protocol in (2, 33, 47, 50, 132, 253):
        station.send(target, protocol, b"what is this" * 4)
        got = station.wait(error())
        assert got and (got.kind, got.code, got.source, got.quote.protocol) == (UNREACHABLE, 2, HUB, protocol)


def test_i11_no_error_about_errors_fragments_and_broadcast(station):
    """I11 (RFC 1122 3.2.2): nor about anything that was not meant for one station"""
    inner = ip(SERVER, station.own, UDP, udp(SERVER, station.own, 7001, 61380))
    for kind, code in ((3, 3), (4, 0), (5, 0), (11, 0), (12, 0)):
        station.send(SERVER, ICMP, icmp(kind, code, 0, inner[:28]), ttl=1)
        station.send(HUB, ICMP, icmp(kind, code, 0, inner[:28]))
    station.send(SERVER, UDP, bytes(64), frag=100, ttl=1)
    station.send(HUB, 253, bytes(64), frag=100)
    for to in (BROADCAST, b"\x01\x00\x5e\x00\x00\x01"):
        station.send(HUB, 253, bytes(64), to=to)
        station.send(SERVER, UDP, udp(station.own, SERVER, 61380, 9), ttl=1, to=to)
        station.send("192.168.30.255", 253, bytes(64), to=to)
    assert not station.wait(error(), 0.4)


def test_i11_errors_are_limited_for_each_guest(natlock, station, other):
    """I11 (RFC 1812 4.3.2.8): a guest that asks for a thousand errors gets some, another gets its own at once"""
    for _ in range(1000):
        station.send(SERVER, UDP, udp(station.own, SERVER, 61381, 33434), ttl=1)
    got = len(station.waits(1000, error(EXCEEDED), 0.7))
    assert 10 <= got <= 200, got
    other.send(SERVER, UDP, udp(other.own, SERVER, 61381, 33434), ttl=1)
    assert other.wait(error(EXCEEDED))
    time.sleep(0.3)
    station.send(SERVER, UDP, udp(station.own, SERVER, 61381, 33434), ttl=1)
    assert station.wait(error(EXCEEDED)), "and after a while again"


# ---- I12, I13, I14 ----
def pids(gateway):
    return {name: row["pid"] for name, row in gateway.processes().items()}


def test_i12_land(natlock, station):
    """I12 (CERT CA-1997-28, RFC 1812 5.3.7): packets from and to one address"""
    before = pids(natlock)
    for one in (station.own, HUB, SERVER):
        for port in (53, 80, 7001):
            station.frame(ip(one, one, TCP, tcp(one, one, port, port)))
            station.frame(ip(one, one, UDP, udp(one, one, port, port)))
        station.frame(ip(one, one, ICMP, echo(1, 1)))
    assert pings(station) and pings(station, SERVER) and pids(natlock) == before


def test_i13_the_hosts_loopback_is_out_of_reach(natlock, world, station):
    """I13 (RFC 1122 3.2.1.3 g): 127.0.0.1 by frames, whatever the guest's kernel thinks of it"""
    s = open_socket(world.gateway, at=("127.0.0.1", 0))
    listener = open_socket(world.gateway, socket.SOCK_STREAM, at=("127.0.0.1", 0))
    listener.listen()
    control = open_socket(world.gateway)
    control.sendto(b"control", s.getsockname())
    assert receive(s) == b"control"
    for target in ("127.0.0.1", "127.0.0.2", "127.255.255.254"):
        station.udp(target, 61390, s.getsockname()[1], b"in")
        station.send(target, TCP, tcp(station.own, target, 61390, listener.getsockname()[1]))
        station.send(target, ICMP, echo(61390, 1))
    assert receive(s, 0.2) is None and not station.wait(replied, 0.1)
    assert not station.wait(lambda p: p.protocol == TCP and p.body[13] & 0x12 == 0x12, 0.1)
    for one in (s, listener, control):
        one.close()


@pytest.mark.parametrize("access", ["deny", "allow"])
def test_i13_the_hosts_own_addresses_are_a_choice(natlock, world, spawn, access):
    """I13 (nat.host_loopback): closed unless opened"""
    guest = spawn.guest("host-" + access)
    spawn.gateway("host-" + access, guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat: {{host_loopback: {access}}}\n')
    wait_for(lambda: "eth0" in guest.run("ip", "link").stdout, 3, "the interface")
    guest.run("ip", "link", "set", "eth0", "up")
    station, s = Station(guest, "192.168.30.50"), open_socket(world.gateway, at=(OUTSIDE, 0))
    station.udp(OUTSIDE, 61392, s.getsockname()[1], b"host")
    assert receive(s) == (b"host" if access == "allow" else None)
    assert access == "allow" or station.wait(error(UNREACHABLE, 13)).source == HUB
    station.close()
    s.close()


def mutations(station, count, rng):
    """Well-formed packets of every kind, each with a few bytes changed; half with the header's checksum made right again."""
    good = [lambda: (UDP, udp(station.own, SERVER, 61391, 9, rng.randbytes(rng.randrange(200)))), lambda: (TCP, tcp(station.own, SERVER, 61391, 7001, rng.getrandbits(6))),
            lambda: (ICMP, echo(61391, 1, rng.randbytes(20))), lambda: (ICMP, icmp(UNREACHABLE, 4, 576, ip(SERVER, station.own, TCP, tcp(SERVER, station.own, 7001, 61391))[:28])),
            lambda: (UDP, udp(station.own, HUB, 61391, 53, rng.randbytes(40)))]
    for _ in range(count):
        protocol, body = rng.choice(good)()
        frag = rng.choice([0, 0, 0, MORE | rng.getrandbits(13), rng.getrandbits(13)])
        packet = bytearray(ip(station.own, rng.choice([SERVER, HUB]), protocol, body, frag=frag, options=rng.choice([b"", b"", rng.randbytes(4 * rng.randrange(11))])))
        for _ in range(rng.randrange(4)):
            packet[rng.randrange(len(packet))] = rng.getrandbits(8)
        length = (packet[0] & 15) * 4
        if rng.random() < 0.5 and 20 <= length <= len(packet):
            packet[10:12] = b"\0\0"
            packet[10:12] = struct.pack(">H", checksum(bytes(packet[:length])))
        yield bytes(packet[: rng.choice([len(packet), len(packet), rng.randrange(1, len(packet))])])


def test_i14_eight_thousand_mutated_frames_hurt_nobody(natlock, station):
    """I14: an open flow survives, no worker is replaced"""
    before = pids(natlock)
    flow = natlock.guest.start(PEER, "hold", SERVER, 4)
    time.sleep(0.2)
    for packet in mutations(station, 8000, random.Random(14)):
        station.frame(packet)
    answer = json.loads(flow.communicate(timeout=30)[0])
    assert answer["ok"] and answer["worst"] < 2, answer
    assert pids(natlock) == before and pings(station)


def test_s11_identifications_are_no_counter(natlock, station, server):
    """S11 (RFC 6864, RFC 7739 in spirit): IP identifications towards the guest tell nothing of the gateway's traffic"""
    station.udp(SERVER, 61395, server.getsockname()[1], b"?")
    server.settimeout(2)
    _, peer = server.recvfrom(10)
    seen = []
    for n in range(40):
        server.sendto(bytes([n]), peer)
        got = station.wait(datagram())
        assert got.frag == 0
        seen.append(got.ident)
    steps = [(b - a) & 0xFFFF for a, b in zip(seen, seen[1:])]
    assert len(set(seen)) > 30 and sum(1 for step in steps if step < 256) < 8, seen
