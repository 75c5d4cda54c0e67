#!/usr/bin/env python3
"""seeds.py CAPTURES OUT [FUZZERS]: inputs for fuzz targets from recorded traffic (pcap, pcapng, also gzipped), below OUT/NAME.

With FUZZERS, the folder of the built targets, only those that reach code of their own are kept: what is committed in
tests/fuzz/seeds. Nothing of a capture is executed; of each flow the beginning is taken, and nothing longer than a few KiB.
"""
import hashlib
import ipaddress
import logging
import pathlib
import re
import shutil
import subprocess
import sys

logging.getLogger("scapy").setLevel(logging.ERROR)
from scapy.all import BOOTP, DHCP as OPTIONS, ICMP, IP, TCP, UDP, Ether  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/vectors"))
import sessions as recorded  # noqa: E402

FLOW_BYTES, FRAMES, SEED_MAX = 3000, 24, 6000
KIND_TCP, KIND_UDP, KIND_ICMP = 1, 2, 3  # fuzz_stack_frame.c
FTP, DNS_PORT, DHCP = 21, 53, (67, 68)
VECTORS = pathlib.Path(__file__).parent.parent / "vectors"


def save(out, name, data):
    if not 0 < len(data) <= SEED_MAX:
        return
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha1(data).hexdigest()[:12]).write_bytes(data)


def sessions(packets, port):
    """Payload of each TCP connection to `port`, as (from the client?, bytes)."""
    return [session.records for session in recorded.sessions(packets, "tcp", {port})]


def ftp(session, mode):
    """fuzz_ftp, fuzz_ldap, fuzz_rtsp, fuzz_sip: role and answers, then {direction and length, bytes}."""
    out = bytes([mode])
    for client, data in session:
        for at in range(0, len(data), 100):
            piece = data[at : at + 100]
            out += bytes([len(piece) << 1 | client]) + piece
        if len(out) > FLOW_BYTES:
            break
    return out


def among_players(session, path, serves):
    """A session between the ends that alg_play.c has, of which the server is the guest if it serves."""
    words = path.read_bytes().split(b"\n", 1)[0].decode().split()
    client, server = (ipaddress.ip_address(word).packed for word in (words[0], words[2]))
    guest, peer = (ipaddress.ip_address(word).packed for word in ("192.168.30.10", "198.51.100.9"))
    if serves:
        client, server = server, client
    return [(out, data.replace(client, guest).replace(server, peer)) for out, data in session]


def recording(path):
    """A session of tests/vectors as sessions() gives them."""
    data, session = path.read_bytes().split(b"\n", 1)[1], []
    while data:
        line, data = data.split(b"\n", 1)
        length = int(line[2:])
        session.append((line[:1] == b">", data[:length]))
        data = data[length + 1 :]
    return session


def datagrams(session, mode):
    """The same of a parser of datagrams, whose lengths count eight bytes."""
    out = bytes([mode])
    for client, data in session:
        units = min(len(data) + 7, 127 * 8) // 8
        out += bytes([units << 1 | client]) + data[: units * 8].ljust(units * 8, b"\0")
        if len(out) > FLOW_BYTES:
            break
    return out


def exact_datagrams(session, mode):
    """Those of H.323, whose lengths are exact."""
    return bytes([mode]) + b"".join(
        bytes([len(data) >> 8 << 1 | client, len(data) & 255]) + data for client, data in session)


def save_dns(out, session, udp):
    """Sessions as they are, and each exchange by itself with the question that a guest would ask."""
    outside, inside = b"\x0250\x03113\x010\x03203\x07in-addr", b"\x0250\x0230\x03168\x03192\x07in-addr"
    for mode in (0, 1):
        save(out, "dns_alg", datagrams(session, mode | 4) if udp else ftp(session, mode))
    for (client, question), answer in zip(session, session[1:]):
        if udp and client and outside in question:
            pair = [(True, question.replace(outside, inside)), answer]
            save(out, "dns_alg", datagrams(pair, 4))
            save(out, "dns_alg", ftp([(way, len(data).to_bytes(2, "big") + data) for way, data in pair], 0))


def field(number, value):
    """One protobuf field: a number as a varint, bytes as bytes."""
    def varint(v):
        out = b""
        while v > 0x7F:
            out += bytes([v & 0x7F | 0x80])
            v >>= 7
        return out + bytes([v])
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def record(edge, message):
    """An act of edge.c: a record on an edge."""
    return bytes([edge << 3]) + len(message).to_bytes(2, "little") + message


def alg_edge(session):
    out = record(1, field(1, field(1, 1)))
    flow = field(1, 7) + field(2, b"ftp") + field(3, 1) + field(6, 40000) + field(8, 40000) + field(10, FTP)
    out += record(1, field(2, flow))
    at = {False: 0, True: 0}
    for client, data in session:
        data = data[:1000]
        out += record(1, field(3, field(1, 7) + field(2, 0 if client else 1) + field(3, at[client]) + field(4, data)))
        at[client] += len(data)
        if len(out) > FLOW_BYTES:
            break
    return out


def stack_frames(packets):
    """fuzz_stack_frame: records of a kind, a length and what follows the IPv4 header."""
    out, frames = b"", 0
    for p in packets:
        if IP not in p or p[IP].frag or frames == FRAMES or len(out) > FLOW_BYTES:
            continue
        kind = KIND_TCP if TCP in p else KIND_UDP if UDP in p else KIND_ICMP if ICMP in p else None
        body = bytes(p[IP].payload)[:400]
        if kind and body:
            out += bytes([kind | 0x80]) + len(body).to_bytes(2, "big") + body
            frames += 1
    return out


