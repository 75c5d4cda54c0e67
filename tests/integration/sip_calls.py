"""Calls through the SIP gateway, for test_alg_sip*.py: sipp at both ends, its media by their hash, and every message of both traces compared byte by byte.

    guest .10, and .50 (nat.static 198.18.1.87) ~~~ natlock ---- internet [sipp on 198.18.2.35]

    out          the guest calls
    registered   the guest registers with who calls it then, over the same flow
    static       the outside calls a guest that has an outside address of its own

The host holds the ports of the guest's phones and media, so that none keeps its number: what arrives was named by a rewritten message.
"""
import re
import pytest, sites
from conftest import OUTSIDE, wait_for
from sip_media import Media, arrive, connected, listens, receiving
from sip_scenarios import FAX, MEDIA, SCENARIOS, Side, joined, registered
from sipp import PORT, Phone
from talks import addressed

GUEST, SERVER, STATIC, THERE = "192.168.30.10", "192.168.30.50", "198.18.1.87", "198.18.2.35"
ELSEWHERE = {"off": "198.18.2.36", "observe": "198.18.2.37"}  # a connection stays what it was when it began
TRANSPORTS = {"UDP": "u1", "TCP": "t1"}
HOLD = """
import select, socket, sys
held = []
for argument in sys.argv[1:]:
    kind, address, port = argument.split(",")
    s = socket.socket(socket.AF_INET, int(kind))
    held.append(s)
    if s.type == socket.SOCK_STREAM:  # a connection of another test may have been here a moment ago
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, int(port)))
    if s.type == socket.SOCK_STREAM:
        s.listen()
print("ready", flush=True)
select.select([], [], [])
"""


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest, self.folder = spawn.guest("sip"), world.folder / "sip"
        self.folder.mkdir(exist_ok=True)
        self.own(world.gateway, "w0", STATIC)
        self.own(world.internet, "lo", THERE, *ELSEWHERE.values())
        numbers = [port + n for role in MEDIA for port in MEDIA[role] for n in (0, 1)] + list(FAX.values())
        words = [f"2,{address},{port}" for address in (OUTSIDE, STATIC) for port in numbers] + [f"{kind},{OUTSIDE},{PORT}" for kind in (1, 2)]
        words += [f"1,{address},{port}" for address in (OUTSIDE, STATIC) for port in FAX.values()]
        self.holder = world.gateway.start("/usr/bin/python3", "-c", HOLD, *words)
        assert self.holder.stdout.readline() == "ready\n"
        self.gateway = spawn.gateway("alg-sip", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}"]
    nat: {{static: [{{inside: {SERVER}, outside: {STATIC}, ports: [{PORT}]}}]}}
""")
        addressed(self.guest, GUEST, SERVER)

    def close(self):
        self.holder.kill()
        self.holder.wait()
        super().close()


site, _ = sites.fixtures(Site)


class Call:
    """Both phones of a scenario, and what of it was seen."""

    def __init__(self, site, name, way, transport, there=THERE):
        self.site, self.way, self.transport, self.protocol, self.there = site, way, TRANSPORTS[transport], transport.lower(), there
        self.inside, self.outside = (SERVER, STATIC) if way == "static" else (GUEST, OUTSIDE)
        self.roles = ("caller", "callee") if way == "out" else ("callee", "caller")  # the guest's, the far end's
        a, b = Side("caller"), Side("callee")
        before = registered(a, b) if way == "registered" else ([], [])
        self.steps = dict(zip(("caller", "callee"), joined(before, SCENARIOS[name](a, b))))
        self.places = dict(zip(self.roles, ((site.guest, self.inside), (site.world.internet, there))))
        self.phones, self.media, self.arrived, self.flow = {}, {}, [], None

    def begin(self):
        """Who waits for the other's first message is there first."""
        for role in self.places:
            self.media[role] = Media(*self.places[role], role)
        waits = "caller" if self.way == "registered" else "callee"
        for role in (waits, "callee" if waits == "caller" else "caller"):
            to = None if role == waits else STATIC if self.way == "static" else self.there
            self.phones[role] = Phone(self.site.folder, *self.places[role], self.transport, self.steps[role], to, tells=role == "caller")
        self.caller, self.callee = self.phones["caller"], self.phones["callee"]
        self.guest, self.far = (self.phones[role] for role in self.roles)

    def all_came(self):
        """Both traces say the same: a message may have come before its sender has written down that it left."""
        return all(len(one.said("sent")) == len(other.said("received")) for one, other in ((self.caller, self.callee), (self.callee, self.caller)))

    def play(self):
        try:
            self.begin()
            while at := self.caller.at():
                wait_for(self.all_came, 3, "what was sent")
                if at == "media":
                    self.arrived.append(self.exchange())
                self.flow = self.flow or next((row for row in self.site.gateway.table("nat", "table") if self.is_flow(row)), None)
                self.caller.goes_on()
            self.expect_the_end()
        finally:
            for one in (*self.phones.values(), *self.media.values()):
                one.stop()
        return self

    def expect_the_end(self):
        """Each has said and heard all that stands in its scenario. Of two sipps that end the slower one may take the other's for a failure, so its code says nothing."""
        for role, phone in self.phones.items():
            errors, text = phone.result()[1], "".join(self.steps[role])
            assert not errors and [len(phone.said(way)) for way in ("sent", "received")] == [text.count("<send>"), text.count("<recv ")], (role, errors, phone.talk()[-3:])

    def exchange(self):
        """Whether media arrive, at the guest first, which has sent nothing yet from there; then at the far end. None: nobody is to begin there."""
        said, told = {}, {}
        for role, other in (self.roles, self.roles[::-1]):
            said[role] = self.phones[role].description("sent")
            told[role] = receiving(self.phones[other].description("received"))  # where the other is to send to
        guest, far = self.roles
        if listens(said[guest]) is not None:
            return self.connection(guest, far, said, told), self.connection(far, guest, said, told)
        own = {role: self.media[role].at[receiving(said[role])[0][1]] for role in self.roles}
        return arrive(own[far], own[guest], told[guest], told[far]), arrive(own[guest], own[far], told[far], told[guest])

    def connection(self, role, other, said, told):
        port = receiving(said[role])[0][1]
        return connected(self.media[role], self.media[other], port, told[role][0], told[other][0][0]) if listens(said[role]) else None

    def pairs(self, way):
        """(as it was sent, as it came), of messages to the outside or to the guest."""
        one, other = (self.guest, self.far) if way == "outwards" else (self.far, self.guest)
        sent, came = one.said("sent"), other.said("received")
        assert len(sent) == len(came)
        return list(zip(sent, came))

    def is_flow(self, row):
        """Of natlockctl nat table: what this call goes by."""
        return row["source"].startswith(f"{self.inside}:") and row["destination"] == f"{self.there}:{PORT}" and row["proto"] == self.protocol

    def unchanged(self):
        return all(sent == came for way in ("outwards", "inwards") for sent, came in self.pairs(way))


