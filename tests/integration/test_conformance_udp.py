"""NAT for UDP and ICMP: conformance U2 to U20 and I1 to I3, by frames from a guest's own interface and sockets in the servers' namespace.

`--gateway kernel` runs what is true of kernel NAT too against kernel NAT: those tests can pass without natlock.
"""
import random, socket, struct, time
import pytest
from conftest import HUB, OUTSIDE, ROUTER, SERVER, SERVER2, KernelGateway, wait_for
from packets import DONT_FRAGMENT, ECHO, ECHO_REPLY, EXCEEDED, ICMP, TCP, UDP, UNREACHABLE, Packet, Station, datagram, echo, error, icmp, ip, open_socket, udp
from stations import clean, natlock, other, station

NARROW = "198.18.2.5"  # a server of its own, because the host's kernel remembers its path MTU
ECHO_PORT = 7001
STATIONS = ("192.168.30.210", "192.168.30.211")


@pytest.fixture
def server(world):
    """Makes UDP sockets in the servers' namespace that end with the test."""
    made = []

    def make(at=SERVER, port=0, kind=socket.SOCK_DGRAM, protocol=0, timeout=2):
        made.append(open_socket(world.internet, kind, protocol, (at, port), timeout))
        return made[-1]

    yield make
    for one in made:
        one.close()


def configured(spawn, name, nat="", limits="", attach=None):
    """A gateway of its own with a station on it."""
    guest = spawn.guest(name)
    gateway = spawn.gateway(name, guest=guest, config="hubs:\n  default:\n    attach: [\"%s\"]\n    nat: {%s}\n    limits: {%s}\n" % (
        attach or f"netns:{guest.name}", nat, limits))
    wait_for(lambda: "eth0" in guest.run("ip", "link").stdout, 3, "the interface")
    guest.run("ip", "link", "set", "eth0", "up")
    return gateway, guest


def receive(s, seconds=2.0):
    s.settimeout(seconds)
    try:
        return s.recvfrom(70000)
    except TimeoutError:
        return None, None


def drops(gateway, reason):
    return sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == reason)


def mapped(station, s, port, word=b"hello"):
    """Sends a datagram from the station's port to a server's socket; where the server sees it come from."""
    station.udp(s.getsockname()[0], port, s.getsockname()[1], word)
    data, peer = receive(s)
    assert data == word, (port, data)
    return peer


def test_u2_u11_mapping_is_endpoint_independent_for_twenty_ports(station, server):
    """U2, U11 (RFC 4787 REQ-1, REQ-7)"""
    servers = [server(), server(), server(SERVER2)]
    seen = {}
    for port in range(61000, 61020):
        ends = {mapped(station, s, port) for s in servers}
        assert len(ends) == 1 and ends.pop()[0] == OUTSIDE
        seen[port] = mapped(station, servers[0], port)
    assert len(set(seen.values())) == 20


STRANGER, SAME_HOST = "another host", "another port of the same host"


@pytest.mark.parametrize("mode, passing", [("endpoint_independent", {STRANGER, SAME_HOST}), ("address_dependent", {SAME_HOST}), ("address_and_port_dependent", set())],
                         ids=lambda v: v if isinstance(v, str) else "")
def test_u3_filtering_is_a_choice(natlock, spawn, server, mode, passing):
    """U3 (RFC 4787 REQ-8, nat.filtering)"""
    _, guest = configured(spawn, "f-" + mode[:9] + str(len(mode)), nat=f"filtering: {mode}")
    station = Station(guest, "192.168.30.50")
    first = server()
    peer = mapped(station, first, 61030)
    first.sendto(b"answer", peer)
    assert station.wait(datagram()).data == b"answer"
    for who, s in ((SAME_HOST, server()), (STRANGER, server(SERVER2))):
        s.sendto(who.encode(), peer)
        got = station.wait(datagram(), 0.4)
        assert (got is not None) == (who in passing), who
        assert not got or (got.data == who.encode() and got.source == s.getsockname()[0] and got.source_port == s.getsockname()[1])
    station.close()


