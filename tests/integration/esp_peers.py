"""Hosts that speak IPsec of their own: ESP (RFC 4303) in tunnel mode, and messages that look like IKEv2 (RFC 7296 3.1) before it, for test_ipsec_esp.py and test_ipsec_port500.py.

Both ends are in one process: raw sockets of protocol 50 and UDP ports 500 in the namespaces of guests and responders, each with a thread that hears. What an end
gets by an SPI that it does not have, cannot open, or finds to be for somebody else inside, it keeps in `strange`: that is a packet at the wrong host. The open raw
socket keeps the kernel from answering ESP by protocol unreachable. What IKE agrees on is told in this process, since no gateway can read it either.
That this ESP is what others take for ESP, scapy's says (test_ipsec_peers.py); it needs some hundredths of a second for each packet.
"""
import collections, hashlib, hmac, itertools, queue, random, select, socket, struct, threading, time
import pytest, sites
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from conftest import KernelGateway
from packets import ECHO, ECHO_REPLY, ICMP, UDP, Packet, echo, icmp, ip, open_socket, udp
from talks import addressed

ESP, IKE, IN_TUNNEL = 50, 500, 4
GUEST, RESPONDER = 0, 1  # ends of a peering, and of an IKE association its initiator and the other
GUESTS, STATIC, FIXED = ("192.168.30.10", "192.168.30.11", "192.168.30.12"), "192.168.30.50", "198.18.1.92"  # nat.static: inside, outside
NET, FIRST_OF_LIST = "198.18.24", 128  # every address of it is the internet's; the upper half is for those that a list names
INIT, AUTH, CREATE_CHILD, INFORMATIONAL = 34, 35, 36, 37  # RFC 7296 3.1
INITIATOR, RESPONSE = 0x08, 0x20
SA, SEALED = 33, 46  # payloads
DISCARD, WINDOW = 9, 8
MTU_DISCOVER, SEND_BUFFER_FORCE, RECEIVE_BUFFER_FORCE = 10, 32, 33
dice = random.Random()


def new_spi():
    """None of 0 to 255, which are not for use (RFC 4303 2.1)."""
    return dice.randrange(0x100, 1 << 32)


def ike_message(cookies, kind=INIT, flags=INITIATOR, number=0, body=None):
    """A header and one payload. cookies: of the initiator, of the responder, 8 octets each."""
    body = dice.randbytes(dice.randrange(64, 1200)) if body is None else body
    payload = struct.pack(">BBH", 0, 0, 4 + len(body)) + body
    return cookies[0] + cookies[1] + struct.pack(">BBBBII", SA if kind == INIT else SEALED, 0x20, kind, flags, number, 28 + len(payload)) + payload


class Cbc:
    """AES-CBC (RFC 3602) with HMAC-SHA-256-128 (RFC 4868)."""
    block, iv, icv = 16, 16, 16

    def __init__(self):
        self.key, self.auth = dice.randbytes(16), dice.randbytes(32)

    def cipher(self, iv):
        return Cipher(algorithms.AES(self.key), modes.CBC(iv))

    def sum(self, data):
        return hmac.digest(self.auth, data, "sha256")[:self.icv]

    def seal(self, head, iv, plain):
        encryptor = self.cipher(iv).encryptor()
        data = head + iv + encryptor.update(plain) + encryptor.finalize()
        return data + self.sum(data)

    def open(self, head, iv, sealed):
        data, icv = sealed[:-self.icv], sealed[-self.icv:]
        if not hmac.compare_digest(icv, self.sum(head + iv + data)):
            raise ValueError("somebody else's")
        decryptor = self.cipher(iv).decryptor()
        return decryptor.update(data) + decryptor.finalize()


class Gcm:
    """AES-GCM with 16 octets of ICV (RFC 4106)."""
    block, iv = 4, 8

    def __init__(self):
        self.key, self.salt = dice.randbytes(16), dice.randbytes(4)
        self.aead = AESGCM(self.key)

    def seal(self, head, iv, plain):
        return head + iv + self.aead.encrypt(self.salt + iv, plain, head)

    def open(self, head, iv, sealed):
        return self.aead.decrypt(self.salt + iv, sealed, head)


SUITES = {"cbc": Cbc, "gcm": Gcm}


