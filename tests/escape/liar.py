"""A captured worker's words, spoken by root from outside: takes a live worker's place towards its neighbours.

    place = Place(gateway, "alg"); place.stop(); place.send(...) ...

The worker is stopped (SIGSTOP), its channels are copied (pidfd_getfd), its rings and arenas are written through its own mappings
(/proc/PID/mem): what reaches the neighbour is what an attacker inside that worker could send, from the same sockets and the same
memory. Numbers come from topology.def, ring_ops.def and the .proto files; the layout of a ring is ipc/ring.h's.
"""
import array, ctypes, json, os, pathlib, random, re, select, signal, socket, struct, subprocess, sys, tempfile, time

IPC = pathlib.Path(__file__).resolve().parents[2] / "ipc"
_folder = tempfile.TemporaryDirectory(prefix="natlock-proto-")
subprocess.run(["protoc", f"--proto_path={IPC}", f"--python_out={_folder.name}", *[p.name for p in IPC.glob("*.proto")]], check=True)
sys.path.insert(0, _folder.name)
import broker_dhcpd_pb2, broker_netstack_pb2, natproxy_alg_pb2, netstack_natproxy_pb2, super_pb2  # noqa: E402

_libc = ctypes.CDLL(None, use_errno=True)
PIDFD_GETFD, RING_SLOTS, DESC, HEADERS, DESC_BYTES = 438, 4096, 192, 192 + 64 * 4096, 64
HEAD, TAIL, RECORD_MAX, DESCRIPTORS_MAX = 0, 64, 65536, 16


def rows(name, macro):
    text = (IPC / name).read_text()
    return [[part.strip().strip('"') for part in row.split(",")] for row in re.findall(rf"^{macro}\((.*)\)$", text, re.M)]


FD = {(actor.lower(), name): int(first) for actor, name, first, _ in rows("topology.def", "FD")}
OPS = {(row[0].lower(), row[1].lower(), row[2]): (number, row[3]) for number, row in enumerate(rows("ring_ops.def", "OP"), 1)}
WRAPPERS = {}
for _module in (broker_dhcpd_pb2, broker_netstack_pb2, natproxy_alg_pb2, netstack_natproxy_pb2, super_pb2):
    for _name, _type in vars(_module).items():
        _ends = re.fullmatch(r"(Broker|Netstack|Natproxy|Dhcpd|Alg|Super)To(Broker|Netstack|Natproxy|Dhcpd|Alg|Super)", _name)
        if _ends:
            WRAPPERS[tuple(end.lower() for end in _ends.groups())] = _type


def getfd(pid, number):
    """A copy of another process's descriptor."""
    pidfd = os.pidfd_open(pid)
    try:
        fd = _libc.syscall(PIDFD_GETFD, pidfd, number, 0)
        if fd < 0:
            raise OSError(ctypes.get_errno(), f"pidfd_getfd {number} of {pid}")
        return fd
    finally:
        os.close(pidfd)


def facts(pid):
    """(descriptors, resident KiB) of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return len(os.listdir(f"/proc/{pid}/fd")), int(re.search(r"VmRSS:\s+(\d+)", status)[1])


def is_there(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


# ---- what is said on channels ----
def fill(message, rng, depth=0):
    """Well-formed, with anything in it."""
    for field in message.DESCRIPTOR.fields:
        if field.containing_oneof or rng.random() < 0.25:
            continue
        repeated = field.label == field.LABEL_REPEATED
        for _ in range(rng.choice((0, 1, 3)) if repeated else 1):
            if field.message_type:
                if depth < 4:
                    fill(getattr(message, field.name).add() if repeated else getattr(message, field.name), rng, depth + 1)
                continue
            value = any_value(field, rng)
            if repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


def any_value(field, rng):
    if field.type == field.TYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if field.type == field.TYPE_STRING:
        return rng.choice(("", "ftp", "%s%n", "../../etc", "x" * rng.randrange(300), "\x1b]0;\n\r"))
    if field.type == field.TYPE_BYTES:
        return rng.randbytes(rng.choice((0, 1, 6, 64, 600, 1600, 40000)))
    if field.type == field.TYPE_BOOL:
        return rng.random() < 0.5
    small = field.type in (field.TYPE_UINT32, field.TYPE_FIXED32)
    return rng.choice((0, 1, 7, 1023, 65535, 65536, 2**31, 2**32 - 1, rng.randrange(2**32)) + (() if small else (2**63, 2**64 - 1)))


def absurd(ends, rng, name=None):
    """A message of this edge whose every value may be absurd."""
    wrapper = WRAPPERS[ends]()
    name = name or rng.choice(wrapper.DESCRIPTOR.fields).name
    getattr(wrapper, name).SetInParent()
    fill(getattr(wrapper, name), rng)
    return wrapper.SerializeToString()


def mutated(ends, rng):
    data = bytearray(absurd(ends, rng) or b"\0")
    for _ in range(rng.randrange(1, 8)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def wrong_type(ends, rng):
    """Another edge's message, under a number that this edge does not have."""
    data = bytearray(absurd(rng.choice([other for other in WRAPPERS if other != ends]), rng))
    return bytes([0xea, 0x3f]) + bytes([len(data) & 0x7f]) + bytes(data[:len(data) & 0x7f]) or b"\0"


