"""Echo where the kernel refuses it, errors in both directions, fragments."""
import errno, json, socket
import pytest
from conftest import HUB, OUTSIDE, ROUTER, SERVER, act, leased_address, wait_for
from operator_client import change
from talks import alg_row

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


UNREACHABLE, QUENCH, EXCEEDED, PARAMETER = 3, 4, 11, 12
# fragmentation needed is heard only about a datagram with DF
ERRORS = [(UNREACHABLE, code) for code in range(16) if code != 4] + [(EXCEEDED, 0)] + [(PARAMETER, code) for code in range(3)]
# The far end: sends an error of each kind about the datagram that just came, as routers do.
COMPLAIN = """
import json, socket, struct, sys
def total(b):
    s = sum(struct.unpack(f"!{len(b) // 2}H", b)); s = (s >> 16) + (s & 65535); return ~(s + (s >> 16)) & 65535
udp, raw = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_RAW, proto=1)
udp.bind((sys.argv[1], 9876))
print("ready", flush=True)
while True:
    data, (ip, port) = udp.recvfrom(100)
    kind, code = json.loads(data)
    udp_header = struct.pack("!HHHH", port, 9876, 8 + len(data), 0)
    ip_header = struct.pack("!BBHHHBBH4s4s", 69, 0, 28 + len(data), 7, 0x4000, 3, 17, 0, socket.inet_aton(ip), socket.inet_aton(sys.argv[1]))
    message = struct.pack("!BBHI", kind, code, 0, 1400 if (kind, code) == (3, 4) else 9 << 24 if kind == 12 else 0) + ip_header + udp_header
    raw.sendto(message[:2] + struct.pack("!H", total(message)) + message[4:], (ip, 0))
"""
# The guest: asks for each, and hears them all on a raw socket, as they came.
ASK = """
import json, socket, sys
raw, udp = socket.socket(type=socket.SOCK_RAW, proto=1), socket.socket(type=socket.SOCK_DGRAM)
raw.settimeout(0.5)
for kind in json.loads(sys.argv[2]):
    udp.setsockopt(0, 10, 3 if kind == [3, 4] else 0)  # IP_MTU_DISCOVER: DF, but the size is ours to choose
    try:
        udp.sendto(json.dumps(kind).encode(), (sys.argv[1], 9876))
    except OSError:
        udp.sendto(json.dumps(kind).encode(), (sys.argv[1], 9876))
    try:
        print(json.dumps([kind, udp.getsockname()[1], raw.recv(200).hex()]), flush=True)
    except TimeoutError:
        print(json.dumps([kind, 0, ""]), flush=True)
"""


def heard(world, guest, kinds):
    """Of each kind what the guest got: type, code, and the embedded source, destination, ports, each as the guest knows it."""
    far = world.internet.start("/usr/bin/python3", "-c", COMPLAIN, ROUTER)
    assert far.stdout.readline() == "ready\n"
    try:
        lines = guest.run("/usr/bin/python3", "-c", ASK, ROUTER, json.dumps(kinds)).stdout.splitlines()
    finally:
        far.kill()
        far.wait()
    for kind, port, packet in map(json.loads, lines):
        b = bytes.fromhex(packet)
        inner = b[28:]
        assert not b or sum_of(b[20:]) == 0 and sum_of(inner[:20]) == 0, "a wrong checksum"
        yield tuple(kind), (b[20], b[21], socket.inet_ntoa(inner[12:16]), socket.inet_ntoa(inner[16:20]), int.from_bytes(inner[20:22], "big") == port, int.from_bytes(inner[22:24], "big"), int.from_bytes(b[24:28], "big")) if b else None


def sum_of(b):
    total = sum(int.from_bytes(b[i:i + 2], "big") for i in range(0, len(b), 2))
    total = (total >> 16) + (total & 65535)
    return ~(total + (total >> 16)) & 65535


