#!/usr/bin/python3
"""Both ends of the transfers in the integration tests: plain kernel sockets, data compared by SHA-256.

peer.py serve ADDRESS            servers on the ports below, until killed
peer.py COMMAND ADDRESS ...      one client action; prints one JSON object
"""
import hashlib, json, random, select, socket, socketserver, struct, sys, threading, time

ECHO, SINK, SOURCE, HALF, ANSWER, RESET, WITNESS, WHO = 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008
BLOCK = random.Random(7).randbytes(1 << 20)
notes = {}


def pattern(total, seed):
    """`total` bytes, different for each seed, in pieces; cheap to make and impossible to get right by accident."""
    done = 0
    while done < total:
        piece = memoryview(BLOCK)[: min(len(BLOCK), total - done)]
        if done % len(BLOCK) == 0:
            yield struct.pack(">QQ", seed, done)[: len(piece)]
            piece = piece[16:]
            done += min(16, total - done)
        yield piece
        done += len(piece)


def pattern_digest(total, seed):
    digest = hashlib.sha256()
    for piece in pattern(total, seed):
        digest.update(piece)
    return digest.hexdigest()


def read_all(connection):
    digest, total = hashlib.sha256(), 0
    while piece := connection.recv(1 << 18):
        digest.update(piece)
        total += len(piece)
    return digest.hexdigest(), total


def read_line(connection):
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            break
        line += byte
    return line.decode().strip()


def abort(connection):
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


# ---- servers ----
def on_echo(c):
    while data := c.recv(65536):
        c.sendall(data)


def on_sink(c):
    digest, total = read_all(c)
    c.sendall(json.dumps({"digest": digest, "bytes": total}).encode())


def on_source(c):
    total, seed = map(int, read_line(c).split())
    for piece in pattern(total, seed):
        c.sendall(piece)


def on_half(c):
    """Closes its own direction first; what it reads afterwards is kept under the client's name for it."""
    name = read_line(c)
    c.sendall(b"bye")
    c.shutdown(socket.SHUT_WR)
    notes[name] = dict(zip(("digest", "bytes"), read_all(c)))


def on_answer(c):
    name = read_line(c)
    for _ in range(100):
        if name in notes:
            break
        time.sleep(0.02)
    c.sendall(json.dumps(notes.get(name)).encode())


def on_reset(c):
    c.recv(1)
    abort(c)


def on_witness(c):
    """Notes how the connection ended: by reset or by an orderly close."""
    name = read_line(c)
    c.sendall(b"!")
    try:
        notes[name] = {"end": "close" if c.recv(1) == b"" else "data"}
    except ConnectionResetError:
        notes[name] = {"end": "reset"}