class Keys:
    """What an exchange agreed on. spis: by which the guest sends, by which the responder does."""

    def __init__(self, suite, spis=None):
        self.spis = spis or (new_spi(), new_spi())
        self.ways = [SUITES[suite]() for _ in self.spis]
        self.sequences = [itertools.count(1) for _ in self.spis]

    def seal(self, sender, inner):
        """ESP, from its SPI on (RFC 4303 2)."""
        way = self.ways[sender]
        pad = -(len(inner) + 2) % way.block
        head = struct.pack(">II", self.spis[sender], next(self.sequences[sender]))
        return way.seal(head, dice.randbytes(way.iv), inner + bytes(range(1, pad + 1)) + bytes([pad, IN_TUNNEL]))

    def open(self, sender, data):
        """The packet inside; ValueError, or what cryptography raises."""
        way = self.ways[sender]
        plain = way.open(data[:8], data[8:8 + way.iv], data[8 + way.iv:])
        pad, protocol = plain[-2:]
        if protocol != IN_TUNNEL or plain[-2 - pad:-2] != bytes(range(1, pad + 1)):
            raise ValueError("no tunnel's")
        return Packet(plain[:-2 - pad])


class End:
    """A host: its ESP and its port 500. Sends and hears from when it is made."""

    def __init__(self, where, address):
        self.where, self.address = where, address
        self.raw = open_socket(where, socket.SOCK_RAW, ESP, at=(address, 0))
        self.raw.setsockopt(socket.SOL_SOCKET, RECEIVE_BUFFER_FORCE, 8 << 20)  # what is lost here proves nothing
        self.raw.setsockopt(socket.SOL_SOCKET, SEND_BUFFER_FORCE, 8 << 20)
        self.raw.setsockopt(socket.IPPROTO_IP, MTU_DISCOVER, 0)  # what is longer than the MTU goes in fragments
        self.ike = open_socket(where, at=(address, IKE))
        self.inbound, self.strange, self.wrong = {}, [], []
        self.sources = collections.defaultdict(set)  # {SPI: addresses}
        self.exchanges = collections.defaultdict(queue.Queue)  # {initiator's cookie: (message, source)}
        self.is_open = True
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def _hear(self):
        while self.is_open:
            for s in select.select([self.raw, self.ike], [], [], 0.05)[0]:
                try:
                    data, source = s.recvfrom(70000)
                    if s is self.ike:
                        self.exchanges[data[:8]].put((data, source))
                    else:
                        self._take(Packet(data))
                except Exception as error:  # a thread's own fault is a test's failure, too
                    self.wrong.append(repr(error))

    def _take(self, outer):
        spi = int.from_bytes(outer.body[:4], "big")
        self.sources[spi].add(outer.source)
        if spi not in self.inbound:
            self.strange.append((outer.source, hex(spi), "unknown"))
            return
        peering, side, keys = self.inbound[spi]
        try:
            inner = keys.open(1 - side, outer.body)
        except Exception as error:  # also of cryptography's
            self.strange.append((outer.source, hex(spi), repr(error)))
            return
        if inner.target != peering.inner[side]:
            self.strange.append((outer.source, hex(spi), inner.target))
            return
        peering.hears(side, keys, inner, outer)

    def say(self, data, to, ttl=64, tos=0):
        """Octets as ESP."""
        self.raw.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        self.raw.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
        self.raw.sendto(data, (to, 0))

    def close(self):
        self.is_open = False
        self.thread.join()
        self.raw.close()
        self.ike.close()