def test_u4_ports_keep_parity_and_range(station, server):
    """U4a, U4b (RFC 4787 REQ-3, REQ-4)"""
    s = server()
    for port in [*range(61040, 61050), 1024, 1025, 65534, 65535]:
        assert mapped(station, s, port)[1] == port, "a free port is kept"


def test_u4_parity_of_ports_that_cannot_be_kept(natlock, station, other, server):
    """U4a (RFC 4787 REQ-4): the number is taken or privileged, odd stays odd"""
    s = server()
    for port in range(61050, 61060):
        assert mapped(station, s, port)[1] == port
        second = mapped(other, s, port)[1]
        assert second != port and second % 2 == port % 2 and second >= 1024
    for port in (500, 501, 8080):
        outside = mapped(station, s, port)[1]
        assert outside >= 1024 and outside % 2 == port % 2


def test_u5_two_guests_one_port_one_destination(station, other, server):
    """U5 (RFC 4787 REQ-3: no overloading)"""
    s = server()
    peers = mapped(station, s, 61060, b"one"), mapped(other, s, 61060, b"two")
    assert peers[0] != peers[1]
    for peer, word in zip(peers, (b"to one", b"to two")):
        s.sendto(word, peer)
    assert station.wait(datagram()).data == b"to one" and other.wait(datagram()).data == b"to two"


def test_u6_hairpin_with_external_source(natlock, spawn, server):
    """U6 (RFC 4787 REQ-9), with the filter open"""
    _, guest = configured(spawn, "hairpin", nat="filtering: endpoint_independent")
    one, two, s = Station(guest, "192.168.30.50"), Station(guest, "192.168.30.51"), server()
    outside = [mapped(station, s, 61070)[1] for station in (one, two)]
    one.udp(OUTSIDE, 61070, outside[1], b"ping")
    got = two.wait(datagram())
    assert got and got.data == b"ping" and (got.source, got.source_port) == (OUTSIDE, outside[0])
    two.udp(got.source, 61070, got.source_port, b"pong")
    got = one.wait(datagram())
    assert got and got.data == b"pong" and (got.source, got.source_port) == (OUTSIDE, outside[1])
    one.close()
    two.close()


def test_u6_hairpin_obeys_the_filter(natlock, station, other, server):
    """U6, U3: the default filter lets a hairpin in once its target has spoken to that mapping"""
    s = server()
    outside = [mapped(one, s, 61071)[1] for one in (station, other)]
    station.udp(OUTSIDE, 61071, outside[1], b"uninvited")
    assert not other.wait(datagram(), 0.4)
    other.udp(OUTSIDE, 61071, outside[0], b"invited")
    assert station.wait(datagram()).data == b"invited"
    station.udp(OUTSIDE, 61071, outside[1], b"welcome")
    assert other.wait(datagram()).data == b"welcome"


def test_u7_port_unreachable_is_translated(station):
    """U7a-d (RFC 5508 REQ-4, REQ-7): the quoted packet is the one that the guest sent"""
    sent = ip(station.own, SERVER, UDP, udp(station.own, SERVER, 61080, 9, b"nobody home"), ident=0x1234, tos=0x20)
    station.frame(sent)
    got = station.wait(error())
    assert got and (got.kind, got.code, got.source) == (UNREACHABLE, 3, SERVER)
    quote = got.quote
    assert (quote.source, quote.source_port, quote.target, quote.target_port, quote.protocol) == (station.own, 61080, SERVER, 9, UDP)
    assert (quote.ident, quote.total, quote.tos) == (0x1234, len(sent), 0x20)
    assert quote.body[:8] == sent[20:28], "ports, length and checksum as the guest wrote them"


def test_u7_the_application_is_refused(peer):
    """U7e (RFC 1122 4.1.3.3): ECONNREFUSED"""
    assert peer("udp_refused", 9)["error"] == "ConnectionRefusedError"