# Of a message this is nobody's to change, whatever it says.
KEPT = re.compile(rb"^(?:Call-ID|Replaces|X-Other|User-Agent|Authorization|Proxy-Authorization): .*\r\n|Replaces=[^>]*|(?<=text/plain\r\n\r\n)[^\r]*|^at [\d.]+|(?<=;branch=)[^\r;]*", re.M)


def lines_that_name(address, message):
    return [line for line in KEPT.sub(b"", message).split(b"\r\n") if address.encode() in line]


def nameless(call, message):
    """Without what an ALG may write: the guest's names, the ports of its media, the length of a body. What nobody may change stays."""
    kept = iter(KEPT.findall(message))
    parts = KEPT.split(message)
    names = re.compile(rb"(?:%b|%b)(?::\d+)?" % (call.inside.encode(), call.outside.encode()))
    parts = [re.sub(rb"(?m)^(m=\w+|Content-Length:) +\d+", rb"\1 N", names.sub(b"GUEST", part)) for part in parts]
    return b"".join(part + next(kept, b"") for part in parts)


def rewritten_right(call):
    """Outwards no inside address is left, and inwards the guest hears what it said itself; all else is as it was sent."""
    outside_port = int(call.flow["outside"].partition(":")[2])
    for sent, came in call.pairs("outwards"):
        assert not lines_that_name(call.inside, came), came.decode()
        named = re.search(rb"%b(?::(\d+))?" % call.outside.encode(), header(b"Contact", came)) if b"\nContact: " in came else None
        assert not named or int(named.group(1) or PORT) == outside_port, came.decode()
    for way in ("outwards", "inwards"):
        for sent, came in call.pairs(way):
            assert nameless(call, came) == nameless(call, sent), (sent.decode(), came.decode())
            body = came.partition(b"\r\n\r\n")[2]
            assert int(re.search(rb"Content-Length: *(\d+)", came).group(1)) == len(body)
    said = {(cseq(m), how(m)): m for m in call.guest.said("sent") if how(m) == "asks"}
    for answer in call.guest.said("received"):
        if how(answer) == "answers" and (cseq(answer), "asks") in said:
            for name in (b"Via", b"From", b"Call-ID"):
                assert header(name, answer) == header(name, said[cseq(answer), "asks"]), answer.decode()


def header(name, message):
    return re.search(rb"^%b: *([^\r\n]*)" % name, message, re.M).group(1)


def cseq(message):
    return header(b"Call-ID", message) + header(b"CSeq", message)


def how(message):
    return "answers" if message.startswith(b"SIP/2.0") else "asks"


def doors(site):
    return {row["id"] for row in site.gateway.table("alg", "expectations")}


def expect_a_call(site, name, way, transport):
    before = doors(site)
    call = Call(site, name, way, transport).play()
    assert not any(False in both for both in call.arrived), "media came whole, from and to where the descriptions said"
    rewritten_right(call)
    wait_for(lambda: doors(site) <= before, 3, "the doors to close")