class Peering:
    """What a guest and a responder have together: an IKE association, keys of ESP that follow each other, and where the responder thinks that the guest is."""
    numbers = itertools.count(1)

    def __init__(self, guest, responder, suite="cbc"):
        self.ends, self.suite = (guest, responder), suite
        number = next(self.numbers) % 250 + 1
        self.inner = f"10.99.1.{number}", f"10.99.0.{number}"
        self.cookies, self.message_ids = [dice.randbytes(8), bytes(8)], [0, 0]
        self.at = [None, (responder.address, IKE)]  # where each is, as the other one knows
        self.keys, self.valid = [None, None], []  # by which each sends; all by which either may
        self.heard, self.outer = [{}, {}], [None, None]
        self.changed, self.exchanged_at = threading.Condition(), 0.0
        self.pings = itertools.count(1)

    # ---- IKE ----
    def exchange(self, by, kind):
        """A request and its answer, byte for byte."""
        flags = INITIATOR if by == GUEST else 0
        number, self.message_ids[by] = self.message_ids[by], self.message_ids[by] + 1
        self.carry(by, ike_message(self.cookies, kind, flags, number))
        if kind == INIT:
            self.cookies[1] = dice.randbytes(8)
        self.carry(1 - by, ike_message(self.cookies, kind, flags ^ INITIATOR | RESPONSE, number))
        self.exchanged_at = time.monotonic()

    def carry(self, by, data):
        assert self.at[1 - by], "a guest is reached after it has spoken"
        self.ends[by].ike.sendto(data, self.at[1 - by])
        try:
            arrived, source = self.ends[1 - by].exchanges[self.cookies[0]].get(timeout=3)
        except queue.Empty:
            pytest.fail(f"IKE of end {by} does not arrive")
        assert arrived == data
        if self.at[by] is None:
            self.at[by] = source
        assert self.at[by] == source, "IKE comes from where it came from"

    def open(self, spis=None):
        """Keys of the first tunnel, which the guest opens."""
        self.exchange(GUEST, INIT)
        self.exchange(GUEST, AUTH)
        return self.agree(GUEST, spis)

    def rekey(self, by):
        """Who asks for it sends by the new SPI first; the other does when it has heard that, since it cannot know whether its answer arrived (RFC 7296 2.8)."""
        self.exchange(by, CREATE_CHILD)
        return self.agree(by)

    def agree(self, by, spis=None):
        keys = Keys(self.suite, spis)
        for side in (GUEST, RESPONDER):
            self.ends[side].inbound[keys.spis[1 - side]] = (self, side, keys)
        self.valid.append(keys)
        self.keys[by] = keys
        return keys

    def switch(self, side):
        """An end sends by the youngest keys without having heard them."""
        self.keys[side] = self.valid[-1]

    def retire(self):
        """All keys but the youngest are gone."""
        for keys in self.valid[:-1]:
            for side in (GUEST, RESPONDER):
                del self.ends[side].inbound[keys.spis[1 - side]]
        self.valid = self.valid[-1:]

    # ---- ESP ----
    def say(self, by, inner, **outer):
        self.ends[by].say(self.keys[by].seal(by, inner), self.at[1 - by][0], **outer)

    def hears(self, side, keys, inner, outer):
        with self.changed:
            self.outer[side] = outer
            if self.keys[side] is None or self.valid.index(keys) > self.valid.index(self.keys[side]):
                self.keys[side] = keys
            if inner.protocol == UDP:
                self.heard[side][int.from_bytes(inner.data[:4], "big")] = inner.data[4:]
            elif inner.protocol == ICMP and inner.kind == ECHO_REPLY:
                self.heard[side][inner.rest] = inner.data
            self.changed.notify_all()
        if inner.protocol == ICMP and inner.kind == ECHO:
            self.say(side, ip(self.inner[side], self.inner[1 - side], ICMP, icmp(ECHO_REPLY, 0, inner.rest, inner.data)))

    def comes(self, side, numbers, seconds):
        """Whether an end has heard all of these."""
        with self.changed:
            return self.changed.wait_for(lambda: all(number in self.heard[side] for number in numbers), seconds)

    def ping(self, by=GUEST, seconds=2.0, every=0.1, size=56, **outer):
        """Again and again until one is answered: how many it took, 0: none was."""
        end, tries = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            number, data, tries = 0xE5 << 24 | next(self.pings), dice.randbytes(size), tries + 1
            self.say(by, ip(self.inner[by], self.inner[1 - by], ICMP, echo(number >> 16, number & 0xFFFF, data)), **outer)
            if self.comes(by, [number], every):
                assert self.heard[by][number] == data
                return tries
        return 0

    def answers(self, by=GUEST):
        """Whether one ping is answered."""
        return self.ping(by, 2, 2) == 1

    def send(self, by, number, data):
        self.say(by, ip(self.inner[by], self.inner[1 - by], UDP, udp(self.inner[by], self.inner[1 - by], DISCARD, DISCARD, struct.pack(">I", number) + data)))

    def moves(self, sizes, ways=(GUEST, RESPONDER)):
        """One datagram of each size, each way, some at a time; whether all came as they were sent, by hash. Nothing is sent again."""
        same = []
        for by in ways:
            self.heard[1 - by].clear()
            sent = [dice.randbytes(size) for size in sizes]
            for at in range(0, len(sent), WINDOW):
                numbers = range(at, min(at + WINDOW, len(sent)))
                for number in numbers:
                    self.send(by, number, sent[number])
                if not self.comes(1 - by, numbers, 2):
                    break
            got = [self.heard[1 - by].get(number, b"lost") for number in range(len(sent))]
            same.append(hashlib.sha256(b"".join(sent)).digest() == hashlib.sha256(b"".join(got)).digest())
        return all(same)