def test_u7_errors_from_outside_are_not_thinned_out(station, server):
    """U7 (RFC 5508 REQ-4): what routers say of a traceroute or mtr arrives, not a sample of it"""
    watch, router, s = server(kind=socket.SOCK_RAW, protocol=UDP), server(ROUTER, kind=socket.SOCK_RAW, protocol=ICMP), server()
    station.udp(SERVER, 61085, s.getsockname()[1], b"far away")
    outside = wait_for_packet(watch, lambda p: p.data == b"far away")
    for _ in range(150):
        router.sendto(icmp(EXCEEDED, 0, 0, outside.raw[:28]), (OUTSIDE, 0))
        time.sleep(0.001)
    assert len(station.waits(150, error(EXCEEDED, 0), 1)) == 150


@pytest.mark.parametrize("inbound", ["true", "false"])
def test_u19_refresh_by_inbound_is_a_choice(natlock, spawn, server, inbound):
    """U19 (RFC 4787 REQ-6, RFC 7857 4, nat.udp_timeout, nat.udp_inbound_refresh): a short timer, and only the far end speaks"""
    _, guest = configured(spawn, "refresh-" + inbound, nat=f"udp_timeout: 3s, udp_inbound_refresh: {inbound}")
    station, s = Station(guest, "192.168.30.50"), server()
    peer = mapped(station, s, 61150)
    heard = []
    for _ in range(7):
        time.sleep(0.6)
        s.sendto(b"tick", peer)
        heard.append(station.wait(datagram(), 0.3) is not None)
    assert heard[:3] == [True] * 3 and heard[6] == (inbound == "true"), heard
    station.close()


@pytest.fixture(scope="module")
def published(gateway, spawn):
    """A station that is the target of published ports, and answers as its test says."""
    if isinstance(gateway, KernelGateway):
        pytest.skip("not a statement about kernel NAT")
    ports = ", ".join('{proto: %s, listen: "%s:7400", to: "192.168.30.50:7400"}' % (proto, OUTSIDE) for proto in ("tcp", "udp"))
    _, guest = configured(spawn, "published", nat=f"publish: [{ports}]")
    station = Station(guest, "192.168.30.50")
    yield station
    station.close()


def test_u7_a_guests_refusal_of_tcp_reaches_the_peer(world, published):
    """U7 (RFC 5508 REQ-5, RFC 1122 4.2.3.9): port unreachable from the guest resets the connection from outside, soon"""
    c = open_socket(world.internet, socket.SOCK_STREAM)
    begin = time.monotonic()
    c.connect((OUTSIDE, 7400))
    syn = published.wait(lambda p: p.protocol == TCP and p.target_port == 7400 and p.body[13] == 2)
    assert syn.source == ROUTER and syn.source_port == c.getsockname()[1]
    published.send(ROUTER, ICMP, icmp(UNREACHABLE, 3, 0, syn.raw[:28]))
    with pytest.raises(ConnectionResetError):
        c.recv(1)
    assert time.monotonic() - begin < 1.5
    c.close()


def test_u7_a_guests_refusal_of_udp_harms_nothing(world, published):
    """U7, U8 (RFC 5508 REQ-5, RFC 4787 REQ-12): no unprivileged process can send it on; the mapping lives"""
    peer = open_socket(world.internet)
    for word in (b"one", b"two", b"three"):
        peer.sendto(word, (OUTSIDE, 7400))
        got = published.wait(datagram(port=7400))
        assert got and got.data == word and got.source == ROUTER
        published.send(ROUTER, ICMP, icmp(UNREACHABLE, 3, 0, got.raw[:28]))
    published.udp(ROUTER, 7400, peer.getsockname()[1], b"after all")
    assert receive(peer) == (b"after all", (OUTSIDE, 7400))
    peer.close()


