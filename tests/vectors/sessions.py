#!/usr/bin/env python3
"""sessions.py tcp|udp:PORT[,PORT...] OUTDIR CAPTURE...: one *.session file for each conversation with these ports.

CAPTURE is a pcap or pcapng, also gzipped; the format is told in ftp/README.md. TCP comes in order and without retransmissions, and
ends where bytes are missing; of UDP each datagram is a record. A session is cut after about 4 KiB, between two datagrams
or within TCP's bytes. IPv6 ends become documentation addresses. tests/fuzz/seeds.py reads captures by the same functions.
"""
import collections
import gzip
import logging
import pathlib
import shutil
import sys
import tempfile

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import IP, TCP, UDP, IPv6, defragment, rdpcap  # noqa: E402

SESSION_MAX, WAITING_MAX = 4096, 64
CLIENT, SERVER = "192.0.2.1", "192.0.2.2"  # what the ends of an IPv6 session are called
SYN, ACK = 2, 16

# client and server: (address, port); records: (from the client?, bytes)
Session = collections.namedtuple("Session", "client server records")


def read(path, count=-1):
    """Packets of a capture, gzipped or not."""
    with tempfile.NamedTemporaryFile() as plain:
        opened = gzip.open(path) if pathlib.Path(path).read_bytes()[:2] == b"\x1f\x8b" else open(path, "rb")
        with opened as source:
            shutil.copyfileobj(source, plain)
        plain.flush()
        return rdpcap(plain.name, count=count)


def ends(packet, layer):
    ip = packet[IP] if IP in packet else packet[IPv6]
    return (ip.src, packet[layer].sport), (ip.dst, packet[layer].dport)


def payload(packet, layer):
    """What the transport carries, without Ethernet's padding."""
    segment = packet[layer]
    if layer is UDP:
        return bytes(segment.payload)[: max(segment.len - 8, 0)]
    whole = packet[IP].len - 4 * packet[IP].ihl if IP in packet else packet[IPv6].plen
    return bytes(segment.payload)[: max(whole - 4 * segment.dataofs, 0)] if whole else bytes(segment.payload)


class Way:
    """One direction of a connection: segments in, bytes in order out."""

    def __init__(self):
        self.next, self.waiting = None, {}

    def take(self, sequence, data):
        if self.next is None:
            self.next = sequence
        self.waiting.setdefault(sequence, data)
        for _ in range(len(self.waiting)):
            for start, kept in sorted(self.waiting.items(), key=lambda item: (item[0] - self.next) % 2**32):
                late = (self.next - start) % 2**32
                if late > 2**31:
                    continue
                del self.waiting[start]
                if late < len(kept):
                    self.next = (self.next + len(kept) - late) % 2**32
                    yield kept[late:]
                break
        if len(self.waiting) > WAITING_MAX:
            self.waiting.clear()


def connections(packets, ports):
    """Of each TCP connection to one of the ports the bytes in order."""
    found, now = [], {}
    for packet in packets:
        if TCP not in packet or (IP not in packet and IPv6 not in packet):
            continue
        source, target = ends(packet, TCP)
        flags, sequence = int(packet[TCP].flags), packet[TCP].seq
        opens = flags & (SYN | ACK) == SYN
        key = frozenset((source, target))
        if target[1] in ports and (key not in now or opens and now[key][0].client == source and now[key][2] != sequence):
            now[key] = Session(source, target, []), {True: Way(), False: Way()}, sequence
            found.append(now[key][0])
        elif key not in now and source[1] in ports:
            now[key] = Session(target, source, []), {True: Way(), False: Way()}, None
            found.append(now[key][0])
        if key not in now:
            continue
        session, ways, _ = now[key]
        client = source == session.client
        if flags & SYN:
            ways[client].next = (sequence + 1) % 2**32
        data = payload(packet, TCP)
        if data and not flags & SYN:
            session.records.extend((client, piece) for piece in ways[client].take(sequence, data))
    return found


def dialogues(packets, ports):
    """Of each pair of UDP endpoints, one of which has one of the ports, the datagrams."""
    now = {}
    for packet in defragment(packets):
        if UDP not in packet or (IP not in packet and IPv6 not in packet):
            continue
        source, target = ends(packet, UDP)
        key = frozenset((source, target))
        if key not in now:
            if target[1] in ports:
                now[key] = Session(source, target, [])
            elif source[1] in ports:
                now[key] = Session(target, source, [])
            else:
                continue
        now[key].records.append((source == now[key].client, payload(packet, UDP)))
    return list(now.values())


def sessions(packets, transport, ports):
    """Every conversation with these ports in which something was said."""
    found = (connections if transport == "tcp" else dialogues)(packets, ports)
    return [session for session in found if any(data for _, data in session.records)]


def cut(session, transport):
    """The records that a file keeps."""
    left = SESSION_MAX
    for client, data in session.records:
        if left <= 0 or transport == "udp" and left < SESSION_MAX and len(data) > left:
            return
        kept = data[:left] if transport == "tcp" else data
        left -= len(kept)
        yield client, kept


def text(session, transport):
    """A session as a file holds it."""
    named = [(CLIENT if client else SERVER, port) if ":" in address else (address, port)
             for client, (address, port) in ((True, session.client), (False, session.server))]
    out = "{} {} {} {}\n".format(*named[0], *named[1]).encode()
    for client, data in cut(session, transport):
        out += b"%c %d\n%s\n" % (b">" if client else b"<", len(data), data)
    return out


def main():
    if len(sys.argv) < 4 or sys.argv[1].partition(":")[0] not in ("tcp", "udp"):
        sys.exit(__doc__)
    transport, _, ports = sys.argv[1].partition(":")
    ports, out = {int(port) for port in ports.split(",")}, pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for path in map(pathlib.Path, sys.argv[3:]):
        for number, session in enumerate(sessions(read(path), transport, ports), 1):
            file = out / f"{path.name.partition('.')[0]}-{number}.session"
            file.write_bytes(text(session, transport))
            print(f"{file}: {len(session.records)} records")


if __name__ == "__main__":
    main()
