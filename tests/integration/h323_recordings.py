"""Recorded H.323 (tests/vectors/captures/h323) as templates of messages that are said again, elsewhere and by others.

Nothing is decoded. A message is what was recorded; in it only these octets are replaced, where the recorded values stand: the six of
each transport address, the call reference, the end of the call's identifiers, the sequence number of RAS. What comes must be the same
message, so whatever else a gateway changes shows. In every recording A calls, or registers; B is called, and is the gatekeeper.
"""
import collections, functools, re, socket, struct
from conftest import TOP

CAPTURES = TOP / "tests/vectors/captures/h323"
A, B, ELSEWHERE = "A", "B", "elsewhere"  # elsewhere: to whom A forwards a call
ADDRESSES = {A: "10.77.1.10", B: "10.77.1.20", ELSEWHERE: "10.77.1.11"}  # in all recordings but `kept`
TCP, UDP = 6, 17
GRQ, GCF, RRQ, RCF, URQ, UCF, ARQ, ACF, DRQ, DCF, IRQ, IRR = 0, 1, 3, 4, 6, 7, 9, 10, 15, 16, 21, 22  # the alternatives of RasMessage
SETUP, FACILITY, RELEASE_COMPLETE = 5, 0x62, 0x5A  # message types of Q.931
END_SESSION = b"\x4a"  # how this one of H.245 begins


class Message(collections.namedtuple("Message", "who channel data places")):
    """who: A or B. channel: "ras", "signal" or "h245". data: a datagram, or a TPKT with its header. places: {offset: recorded endpoint}."""

    @property
    def kind(self):
        """Of RAS the alternative, which is behind the extension bit; of call signalling the message type."""
        if self.channel == "ras":
            return self.data[0] >> 2
        return self.data[8] if self.channel == "signal" else None

    def ends_media(self):
        return self.channel == "signal" and self.kind == RELEASE_COMPLETE or self.channel == "h245" and self.data[4:5] == END_SESSION

    def written(self, names, identity):
        """With live endpoints and the identity of a live call."""
        data = identity.put_into(self)
        for at, recorded in self.places.items():
            data[at:at + 6] = octets(*names[recorded])
        return bytes(data)

    def read(self, data, identity):
        """{offset: live endpoint} of what came, which is otherwise this message."""
        expected = identity.put_into(self)
        found = {}
        for at in self.places:
            found[at] = endpoint(data[at:at + 6]) if len(data) >= at + 6 else None
            expected[at:at + 6] = data[at:at + 6]
        assert bytes(expected) == data, (self.channel, self.kind, bytes(expected).hex(), data.hex())
        return found


class Identity:
    """Of a live call or registration: what stands in the place of the recorded call reference, GUIDs and sequence numbers."""

    def __init__(self, recording, number):
        self.recorded, self.ref, self.mark = recording, number & 0x7FFF, struct.pack(">IH", number, 0xFEED)
        self.shift = number

    def put_into(self, message):
        data, recorded = message.data, self.recorded
        if recorded.mark:
            data = data.replace(recorded.mark, self.mark)
        data = bytearray(data)
        if message.channel == "signal":
            data[6:8] = struct.pack(">H", data[6] << 8 & 0x8000 | self.ref)
        if message.channel == "ras":
            at = 1 if message.kind in (DRQ, DCF, UCF) else 2
            sequence = struct.unpack_from(">H", data, at)[0]
            struct.pack_into(">H", data, at, (sequence + self.shift) % 65535)
            if message.kind in (ARQ, DRQ, IRQ, IRR):
                ref = struct.pack(">H", recorded.ref)
                assert data.count(ref) == 1 or message.kind == IRR  # which may tell of no call
                data = data.replace(ref, struct.pack(">H", self.ref))
        return data


def endpoint(six):
    return socket.inet_ntoa(six[:4]), struct.unpack(">H", six[4:])[0]


def octets(address, port):
    return socket.inet_aton(address) + struct.pack(">H", port)


