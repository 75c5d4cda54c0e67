"""H.323 endpoints and a gatekeeper, both ends in one process, that speak from recordings (h323_recordings.py).

Each side fills in its own endpoints and those that it was told, and uses what it was told: it connects there, it sends media there. So
a call succeeds only where every address that was said leads to whom it names.
"""
import errno, itertools, socket
from packets import open_socket
from h323_recordings import A, B, GCF, RRQ, RCF, URQ, UCF, Identity, Message, recordings
from sip_media import arrive

TIMEOUT = 2
NUMBERS = itertools.count(1)  # calls and registrations are told apart by them


class Unreachable(Exception):
    """str: which connection could not be made."""


class Ports:
    """Numbers of a guest's ports, which the gateway's host holds itself: no port keeps its number outside, so what arrives was named by a rewritten message."""

    def __init__(self, host, addresses, first):
        self.host, self.addresses, self.next, self.held = host, addresses, itertools.count(first, 2), []

    def pair(self):
        """An even one and its neighbour; not what the gateway uses now."""
        while not self.hold(port := next(self.next)):
            pass
        return port

    def hold(self, port):
        for address, n, kind in itertools.product(self.addresses, (0, 1), (socket.SOCK_STREAM, socket.SOCK_DGRAM)):
            try:
                self.held.append(open_socket(self.host, kind, at=(address, port + n)))
            except OSError as e:
                if e.errno != errno.EADDRINUSE:
                    raise
                return False
            if kind == socket.SOCK_STREAM:
                self.held[-1].listen()
        return True

    def free(self):
        while self.held:
            self.held.pop().close()


class Side:
    """One end of a conversation. own: {recorded: live endpoint} that it has; told: those of the other side, as it heard of them."""

    def __init__(self, where, address, known_as, ports):
        self.where, self.address, self.known_as, self.ports = where, address, known_as, ports
        self.own, self.told, self.sockets = {}, {}, {}

    def open(self, recorded, kind, port):
        s = open_socket(self.where, kind, timeout=TIMEOUT)
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        s.bind((self.address, port))
        self.sockets[recorded] = s
        self.own[recorded] = s.getsockname()
        return s

    def listen(self, recorded, port=None):
        self.open(recorded, socket.SOCK_STREAM, port or self.ports.pair()).listen()

    def connect(self, recorded, to):
        s = self.open(recorded, socket.SOCK_STREAM, self.ports.pair())
        s.connect(to)
        return s

    def open_media(self, who, recorded_ports):
        """Ports that were neighbours still are."""
        for base in dict.fromkeys(port & ~1 for port in recorded_ports):
            live = self.ports.pair()
            for n in (0, 1):
                self.open((who, base + n), socket.SOCK_DGRAM, live + n)

    def close(self):
        for s in self.sockets.values():
            s.close()


class Conversation:
    """sides: {A: Side, B: Side}. journal: gets (channel, as it was sent, as it came) of each message. raw: nothing on the way changes anything, and the journal does not get it; kept: endpoints that nothing changes."""

    def __init__(self, recording, sides, journal, raw=False):
        self.recording, self.sides, self.journal, self.raw = recordings()[recording], sides, journal, raw
        self.identity, self.kept = Identity(self.recording, next(NUMBERS)), set()

    def written(self, message):
        side = self.sides[message.who]
        return message.written({**side.told, **side.own}, self.identity)

    def came(self, message, sent, data):
        """The other side reads it: what is said of itself is where it is, and what is said of the sender is where that can be found."""
        sender, reader = self.sides[message.who], self.sides[A if message.who == B else B]
        assert not self.raw or data == sent
        self.journal += [] if self.raw else [(message.channel, sent, data)]
        for at, live in message.read(data, self.identity).items():
            recorded, about = message.places[at], (message.who, message.channel, message.kind, message.places[at])
            if recorded in reader.own:
                assert self.raw or live == reader.own[recorded], (about, live, reader.own[recorded])
                continue
            named = sender.own[recorded]
            if recorded in self.kept:
                assert live == named, (about, live)
            elif not self.raw:
                assert live[0] == (sender.known_as if named[0] == sender.address else named[0]), (about, live)
                assert sender.known_as != sender.address or live == named, (about, live)
            assert reader.told.setdefault(recorded, live) == live, (about, live, reader.told)

    def close(self):
        for side in self.sides.values():
            side.close()