def test_every_error_from_outside_reaches_the_guest_with_its_own_header(world, spawn):
    guest = spawn.guest("errors")
    gateway = spawn.gateway("errors", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n')
    own = leased_address(guest)
    for kind, got in heard(world, guest, ERRORS):
        assert got == (*kind, own, ROUTER, True, 9876, 9 << 24 if kind[0] == PARAMETER else 0), kind
    # kept by the host's kernel (RFC 6633, and what no program can act on), and codes that nobody has defined
    kept = [(QUENCH, 0), (EXCEEDED, 1), (EXCEEDED, 7), (PARAMETER, 3), (UNREACHABLE, 16)]
    assert dict(heard(world, guest, kept)) == dict.fromkeys(kept)
    assert gateway.processes()["netstack"]["restarts"] in (0, "0")
    counted = alg_row(gateway, "icmp")
    assert (counted["messages"], counted["to_guests"], counted["to_outside"], counted["gave_up"]) == (len(ERRORS), len(ERRORS), 0, 0)
    assert dict(heard(world, guest, [(UNREACHABLE, 4)])) == {(UNREACHABLE, 4): (UNREACHABLE, 4, own, ROUTER, True, 9876, 1400)}
    change(gateway, ("set", "alg.icmp.enable", "false"))
    assert dict(heard(world, guest, [(UNREACHABLE, 3), (EXCEEDED, 0)])) == {(UNREACHABLE, 3): None, (EXCEEDED, 0): None}
    assert alg_row(gateway, "icmp")["gave_up"] == 2


KNOCK = """
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM); s.settimeout(1); s.connect((sys.argv[1], int(sys.argv[2]))); s.send(b"?")
try:
    print(s.recv(10))
except OSError as e:
    print(type(e).__name__)
"""


def knock(world, port):
    return world.internet.run("/usr/bin/python3", "-c", KNOCK, OUTSIDE, port).stdout.strip()


def test_a_closed_port_of_a_guest_is_told_to_who_knocked(closed, spawn):
    """By the raw socket that root opened, behind the fence; not without the ALG."""
    guest = spawn.guest("closed")
    gateway = spawn.gateway("closed", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat:\n      publish: [{{proto: udp, listen: "{OUTSIDE}:9777", to: "192.168.30.10:9777"}}]\n')
    assert leased_address(guest) == "192.168.30.10"
    wait_for(lambda: knock(closed, 9777) == "ConnectionRefusedError", 4, "port unreachable")
    change(gateway, ("set", "alg.icmp.enable", "false"))
    assert knock(closed, 9777) == "TimeoutError"
    assert sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "ICMP_ENDS") >= 1



# The guest: complains about each datagram as that asks for it; its kernel does not, since the port is open.
COMPLAIN_INSIDE = """
import json, socket, struct
def total(b):
    s = sum(struct.unpack(f"!{len(b) // 2}H", b)); s = (s >> 16) + (s & 65535); return ~(s + (s >> 16)) & 65535
udp, raw = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_RAW, proto=1)
udp.bind(("192.168.30.10", 9779))
print("ready", flush=True)
while True:
    data, (ip, port) = udp.recvfrom(100)
    kind, code, about = json.loads(data)
    source, inside, protocol, size, mtu = {"session": ip, "stranger": "198.18.2.2"}.get(about, ip), "192.168.30.99" if about == "neighbour" else "192.168.30.10", 6 if about == "tcp" else 17, 7 if about == "short" else 8 + len(data), 1400 if (kind, code) == (3, 4) else 0
    quote = struct.pack("!BBHHHBBH4s4s", 70, 9, 32 + len(data), 7, 0x4000, 3, protocol, 0, socket.inet_aton(source), socket.inet_aton(inside)) + bytes([1] * 4) + struct.pack("!HHHH", port ^ (about == "port"), 9779, size, 0xffff)
    message = struct.pack("!BBHBBH", kind, code, 0, 9 if kind == 12 else 0, 0, mtu) + quote
    raw.sendto(message[:2] + struct.pack("!H", total(message)) + message[4:], (ip, 0))
"""
# The peer: what it hears until the last that it asked for, on a raw socket and as its kernel gives it to the socket that sent.
ASK_OUTSIDE = """
import json, socket, struct, sys
raw, udp = socket.socket(type=socket.SOCK_RAW, proto=1), socket.socket(type=socket.SOCK_DGRAM)
raw.settimeout(2); udp.setsockopt(0, 11, 1); udp.connect((sys.argv[1], 9778))  # IP_RECVERR
for kind in json.loads(sys.argv[2]):
    udp.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    udp.send(json.dumps(kind).encode())
    if kind[2] != "session":
        continue
    packet = raw.recv(200)
    try:
        _, control, _, to = udp.recvmsg(100, 200, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        told = [*struct.unpack("=xxxxxBBxI", control[0][2][:12])[:3], *to]
    except BlockingIOError:
        told = []
    print(json.dumps([kind[:2], packet.hex(), udp.getsockname()[1], told]), flush=True)
"""


def told_outside(world, guest, kinds):
    """Of each complaint about a session: type and code, the packet that the peer heard, its port, and what its kernel said."""
    inside = guest.start("/usr/bin/python3", "-c", COMPLAIN_INSIDE)
    assert inside.stdout.readline() == "ready\n"
    try:
        lines = world.internet.run("/usr/bin/python3", "-c", ASK_OUTSIDE, OUTSIDE, json.dumps(kinds)).stdout.splitlines()
    finally:
        inside.kill()
        inside.wait()
        world.internet.run("ip", "route", "flush", "cache")  # of the smaller MTU
    return [(tuple(kind), bytes.fromhex(packet), port, told) for kind, packet, port, told in map(json.loads, lines)]


def test_every_error_of_a_guest_reaches_the_peer_with_the_outside_header(closed, spawn):
    guest = spawn.guest("outward")
    gateway = spawn.gateway("outward", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat:\n      publish: [{{proto: udp, listen: "{OUTSIDE}:9778", to: "192.168.30.10:9779"}}]\n')
    assert leased_address(guest) == "192.168.30.10"
    wait_for(lambda: knock(closed, 9778) == "ConnectionRefusedError", 4, "port unreachable")
    knocks = alg_row(gateway, "icmp")["to_outside"]
    kinds = [*((UNREACHABLE, code) for code in range(16)), (EXCEEDED, 0), (EXCEEDED, 1), *((PARAMETER, code) for code in range(3))]
    # what is no such error, or is about nothing that reached this guest, comes before the last one or never
    silent = [(UNREACHABLE, 16, ""), (QUENCH, 0, ""), (5, 1, ""), (EXCEEDED, 2, ""), (PARAMETER, 3, ""), *((UNREACHABLE, 3, about) for about in ("stranger", "port", "neighbour", "tcp", "short"))]
    heard_outside = told_outside(closed, guest, [(*kind, "session") for kind in kinds] + silent + [(UNREACHABLE, 1, "session")])
    assert [kind for kind, *_ in heard_outside] == [*kinds, (UNREACHABLE, 1)]
    for (kind, code), packet, port, told in heard_outside:
        icmp, quote = packet[20:], packet[28:]
        detail = 1400 if (kind, code) == (UNREACHABLE, 4) else 9 << 24 if kind == PARAMETER else 0
        assert (icmp[0], icmp[1], int.from_bytes(icmp[4:8], "big")) == (kind, code, detail)
        assert sum_of(icmp) == 0 and sum_of(quote[:20]) == 0 and len(quote) == 28, (kind, code)
        assert [socket.inet_ntoa(a) for a in (packet[12:16], packet[16:20], quote[12:16], quote[16:20])] == [OUTSIDE, ROUTER, ROUTER, OUTSIDE]
        assert [int.from_bytes(quote[at:at + 2], "big") for at in (20, 22)] == [port, 9778] and quote[9] == 17
        # the peer's kernel keeps reassembly time exceeded to itself
        assert told == ([] if (kind, code) == (EXCEEDED, 1) else [kind, code, detail >> 24 if kind == PARAMETER else detail, OUTSIDE, 9778]), (kind, code)
    counted = alg_row(gateway, "icmp")
    assert (counted["messages"], counted["to_guests"], counted["to_outside"]) == (knocks + len(heard_outside), 0, knocks + len(heard_outside))
    assert counted["gave_up"] == 2, "of nobody's session: another sender, another port"
    assert gateway.processes()["netstack"]["restarts"] in (0, "0")


# The network behind the router: answers every SYN by the error that its port names, and every ping by that of its sequence number.
REFUSE = """
import socket, struct, sys
def total(b):
    s = sum(struct.unpack(f"!{len(b) // 2}H", b)); s = (s >> 16) + (s & 65535); return ~(s + (s >> 16)) & 65535
wire, raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)), socket.socket(type=socket.SOCK_RAW, proto=1)
wire.bind(("i0", 0x0800))
print("ready", flush=True)
while True:
    p = wire.recv(2000)
    if p[16:20] != socket.inet_aton(sys.argv[1]) or p[9] not in (1, 6):
        continue
    kind, code = divmod(int.from_bytes(p[26:28], "big") if p[9] == 1 else int.from_bytes(p[22:24], "big") - 20000, 32)
    message = struct.pack("!BBHI", kind, code, 0, 1400 if (kind, code) == (3, 4) else 9 << 24 if kind == 12 else 0) + p[:28]
    raw.sendto(message[:2] + struct.pack("!H", total(message)) + message[4:], (socket.inet_ntoa(p[12:16]), 0))
"""
# The guest: tries each, and hears the errors on a raw socket, as they came.
TRY = """
import json, select, socket, sys
raw = socket.socket(type=socket.SOCK_RAW, proto=1)
raw.settimeout(1)
for kind, code in json.loads(sys.argv[2]):
    tcp = socket.socket()
    tcp.settimeout(1)
    error = tcp.connect_ex((sys.argv[1], 20000 + 32 * kind + code))
    print(json.dumps([[kind, code], error, tcp.getsockname()[1], raw.recv(200).hex()]), flush=True)
"""
# Pings that ask for each, on one identifier.
PING = """
import json, socket, struct, sys
def total(b):
    s = sum(struct.unpack(f"!{len(b) // 2}H", b)); s = (s >> 16) + (s & 65535); return ~(s + (s >> 16)) & 65535
raw = socket.socket(type=socket.SOCK_RAW, proto=1)
raw.settimeout(1)
raw.setsockopt(0, 10, 3)  # IP_MTU_DISCOVER: DF, but the size is ours to choose
for kind, code in json.loads(sys.argv[2]):
    ping = struct.pack("!BBHHH", 8, 0, 0, 4711, 32 * kind + code) + b"ping"
    ping = ping[:2] + struct.pack("!H", total(ping)) + ping[4:]
    raw.sendto(ping, (sys.argv[1], 0))
    print(json.dumps([[kind, code], ping[:8].hex(), raw.recv(200).hex()]), flush=True)
"""
NOBODY = "203.0.113.77"


def told_by_the_router(world, guest, script, kinds):
    far = world.internet.start("/usr/bin/python3", "-c", REFUSE, NOBODY)
    assert far.stdout.readline() == "ready\n"
    try:
        lines = guest.run("/usr/bin/python3", "-c", script, NOBODY, json.dumps(kinds)).stdout.splitlines()
    finally:
        far.kill()
        far.wait()
        world.gateway.run("ip", "route", "flush", "cache")  # of the smaller MTU
    assert [tuple(json.loads(line)[0]) for line in lines] == kinds
    return [json.loads(line) for line in lines]


def test_every_error_about_a_syn_reaches_the_guest_as_it_came(world, gateway):
    """RFC 5508 REQ-4, RFC 1122 4.2.3.9: not only the errno of it."""
    own, before = leased_address(gateway.guest), alg_row(gateway, "icmp")["to_guests"]
    for (kind, code), error, port, packet in told_by_the_router(world, gateway.guest, TRY, ERRORS):
        b = bytes.fromhex(packet)
        icmp, quote = b[20:], b[28:]
        assert (icmp[0], icmp[1], int.from_bytes(icmp[4:8], "big")) == (kind, code, 9 << 24 if kind == PARAMETER else 0), b.hex()
        assert sum_of(icmp) == 0 and sum_of(quote[:20]) == 0 and quote[9] == 6
        assert [socket.inet_ntoa(a) for a in (b[12:16], quote[12:16], quote[16:20])] == [ROUTER, own, NOBODY]
        assert [int.from_bytes(quote[at:at + 2], "big") for at in (20, 22)] == [port, 20000 + 32 * kind + code]
        expected = errno.EHOSTUNREACH if kind == EXCEEDED else errno.EPROTO if kind == PARAMETER else {0: errno.ENETUNREACH, 2: errno.ENOPROTOOPT, 3: errno.ECONNREFUSED}.get(code)
        assert error == (expected or error), "the guest's kernel saw its own SYN in it"
    assert alg_row(gateway, "icmp")["to_guests"] == before + len(ERRORS)


def each_error_about_a_ping(world, gateway):
    kinds, own = [*ERRORS, (UNREACHABLE, 4)], leased_address(gateway.guest)
    before = alg_row(gateway, "icmp")["to_guests"]
    for (kind, code), ping, packet in told_by_the_router(world, gateway.guest, PING, kinds):
        b = bytes.fromhex(packet)
        icmp, quote = b[20:], b[28:]
        detail = 1400 if (kind, code) == (UNREACHABLE, 4) else 9 << 24 if kind == PARAMETER else 0
        assert (icmp[0], icmp[1], int.from_bytes(icmp[4:8], "big")) == (kind, code, detail), b.hex()
        assert sum_of(icmp) == 0 and sum_of(quote[:20]) == 0 and quote[9] == 1
        assert [socket.inet_ntoa(a) for a in (b[12:16], quote[12:16], quote[16:20])] == [ROUTER, own, NOBODY]
        assert quote[20:28].hex() == ping, "identifier, sequence number and checksum, as the guest wrote them"
    assert alg_row(gateway, "icmp")["to_guests"] == before + len(kinds)


def test_every_error_about_a_ping_by_a_ping_socket(world, gateway):
    each_error_about_a_ping(world, gateway)


def test_every_error_about_a_ping_by_the_raw_socket(closed, spawn):
    guest = spawn.guest("rawping")
    gateway = spawn.gateway("rawping", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n')
    each_error_about_a_ping(closed, gateway)
