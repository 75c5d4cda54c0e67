"""Media of a call: datagrams between the sockets of both sides, at the addresses that each read in the other's description."""
import hashlib, random, re
from packets import open_socket
from sip_scenarios import FAX, MEDIA

DATAGRAMS = 5


def receiving(description):
    """Where its sender wants its media: endpoints of the first one, RTP and RTCP, or one."""
    address = re.search(rb"^c=IN IP4 ([\d.]+)", description, re.M).group(1).decode()
    kind, port = re.search(rb"^m=(\w+) (\d+)", description, re.M).groups()
    return [(address, int(port) + n) for n in range(2 if kind == b"audio" else 1)]


class Media:
    """The sockets of a role, in its namespace and at its address, by the first port of each."""

    def __init__(self, where, address, role):
        self.at = {}
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
