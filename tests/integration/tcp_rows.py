#!/usr/bin/python3
"""Both ends of the conformance rows for TCP, on plain kernel sockets, and a station of its own that sends segments as no kernel would.

tcp_rows.py serve ADDRESS         servers on the ports below, until killed
tcp_rows.py COMMAND ADDRESS ...   one action; prints one JSON object
"""
import errno, fcntl, hashlib, json, random, resource, select, selectors, socket, socketserver, struct, sys, threading, time
import frames
from peer import Server, pattern, pattern_digest, read_all, read_line

ECHO, LATE, STALL, QUICK, MARK, NAMED, KEEP, NOTES = range(7201, 7209)
notes = {}


# ---- servers ----
def on_late(c):
    """Says nothing before the client has finished; then a mebibyte."""
    digest, total = read_all(c)
    for piece in pattern(1 << 20, 21):
        c.sendall(piece)


def on_stall(c):
    """Stops reading for a while in the middle, then says what came."""
    seconds, digest = float(read_line(c)), hashlib.sha256(c.recv(1000))
    time.sleep(seconds)
    total = 1000
    while piece := c.recv(1 << 18):
        digest.update(piece)
        total += len(piece)
    c.sendall(digest.hexdigest().encode())


def on_quick(c):
    """Sends 200 kB and is gone."""
    for piece in pattern(200000, 22):
        c.sendall(piece)


def read_marked(c, seconds=10):
    """Everything until the end of the stream, and how many bytes lay before the urgent mark (-1: none was seen)."""
    data, mark = b"", -1
    c.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
    c.settimeout(seconds)
    poll = select.poll()
    poll.register(c, select.POLLIN | select.POLLPRI)
    while poll.poll(seconds * 1000):
        if at_mark(c) and mark < 0:
            mark = len(data)
        piece = c.recv(1 if mark == len(data) else 4096)
        if not piece:
            break
        data += piece
    return data, mark


def at_mark(c):
    return struct.unpack("i", fcntl.ioctl(c, 0x8905, b"\0" * 4))[0] != 0  # SIOCATMARK


def send_marked(c):
    """1000 bytes, then 5 of which the last is urgent, then 500."""
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    c.sendall(b"a" * 1000)
    time.sleep(0.2)
    c.send(b"bbbbU", socket.MSG_OOB)
    time.sleep(0.2)
    c.sendall(b"c" * 500)
    c.shutdown(socket.SHUT_WR)


def on_mark(c):
    """Sends a marked stream, then says what it saw of the client's."""
    send_marked(c)
    data, mark = read_marked(c)
    notes["mark"] = {"bytes": len(data), "mark": mark, "right": data == b"a" * 1000 + b"bbbbU" + b"c" * 500}


def on_named(c):
    c.sendall("{}:{}".format(*c.getpeername()).encode() + b"\n")
    while c.recv(100):
        pass


def on_keep(c):
    """Reads all, sends nothing, keeps the digest."""
    name = read_line(c)
    notes[name] = read_all(c)[0]


def on_notes(c):
    name, end = read_line(c), time.monotonic() + 3
    while name not in notes and time.monotonic() < end:
        time.sleep(0.01)
    c.sendall(json.dumps(notes.pop(name, None)).encode())


def echo_many(address):
    """Ten thousand connections are too many threads."""
    poll, listener = selectors.DefaultSelector(), socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, ECHO))
    listener.listen(4096)
    poll.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in poll.select():
            if key.fileobj is listener:
                poll.register(listener.accept()[0], selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
                if data:
                    key.fileobj.sendall(data)
            except OSError:
                data = b""
            if not data:
                poll.unregister(key.fileobj)
                key.fileobj.close()


def serve(address):
    files()
    for port, function in {LATE: on_late, STALL: on_stall, QUICK: on_quick, MARK: on_mark, NAMED: on_named, KEEP: on_keep, NOTES: on_notes}.items():
        handler = type("Handler", (socketserver.BaseRequestHandler,), {"handle": lambda self, f=function: f(self.request)})
        threading.Thread(target=Server((address, port), handler).serve_forever, daemon=True).start()
    print("ready", flush=True)
    echo_many(address)


# ---- clients: plain sockets ----
def files():
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)


def connect(address, port, local=0, timeout=20, options=(), own="0.0.0.0"):
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    for level, name, value in options:
        c.setsockopt(level, name, value)
    if local:
        c.bind((own, local))
    c.settimeout(timeout)
    c.connect((address, port))
    return c