def _nest(depth):
    data = b"\x08\x01"
    for _ in range(depth):
        length, n = bytearray(), len(data)
        while n > 127:
            length.append(n & 127 | 128)
            n >>= 7
        data = b"\x0a" + bytes(length) + bytes([n]) + data
    return data + b"\xff"


NESTED = [_nest(depth) for depth in (10, 100, 1000, 3000)]


def nested(ends, rng):
    """Lengths within lengths, thousands deep."""
    return rng.choice(NESTED)


def event(text, rng):
    return super_pb2.operator__pb2.EventRow(event="tcp_created", text=text, session=rng.randrange(2**32)).SerializeToString()


def lease(rng, ip=None, state=0):
    """A binding of an address that this hub may well not have."""
    wrapper = WRAPPERS["dhcpd", "super"]()
    commit = wrapper.lease_commit
    commit.sequence = rng.randrange(2**63)
    commit.lease.ip_be, commit.lease.mac, commit.lease.state = ip or rng.randrange(1, 2**32), rng.randbytes(6), state
    commit.lease.created_ms, commit.lease.expires_ms, commit.lease.host_name = 0, 2**62, f"h{rng.randrange(10**6)}" + "x" * 50
    return wrapper.SerializeToString()


MALFORMED = {
    "rubbish": lambda ends, rng: b"\xff" + rng.randbytes(rng.randrange(2000)),
    "mutated": mutated,
    "wrong type": wrong_type,
    "truncated": lambda ends, rng: (b"\x0a\x7f" + absurd(ends, rng))[:rng.randrange(2, 100)],
    "nested": nested,
    "empty": lambda ends, rng: b"",
    "oversized": lambda ends, rng: bytes(RECORD_MAX + rng.randrange(1, 4096)),
}


class Luggage:
    """Descriptors to attach: a socket in its own queue, a pidfd, a folder, a connection whose close waits for its far end."""

    def __init__(self):
        self.loop = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.loop[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno() for s in self.loop]))])
        self.pidfd, self.folder = os.pidfd_open(os.getpid()), os.open("/", os.O_RDONLY | os.O_DIRECTORY)

    def some(self, rng, count):
        return [rng.choice((self.loop[0].fileno(), self.loop[1].fileno(), self.pidfd, self.folder)) for _ in range(count)]

    def close(self):
        for s in self.loop:
            s.close()
        os.close(self.pidfd)
        os.close(self.folder)


