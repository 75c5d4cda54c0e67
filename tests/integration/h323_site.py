"""A guest, H.323 endpoints and a gatekeeper for test_alg_h323*.py: both ends say what others once said (h323_recordings.py), and use every address that they are told.

    guest .10, and .50 (nat.static 198.18.1.89) ~~~ natlock ---- internet [endpoints and a gatekeeper on 198.18.2.45]

    out          the guest calls; where the recording has a gatekeeper it registers and asks first
    registered   the guest registers, and is called where the gatekeeper learned that it is
    static       the outside calls a guest that has an outside address of its own

The host holds the numbers of all ports of the guests, so that none keeps its own: what arrives was named by a rewritten message.
"""
import re, socket
import pytest, sites
from capture import Capture
from conftest import OUTSIDE, wait_for
from h323_peer import TIMEOUT, Call, Ports, Registration, Side, whole
from h323_recordings import A, ACF, ARQ, B, GCF, GRQ, RCF, RRQ, recordings
from packets import open_socket
from talks import addressed, alg_row

GUEST, SERVER, STATIC, OTHER, THERE = "192.168.30.10", "192.168.30.50", "198.18.1.89", "192.168.30.77", "198.18.2.45"  # other: one more host inside
ELSEWHERES = {"off": "198.18.2.46", "observe": "198.18.2.47"}  # a session of datagrams stays what it was when it began
FORMS, WAYS = ("separate", "tunnelled", "fast", "direct", "routed"), ("out", "registered", "static")
COUNTED = ("flows", "messages", "edits", "granted", "refused", "violations", "left_alone")


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest, self.journal = spawn.guest("h323"), []
        self.own(world.gateway, "w0", STATIC)
        self.own(world.internet, "lo", THERE, *ELSEWHERES.values())
        self.ports = Ports(world.gateway, (OUTSIDE, STATIC), 20000)
        self.far_ports = Ports(world.internet, (), 40000)
        self.gateway = spawn.gateway("alg-h323", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}"]
    nat: {{static: [{{inside: {SERVER}, outside: {STATIC}, ports: [1720]}}]}}
""")
        addressed(self.guest, GUEST, SERVER, OTHER)

    def doors(self):
        """By their numbers. A watch is none: it opens nothing, and is there as long as the gatekeeper's word, or the call."""
        return {row["id"]: row for row in self.gateway.table("alg", "expectations") if row["kind"] != "tcp-watch"}

    def left(self, number):
        """Of a door's time, ms."""
        return int(self.doors()[number]["expires_in_ms"])

    def row(self):
        return {key: int(alg_row(self.gateway, "h323")[key] or 0) for key in COUNTED}


site, _ = sites.fixtures(Site)


class Stage(sites.Stage):
    """The conversations of a test; they end with it."""

    def __init__(self, site):
        super().__init__(site)
        self.there, self.raw = THERE, False

    def guest(self, static=False):
        inside, outside = (SERVER, STATIC) if static else (GUEST, OUTSIDE)
        return Side(self.site.guest, inside, outside, self.site.ports)

    def far(self):
        return Side(self.site.world.internet, self.there, self.there, self.site.far_ports)

    def registered(self, recording):
        """A guest that is."""
        registration = self.keep(Registration(recording, {A: self.guest(), B: self.far()}, self.site.journal, self.raw))
        registration.say(GRQ, GCF, RRQ, RCF)
        return registration

    def call(self, form, way, cut=whole):
        """Not yet begun; of a guest that is registered with its registration."""
        recording = recordings()[form]
        caller, callee = (self.guest(), self.far()) if way == "out" else (self.far(), self.guest(way == "static"))
        call = self.keep(Call(form, {A: caller, B: callee}, self.site.journal, self.raw, cut))
        call.guest, call.registration = (A if way == "out" else B), None
        if way == "registered":
            call.registration = self.registered("direct")
            self.comes_by(call, call.registration)
        else:
            callee.listen(recording.signal, recording.signal[1] if way == "out" else 1720)
            caller.told[recording.signal] = callee.own[recording.signal] if way == "out" else (STATIC, 1720)
        if way == "out" and "ras" in recording.clients:
            call.registration = self.registered(form)
            self.asks(call)
        return call

    def asks(self, call):
        """Whom to call, and where."""
        signal, registration = call.recording.signal, call.registration
        registration.sides[B].own[signal] = call.sides[B].own[signal]
        registration.say(ARQ, ACF, identity=call.identity)
        call.sides[A].told[signal] = registration.sides[A].told[signal]

    def comes_by(self, call, registration):
        """A call to where the gatekeeper knows a guest; the guest waits there."""
        signal, endpoint = call.recording.signal, registration.sides[A]
        call.sides[B].sockets[signal], call.sides[B].own[signal] = endpoint.sockets[registration.called], endpoint.own[registration.called]
        call.sides[A].told[signal] = registration.sides[B].told[registration.called]


@pytest.fixture
def stage(site):
    stage = Stage(site)
    yield stage
    stage.close()


@pytest.fixture
def capture(site, tmp_path):
    """At the far end."""
    capture = Capture(site.world.internet, "i0", tmp_path / "far.pcap")
    yield capture
    capture.close()


def comes_in(call, recorded, source=None):
    """Whether the guest hears at this port of its media what is sent to where it said that this port is."""
    guest, far = (call.sides[who] for who in ((A, B) if call.guest == A else (B, A)))
    with open_socket(far.where, at=(source or far.address, 0)) as outside:
        outside.sendto(b"media", far.told[recorded])
    guest.sockets[recorded].settimeout(0.1)
    try:
        return guest.sockets[recorded].recv(100) == b"media"
    except TimeoutError:
        return False
    finally:
        guest.sockets[recorded].settimeout(TIMEOUT)


def gets_in(site, source, at):
    """Whether somebody who connects there is not turned away."""
    with open_socket(site.world.internet, socket.SOCK_STREAM, at=(source, 0), timeout=1) as s:
        try:
            s.connect(at)
            return s.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False


def states(site, before):
    return {row["state"] for number, row in site.doors().items() if number not in before}


def noted(site, attack, words, at=None):
    """An attack until the operator reads of it: one line a second is written. at: the endpoint of the guest's that did it."""
    where = "{}:{}".format(*at) if at else rf"{GUEST}:\d+"
    return wait_for(lambda: attack() or re.search(rf"alg h323(-ras)?, guest {where}: {words}", site.gateway.text()), 4, words)
