"""A DHCP client made of frames: any message, right or wrong, from any number of stations on one interface."""
import os, socket, struct, time
from conftest import HUB
from packets import BROADCAST, address, inside, ip, udp

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)
MASK, ROUTER, DNS, HOST, DOMAIN, WISH, LEASE, OVERLOAD, SERVER, ASKED, MESSAGE, SIZE, T1, T2, CLIENT, RELAY, SEARCH, ROUTES = \
    1, 3, 6, 12, 15, 50, 51, 52, 54, 55, 56, 57, 58, 59, 61, 82, 119, 121
COOKIE = b"\x63\x82\x53\x63"


class Answer:
    """A server's message, its options joined over the three fields (RFC 3396)."""

    def __init__(self, frame):
        self.frame, self.to_mac, self.from_mac = frame, frame[:6], frame[6:12]
        self.to, self.port = socket.inet_ntoa(frame[30:34]), struct.unpack(">H", frame[36:38])[0]
        m = frame[42:]
        self.bytes, self.xid, self.flags = struct.unpack(">H", frame[16:18])[0], m[4:8], struct.unpack(">H", m[10:12])[0]
        self.ciaddr, self.yiaddr, self.giaddr = (socket.inet_ntoa(m[at: at + 4]) for at in (12, 16, 24))
        self.options, self.order = {}, []
        self._read(m[240:])
        self.overload = self.options.get(OVERLOAD, b"\0")[0]
        if self.overload & 1:
            self._read(m[108:236])
        if self.overload & 2:
            self._read(m[44:108])
        self.kind = self.options[53][0]

    def _read(self, field):
        at = 0
        while field[at] != 255:
            if field[at]:
                code, size = field[at], field[at + 1]
                self.options[code] = self.options.get(code, b"") + field[at + 2: at + 2 + size]
                self.order.append(code)
                at += 1 + size
            at += 1

    def number(self, code):
        return int.from_bytes(self.options[code], "big")


class Clients:
    """Any number of DHCP clients on an interface, each with a MAC of its own."""

    def __init__(self, namespace, interface="eth0"):
        with inside(namespace):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.socket.bind((interface, 0))
            index = socket.if_nametoindex(interface)
        self.socket.setsockopt(263, 1, struct.pack("iHH8s", index, 1, 0, b""))  # PACKET_MR_PROMISC
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
        self.arps, self.others = [], []

    def close(self):
        self.socket.close()

    def message(self, mac, kind, options=(), ciaddr="0.0.0.0", giaddr="0.0.0.0", flags=0x8000, xid=None, chaddr=None, sname=b"", file=b"", tail=b"\xff"):
        body = struct.pack(">BBBB4sHH4s4s4s4s16s64s128s", 1, 1, 6, 0, xid or os.urandom(4), 0, flags, address(ciaddr), bytes(4), bytes(4), address(giaddr), chaddr or mac,
                           sname, file) + COOKIE
        for code, value in [(53, bytes([kind])), *options]:
            body += bytes([code, len(value)]) + value
        return body + tail

    def send(self, mac, body, source="0.0.0.0", target="255.255.255.255", to=BROADCAST):
        self.socket.send(to + mac + b"\x08\0" + ip(source, target, 17, udp(source, target, 68, 67, body)))
        return body[4:8]

    def wait(self, xid, seconds=1.0):
        """The answer to a message, or None. What else comes in meanwhile is kept."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame, (_, _, kind, _, _) = self.socket.recvfrom(4096)
            except TimeoutError:
                break
            if kind == socket.PACKET_OUTGOING:
                continue
            if frame[12:14] == b"\x08\x06":
                self.arps.append(frame)
            elif frame[12:14] == b"\x08\0" and frame[23] == 17 and frame[34:36] == b"\0\x43" and frame[42] == 2:
                answer = Answer(frame)
                if answer.xid == xid:
                    return answer
                self.others.append(answer)
        return None

    def ask(self, mac, kind, options=(), seconds=1.0, source="0.0.0.0", target="255.255.255.255", to=BROADCAST, **fields):
        return self.wait(self.send(mac, self.message(mac, kind, options, **fields), source, target, to), seconds)

    def discover(self, mac, *options, **fields):
        return self.ask(mac, DISCOVER, options, **fields)

    def request(self, mac, wish, *options, server=HUB, **fields):
        """Selecting (RFC 2131 4.3.2); server None: INIT-REBOOT."""
        named = [(SERVER, address(server))] if server else []
        return self.ask(mac, REQUEST, [(WISH, address(wish)), *named, *options], **fields)

    def renew(self, mac, own, *options, **fields):
        return self.ask(mac, REQUEST, options, ciaddr=own, source=own, **fields)

    def lease(self, mac, *options, **fields):
        """The whole exchange; the ACK."""
        offer = self.discover(mac, *options, **fields)
        if not offer:
            return None
        assert offer.kind == OFFER
        return self.request(mac, offer.yiaddr, *options, **fields)

    def say(self, mac, kind, own, *options):
        """RELEASE or DECLINE: nobody answers."""
        fields = {"ciaddr": own} if kind == RELEASE else {}
        if kind == DECLINE:
            options = ((WISH, address(own)), *options)
        self.send(mac, self.message(mac, kind, ((SERVER, address(HUB)), *options), **fields))


def mac(number, group=0xD0):
    return bytes([2, group, 0, 0, number >> 8, number & 255])
