"""A telephone and a manager that speak SCCP as protocol versions 11, 17 and 22 have it, and media that go to where messages said.

Both ends are in one process, so that what one says and what the other hears of it is known byte by byte.
"""
import hashlib, random, socket, struct
from packets import inside, open_socket

REGISTER, RECEIVING, FAILED, VIDEO_RECEIVING = 0x01, 0x22, 0x2A, 0x31
ACCEPTED, START, STOP, ASK, CLOSE, VIDEO_ASK, VIDEO_START, VIDEO_STOP, VIDEO_CLOSE = 0x81, 0x8A, 0x8B, 0x105, 0x106, 0x131, 0x132, 0x133, 0x136
SENDING, VIDEO_SENDING = 0x154, 0x155
TYPED, DATAGRAMS, MSS = 17, 5, 88
AUDIO = {"ask": ASK, "receiving": RECEIVING, "start": START, "sending": SENDING, "close": CLOSE, "stop": STOP}
VIDEO = {"ask": VIDEO_ASK, "receiving": VIDEO_RECEIVING, "start": VIDEO_START, "sending": VIDEO_SENDING, "close": VIDEO_CLOSE, "stop": VIDEO_STOP}


def words(*values):
    return struct.pack(f"<{len(values)}I", *values)


class Pair:
    """Two neighbouring ports for media, the first one even."""

    def __init__(self, where, address, port):
        self.address, self.port = address, port
        self.sockets = [open_socket(where, at=(address, port + n), timeout=1) for n in (0, 1)]

    def sends(self, to, port):
        """To a pair; the hash of it."""
        data = [[random.randbytes(172) for _ in range(DATAGRAMS)] for _ in self.sockets]
        for n, s in enumerate(self.sockets):
            for datagram in data[n]:
                s.sendto(datagram, (to, port + n))
        return [hashlib.sha256(b"".join(part)).hexdigest() for part in data]

    def hears(self):
        """The hash of what comes, and the pair that it comes from; None: not all came."""
        hashes, sources = [], set()
        for n, s in enumerate(self.sockets):
            data = b""
            for _ in range(DATAGRAMS):
                try:
                    datagram, (address, port) = s.recvfrom(2000)
                except TimeoutError:
                    return None, sources
                data, sources = data + datagram, sources | {(address, port - n)}
            hashes.append(hashlib.sha256(data).hexdigest())
        return hashes, sources

    def close(self):
        for s in self.sockets:
            s.close()


def arrive(sender, to, receiver, known_as):
    """Whether media come whole, and from where their sender said that it is."""
    sent = sender.sends(*to)
    heard, sources = receiver.hears()
    return sent == heard and sources == {known_as}


class Line:
    """A connection of a telephone to a manager. Ends: 0 the telephone, 1 the manager."""

    def __init__(self, phone, manager, at=None, version=22, header=0, mss=None, journal=None):
        """phone: (namespace, address); manager: a listening socket."""
        self.version, self.header, self.journal, self.left = version, header, journal if journal is not None else [], [b"", b""]
        client = open_socket(phone[0], socket.SOCK_STREAM, at=(phone[1], 0), timeout=5)
        if mss:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.connect(at or manager.getsockname())
        self.ends = [client, manager.accept()[0]]
        self.ends[1].settimeout(5)

    def message(self, end):
        s = self.ends[end]
        while len(self.left[end]) < 12 or len(self.left[end]) < 8 + struct.unpack_from("<I", self.left[end])[0]:
            piece = s.recv(65536)
            assert piece, "the connection ended"
            self.left[end] += piece
        n = 8 + struct.unpack_from("<I", self.left[end])[0]
        whole, self.left[end] = self.left[end][:n], self.left[end][n:]
        return whole

    def say(self, end, number, body=b"", header=None):
        """What the other end hears of it: the body."""
        header = self.header if header is None else header
        sent = struct.pack("<III", 4 + len(body), header, number) + body
        self.ends[end].sendall(sent)
        came = self.message(1 - end)
        assert len(came) == len(sent) and came[:12] == sent[:12]
        self.journal.append((end, self.version if header or self.version < TYPED else None, sent, came))
        return came[12:]

    def address(self, ip):
        return words(0) + socket.inet_aton(ip) + bytes(12) if self.version >= TYPED else socket.inet_aton(ip)

    def endpoint(self, body, at):
        """An address and the port behind it."""
        at += 4 if self.version >= TYPED else 0
        behind = at + (16 if self.version >= TYPED else 4)
        return socket.inet_ntoa(body[at:at + 4]), struct.unpack_from("<I", body, behind)[0]

    def register(self, address):
        """As whom the manager knows the telephone."""
        body = b"SEP001122334455\0" + words(0, 1) + socket.inet_aton(address) + words(7, 5, 0, self.version, 0)
        heard = self.say(0, REGISTER, body, 0)
        self.say(1, ACCEPTED, words(30) + b"D/M/YA\0\0" + words(30, self.version), 0)
        return socket.inet_ntoa(heard[24:28])

    def ask(self, kind, call, source="0.0.0.0"):
        """The telephone is to receive."""
        if kind is VIDEO:
            return self.say(1, VIDEO_ASK, words(call, call, 101, 1, call, 0, 96, 0) + bytes(160))
        tail = bytes(8) + self.address(source) + words(4000) + (words(0) if self.version >= 16 else b"")
        return self.say(1, ASK, words(call, call, 20, 4, 0, 0, call) + bytes(64) + tail)

    def receiving(self, kind, call, ip, port):
        """It does, there; where the manager heard that it does."""
        return self.endpoint(self.say(0, kind["receiving"], words(0) + self.address(ip) + words(port, call, call)), 4)

    def start(self, kind, call, ip, port):
        """It is to send there; where it heard that it is to."""
        before = words(call, call, 101) if kind is VIDEO else words(call, call)
        return self.endpoint(self.say(1, kind["start"], before + self.address(ip) + words(port) + bytes(160)), len(before))

    def sending(self, kind, call, ip, port):
        """It does, from there."""
        return self.endpoint(self.say(0, kind["sending"], words(call, call, call) + self.address(ip) + words(port, 0)), 12)

    def over(self, kind, call):
        for what in ("close", "stop"):
            self.say(1, kind[what], words(call, call, call, 0))

    def close(self):
        for s in self.ends:
            s.close()


def manager_at(where, address, port=2000, mss=None):
    with inside(where):
        s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if mss:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
    s.bind((address, port))
    s.listen()
    s.settimeout(5)
    return s