def test_u8_errors_do_not_end_a_mapping(station, server):
    """U8 (RFC 4787 REQ-12), errors from both sides"""
    s = server()
    peer = mapped(station, s, 61090)
    station.udp(SERVER, 61090, 9)
    assert station.wait(error(UNREACHABLE, 3))
    s.sendto(b"to a closed port", peer)
    got = station.wait(datagram())
    station.send(SERVER, ICMP, icmp(UNREACHABLE, 3, 0, got.raw[:28]))  # as the guest's kernel would
    time.sleep(0.1)
    assert mapped(station, s, 61090) == peer
    s.sendto(b"still there", peer)
    assert station.wait(datagram()).data == b"still there"


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 9000, 65507])
def test_u9_u10_every_size_both_ways(station, server, size):
    """U9, U10 (RFC 4787 REQ-13, RFC 768)"""
    s, data = server(), random.Random(size).randbytes(size)
    for frame in station.fragments(SERVER, UDP, udp(station.own, SERVER, 61100, s.getsockname()[1], data)):
        station.frame(frame)
    got, peer = receive(s)
    assert got == data
    s.sendto(data, peer)
    back = station.wait(datagram())
    assert back and back.data == data
    assert back.body[6:8] == b"\0\0" or size <= 1472 or udp(SERVER, station.own, back.source_port, 61100, data)[6:8] == back.body[6:8]


@pytest.fixture(scope="module")
def both_ports(gateway, spawn, world):
    """Stations on a TAP and on a veth: two ways in which frames and checksums reach the broker."""
    if isinstance(gateway, KernelGateway):
        pytest.skip("not a statement about kernel NAT")
    guest = spawn.guest("veth-guest")
    world.gateway.run("ip", "link", "add", "vg0", "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    world.gateway.run("ip", "link", "set", "vg0", "up")
    guest.run("ip", "link", "set", "eth0", "up")
    spawn.gateway("veth", guest=guest, config='hubs:\n  default:\n    attach: ["veth:vg0"]\n')
    stations = {"tap": Station(gateway.guest, "192.168.30.212"), "veth": Station(guest, "192.168.30.50")}
    yield stations
    for one in stations.values():
        one.close()


@pytest.mark.parametrize("port", ["tap", "veth"])
def test_u12_a_wrong_checksum_is_dropped_never_repaired(both_ports, server, port):
    """U12b (RFC 1122 4.1.3.4); no checksum at all is allowed (RFC 768)"""
    station, s = both_ports[port], server()
    target, body = s.getsockname()[1], b"damaged on the way" * 20
    right = struct.unpack(">H", udp(station.own, SERVER, 61110, target, body)[6:8])[0]
    station.udp(SERVER, 61110, target, body, sum_=right ^ 0x0100)
    for frame in station.fragments(SERVER, UDP, udp(station.own, SERVER, 61110, target, body, sum_=right ^ 1), 160):
        station.frame(frame)
    station.udp(SERVER, 61110, target, b"no sum", sum_=0)
    assert receive(s)[0] == b"no sum"
    station.udp(SERVER, 61110, target, body)
    assert receive(s)[0] == body
    assert receive(s, 0.2)[0] is None


@pytest.mark.parametrize("order", ["reversed", "shuffled and doubled", "of 8 bytes"])
def test_u13_fragments_in_any_order(station, server, order):
    """U13 (RFC 4787 REQ-14)"""
    s, rng = server(), random.Random(13)
    data = rng.randbytes(800 if order == "of 8 bytes" else 9000)
    frames = station.fragments(SERVER, UDP, udp(station.own, SERVER, 61120, s.getsockname()[1], data), 8 if order == "of 8 bytes" else 1480)
    if order == "reversed":
        frames.reverse()
    if order == "shuffled and doubled":
        last = frames.pop(0)
        frames *= 2
        rng.shuffle(frames)
        frames.append(last)  # one that comes after the end would begin another datagram
    for frame in frames:
        station.frame(frame)
    assert receive(s)[0] == data and receive(s, 0.1)[0] is None


def test_u14_ten_thousand_by_hash(peer):
    """U14 (RFC 768): in a row, without damage"""
    assert peer("udp_hash", 10000, 400)["ok"]


def test_u15_two_thousand_flows_at_once(natlock, spawn, server):
    """U15: as many as limits.udp_sessions_per_host says"""
    _, guest = configured(spawn, "many-udp", limits="udp_sessions_per_host: 4096")
    station, s = Station(guest, "192.168.30.50"), server()
    s.setsockopt(socket.SOL_SOCKET, 33, 1 << 24)
    peers = {}
    for port in range(10000, 12000):
        station.udp(SERVER, port, s.getsockname()[1], struct.pack(">H", port))
        if port % 50 == 49:
            while (data := receive(s, 0.05))[0]:
                peers[struct.unpack(">H", data[0])[0]] = data[1]
    assert len(peers) == 2000 and len(set(peers.values())) == 2000
    got, sent = set(), 0
    for port, peer in peers.items():
        s.sendto(struct.pack(">H", port), peer)
        sent += 1
        if sent % 100 == 0:
            got |= {p.target_port for p in station.waits(sent - len(got), lambda p: datagram()(p) and p.data == struct.pack(">H", p.target_port))}
    assert len(got) == 2000
    station.close()


def test_u15_a_guest_has_its_quota(natlock, spawn, server):
    """U15 (RFC 4787 11, limits.udp_sessions_per_host): one guest's flood is not another's"""
    gateway, guest = configured(spawn, "quota-udp", limits="udp_sessions_per_host: 20")
    one, two, s = Station(guest, "192.168.30.50"), Station(guest, "192.168.30.51"), server()
    first = mapped(one, s, 20000)
    for port in range(20001, 20040):
        one.udp(SERVER, port, s.getsockname()[1])
    got = 0
    while receive(s, 0.2)[1]:
        got += 1
    assert got == 19 and drops(gateway, "FLOW_LIMIT") >= 20
    refusal = one.wait(error(UNREACHABLE, 1))
    assert refusal and refusal.source == HUB and refusal.quote.target == SERVER, "RFC 6888 REQ-8: the guest is told"
    assert mapped(one, s, 20000) == first and mapped(two, s, 20000)
    one.close()
    two.close()


@pytest.mark.parametrize("ttl, tos", [(64, 0), (2, 0xB8), (200, 0x20)])
def test_u16_ttl_one_less_and_dscp_carried(station, server, ttl, tos):
    """U16 (RFC 1812 5.3.1, RFC 2474)"""
    watch, s = server(kind=socket.SOCK_RAW, protocol=UDP), server()
    station.udp(SERVER, 61130, s.getsockname()[1], b"age", ttl=ttl, tos=tos)
    wanted = wait_for_packet(watch, lambda p: p.data == b"age")
    assert (wanted.ttl, wanted.tos) == (ttl - 1, tos)
    pings = server(kind=socket.SOCK_RAW, protocol=ICMP)
    station.send(SERVER, ICMP, echo(61130, 1, b"age"), ttl=ttl, tos=tos)
    wanted = wait_for_packet(pings, lambda p: p.kind == ECHO and p.data == b"age")
    assert (wanted.ttl, wanted.tos) == (ttl - 1, tos)


def test_u16_ttl_and_dscp_towards_the_guest(station, server):
    """U16 (RFC 1812 5.3.1): what the server sent, less the hops between"""
    s = server()
    peer = mapped(station, s, 61131)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 50)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)
    s.sendto(b"back", peer)
    got = station.wait(datagram())
    assert got.data == b"back" and got.ttl == 49 and got.tos == 0xB8