def mapping(address, other, local):
    """The outside endpoint that three far endpoints see of one local one, all connections open at once."""
    flows = [connect(a, p, int(local)) for a, p in ((address, NAMED), (other, NAMED), (other, 7008))]
    seen = [c.recv(100).decode().strip() for c in flows]
    return {"seen": seen}


def silent(address, port, seconds):
    begin = time.monotonic()
    try:
        connect(address, int(port), timeout=float(seconds))
        return {"end": "connected"}
    except OSError as e:
        return {"end": type(e).__name__, "seconds": time.monotonic() - begin}


def late(address):
    """T5: the guest finishes first and then gets a mebibyte."""
    c = connect(address, LATE)
    for piece in pattern(100000, 20):
        c.sendall(piece)
    c.shutdown(socket.SHUT_WR)
    digest, total = read_all(c)
    return {"ok": digest == pattern_digest(1 << 20, 21), "bytes": total}


def stall(address, total, seconds):
    """T12: the far end stops reading for a while; nothing is lost."""
    c = connect(address, STALL, timeout=60)
    c.sendall(f"{seconds}\n".encode())
    for piece in pattern(int(total), 23):
        c.sendall(piece)
    c.shutdown(socket.SHUT_WR)
    return {"ok": c.makefile().read() == pattern_digest(int(total), 23)}


def quick(address, count):
    """T13: the far end closes right after its last byte."""
    good = 0
    for _ in range(int(count)):
        digest, _ = read_all(connect(address, QUICK))
        good += digest == pattern_digest(200000, 22)
    return {"good": good}


def ask(address, name):
    c = connect(address, NOTES)
    c.sendall(f"{name}\n".encode())
    return json.loads(c.makefile().read())


def quick_up(address, count):
    """T13 the other way: the guest is gone right after its last byte."""
    good = 0
    for number in range(int(count)):
        name, c = f"quick-{time.time_ns()}", connect(address, KEEP)
        c.sendall(f"{name}\n".encode())
        for piece in pattern(200000, 24):
            c.sendall(piece)
        c.close()
        good += ask(address, name) == pattern_digest(200000, 24)
    return {"good": good}


def marked(address):
    """T8b: an urgent byte each way, in its place."""
    c = connect(address, MARK)
    data, mark = read_marked(c)
    send_marked(c)
    return {"guest": {"bytes": len(data), "mark": mark, "right": data == b"a" * 1000 + b"bbbbU" + b"c" * 500}, "server": ask(address, "mark")}


def connect_soon(address, port, local):
    """Once the guest's own kernel has let go of the tuple: its LAST-ACK lasts a round trip."""
    end = time.monotonic() + 2
    while True:
        try:
            return connect(address, port, local, timeout=5)
        except OSError as e:
            if e.errno != errno.EADDRNOTAVAIL or time.monotonic() > end:
                raise
        time.sleep(0.002)


def tuple_again(address, port, local, count, pause="0"):
    """T16: the same four numbers again and again, closed by the far end (port QUICK) or by the guest (any other)."""
    good, port, local = 0, int(port), int(local)
    for number in range(int(count)):
        c = connect_soon(address, port, local)
        if port == QUICK:
            good += read_all(c)[1] == 200000
        else:
            c.sendall(b"again")
            good += c.recv(5) == b"again"
        c.close()
        time.sleep(float(pause) if number + 1 < int(count) else 0)
    return {"good": good}


def meet(address, port, local, own="0.0.0.0"):
    """T9: connects and says hello; used by both ends, so that their SYNs cross."""
    c = connect(address, int(port), int(local), 10, own=own)
    c.sendall(b"hello")
    return {"heard": c.recv(5).decode()}


def info(c):
    raw = c.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    u32 = lambda at: struct.unpack_from("=I", raw, at)[0]
    return {"options": raw[5], "scale": raw[6] & 15, "snd_mss": u32(16), "pmtu": u32(60), "segs_in": u32(140), "data_segs_in": u32(152), "bytes_in": struct.unpack_from("=Q", raw, 128)[0]}


def shape(address, mss=0):
    """A megabyte down with what the guest's kernel agreed to; `mss`: the guest offers that."""
    c = connect(address, 7003, options=[(socket.IPPROTO_TCP, socket.TCP_MAXSEG, int(mss))] if int(mss) else ())
    c.sendall(b"1000000 5\n")
    digest, total = hashlib.sha256(), 0
    while total < 1000000 and (piece := c.recv(1 << 18)):
        digest.update(piece)
        total += len(piece)
    return dict(info(c), ok=digest.hexdigest() == pattern_digest(1000000, 5))