def on_who(c):
    """Tells the client how the server sees it."""
    c.sendall("{}:{}".format(*c.getpeername()).encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 1024


def serve(address):
    handlers = {ECHO: on_echo, SINK: on_sink, SOURCE: on_source, HALF: on_half, ANSWER: on_answer, RESET: on_reset, WITNESS: on_witness, WHO: on_who}
    for port, function in handlers.items():
        handler = type("Handler", (socketserver.BaseRequestHandler,), {"handle": lambda self, f=function: quietly(f, self.request)})
        server = Server((address, port), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    udp.bind((address, ECHO))
    print("ready", flush=True)
    while True:
        data, peer = udp.recvfrom(65535)
        udp.sendto(f"{peer[0]}:{peer[1]}".encode() if data == b"who" else data, peer)


def quietly(function, connection):
    try:
        function(connection)
    except OSError:
        pass


# ---- clients ----
def connect(address, port, timeout=60):
    c = socket.create_connection((address, port), timeout)
    c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return c


def up(address, total, seed="1"):
    total, seed = int(total), int(seed)
    c = connect(address, SINK, 120)
    begin = time.monotonic()
    for piece in pattern(total, seed):
        c.sendall(piece)
    c.shutdown(socket.SHUT_WR)
    answer = json.loads(c.makefile().read() or "{}")
    return {"ok": answer.get("digest") == pattern_digest(total, seed), "bytes": answer.get("bytes"), "seconds": time.monotonic() - begin}


def down(address, total, seed="2"):
    total, seed = int(total), int(seed)
    c = connect(address, SOURCE, 120)
    begin = time.monotonic()
    c.sendall(f"{total} {seed}\n".encode())
    digest, got = read_all(c)
    return {"ok": digest == pattern_digest(total, seed), "bytes": got, "seconds": time.monotonic() - begin}


def both_ways(address, total, flows, patience="60"):
    """`flows` uploads and as many downloads at once: how each ended, and goodput of all until the last was done."""
    ends, begin, patience = [], time.monotonic(), float(patience)

    def one(direction, seed):
        try:
            end = direction(address, total, seed)
        except OSError as e:
            end = {"ok": False, "error": str(e), "bytes": 0}
        ends.append(dict(end, direction=direction.__name__, seconds=time.monotonic() - begin))

    threads = [threading.Thread(target=one, args=(d, n), daemon=True) for n in range(int(flows)) for d in (up, down)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, begin + patience - time.monotonic()))
    seconds = max([e["seconds"] for e in ends], default=patience) if len(ends) == len(threads) else patience
    good = sum(e["bytes"] or 0 for e in ends if e["ok"])
    return {"ok": sum(e["ok"] for e in ends), "flows": len(threads), "wrong": [e for e in ends if not e["ok"]], "mbits": good * 8 / seconds / 1e6,
            "ways": {d: {"seconds": max([e["seconds"] for e in ends if e["direction"] == d], default=None)} for d in ("up", "down")}}


def half(address, total):
    """The server closes first, then takes `total` bytes."""
    name, total = f"half-{time.time_ns()}", int(total)
    c = connect(address, HALF)
    c.sendall(f"{name}\n".encode())
    greeting, _ = b"", c.settimeout(20)
    while piece := c.recv(64):
        greeting += piece
    for piece in pattern(total, 3):
        c.sendall(piece)
    c.close()
    answer = ask(address, name)
    return {"ok": greeting == b"bye" and answer is not None and answer["digest"] == pattern_digest(total, 3), "answer": answer}


def ask(address, name):
    c = connect(address, ANSWER)
    c.sendall(f"{name}\n".encode())
    return json.loads(c.makefile().read())


def refused(address, port):
    begin = time.monotonic()
    try:
        connect(address, int(port), 10)
        error = "connected"
    except OSError as e:
        error = type(e).__name__
    return {"error": error, "seconds": time.monotonic() - begin}


def reset_from_server(address):
    c = connect(address, RESET)
    c.sendall(b"x")
    try:
        return {"end": "close" if c.recv(1) == b"" else "data"}
    except ConnectionResetError:
        return {"end": "reset"}


def reset_from_guest(address):
    name = f"witness-{time.time_ns()}"
    c = connect(address, WITNESS)
    c.sendall(f"{name}\n".encode())
    c.recv(1)
    abort(c)
    return ask(address, name)


def at_once(address, count):
    """`count` connections open together, each echoes its own kilobyte."""
    connections = [connect(address, ECHO) for _ in range(int(count))]
    for number, c in enumerate(connections):
        c.sendall(bytes([number % 251]) * 1024)
    good = 0
    for number, c in enumerate(connections):
        data = b""
        while len(data) < 1024 and (piece := c.recv(1024 - len(data))):
            data += piece
        good += data == bytes([number % 251]) * 1024
        c.close()
    return {"good": good}


def in_a_row(address, count):
    good, begin = 0, time.monotonic()
    for number in range(int(count)):
        with connect(address, ECHO, 20) as c:
            word = struct.pack(">I", number)
            c.sendall(word)
            good += c.recv(4) == word
    return {"good": good, "seconds": time.monotonic() - begin}


def hold(address, seconds, pace="0.05"):
    """One connection that echoes all the time; the longest silence is the figure."""
    c, worst, count, end = connect(address, ECHO, 30), 0.0, 0, time.monotonic() + float(seconds)
    while time.monotonic() < end:
        word, begin = struct.pack(">Q", count), time.monotonic()
        c.sendall(word)
        data = b""
        while len(data) < 8:
            piece = c.recv(8 - len(data))
            if not piece:
                return {"ok": False, "count": count}
            data += piece
        if data != word:
            return {"ok": False, "count": count}
        worst, count = max(worst, time.monotonic() - begin), count + 1
        time.sleep(float(pace))
    return {"ok": True, "count": count, "worst": worst}


def churn(address, seconds):
    """New connections all the time, failures are only counted: load while something breaks."""
    good = bad = 0
    end = time.monotonic() + float(seconds)
    while time.monotonic() < end:
        try:
            with connect(address, SOURCE, 2) as c:
                c.sendall(b"300000 9\n")
                good += read_all(c)[0] == pattern_digest(300000, 9)
        except OSError:
            bad += 1
            time.sleep(0.02)
    return {"good": good, "bad": bad}


def slow(address, total, pause):
    """A reader that sleeps in the middle: nothing may be lost, nobody else may wait."""
    c = connect(address, SOURCE, 120)
    c.sendall(f"{total} 5\n".encode())
    digest = hashlib.sha256(c.recv(1000))
    time.sleep(float(pause))
    while piece := c.recv(1 << 16):
        digest.update(piece)
    return {"ok": digest.hexdigest() == pattern_digest(int(total), 5)}


def udp(address, *sizes):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    bad = []
    for size in map(int, sizes):
        data = random.Random(size).randbytes(size)
        s.sendto(data, (address, ECHO))
        try:
            answer, peer = s.recvfrom(65535)
            if answer != data or peer != (address, ECHO):
                bad.append([size, "different"])
        except TimeoutError:
            bad.append([size, "lost"])
    return {"ok": not bad, "bad": bad}


def udp_hash(address, count, size):
    """`count` datagrams with at most 32 in flight; every echo is compared by digest."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    wanted, got, sent = set(), set(), 0
    rng = random.Random(11)
    while sent < int(count) or wanted:
        while sent < int(count) and len(wanted) < 32:
            data = struct.pack(">I", sent) + rng.randbytes(int(size) - 4)
            wanted.add(hashlib.sha256(data).digest())
            s.sendto(data, (address, ECHO))
            sent += 1
        try:
            digest = hashlib.sha256(s.recv(65535)).digest()
        except TimeoutError:
            break
        got.add(digest)
        if digest not in wanted:
            return {"ok": False, "wrong": True}
        wanted.discard(digest)
    return {"ok": not wanted, "lost": len(wanted), "echoed": len(got)}


def udp_mapping(*addresses):
    """The outside endpoint that each of several servers sees for one guest socket."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(3)
    seen = []
    for address in addresses:
        s.sendto(b"who", (address, ECHO))
        seen.append(s.recv(100).decode())
    return {"seen": seen, "local_port": s.getsockname()[1]}


def who(address, port="0"):
    """The own endpoint as the server sees it, by TCP, from a chosen local port."""
    c = socket.socket()
    c.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    c.bind(("0.0.0.0", int(port)))
    c.settimeout(20)
    c.connect((address, WHO))
    return {"seen": c.makefile().read(), "own": "{}:{}".format(*c.getsockname())}


def unreachable(address, port):
    """How a connection to a host that is not there ends."""
    begin = time.monotonic()
    try:
        connect(address, int(port), 20)
        error = None
    except OSError as e:
        error = e.errno
    return {"errno": error, "seconds": time.monotonic() - begin}


def udp_refused(address, port):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.connect((address, int(port)))
    s.settimeout(3)
    try:
        s.send(b"x")
        s.recv(1)
        return {"error": "data"}
    except OSError as e:
        return {"error": type(e).__name__}


COMMANDS = [up, down, both_ways, half, refused, reset_from_server, reset_from_guest, at_once, in_a_row, hold, churn, slow, udp, udp_hash, udp_mapping, who, unreachable, udp_refused]

if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(sys.argv[2])
    print(json.dumps({f.__name__: f for f in COMMANDS}[sys.argv[1]](*sys.argv[2:])))