def wait_for_packet(raw, accept, seconds=2.0):
    """The next packet on a raw socket that is wanted."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        data, _ = receive(raw, left)
        if data and accept(p := Packet(data)):
            return p
    pytest.fail("the packet did not come out")


@pytest.fixture(scope="module")
def narrow(world):
    """A server behind a link of 1000 bytes, which its router reports (198.18.1.1, by hand)."""
    world.internet.run("ip", "addr", "add", f"{NARROW}/32", "dev", "lo")
    yield NARROW
    world.gateway.run("ip", "route", "flush", "cache")
    world.internet.run("ip", "addr", "del", f"{NARROW}/32", "dev", "lo")


def test_u20_fragmentation_needed_reaches_the_guest(station, server, narrow):
    """U20 (RFC 5508 REQ-4, RFC 1191): from a router beyond, then from the gateway that has learnt it"""
    watch, router = server(narrow, kind=socket.SOCK_RAW, protocol=UDP), server(ROUTER, kind=socket.SOCK_RAW, protocol=ICMP)
    s, data = server(narrow), bytes(1400)
    station.udp(narrow, 61140, s.getsockname()[1], data, frag=DONT_FRAGMENT)
    outside = wait_for_packet(watch, lambda p: p.protocol == UDP and len(p.data) == 1400)
    assert outside.frag == DONT_FRAGMENT
    router.sendto(icmp(UNREACHABLE, 4, 1000, outside.raw[:28]), (OUTSIDE, 0))
    got = station.wait(error(UNREACHABLE, 4))
    assert got and got.rest & 0xFFFF == 1000 and got.source == ROUTER
    assert (got.quote.source_port, got.quote.target, got.quote.target_port) == (61140, narrow, s.getsockname()[1])


def test_u20_the_gateway_says_what_it_has_learnt(natlock, station, server, narrow):
    """U20 (RFC 4787 REQ-13, RFC 1191): DF is the guest's word, no fragments in its place; kernel NAT forgets (ip_forward_use_pmtu)"""
    watch, router, s = server(narrow, kind=socket.SOCK_RAW, protocol=UDP), server(ROUTER, kind=socket.SOCK_RAW, protocol=ICMP), server(narrow)
    station.udp(narrow, 61142, s.getsockname()[1], b"first", frag=DONT_FRAGMENT)
    outside = wait_for_packet(watch, lambda p: p.data == b"first")
    receive(s)
    router.sendto(icmp(UNREACHABLE, 4, 1000, outside.raw[:28]), (OUTSIDE, 0))
    assert station.wait(error(UNREACHABLE, 4))
    station.udp(narrow, 61142, s.getsockname()[1], bytes(1400), frag=DONT_FRAGMENT)
    got = station.wait(error(UNREACHABLE, 4))
    assert got and got.rest & 0xFFFF == 1000 and got.quote.total == 1428
    assert receive(s, 0.2)[0] is None
    station.udp(narrow, 61142, s.getsockname()[1], bytes(1400))
    assert receive(s)[0] == bytes(1400), "without DF the gateway fragments"