def packets(path):
    """(protocol, source, destination, payload) of a classic capture of Ethernet, IPv4 only."""
    data, at = path.read_bytes(), 24
    while at < len(data):
        length = struct.unpack_from("<I", data, at + 8)[0]
        frame, at = data[at + 16:at + 16 + length], at + 16 + length
        ip = frame[14:14 + struct.unpack_from(">H", frame, 16)[0]]
        if frame[12:14] != b"\x08\0" or ip[9] not in (TCP, UDP):
            continue
        segment = ip[(ip[0] & 15) * 4:]
        ports = struct.unpack_from(">HH", segment)
        payload = segment[(segment[12] >> 4) * 4 if ip[9] == TCP else 8:]
        yield ip[9], (socket.inet_ntoa(ip[12:16]), ports[0]), (socket.inet_ntoa(ip[16:20]), ports[1]), payload


def tpkts(stream):
    """Whole ones: the recordings that are played have no others."""
    while stream:
        length = struct.unpack_from(">H", stream, 2)[0]
        yield stream[:length]
        stream = stream[length:]


class Recording:
    def __init__(self, name, between=ADDRESSES.values(), signal=1720, h245=None, mark=b"", ref=0, media=()):
        """between: the addresses of A, of B, and of elsewhere. signal, h245: B's ports. mark: how the call's identifiers end. media: (A's port, B's) of each way of media."""
        self.who = dict(zip(between, (A, B, ELSEWHERE)))
        self.mark, self.ref, self.media = mark, ref, media
        self.signal, self.h245 = (B, signal), (B, h245)
        channels = {(TCP, self.signal): "signal", (TCP, self.h245): "h245", (UDP, (B, 1719)): "ras"}
        self.messages, self.clients = [], {}  # {channel: A's end of it}
        for protocol, *ends, payload in packets(CAPTURES / f"{name}.pcap"):
            source, target = ((self.who.get(address), port) for address, port in ends)
            server, client = (target, source) if (protocol, target) in channels else (source, target)
            if payload and (channel := channels.get((protocol, server))):
                self.clients[channel] = client
                self.messages += [self.message(source[0], channel, data) for data in (tpkts(payload) if protocol == TCP else [payload])]

    @property
    def guid(self):
        """The call's identifier."""
        return next(found[1] for m in self.messages if (found := re.search(rb"\x11\0(.{10}" + re.escape(self.mark) + b")", m.data, re.S)))

    def message(self, who, channel, data):
        """Of these octets, in which recorded addresses stand."""
        addresses = b"|".join(re.escape(socket.inet_aton(address)) for address in self.who)
        found = {m.start(): endpoint(m.group()) for m in re.finditer(b"(?:" + addresses + b")..", data, re.S)}
        return Message(who, channel, data, {at: (self.who[address], port) for at, (address, port) in found.items()})

    def call(self):
        return [message for message in self.messages if message.channel != "ras"]

    def ras(self, kind):
        return next(message for message in self.messages if message.channel == "ras" and message.kind == kind)

    def media_of(self, who):
        """Ports of a side's media, in the order in which they are named."""
        other = {port for end, port in (self.signal, self.h245, *self.clients.values()) if end == who}
        named = [port for message in self.call() for end, port in message.places.values() if end == who]
        return [port for port in dict.fromkeys(named) if port not in other]


PLUS = bytes.fromhex("6ad343d916f7")
BOTH = [(5000, 5000), (5001, 5001)]


@functools.cache
def recordings():
    """Of ooh323c without a gatekeeper; of H323Plus with GnuGk, which is in the way of `routed`; of an unnamed gateway that renews its registration."""
    return {
        "separate": Recording("own-ooh323c-separate-h245", h245=12030, mark=bytes.fromhex("e387c73f006c"), ref=0x4C, media=BOTH),
        "tunnelled": Recording("own-ooh323c-h245tunnel", mark=bytes.fromhex("d087c73f00d6"), media=BOTH),
        "fast": Recording("own-ooh323c-fastconnect", mark=bytes.fromhex("b387c73f00ee"), ref=0x4E, media=[(port, port) for port in (5000, 5001, 6000, 6001, 14031)]),
        "direct": Recording("own-h323plus-gnugk-ras-fast-tunnel", signal=1820, mark=PLUS, ref=0x787C, media=[(5002, 5000), (5003, 5001)]),
        "routed": Recording("own-h323plus-gnugk-routed-separate-h245", h245=37071, mark=PLUS, ref=0x2CB2, media=BOTH),
        "forwarded": Recording("own-ooh323c-forwarded", mark=bytes.fromhex("2a53c83f00cc"), ref=0x2B, media=BOTH),
        "kept": Recording("h323", between=("10.47.208.204", "10.47.208.50")),
    }