class Place:
    """A worker and the copies of what it holds."""

    def __init__(self, pid, actor):
        self.pid, self.actor, self.copies, self.mem = pid, actor, {}, None
        self.sent = self.blocked = self.refused = 0

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        for copy in self.copies.values():
            copy.close()
        if self.mem is not None:
            os.close(self.mem)
        if is_there(self.pid):
            os.kill(self.pid, signal.SIGCONT)

    def number(self, peer, shard=0):
        return FD[self.actor, f"CH_{peer.upper()}"] + (shard if self.actor == "broker" else 0)

    def channel(self, peer, shard=0):
        if (peer, shard) not in self.copies:
            self.copies[peer, shard] = socket.socket(fileno=getfd(self.pid, self.number(peer, shard)))
        return self.copies[peer, shard]

    def reaches(self, peer, shard=0):
        """Whether somebody is at the other end: a broker has its channel to a new shard a little after that one serves. To be asked of one that runs."""
        try:
            copy = getfd(self.pid, self.number(peer, shard))
        except OSError:  # it has gone, or has none yet
            return False
        with socket.socket(fileno=copy):
            ends = select.poll()
            ends.register(copy, 0)
            return not ends.poll(0)

    def say(self, peer, data, descriptors=(), shard=0):
        """Whether the socket took it."""
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
        try:
            self.channel(peer, shard).sendmsg([data], ancillary, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
            self.sent += 1
            return True
        except BlockingIOError:
            self.blocked += 1
        except OSError:  # the kernel takes no descriptors here, or nobody is there any more
            self.refused += 1
        return False

    def persist(self, peer, records, receiver, seconds=4.0, shard=0):
        """Sends all of them, then waits: until this worker or the receiver (a pid) is gone. A full socket is tried again. Whether it is this one."""
        end = time.monotonic() + seconds
        for data, descriptors in records:
            while is_there(self.pid) and is_there(receiver) and not self.say(peer, data, descriptors, shard) and not descriptors and time.monotonic() < end:
                time.sleep(0.002)
        while is_there(self.pid) and is_there(receiver) and time.monotonic() < end:
            time.sleep(0.005)
        return self.dies(0.2 if not is_there(receiver) else 0)

    def dies(self, seconds):
        end = time.monotonic() + seconds
        while is_there(self.pid):
            if time.monotonic() >= end:
                return False
            time.sleep(0.005)
        return True

    # ---- what is written into rings ----
    def maps(self, pid=None):
        found = []
        for line in pathlib.Path(f"/proc/{pid or self.pid}/maps").read_text().splitlines():
            words = line.split(None, 5)
            if len(words) == 6 and "natlock" in words[5]:
                found.append((int(words[0].split("-")[0], 16), words[1], int(words[4]), words[5]))
        return found

    def ring(self, peer_pid):
        """Where the own half of the ring with that process lies: it alone is writable here and readable there."""
        theirs = {inode for _, mode, inode, name in self.maps(peer_pid) if mode.startswith("r--") and "ring" in name}
        mine = [base for base, mode, inode, name in self.maps() if mode.startswith("rw") and "ring" in name and inode in theirs]
        assert len(mine) == 1, (self.actor, mine, is_there(peer_pid), is_there(self.pid))
        if self.mem is None:
            self.mem = os.open(f"/proc/{self.pid}/mem", os.O_RDWR)
        return Ring(self.mem, mine[0])

    def bell(self, peer, shard=0):
        name = {"broker": "BELL_BROKER", "netstack": "BELL_NETSTACK", "natproxy": "BELL_NATPROXY"}[peer]
        return getfd(self.pid, FD[self.actor, name] + (shard if self.actor == "broker" else 0))


class Ring:
    """The half of a pair of rings that this worker writes."""

    def __init__(self, mem, base):
        self.mem, self.base = mem, base

    def index(self, at):
        data = os.pread(self.mem, 4, self.base + at)
        if len(data) < 4:
            raise ProcessLookupError("its memory is gone")
        return struct.unpack("I", data)[0]

    def set_index(self, at, value):
        os.pwrite(self.mem, struct.pack("I", value & 0xffffffff), self.base + at)

    def slot(self, index):
        return self.base + DESC + (index % RING_SLOTS) * DESC_BYTES

    def put(self, descriptors, headers=None):
        """Publishes them at once."""
        head = self.index(HEAD)
        for n, descriptor in enumerate(descriptors):
            os.pwrite(self.mem, descriptor, self.slot(head + n))
            if headers:
                os.pwrite(self.mem, headers[n], self.base + HEADERS + ((head + n) % RING_SLOTS) * 128)
        self.set_index(HEAD, head + len(descriptors))
        return head


def seg(off, length, id_):
    return struct.pack("<III", off & 0xffffffff, length & 0xffffffff, id_ & 0xffffffff)


def buffer_id(arena, index):
    return (arena << 28 | (index + 1)) & 0xffffffff


def descriptor(op, nseg=0, hlen=0, flow=0, arg=0, rest=b""):
    return struct.pack("<BBHIQ", op, nseg & 255, hlen & 0xffff, flow & 0xffffffff, arg & (2**64 - 1)) + rest.ljust(48, b"\0")[:48]


ARENA = {"broker": 1, "netstack": 2, "natproxy": 3}
OWN = {"broker": 1, "netstack": 2, "natproxy": 3}


def ops(ends):
    """{kind: [numbers]} of the operations of a direction."""
    found = {}
    for (source, target, _), (number, kind) in OPS.items():
        if (source, target) == ends:
            found.setdefault(kind, []).append(number)
    return found


def _with_payload(ends, rng, segment, nseg=1):
    kinds = ops(ends)
    kind = rng.choice([k for k in ("SEG", "RUN", "HEADER") if k in kinds])
    return descriptor(rng.choice(kinds[kind]), nseg, 0, _flow(rng), rng.getrandbits(64), segment * 4)


def _ids(ends, ids):
    return descriptor(ops(ends)["IDS"][0], len(ids), 0, 0, 0, b"".join(struct.pack("<I", i) for i in ids)) if "IDS" in ops(ends) else descriptor(255)


def _flow(rng):
    """One of a few live flows, or of nobody."""
    return rng.choice((rng.getrandbits(32), rng.randrange(8) << 16 | rng.randrange(16)))


def _random(ends, rng):
    known = [number for (source, target, _), (number, _) in OPS.items() if (source, target) == ends]
    return descriptor(rng.choice(known + [0, 255]), rng.choice((0, 1, 2, 4, 5, 12, 255)), rng.choice((0, 1, 14, 116, 117, 65535)), _flow(rng), rng.choice((0, 1, rng.getrandbits(16), rng.getrandbits(64))), rng.randbytes(48))


DESCRIPTORS = {
    "4 GiB": lambda ends, rng: _with_payload(ends, rng, seg(0, 0xffffffff, buffer_id(OWN[ends[0]], rng.randrange(4608)))),
    "offset wraps": lambda ends, rng: _with_payload(ends, rng, seg(0xffffffff, 2, buffer_id(OWN[ends[0]], 0))),
    "index out of range": lambda ends, rng: _with_payload(ends, rng, seg(0, 64, buffer_id(OWN[ends[0]], rng.randrange(4608, 1 << 27)))),
    "foreign arena": lambda ends, rng: _with_payload(ends, rng, seg(0, 64, buffer_id(rng.choice((0, 4, 9, 15, OWN[ends[1]])), 0))),
    "too many pieces": lambda ends, rng: _with_payload(ends, rng, seg(0, 64, buffer_id(OWN[ends[0]], 0)), rng.choice((5, 12, 255))),
    "unknown operation": lambda ends, rng: descriptor(rng.choice((0, 200, 255, *[n for (s, t, _), (n, _) in OPS.items() if (s, t) != ends])), 0, 0),
    "what was not lent": lambda ends, rng: _ids(ends, [buffer_id(rng.choice((1, 2, 3)), rng.randrange(4608)) for _ in range(12)]),
    "returned twice": lambda ends, rng: _ids(ends, [buffer_id(OWN[ends[1]], 5)] * 2),
    "stale generation": lambda ends, rng: descriptor(rng.choice([n for kind in ("NONE", "SEG", "HEADER", "IDS") for n in ops(ends).get(kind, [])]), 0, 0, rng.getrandbits(32)),
    "any operation on a live flow": lambda ends, rng: descriptor(rng.choice([n for kind in ("NONE", "PAIR") for n in ops(ends).get(kind, [255])]), 0, 0, _flow(rng), rng.choice((0, 1, 1 << 20, 2**63)), rng.randbytes(24)),
    "random": _random,
}
INDICES = {
    "head jumps": lambda ring: ring.set_index(HEAD, ring.index(HEAD) + RING_SLOTS + 1 + 4096),
    "head goes back": lambda ring: ring.set_index(HEAD, ring.index(HEAD) - RING_SLOTS // 2),  # further than what may still wait
    "tail and head jump": lambda ring: (ring.set_index(TAIL, ring.index(TAIL) + 0x40000000), ring.set_index(HEAD, ring.index(HEAD) + 0x40000000)),
}


def flip_while(mem, places, seconds):
    """A second thread of the liar: changes what the reader may just be reading; a process, so that both really run."""
    child = os.fork()
    if child:
        return child
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            for _ in range(200):
                for address, values in places:
                    for value in values + values[-1:] * 20:  # mostly as it was when it was checked
                        os.pwrite(mem, value, address)
        except OSError:
            break
    os._exit(0)


__all__ = [name for name in globals() if not name.startswith("_")]