def dhcp(packets):
    inputs, edge = b"", b""
    for p in packets:
        if UDP in p and p[UDP].dport in DHCP and Ether in p:
            body = bytes(p[UDP].payload)[:510]
            inputs += bytes([0x18, len(body) // 2, 1]) + body[: len(body) // 2 * 2]
            frame = field(1, 3) + field(2, bytes(p)[:600]) + field(3, 1)
            edge += record(1, field(1, frame))
    return inputs[:SEED_MAX], edge[:SEED_MAX]


def exchange():
    """What one client says from DISCOVER to RELEASE: no capture has a DHCP client."""
    mac, options = bytes([2, 0, 0, 0, 0, 0]), [("param_req_list", [1, 3, 6, 15, 51, 54, 121])]
    spoken = [
        ("discover", {}, [("hostname", b"laptop"), ("client_id", b"\x01" + mac), ("max_dhcp_size", 576)]),
        ("request", {}, [("requested_addr", "192.168.30.10"), ("server_id", "192.168.30.1"), ("relay_agent_information", b"\x01\x02ab")]),
        ("request", {"ciaddr": "192.168.30.10"}, []),
        ("inform", {"ciaddr": "192.168.30.10"}, []),
        ("decline", {}, [("requested_addr", "192.168.30.10"), ("server_id", "192.168.30.1")]),
        ("release", {"ciaddr": "192.168.30.10"}, [("server_id", "192.168.30.1")]),
    ]
    for kind, fields, more in spoken:
        yield (Ether(src="02:00:00:00:00:00", dst="ff:ff:ff:ff:ff:ff") / IP(src="0.0.0.0", dst="255.255.255.255") / UDP(sport=68, dport=67)
               / BOOTP(chaddr=mac, xid=7, **fields) / OPTIONS(options=[("message-type", kind)] + options + more + ["end"]))


def take(packets, out):
    for session in sessions(packets, FTP):
        for mode in (0, 1, 2):
            save(out, "ftp", ftp(session, mode))
        save(out, "edge_alg", alg_edge(session))
    for p in packets:
        if UDP in p and DNS_PORT in (p[UDP].sport, p[UDP].dport):
            save(out, "natproxy_dns", bytes(p[UDP].payload))
        if Ether in p and IP in p:
            save(out, "steer", bytes([1]) + bytes(10) + bytes(p)[:200])
    for session in sessions(packets, DNS_PORT):
        for _, data in session:
            save(out, "natproxy_dns", data[2:])
    save(out, "stack_frame", stack_frames(packets))
    inputs, edge = dhcp(packets)
    save(out, "dhcp", inputs)
    save(out, "edge_dhcpd", edge)


def replay(path, out):
    """fuzz_replay: which ALG (ipc/algs.def), then the file as it is."""
    algs = re.findall(r"^ALG\(\w+, (\w+)\)", (ROOT / "ipc/algs.def").read_text(), re.M)
    if path.parent.name in algs:
        save(out, "replay", bytes([algs.index(path.parent.name)]) + path.read_bytes())


def keep(out, fuzzers):
    for folder in sorted(p for p in out.iterdir() if p.is_dir()):
        kept = out / f".{folder.name}"
        kept.mkdir()
        subprocess.run([fuzzers / f"fuzz_{folder.name}", "-merge=1", kept, folder], check=True, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder)
        kept.rename(folder)


def main():
    captures, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    for path in sorted(captures.rglob("*.pcap*")) + sorted(captures.rglob("*.cap")):
        try:
            replay(path, out)
            take(recorded.read(path, 400), out)
        except Exception as error:  # a capture may be broken on purpose
            print(f"{path.name}: {error}", file=sys.stderr)
    for path in sorted([*VECTORS.glob("rtsp/*.session"), *VECTORS.glob("ldap/*.session")]):
        for mode in (0, 1, 2, 3):
            save(out, path.parent.name, ftp(recording(path), mode))
    for path in sorted(VECTORS.glob("skinny/*.session")):
        for mode in (0, 1, 2, 3):
            save(out, "skinny", ftp(among_players(recording(path), path, mode & 1), mode))
    for path in sorted(VECTORS.glob("dns/*/*.session")):
        save_dns(out, recording(path), path.parent.name == "udp")
    for path in sorted(VECTORS.glob("sip/*/*.session")):
        for mode in (0, 1, 2, 3):
            udp = path.parent.name == "udp"
            save(out, "sip", datagrams(recording(path), mode | 4) if udp else ftp(recording(path), mode))
    for path in sorted(VECTORS.glob("h323/*/*.session")):
        kind = path.parent.name
        for mode in (0, 1, 2, 3):
            session = among_players(recording(path), path, mode & 1)
            save(out, "h323", exact_datagrams(session, mode | 4) if kind == "ras"
                 else ftp(session, mode | (16 if kind == "control" else 0)))
    for path in sorted(VECTORS.glob("h323_walk/*.marks")):
        for root, octets in re.findall(r"^(RAS|UUIE|H245) (\S+)$", path.read_text(), re.M):
            save(out, "h323_walk", bytes([("RAS", "UUIE", "H245").index(root)]) + bytes.fromhex(octets))
    take(list(exchange()), out)
    if len(sys.argv) > 3:
        keep(out, pathlib.Path(sys.argv[3]))
    for folder in sorted(out.iterdir()):
        files = list(folder.iterdir())
        print(f"{folder.name:14} {len(files):4} inputs {sum(f.stat().st_size for f in files):7} bytes")


if __name__ == "__main__":
    main()