def test_u20_df_is_carried(station, server):
    """U20 (RFC 791, RFC 1191): DF out is DF in"""
    watch, s = server(kind=socket.SOCK_RAW, protocol=UDP), server()
    for frag in (0, DONT_FRAGMENT, 0):
        station.udp(SERVER, 61141, s.getsockname()[1], b"df", frag=frag)
        assert wait_for_packet(watch, lambda p: p.data == b"df").frag == frag


def test_i1_echo_is_truthful(station):
    """I1 (RFC 5508 REQ-1): no answer is invented; an unreachable host is told or silent"""
    station.send("198.18.1.77", ICMP, echo(61200, 7, b"anyone?"))
    assert not station.wait(lambda p: p.protocol == ICMP and p.kind == ECHO_REPLY, 0.5)
    station.send(SERVER, ICMP, echo(61200, 7, b"you"))
    got = station.wait(lambda p: p.protocol == ICMP and p.kind == ECHO_REPLY)
    assert got.source == SERVER and got.rest == 61200 << 16 | 7 and got.data == b"you"


@pytest.mark.parametrize("size", [0, 1, 1472, 1473, 60000])
def test_i2_echo_of_every_size(station, size):
    """I2 (RFC 5508 REQ-1): data unchanged"""
    data = random.Random(size).randbytes(size)
    for frame in station.fragments(SERVER, ICMP, echo(61201, size & 0xFFFF, data)):
        station.frame(frame)
    got = station.wait(lambda p: p.protocol == ICMP and p.kind == ECHO_REPLY)
    assert got and got.data == data and got.rest == 61201 << 16 | (size & 0xFFFF)


def test_i3_identifiers_are_kept_apart(station, other):
    """I3 (RFC 5508 REQ-1..3): two guests with one identifier"""
    for sequence in range(5):
        station.send(SERVER, ICMP, echo(61202, sequence, b"one"))
        other.send(SERVER, ICMP, echo(61202, sequence, b"two"))
    for one, word in ((station, b"one"), (other, b"two")):
        got = one.waits(5, lambda p: p.protocol == ICMP and p.kind == ECHO_REPLY)
        assert [(p.rest, p.data) for p in got] == [(61202 << 16 | n, word) for n in range(5)]
        assert not one.wait(lambda p: p.protocol == ICMP, 0.1)
