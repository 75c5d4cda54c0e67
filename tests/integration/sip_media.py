"""Media of a call: datagrams between the sockets of both sides, or a connection, at the addresses that each read in the other's description."""
import hashlib, random, re, socket
from concurrent.futures import ThreadPoolExecutor
from packets import open_socket
from sip_scenarios import FAX, MEDIA
from talks import listen

DATAGRAMS, STREAM_BYTES = 5, 200_000


def receiving(description):
    """Where its sender wants its media: endpoints of the first one, RTP and RTCP, or one."""
    address = re.search(rb"^c=IN IP4 ([\d.]+)", description, re.M).group(1).decode()
    kind, port = re.search(rb"^m=(\w+) (\d+)", description, re.M).groups()
    return [(address, int(port) + n) for n in range(2 if kind == b"audio" else 1)]


class Media:
    """The sockets of a role, in its namespace and at its address, by the first port of each."""

    def __init__(self, where, address, role):
        self.where, self.address, self.at = where, address, {}
        for port, count in [*((port, 2) for port in MEDIA[role]), (FAX[role], 1)]:
            self.at[port] = [open_socket(where, at=(address, port + n), timeout=1.5) for n in range(count)]

    def stop(self):
        for sockets in self.at.values():
            for s in sockets:
                s.close()


def sent(from_sockets, to):
    """Sends to each endpoint from the socket of its rank; the hashes."""
    hashes = []
    for s, endpoint in zip(from_sockets, to):
        data = [random.randbytes(172) for _ in range(DATAGRAMS)]
        for datagram in data:
            s.sendto(datagram, endpoint)
        hashes.append(hashlib.sha256(b"".join(data)).hexdigest())
    return hashes


def heard(sockets):
    """Hashes of what came to each, and from where."""
    hashes, sources = [], []
    for s in sockets:
        data, source = b"", None
        for _ in range(DATAGRAMS):
            datagram, source = s.recvfrom(2000)
            data += datagram
        hashes.append(hashlib.sha256(data).hexdigest())
        sources.append(source)
    return hashes, sources


def arrive(sender, receiver, to, source):
    """Whether all that one side's sockets send comes to the other's, whole and from where it said that it would. to, source: as told."""
    try:
        return (sent(sender, to), source) == heard(receiver)
    except (TimeoutError, OSError):  # no route to it, or nobody is told
        return False


def listens(description):
    """Whether its sender waits for a connection; None: its media are datagrams."""
    setup = re.search(rb"^a=setup:(\w+)", description, re.M)
    return setup and setup.group(1) == b"passive"


def say_all(s, data):
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)


def hear_all(s):
    """The hash of what comes up to the other end's FIN."""
    digest = hashlib.sha256()
    while piece := s.recv(65536):
        digest.update(piece)
    return digest.digest()


def exchanged(*ends):
    """Whether each end hears all that the other one says, both at once."""
    data = [random.randbytes(STREAM_BYTES) for _ in ends]
    with ThreadPoolExecutor(4) as pool:
        for s, said in zip(ends, data):
            pool.submit(say_all, s, said)
        return list(pool.map(hear_all, ends)) == [hashlib.sha256(said).digest() for said in data[::-1]]


def connected(one, other, port, to, source):
    """Whether `one`, who listens at this port, gets a connection from `other`, who was told so (to), and all that they say. source: the other's address as `one` was told."""
    with listen(one.where, one.address, port) as listening, open_socket(other.where, socket.SOCK_STREAM, at=(other.address, 0)) as far:
        listening.settimeout(2)
        try:
            far.connect(to)
            near, came_from = listening.accept()
            with near:
                near.settimeout(2)
                return exchanged(near, far) and came_from[0] == source
        except OSError:  # no route to it, nobody is there, or it went to somebody else
            return False
