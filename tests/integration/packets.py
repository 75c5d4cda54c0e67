"""A station of frames: IPv4, UDP, TCP, ICMP and ARP built and read byte by byte, sent by AF_PACKET from inside a namespace.

Stations have a MAC and an address of their own on the guest's interface, so that no kernel answers for them; a thread collects
what comes for them and answers ARP. Sockets of other namespaces are opened here too: both ends of a test are in one process.
"""
import contextlib, ctypes, queue, random, socket, struct, threading, time
from conftest import HUB
from frames import checksum

LIBC = ctypes.CDLL(None, use_errno=True)
ICMP, TCP, UDP = 1, 6, 17
ECHO_REPLY, UNREACHABLE, ECHO, EXCEEDED = 0, 3, 8, 11
MORE = 0x2000
DONT_FRAGMENT = 0x4000
BROADCAST = b"\xff" * 6


@contextlib.contextmanager
def inside(namespace):
    """The calling thread is in the namespace: sockets opened now belong there."""
    with open("/proc/thread-self/ns/net") as here, open(f"/run/netns/{namespace.name}") as there:
        if LIBC.setns(there.fileno(), 0):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            assert LIBC.setns(here.fileno(), 0) == 0


def open_socket(namespace, kind=socket.SOCK_DGRAM, protocol=0, at=None, timeout=2):
    with inside(namespace):
        s = socket.socket(socket.AF_INET, kind, protocol)
    s.settimeout(timeout)
    if at:
        s.bind(at)
    return s


def address(text):
    return socket.inet_aton(text)


def pseudo(source, target, protocol, body):
    return address(source) + address(target) + struct.pack(">BBH", 0, protocol, len(body))


def ip(source, target, protocol, body, ttl=64, tos=0, ident=None, frag=0, options=b"", total=None, version=4, ihl=None, header_sum=None):
    """An IPv4 packet; everything can be made wrong by name."""
    length = 20 + len(options)
    head = struct.pack(">BBHHHBBH4s4s", version << 4 | (length // 4 if ihl is None else ihl), tos, length + len(body) if total is None else total,
                       random.getrandbits(16) if ident is None else ident, frag, ttl, protocol, 0, address(source), address(target)) + options
    return head[:10] + struct.pack(">H", checksum(head) if header_sum is None else header_sum) + head[12:] + body


def udp(source, target, source_port, target_port, data=b"", sum_=None):
    head = struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0)
    right = checksum(pseudo(source, target, UDP, head + data) + head + data) or 0xFFFF
    return head[:6] + struct.pack(">H", right if sum_ is None else sum_) + data


def tcp(source, target, source_port, target_port, flags=2, seq=1000, ack=0, data=b"", window=65535):
    head = struct.pack(">HHIIBBHHH", source_port, target_port, seq, ack, 0x50, flags, window, 0, 0)
    return head[:16] + struct.pack(">H", checksum(pseudo(source, target, TCP, head + data) + head + data)) + head[18:] + data


def icmp(kind, code=0, rest=0, data=b"", sum_=None):
    head = struct.pack(">BBHI", kind, code, 0, rest)
    return head[:2] + struct.pack(">H", checksum(head + data) if sum_ is None else sum_) + head[4:] + data


def echo(ident, sequence, data=b"", sum_=None):
    return icmp(ECHO, 0, ident << 16 | sequence, data, sum_)


class Packet:
    """A received IPv4 packet. Wrong checksums are an error at once, but for fields that the sender left for its device."""

    def __init__(self, raw, quoted=False):
        self.raw, self.header = raw, (raw[0] & 15) * 4
        (self.tos, self.total, self.ident, self.frag, self.ttl, self.protocol) = struct.unpack(">BHHHBB", raw[1:10])
        self.source, self.target = socket.inet_ntoa(raw[12:16]), socket.inet_ntoa(raw[16:20])
        assert checksum(raw[: self.header]) == 0, "IPv4 header checksum"
        self.body = raw[self.header:] if quoted else raw[self.header: self.total]
        if self.protocol in (TCP, UDP) and not self.frag & 0x1FFF and len(self.body) >= 8:
            self.source_port, self.target_port = struct.unpack(">HH", self.body[:4])
        if self.protocol == UDP and not quoted and not self.frag & 0x3FFF:
            self.data = self.body[8:]
        if self.protocol == ICMP and not self.frag & 0x3FFF:
            assert quoted or checksum(self.body) == 0, "ICMP checksum"
            self.kind, self.code, _, self.rest = struct.unpack(">BBHI", self.body[:8])
            self.data = self.body[8:]

    @property
    def quote(self):
        """The packet that an ICMP error is about."""
        return Packet(self.data, quoted=True)


