#!/usr/bin/python3
"""Sends seeded malformed frames of every kind on an interface: rubbish.py INTERFACE COUNT SEED"""
import random, socket, struct, sys

interface, count, rng = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((interface, 0))
own = s.getsockname()[4]
GATEWAY, GUEST = bytes([192, 168, 30, 1]), bytes([192, 168, 30, 10])


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data[: len(data) & ~1])) + (data[-1] << 8 if len(data) & 1 else 0)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(protocol, payload, flags=0, ttl=64, source=GUEST, target=bytes([198, 18, 2, 1])):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), rng.getrandbits(16), flags, ttl, protocol, 0, source, target)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def tcp():
    return struct.pack(">HHIIBBHHH", rng.getrandbits(16), rng.choice([80, 7001, 21, 53]), rng.getrandbits(32), rng.getrandbits(32), rng.getrandbits(8), rng.getrandbits(8),
                       rng.getrandbits(16), rng.getrandbits(16), rng.getrandbits(16)) + rng.randbytes(rng.randrange(60))


def udp():
    body = rng.randbytes(rng.randrange(200))
    return struct.pack(">HHHH", rng.getrandbits(16), rng.choice([53, 67, 7001, 9]), rng.choice([8 + len(body), rng.getrandbits(16)]), rng.choice([0, rng.getrandbits(16)])) + body


KINDS = [
    lambda: (0x0806, rng.randbytes(rng.randrange(60))),
    lambda: (0x0806, struct.pack(">HHBBH", 1, 0x800, 6, 4, rng.choice([1, 2, 9])) + own + rng.choice([GATEWAY, GUEST, rng.randbytes(4)]) + rng.randbytes(6) + rng.choice([GATEWAY, rng.randbytes(4)])),
    lambda: (0x0800, rng.randbytes(rng.randrange(1500))),
    lambda: (0x0800, ip(6, tcp())),
    lambda: (0x0800, ip(17, udp())),
    lambda: (0x0800, ip(1, rng.randbytes(rng.randrange(80)))),
    lambda: (0x0800, ip(rng.getrandbits(8), rng.randbytes(40))),
    lambda: (0x0800, ip(rng.choice([6, 17, 1]), rng.randbytes(8 * rng.randrange(1, 180)), flags=rng.choice([0x2000, 0]) | rng.getrandbits(13))),
    lambda: (0x0800, ip(17, udp(), source=rng.randbytes(4), target=rng.choice([rng.randbytes(4), GATEWAY, b"\xff" * 4, b"\x7f\0\0\1"]))),
    lambda: (0x0800, ip(6, tcp(), ttl=rng.randrange(3))),
    lambda: (0x86DD, rng.randbytes(80)),
    lambda: (rng.getrandbits(16), rng.randbytes(rng.randrange(200))),
]

for _ in range(count):
    ethertype, body = rng.choice(KINDS)()
    if rng.random() < 0.3 and body:
        spoiled = bytearray(body)
        for _ in range(rng.randrange(1, 6)):
            spoiled[rng.randrange(len(spoiled))] = rng.getrandbits(8)
        body = bytes(spoiled)
    source = own if rng.random() < 0.9 else rng.randbytes(6)
    target = rng.choice([b"\xff" * 6, rng.randbytes(6), b"\x01\0\x5e\0\0\1"])
    try:
        s.send((target + source + struct.pack(">H", ethertype) + body)[:1514])
    except OSError:
        pass