def quiet(address, seconds):
    """T17: an idle connection whose keepalives must be answered, or the kernel ends it after three seconds."""
    c = connect(address, ECHO, options=[(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1),
                                        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1), (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 2)])
    c.sendall(b"a")
    c.recv(1)
    before = info(c)["segs_in"]
    time.sleep(float(seconds))
    answered = info(c)["segs_in"] - before
    c.sendall(b"b")
    return {"ok": c.recv(1) == b"b", "answered": answered}


def hold_idle(address, count, seconds="1"):
    """So many connections at once; each answers, is left idle, and answers again."""
    files()
    flows, refused = [], 0
    for _ in range(int(count)):
        try:
            flows.append(connect(address, ECHO))
        except OSError:
            refused += 1

    def round_of(word):
        for c in flows:
            c.sendall(word)
        return sum(c.recv(1) == word for c in flows)

    first = round_of(b"1")
    print(json.dumps({"opened": len(flows), "refused": refused, "first": first}), flush=True)
    if seconds == "wait":
        sys.stdin.readline()
    else:
        time.sleep(float(seconds))
    return {"opened": len(flows), "refused": refused, "first": first, "again": round_of(b"2")}


def opens(address, port=ECHO):
    """How long a new connection takes, to its first byte."""
    begin = time.monotonic()
    c = connect(address, int(port))
    c.sendall(b"x")
    return {"ok": c.recv(1) == b"x", "seconds": time.monotonic() - begin}