class Station:
    """A host of frames on an interface of a namespace."""

    def __init__(self, namespace, own, mac=None, interface="eth0"):
        self.own, self.mac = own, mac or bytes([2, 0xC0]) + address(own)
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            index = socket.if_nametoindex(interface)
            self.socket.bind((interface, 0))
        self.socket.setsockopt(263, 1, struct.pack("iHH8s", index, 1, 0, b""))  # PACKET_MR_PROMISC
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
        self.socket.settimeout(0.05)
        self.packets, self.arps, self.open = queue.Queue(), queue.Queue(), True
        self.silent = False
        self.thread = threading.Thread(target=self._collect, daemon=True)
        self.thread.start()
        self.gateway = self.resolve()

    def close(self):
        self.open = False
        self.thread.join()
        self.socket.close()

    def _collect(self):
        while self.open:
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(70000)
            except TimeoutError:
                continue
            except OSError:  # the interface went with its gateway
                return
            if kind == socket.PACKET_OUTGOING or frame[6:12] == self.mac:
                continue
            if frame[12:14] == b"\x08\x06":
                self._arp(frame)
            elif frame[12:14] == b"\x08\0" and frame[:6] in (self.mac, BROADCAST) and frame[30:34] == address(self.own):
                self.packets.put(frame[14:])

    def _arp(self, frame):
        op, target = struct.unpack(">H", frame[20:22])[0], frame[38:42]
        if op == 1 and target == address(self.own) and not self.silent:
            self.arp(2, self.own, socket.inet_ntoa(frame[28:32]), target_mac=frame[22:28], to=frame[6:12])
        if frame[:6] in (self.mac, BROADCAST):
            self.arps.put((op, frame[22:28], socket.inet_ntoa(frame[28:32]), frame[32:38], socket.inet_ntoa(target), frame[:6]))

    def arp(self, op, sender, target, sender_mac=None, target_mac=bytes(6), to=BROADCAST, shape=(1, 0x800, 6, 4), source=None):
        self.frame(struct.pack(">HHBBH", *shape, op) + (sender_mac or self.mac) + address(sender) + target_mac + address(target), to, 0x806, source)

    def frame(self, body, to=None, ethertype=0x800, source=None):
        self.socket.send((to or self.gateway) + (source or self.mac) + struct.pack(">H", ethertype) + body)

    def send(self, target, protocol, body, **options):
        source = options.pop("source", self.own)
        to = options.pop("to", None)
        self.frame(ip(source, target, protocol, body, **options), to)

    def udp(self, target, source_port, target_port, data=b"", sum_=None, **options):
        self.send(target, UDP, udp(options.get("source", self.own), target, source_port, target_port, data, sum_), **options)

    def fragments(self, target, protocol, body, piece=1480, ident=None, **options):
        """The frames of a datagram in pieces of so many bytes, not yet sent."""
        ident = random.getrandbits(16) if ident is None else ident
        return [ip(self.own, target, protocol, body[at: at + piece], ident=ident, frag=at // 8 | (MORE if at + piece < len(body) else 0), **options)
                for at in range(0, len(body), piece)]

    def resolve(self):
        for _ in range(5):
            self.arp(1, self.own, HUB)
            end = time.monotonic() + 1
            while (left := end - time.monotonic()) > 0:
                try:
                    op, mac, sender, *_ = self.arps.get(timeout=left)
                except queue.Empty:
                    break
                if op == 2 and sender == HUB:
                    return mac
        raise AssertionError("the gateway does not answer ARP")

    def wait(self, accept=lambda p: True, seconds=2.0):
        """The next whole packet that is wanted (fragments are put together), or None."""
        end, parts = time.monotonic() + seconds, {}
        while (left := end - time.monotonic()) > 0:
            try:
                p = Packet(self.packets.get(timeout=left))
            except queue.Empty:
                break
            if p.frag & 0x3FFF:
                key = p.source, p.ident, p.protocol
                parts.setdefault(key, {})[(p.frag & 0x1FFF) * 8] = p
                p = joined(parts[key])
            if p and accept(p):
                return p
        return None

    def waits(self, count, accept=lambda p: True, seconds=3.0):
        got, end = [], time.monotonic() + seconds
        while len(got) < count and (left := end - time.monotonic()) > 0:
            p = self.wait(accept, left)
            if p:
                got.append(p)
        return got

    def forget(self):
        for waiting in (self.packets, self.arps):
            while not waiting.empty():
                waiting.get()


def joined(parts):
    """The datagram of all its fragments, or None."""
    at, body = 0, b""
    while at in parts:
        p = parts[at]
        body += p.body
        at += len(p.body)
        if not p.frag & MORE:
            first = parts[0]
            return Packet(ip(first.source, first.target, first.protocol, body, ttl=first.ttl, tos=first.tos, ident=first.ident))
    return None


def error(kind=None, code=None):
    """A filter for ICMP errors."""
    return lambda p: p.protocol == ICMP and p.kind in (UNREACHABLE, EXCEEDED) and kind in (None, p.kind) and code in (None, p.code)


def datagram(source=None, port=None):
    return lambda p: p.protocol == UDP and source in (None, p.source) and port in (None, p.target_port)