class Registration(Conversation):
    """A at the gatekeeper B. after: one that goes on, by the same sockets."""

    def __init__(self, recording, sides, journal, raw=False, after=None):
        super().__init__(recording, sides, journal, raw)
        self.ras, self.source = self.recording.clients["ras"], None
        self.called = next(recorded for recorded in self.recording.ras(RRQ).places.values() if recorded != self.ras)
        endpoint, keeper = sides[A], sides[B]
        keeper.own[self.recording.signal] = keeper.address, 1720  # where it takes calls, if it does
        if after:
            for new, old in ((self.ras, after.ras), (self.called, after.called)):
                endpoint.own[new], endpoint.sockets[new] = endpoint.own[old], endpoint.sockets[old]
                keeper.told[new] = keeper.told[old]
            return
        endpoint.open(self.ras, socket.SOCK_DGRAM, endpoint.ports.pair())
        endpoint.listen(self.called)
        keeper.open((B, 1719), socket.SOCK_DGRAM, 1719)

    def template(self, kind):
        """That URQ is answered was not recorded; it is as short as DCF, of which it differs in the alternative."""
        return Message(A, "ras", bytes([UCF << 2]) + self.recording.ras(URQ).data[2:4], {}) if kind == UCF else self.recording.ras(kind)

    def say(self, *kinds, identity=None):
        """identity: of the call that this is about."""
        before, self.identity = self.identity, identity or self.identity
        for kind in kinds:
            self.carry(self.template(kind))
        self.identity = before

    def carry(self, message):
        sent = self.written(message)
        here, there = self.sides[A].sockets[self.ras], self.sides[B].sockets[B, 1719]
        if message.who == A:
            here.sendto(sent, there.getsockname())
            data, self.source = there.recvfrom(65536)
        else:
            there.sendto(sent, self.source)
            data = here.recv(65536)
        self.came(message, sent, data)
        if message.who == A and not self.raw:
            assert self.sides[B].told.get(self.ras, self.source) == self.source, "the gatekeeper may answer to rasAddress, and to where it came from"


class Line:
    """A connection; A made it."""

    def __init__(self, caller, client, server, to):
        try:
            self.ends = {A: caller.connect(client, to)}
            self.ends[B], self.source = server.accept()
        except OSError as e:
            raise Unreachable(f"{to[0]}:{to[1]}") from e
        self.ends[B].settimeout(TIMEOUT)
        self.ends[B].setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def say(self, who, pieces):
        """Each piece is a segment."""
        for piece in pieces:
            self.ends[who].sendall(piece)

    def hear(self, who, length):
        data = b""
        while len(data) < length:
            data += (piece := self.ends[who].recv(length - len(data)))
            assert piece, data.hex()
        return data

    def close(self):
        for end in self.ends.values():
            end.close()


def whole(messages):
    return messages


def together(messages):
    """Several messages in a segment."""
    return [b"".join(messages)]


def split(messages):
    """Within the header, behind it, and within the body."""
    return [message[start:end] for message in messages for start, end in ((0, 3), (3, 4), (4, 30), (30, None)) if message[start:end]]


class Call(Conversation):
    """by: another call, by whose signalling this one goes too."""

    def __init__(self, recording, sides, journal, raw=False, cut=whole, by=None):
        super().__init__(recording, sides, journal, raw)
        self.cut, self.by, self.lines = cut, by, {}
        self.left = self.recording.call()
        for who, side in sides.items():
            side.open_media(who, self.recording.media_of(who))
        if self.recording.h245[1]:
            sides[B].listen(self.recording.h245)

    def line(self, channel):
        if self.by and channel == "signal":
            return self.by.line(channel)
        if channel not in self.lines:
            server = self.recording.signal if channel == "signal" else self.recording.h245
            caller, callee = self.sides[A], self.sides[B]
            self.lines[channel] = Line(caller, self.recording.clients[channel], callee.sockets[server], caller.told[server])
        return self.lines[channel]

    def step(self, until=Message.ends_media):
        """What one side says before the other answers, up to a message of which `until` is true; whether there was something."""
        if not self.left or until(self.left[0]):
            return False
        who, channel = self.left[0][:2]
        line = self.line(channel)
        said = list(itertools.takewhile(lambda m: m[:2] == (who, channel) and not until(m), self.left))
        self.left = self.left[len(said):]
        sent = [self.written(message) for message in said]
        line.say(who, self.cut(sent))
        for message, data in zip(said, sent):
            self.came(message, data, line.hear(A if who == B else B, len(data)))
        return True

    def play(self, until=Message.ends_media):
        while self.step(until):
            pass

    def finish(self):
        self.play(lambda message: False)

    def media(self, first):
        """Whether all that is sent arrives, to this side first, which has sent nothing yet: (to it, from it)."""
        other = B if first == A else A
        port = {A: 0, B: 1}
        here, there = ([(who, pair[port[who]]) for pair in self.recording.media] for who in (first, other))
        mine, others = [self.sides[first].sockets[end] for end in here], [self.sides[other].sockets[end] for end in there]
        told, sources = [self.sides[other].told.get(end) for end in here], [self.sides[first].told.get(end) for end in there]
        return arrive(others, mine, told, sources), arrive(mine, others, sources, told)

    def close(self):
        for line in self.lines.values():
            line.close()
        super().close()