# ---- segments by hand ----
def segment(source, target, ports, seq, ack, flags, options=b"", payload=b"", window=65535):
    options += b"\0" * (-len(options) % 4)
    head = struct.pack(">HHIIBBHHH", *ports, seq & 0xFFFFFFFF, ack & 0xFFFFFFFF, (20 + len(options)) // 4 << 4, flags, window, 0, 0) + options
    pseudo = source + target + struct.pack(">BBH", 0, 6, len(head) + len(payload))
    total = frames.checksum(pseudo + head + payload)
    return head[:16] + struct.pack(">H", total) + head[18:] + payload


class Station:
    """A neighbour on the hub with its own MAC and address, which answers ARP itself: no kernel resets what it opens."""

    def __init__(self, interface, address="192.168.30.246"):
        self.wire, self.address = frames.Wire(interface), socket.inet_aton(address)
        self.mac, self.gateway = bytes.fromhex("0200000000f0"), None
        ask = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + self.mac + self.address + bytes(6) + frames.GATEWAY
        self.wire.send(frames.BROADCAST, self.mac, 0x0806, ask)
        self.wait(lambda f: None, 2, until=lambda: self.gateway)

    def wait(self, want, seconds, until=lambda: None):
        """The first result of `want` for a frame to this station, None when time is up; ARP is answered meanwhile."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and not until():
            self.wire.socket.settimeout(left)
            try:
                frame = self.wire.socket.recv(70000)
            except TimeoutError:
                break
            if frame[12:14] == b"\x08\x06" and frame[38:42] == self.address:
                self.gateway = self.gateway or (frame[22:28] if frame[20:22] == b"\0\x02" else None)
                if frame[20:22] == b"\0\x01":
                    reply = struct.pack(">HHBBH", 1, 0x800, 6, 4, 2) + self.mac + self.address + frame[22:32]
                    self.wire.send(frame[6:12], self.mac, 0x0806, reply)
            elif frame[:6] == self.mac and frame[12:14] == b"\x08\0" and (found := want(frame)):
                return found
        return None

    def send(self, target, ports, seq, ack, flags, **more):
        target = socket.inet_aton(target)
        self.wire.send(self.gateway, self.mac, 0x0800, frames.ip(6, self.address, target, segment(self.address, target, ports, seq, ack, flags, **more)))

    def hear(self, ports, seconds=2.0):
        """The next segment of that conversation: seq, ack, flags, window, options, payload."""

        def want(frame):
            at = 14 + (frame[14] & 15) * 4
            if frame[23] != 6 or struct.unpack_from(">HH", frame, at) != (ports[1], ports[0]):
                return None
            seq, ack, offset, flags, window = struct.unpack_from(">IIBBH", frame, at + 4)
            end = 14 + struct.unpack_from(">H", frame, 16)[0]
            return {"seq": seq, "ack": ack, "flags": flags, "window": window, "options": frame[at + 20:at + (offset >> 4) * 4].hex(), "payload": frame[at + (offset >> 4) * 4:end]}

        return self.wait(want, seconds)

    def open(self, target, port, options=bytes.fromhex("020405b4")):
        ports, seq = (random.randrange(20000, 60000), port), random.getrandbits(32)
        self.send(target, ports, seq, 0, 2, options=options)
        answer = self.hear(ports)
        self.send(target, ports, seq + 1, answer["seq"] + 1, 16)
        return ports, seq + 1, answer["seq"] + 1, answer


FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def refusal(address, port):
    """T3b: the reset that a refused SYN gets (RFC 9293 3.10.7.1: sequence 0, acknowledging the SYN)."""
    s, ports, seq = Station("eth0"), (random.randrange(20000, 60000), int(port)), random.getrandbits(32)
    s.send(address, ports, seq, 0, SYN)
    answer = s.hear(ports)
    return {"flags": answer["flags"], "seq": answer["seq"], "exact": answer["ack"] == (seq + 1) & 0xFFFFFFFF}


def probes(address):
    """S21: keepalive probes of both kinds, before the window with no byte and with one; each gets the current acknowledgement."""
    s = Station("eth0")
    ports, seq, ack, _ = s.open(address, ECHO)
    answers = []
    for payload in (b"", b"\0"):
        s.send(address, ports, seq - 1, ack, ACK, payload=payload)
        heard = s.hear(ports)
        answers.append(bool(heard and heard["flags"] == ACK and heard["ack"] == seq and heard["seq"] == ack))
    s.send(address, ports, seq, ack, RST)
    return {"answers": answers}


def offers(address, mss):
    """S2, S3: a SYN that asks for nothing but perhaps an MSS; what comes back, and the longest payload of a burst."""
    s, mss = Station("eth0"), int(mss)
    ports, seq, ack, answer = s.open(address, 7003, options=struct.pack(">BBH", 2, 4, mss) if mss else b"")
    s.send(address, ports, seq, ack, ACK | PSH, payload=b"100000 1\n")
    longest = 0
    for _ in range(40):
        heard = s.hear(ports, 0.3)
        if not heard:
            break
        longest = max(longest, len(heard["payload"]))
        if heard["payload"]:
            ack = heard["seq"] + len(heard["payload"])
            s.send(address, ports, seq + 9, ack, ACK)
    s.send(address, ports, seq + 9, ack, RST)
    return {"options": answer["options"], "longest": longest}


def flood(address, port, count, own):
    """S20: so many SYNs from the guest's own address, ports and sequence numbers by chance."""
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    own, far, rng = socket.inet_aton(own), socket.inet_aton(address), random.Random(20)
    for number in range(int(count)):
        body = segment(own, far, (1024 + rng.randrange(64000), int(port)), rng.getrandbits(32), 0, SYN, options=bytes.fromhex("020405b4"))
        s.sendto(frames.ip(6, own, far, body), (address, 0))
        if number % 500 == 499:
            time.sleep(0.01)
    return {"sent": int(count)}


def forge(address, interface):
    """T10: waits for a TCP segment of that source and complains about it by ICMP in every way, with its own number and with wrong ones."""
    listen = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    listen.bind((interface, 0))
    listen.settimeout(10)
    while True:
        frame = listen.recv(70000)
        if frame[12:14] == b"\x08\0" and frame[23] == 6 and frame[26:30] == socket.inet_aton(address) and len(frame) > 66:
            break
    s, sent = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP), 0
    seq = struct.unpack_from(">I", frame, 38)[0]
    for number in (seq, (seq + 0x40000000) & 0xFFFFFFFF, 0):
        quote = frame[14:38] + struct.pack(">I", number) + frame[42:66]
        for kind, code in ((3, 0), (3, 1), (3, 2), (3, 3), (3, 13), (4, 0), (11, 0), (12, 0)):
            body = struct.pack(">BBHI", kind, code, 0, 0) + quote
            s.sendto(body[:2] + struct.pack(">H", frames.checksum(body)) + body[4:], (address, 0))
            sent += 1
    return {"sent": sent}


COMMANDS = [mapping, silent, late, stall, quick, quick_up, marked, tuple_again, meet, shape, quiet, hold_idle, opens, refusal, probes, offers, flood, forge]

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    command = {f.__name__: f for f in COMMANDS}[sys.argv[1]]
    print(json.dumps(command(*sys.argv[2:2 + command.__code__.co_argcount])))
