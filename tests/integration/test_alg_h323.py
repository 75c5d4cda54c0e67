"""H.323 through the ALG: both ends say what others once said (h323_recordings.py), and use every address that they are told.

    guest .10, and .50 (nat.static 198.18.1.89) ~~~ natlock ---- internet [endpoints and a gatekeeper on 198.18.2.45]

    out          the guest calls; where the recording has a gatekeeper it registers and asks first
    registered   the guest registers, and is called where the gatekeeper learned that it is
    static       the outside calls a guest that has an outside address of its own

The host holds the numbers of all ports of the guests, so that none keeps its own: what arrives was named by a rewritten message.
"""
import re, socket
import pytest
from conftest import OUTSIDE, sh, wait_for
from h323_peer import Call, Ports, Registration, Side, Unreachable, split, together, whole
from h323_recordings import A, ACF, ARQ, B, DCF, DRQ, ELSEWHERE, FACILITY, GCF, GRQ, RCF, RRQ, SETUP, UCF, URQ, recordings
from operator_client import change
from packets import TCP, UDP, ip, tcp, udp
from talks import Talk, addressed, alg_row, arrives, listen

GUEST, SERVER, STATIC, OTHER, THERE = "192.168.30.10", "192.168.30.50", "198.18.1.89", "192.168.30.77", "198.18.2.45"
ELSEWHERES = {"off": "198.18.2.46", "observe": "198.18.2.47"}  # a session of datagrams stays what it was when it began
FORMS, WAYS = ("separate", "tunnelled", "fast", "direct", "routed"), ("out", "registered", "static")
COUNTED = ("flows", "messages", "edits", "granted", "refused", "violations", "left_alone")


class Site:
    def __init__(self, world, spawn):
        self.world, self.guest, self.journal = world, spawn.guest("h323"), []
        world.gateway.run("ip", "addr", "add", f"{STATIC}/32", "dev", "w0")
        for address in (THERE, *ELSEWHERES.values()):
            world.internet.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        self.ports = Ports(world.gateway, (OUTSIDE, STATIC))
        self.far_ports = Ports(world.internet, (), 40000)
        self.gateway = spawn.gateway("alg-h323", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}"]
    nat: {{static: [{{inside: {SERVER}, outside: {STATIC}, ports: [1720]}}]}}
""")
        addressed(self.guest, GUEST, SERVER)

    def doors(self):
        return {row["id"]: row for row in self.gateway.table("alg", "expectations")}

    def row(self):
        return {key: int(alg_row(self.gateway, "h323")[key] or 0) for key in COUNTED}

    def close(self):
        self.ports.close()
        self.world.gateway.run("ip", "addr", "del", f"{STATIC}/32", "dev", "w0")
        for address in (THERE, *ELSEWHERES.values()):
            self.world.internet.run("ip", "addr", "del", f"{address}/32", "dev", "lo")


@pytest.fixture(scope="module")
def site(world, spawn):
    site = Site(world, spawn)
    yield site
    print(site.gateway.text())
    site.close()


class Stage:
    """The conversations of a test; they end with it."""

    def __init__(self, site):
        self.site, self.there, self.raw, self.made = site, THERE, False, []

    def guest(self, static=False):
        inside, outside = (SERVER, STATIC) if static else (GUEST, OUTSIDE)
        return Side(self.site.guest, inside, outside, self.site.ports)

    def far(self):
        return Side(self.site.world.internet, self.there, self.there, self.site.far_ports)

    def keep(self, conversation):
        self.made.append(conversation)
        return conversation

    def registered(self, recording):
        """A guest that is."""
        registration = self.keep(Registration(recording, {A: self.guest(), B: self.far()}, self.site.journal, self.raw))
        registration.listen()
        registration.say(GRQ, GCF, RRQ, RCF)
        return registration

    def call(self, form, way, cut=whole):
        """Not yet begun; of a registered guest with its registration."""
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

    def close(self):
        for conversation in reversed(self.made):
            conversation.close()


@pytest.fixture
def stage(site):
    stage = Stage(site)
    yield stage
    stage.close()


def leave(call):
    """Ends the call at the gatekeeper, which ends the registration."""
    if call.guest == A:
        call.registration.say(DRQ, DCF, identity=call.identity)
    call.registration.say(URQ, UCF)


CASES = [(form, way, cut) for form in FORMS for way, cut in zip(WAYS, (whole, together, split))] + [(form, "out", cut) for form in ("separate", "tunnelled") for cut in (together, split)]


@pytest.mark.parametrize("form,way,cut", CASES, ids=lambda value: getattr(value, "__name__", value))
def test_a_call(site, stage, form, way, cut):
    before = set(site.doors())
    call = stage.call(form, way, cut)
    call.play()
    assert set(site.doors()) - before
    assert call.media(call.guest) == (True, True), "media came whole, from and to where the messages said"
    call.finish()
    if call.registration:
        leave(call)
    wait_for(lambda: set(site.doors()) <= before, 3, "the doors to close")


@pytest.fixture
def mode(site, stage, request):
    change(site.gateway, ("set", "alg.h323.mode", request.param))
    stage.there, stage.raw = ELSEWHERES[request.param], True
    yield request.param
    change(site.gateway, ("set", "alg.h323.mode", "fix"))


@pytest.mark.parametrize("mode", ["off", "observe"], indirect=True)
@pytest.mark.parametrize("form", FORMS)
def test_without_the_alg_every_message_is_as_it_was_and_media_do_not_arrive(site, stage, mode, form):
    call = stage.call(form, "out")
    call.play()
    assert call.media(A)[0] is False
    assert mode == "off" or wait_for(lambda: "SecureNAT: The ALG h323 would have changed the TCP session" in site.gateway.log(), 3, "what it would have changed")


@pytest.mark.parametrize("mode", ["off"], indirect=True)
@pytest.mark.parametrize("form,way", [("separate", "static"), ("routed", "static"), ("separate", "registered")])
def test_without_the_alg_nobody_can_connect_to_the_guest(stage, mode, form, way):
    call = stage.call(form, way)
    with pytest.raises(Unreachable, match="192.168.30."):
        call.play()
    assert bool(call.lines) == (way == "static"), "what cannot be made is the connection for H.245, or the first one"