class Site(sites.Site):
    """Guests at a hub, each in a namespace of its own, and a net full of responders' addresses. Kernel NAT instead, as the control, has them all in one."""
    alg, counters = "ipsec", ("flows", "messages", "granted", "refused", "gave_up", "violations")

    def __init__(self, world, spawn, name, hub, kernel=None):
        """hub: its keys beside attach. kernel: that gateway, in natlock's place."""
        super().__init__(world)
        self.own(world.gateway, "w0", FIXED)
        self.addresses, self.listed = itertools.count(1), itertools.count(FIRST_OF_LIST)
        world.internet.run("ip", "route", "replace", "local", f"{NET}.0/24", "dev", "lo")
        self.kernel = kernel is not None
        if kernel:
            self.gateway, self.where = kernel, [kernel.guest] * 4
            for address in (*GUESTS[1:], STATIC):
                kernel.guest.run("ip", "addr", "replace", f"{address}/24", "dev", "eth0")
            return
        self.where = [spawn.guest(f"{name}{n}") for n in range(4)]
        attach = ", ".join(f'"netns:{guest.name}"' for guest in self.where)
        self.gateway = spawn.gateway(name, guest=self.where[0], config=f"hubs:\n  default:\n    attach: [{attach}]\n    shards: 1\n{hub}")
        for guest, address in zip(self.where, (*GUESTS, STATIC)):
            addressed(guest, address)

    def address(self):
        """Nobody's yet."""
        return f"{NET}.{next(self.addresses)}"

    def listed_address(self):
        return f"{NET}.{next(self.listed)}"

    def close(self):
        if not self.kernel:
            print(self.gateway.text())
        self.world.internet.run("ip", "route", "del", "local", f"{NET}.0/24", "dev", "lo")
        super().close()


def site_of(made):
    """`site` of a module; made(world, spawn, kernel)."""
    @pytest.fixture(scope="module")
    def site(world, spawn, request):
        kernel = request.config.getoption("gateway") == "kernel"
        site = made(world, spawn, request.getfixturevalue("gateway") if kernel else None)
        yield site
        site.close()

    return site


class Stage:
    """The hosts of a test; they end with it."""

    def __init__(self, site):
        self.site, self.guests, self.made = site, [], []

    def keep(self, what):
        self.made.append(what)
        return what

    def guest(self, number=0):
        address = (*GUESTS, STATIC)[number]
        self.guests.append(self.keep(End(self.site.where[number], address)))
        return self.guests[-1]

    def fixed(self):
        """The guest with an address of its own."""
        return self.guest(3)

    def responder(self, address=None):
        return self.keep(End(self.site.world.internet, address or self.site.address()))

    def peerings(self, count, suite="cbc", address=None):
        """So many guests with one responder, each with keys, none with a tunnel yet."""
        responder = self.responder(address)
        made = [Peering(self.guest(number), responder, suite) for number in range(count)]
        for peering in made:
            peering.open()
        return made

    def tunnels(self, count, **how):
        """The same, opened."""
        made = self.peerings(count, **how)
        for peering in made:
            assert peering.ping(), "a tunnel opens"
        return made

    def kept_apart(self, forged=()):
        """No guest has got what was not for it, but what was forged."""
        for end in self.made:
            assert not getattr(end, "wrong", None), end.wrong
        for guest in self.guests:
            strange = [one for one in guest.strange if int(one[1], 16) not in forged]
            assert not strange, (guest.address, strange[:5])

    def close(self):
        for what in reversed(self.made):
            what.close()


@pytest.fixture
def stage(site):
    stage = Stage(site)
    yield stage
    stage.close()


@pytest.fixture
def natlock(site):
    """For what kernel NAT does not promise."""
    if isinstance(site.gateway, KernelGateway):
        pytest.skip("not a statement about kernel NAT")
    return site.gateway
