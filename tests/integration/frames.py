#!/usr/bin/python3
"""Sends frames as no kernel would, and waits for answers: frames.py INTERFACE COMMAND ... ; prints one JSON object.

DHCP messages carry the source MAC they are told to; a station's own kernel is not asked.
"""
import json, os, random, socket, struct, sys, time

GATEWAY = socket.inet_aton("192.168.30.1")
ANY, ALL, BROADCAST = bytes(4), b"\xff" * 4, b"\xff" * 6
DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)


def checksum(data):
    data += b"\0" * (len(data) & 1)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ip(protocol, source, target, payload):
    head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), random.getrandbits(16), 0, 64, protocol, 0, source, target)
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def udp(source_port, target_port, source, target, body):
    head = struct.pack(">HHHH", source_port, target_port, 8 + len(body), 0)
    pseudo = source + target + struct.pack(">BBH", 0, 17, 8 + len(body))
    return head[:6] + struct.pack(">H", checksum(pseudo + head + body) or 0xFFFF) + body


def mac_of(text):
    return bytes.fromhex(text.replace(":", ""))


class Wire:
    def __init__(self, interface):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.socket.bind((interface, 0))
        self.socket.setsockopt(263, 1, struct.pack("iHH8s", socket.if_nametoindex(interface), 1, 0, b""))  # PACKET_MR_PROMISC
        self.own = self.socket.getsockname()[4]

    def send(self, target, source, ethertype, body):
        self.socket.send(target + source + struct.pack(">H", ethertype) + body)

    def dhcp(self, mac, kind, options=(), ciaddr=ANY, server=BROADCAST, source=ANY, target=ALL):
        xid = os.urandom(4)
        body = struct.pack(">BBBB4sHH4s4s4s4s16s64s128s", 1, 1, 6, 0, xid, 0, 0x8000 if ciaddr == ANY else 0, ciaddr, ANY, ANY, ANY, mac, b"", b"") + b"\x63\x82\x53\x63"
        for code, value in [(53, bytes([kind])), *options]:
            body += bytes([code, len(value)]) + value
        self.send(server, mac, 0x0800, ip(17, source, target, udp(68, 67, source, target, body + b"\xff")))
        return xid

    def answer(self, xid, seconds=1.0):
        """The answer to a DHCP message: (kind, address), or None."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self.socket.recv(2048)
            except TimeoutError:
                break
            if frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:36] == b"\0\x43" and frame[46:50] == xid and frame[42] == 2:
                return frame[42 + 242], socket.inet_ntoa(frame[58:62])
        return None

    def acquire(self, mac, seconds=1.0):
        offer = self.answer(self.dhcp(mac, DISCOVER), seconds)
        if not offer:
            return None
        address = socket.inet_aton(offer[1])
        return self.answer(self.dhcp(mac, REQUEST, [(50, address), (54, GATEWAY)]), seconds)


def init_reboot(wire, mac, address):
    """REQUEST without a server's name: a client that comes back (RFC 2131 4.3.2)."""
    return {"answer": wire.answer(wire.dhcp(mac_of(mac), REQUEST, [(50, socket.inet_aton(address))]))}


def acquire(wire, mac):
    return {"answer": wire.acquire(mac_of(mac))}


def acquire_many(wire, count):
    """So many clients, each with a MAC of its own; what each of them got."""
    got = [wire.acquire(bytes([2, 0, 0, 0, i >> 8, i & 255]), 0.3) for i in range(int(count))]
    return {"addresses": [g[1] for g in got if g and g[0] == ACK]}


def decline(wire, mac, address):
    wire.dhcp(mac_of(mac), DECLINE, [(50, socket.inet_aton(address)), (54, GATEWAY)])
    return {}


def release(wire, mac, address, source=None):
    """`source`: the MAC of the frame, where it is not the client's."""
    ciaddr = socket.inet_aton(address)
    wire.dhcp(mac_of(mac), RELEASE, [(54, GATEWAY)], ciaddr=ciaddr, source=ciaddr, target=GATEWAY)
    return {}


def inform(wire, address):
    ciaddr = socket.inet_aton(address)
    return {"answer": wire.answer(wire.dhcp(wire.own, INFORM, ciaddr=ciaddr, source=ciaddr))}


def spoof(wire, kind, victim_mac, victim, gateway_mac, seconds):
    """For `seconds`: claims the gateway's or the victim's MAC and address, a thousand times a second."""
    victim_mac, gateway_mac, victim = mac_of(victim_mac), mac_of(gateway_mac), socket.inet_aton(victim)
    server, count, end = socket.inet_aton("198.18.2.1"), 0, time.monotonic() + float(seconds)

    def arp(operation, mac, address, target):
        return struct.pack(">HHBBH", 1, 0x800, 6, 4, operation) + mac + address + BROADCAST + target

    frames = {
        "gateway-mac": [(BROADCAST, gateway_mac, 0x0806, arp(2, gateway_mac, GATEWAY, victim)), (victim_mac, gateway_mac, 0x0800, ip(6, server, victim, os.urandom(40)))],
        "gateway-address": [(BROADCAST, wire.own, 0x0806, arp(2, wire.own, GATEWAY, victim)), (victim_mac, wire.own, 0x0806, arp(2, wire.own, GATEWAY, victim))],
        "guest-mac": [(BROADCAST, victim_mac, 0x0806, arp(1, victim_mac, victim, GATEWAY)), (gateway_mac, victim_mac, 0x0800, ip(6, victim, server, os.urandom(40)))],
        "guest-address": [(BROADCAST, wire.own, 0x0806, arp(1, wire.own, victim, victim)), (gateway_mac, wire.own, 0x0806, arp(2, wire.own, victim, GATEWAY)),
                          (gateway_mac, wire.own, 0x0800, ip(17, victim, server, udp(5000, 7001, victim, server, b"spoofed")))],
    }[kind]
    while time.monotonic() < end:
        for frame in frames:
            try:
                wire.send(*frame)
                count += 1
            except OSError:
                pass
        time.sleep(0.001)
    return {"sent": count}


if __name__ == "__main__":
    commands = {f.__name__: f for f in (init_reboot, acquire, acquire_many, decline, release, inform, spoof)}
    print(json.dumps(commands[sys.argv[2]](Wire(sys.argv[1]), *sys.argv[3:])))
