"""A hostile alg: what it asks for and what it edits, and what natproxy makes of it (liars.py)."""
import os, signal, time
import pytest
from conftest import SERVER, SERVER2, TOP, wait_for
from liars import Place, ip, liar, liars, nobody_crashes  # noqa: F401
from operator_client import change

CONTROL = r"""
import socket, sys, time
door = socket.create_server(("0.0.0.0", 40000))
s = socket.create_connection((sys.argv[1], int(sys.argv[3])), 5)
s.settimeout(60)
print(s.getsockname()[1], flush=True)
print(s.recv(100).decode().strip(), flush=True)
s.sendall(b"NOOP\r\n")
print(s.recv(100).decode().strip(), flush=True)
door.settimeout(float(sys.argv[2]))
try: print("let in", door.accept()[1], flush=True)
except TimeoutError: print("nobody came", flush=True)
"""


class HostileAlg:
    """In alg's place, before any flow is shown to it."""

    def __init__(self, world, guests, seconds, port=21):
        self.world, self.guests, self.seconds, self.port, self.before = world, guests, seconds, port, world.whole()
        self.place, self.flows, self.shown, self.answers = Place(self.before["alg"], "alg"), {}, {}, []

    def __enter__(self):
        self.channel = self.place.__enter__().channel("natproxy")
        self.controls = [guest.start("/usr/bin/python3", "-c", CONTROL, SERVER2, self.seconds, self.port) for guest in self.guests]
        end = time.monotonic() + 5
        while len(self.shown) < len(self.guests) and time.monotonic() < end:
            self.hear()
            time.sleep(0.002)
        return self

    def __exit__(self, *_):
        self.place.__exit__()
        for control in self.controls:
            control.kill()
            control.wait()

    def hear(self):
        try:
            while True:
                m = liar.WRAPPERS["natproxy", "alg"].FromString(self.channel.recv(1 << 17, 0x40))
                kind = m.WhichOneof("msg")
                if kind == "flow_inspect":
                    self.flows[m.flow_inspect.flow] = m.flow_inspect
                elif kind == "flow_bytes":
                    self.shown[m.flow_bytes.flow] = m.flow_bytes
                    self.say("verdict", flow=m.flow_bytes.flow, direction=m.flow_bytes.direction, until=m.flow_bytes.at, seen=m.flow_bytes.at + len(m.flow_bytes.bytes))
                elif kind == "pinhole_answer":
                    self.answers.append(m.pinhole_answer)
        except BlockingIOError:
            return False

    def say(self, name, edits=(), **fields):
        m = liar.WRAPPERS["alg", "natproxy"]()
        message = getattr(m, name)
        message.SetInParent()
        for key, value in fields.items():
            setattr(message, key, value)
        for at, old, data in edits:
            edit = message.edits.add()
            edit.at, edit.old_bytes, edit.bytes = at, old, data
        return self.place.say("natproxy", m.SerializeToString())

    def wish(self, flow, port=40000, **fields):
        """natproxy's answer."""
        had = len(self.answers)
        self.say("pinhole_open", flow=flow, guest_port=port, **{"token": 1, "kind": 0, "peer_ip_be": 0, "lifetime_ms": 0, **fields})
        end = time.monotonic() + 5
        while time.monotonic() < end and len(self.answers) == had:
            self.hear()
        assert len(self.answers) > had, "natproxy does not answer"
        return self.answers[-1]

    def pass_on(self, flow):
        """What was shown last may go on: alg has not gone to sleep."""
        self.hear()
        m = self.shown[flow]
        end = m.at + len(m.bytes)
        assert self.say("verdict", flow=flow, direction=m.direction, until=end, seen=end)

    def end(self):
        """What the guests' clients saw."""
        self.place.__exit__()
        return [control.communicate(timeout=20)[0].split("\n") for control in self.controls]


def doors(world):
    """What a stranger could knock at: the UDP sockets of sessions come and go, and their peers are checked."""
    return {line.split()[3] for line in world.gateway.where.run("ss", "-Hltn").stdout.splitlines()}


KNOCK = r"""
import socket, sys
for door in sys.argv[2:]:
    try:
        s = socket.create_connection(door.split(":"), 2, (sys.argv[1], 0))
        print(s.recv(1) or "nothing")
    except OSError as e:
        print(type(e).__name__)
"""
NOBODYS = {generation << 16 | index for generation in range(3) for index in range(20)}  # flow ids of others, or of nobody


@pytest.fixture(scope="module")
def ftp(world):
    server = world.internet.start(TOP / "tests/integration/ftp_server.py", SERVER2)
    assert server.stdout.readline() == "ready\n"
    yield
    server.kill()
    server.wait()


def refused_count(world):
    return sum(int(row["count"]) for row in world.gateway.table("drops") if row["reason"] == "PINHOLE_REFUSED" and row["process"] == "natproxy")


def test_a_hostile_alg_opens_what_its_flows_may_and_nothing_else(liars, ftp):
    former = liars.whole()["natproxy"]
    os.kill(former, signal.SIGKILL)  # a new one has all the lines that it may write about refusals
    wait_for(lambda: liars.whole()["natproxy"] != former, 10, "a new natproxy")
    outside, count = doors(liars), refused_count(liars)
    with HostileAlg(liars, [liars.left, liars.other], 1.5) as alg:
        mine, other = sorted(alg.flows, key=lambda flow: alg.flows[flow].guest_ip_be != ip(liars.address[liars.left]))
        why = {port: alg.wish(mine, port).why for port in (0, 21, 22, 1023, 5060, 8080, 65536, 2**32 - 1)}
        assert set(why.values()) == {"inside port is privileged or a protected service"}, why
        for peer in ("8.8.8.8", "127.0.0.1", liars.address[liars.other]):
            assert alg.wish(mine, peer_ip_be=ip(peer)).why == "peer is not the control connection's peer"
        assert {alg.wish(mine, kind=kind).why for kind in (1, 2)} == {"this kind is not offered to this protocol"}
        had = len(alg.answers)
        for stranger in NOBODYS - set(alg.flows):
            assert alg.say("pinhole_open", flow=stranger, token=7, kind=0, guest_port=40000)
        assert alg.wish(mine, port=22).why == why[22], "the answer to the last of a row: those before it have been read"
        assert not alg.answers[-1].granted and len(alg.answers) == had + 1, "who asks for nobody's flow hears nothing"
        assert doors(liars) <= outside
        granted = alg.wish(mine, lifetime_ms=2**32 - 1)
        assert granted.granted, granted
        assert alg.wish(mine).why == "token already in use" and alg.wish(mine, token=2).why == "this flow has as many pending as it may"
        assert alg.wish(other).granted
        assert not any(alg.wish(other, 40000 + n, token=100 + n).granted for n in range(60))
        rows, opened = liars.gateway.table("alg", "expectations"), doors(liars) - outside
        assert len(rows) == len(opened) == 2, (rows, opened)
        assert {row["guest"] for row in rows} == {f"{liars.address[guest]}:40000" for guest in (liars.left, liars.other)}
        assert all(row["peer"].startswith(SERVER2) and int(row["expires_in_ms"]) <= 60000 for row in rows), rows
        knocked = liars.gateway.world.internet.run("/usr/bin/python3", "-c", KNOCK, SERVER, *[row["outside"] for row in rows]).stdout.split()
        assert len(knocked) == 2 and set(knocked) <= {"ConnectionResetError", "nothing"}, knocked
        said = alg.end()
    assert [words[1] for words in said] == ["220 ready"] * 2 and all("nobody came" in words for words in said), said
    wait_for(lambda: doors(liars) <= outside, 5, "the doors to be shut")
    log = liars.gateway.log()
    for reason in ("inside port is privileged", "peer is not the control", "this kind is not offered"):
        assert f"expectation was refused: {reason}" in log, reason
    assert refused_count(liars) - count >= 100
    liars.whole()


MEDIA = r"""
import select, socket
pair = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(2)]
for i, s in enumerate(pair): s.bind(("0.0.0.0", 41000 + i))
print("ready", flush=True)
while True:
    for s in select.select(pair, [], [])[0]:
        data, peer = s.recvfrom(100)
        print(s.getsockname()[1], data.decode(), peer[0], flush=True)
"""
THROW = r"""
import socket, sys
for word in sys.argv[4:]:
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.bind((sys.argv[1], 0))
    s.sendto(word.encode(), (sys.argv[2], int(sys.argv[3])))
"""


def listener(liars, port):
    """A guest that hears what comes to two ports of it, and a server at an ALG's port."""
    server = liars.gateway.world.internet.start(TOP / "tests/integration/ftp_server.py", SERVER2, port)
    guest = liars.left.start("/usr/bin/python3", "-c", MEDIA)
    assert server.stdout.readline() == guest.stdout.readline() == "ready\n"
    yield guest
    for process in (server, guest):
        process.kill()
        process.wait()


@pytest.fixture
def media(liars):
    yield from listener(liars, 554)


def test_a_hostile_alg_gets_datagrams_of_its_flows_peer_and_of_nobody_else(liars, media):
    """A pair of ports through the whole gateway: nobody before it is armed, no stranger at any time."""
    def throw(source, at, *words):
        liars.gateway.world.internet.run("/usr/bin/python3", "-c", THROW, source, at["outside"].split(":")[0], at["port"], *words)

    with HostileAlg(liars, [liars.left, liars.other], 3, 554) as alg:
        mine, other = sorted(alg.flows, key=lambda flow: alg.flows[flow].guest_ip_be != ip(liars.address[liars.left]))
        why = {(kind, port): alg.wish(mine, port, kind=kind).why for kind in (1, 2) for port in (0, 22, 1022, 8080, 65536, 2**32 - 1)}
        assert set(why.values()) == {"inside port is privileged or a protected service"}, why
        assert {alg.wish(mine, port, kind=2).why for port in (41001, 65535)} == {"a pair of ports begins with an even one"}
        assert alg.wish(mine, 1718, kind=2).why == why[1, 22], "its odd port is a protected service"
        assert alg.wish(mine, kind=0).why == "this kind is not offered to this protocol"
        assert alg.wish(mine, kind=2, peer_ip_be=ip(SERVER)).why == "peer is not the control connection's peer"
        assert alg.wish(mine, kind=2, token=0).why == "a token is not 0"
        door = alg.wish(mine, 41000, kind=2, token=5, latent=True, lifetime_ms=2**32 - 1)
        assert door.granted and door.outside_port % 2 == 0, door
        assert alg.wish(mine, 41000, kind=1, token=5).why == "token already in use"
        granted = [alg.wish(other, 42000 + 2 * n, kind=2, token=1 + n, latent=True).granted for n in range(20)]
        assert granted == [True] * 16 + [False] * 4, "as many as may wait"
        alg.pass_on(mine)
        alg.pass_on(other)
        rows = liars.gateway.table("alg", "expectations")
        assert len(rows) == 17 and {(row["alg"], row["kind"], row["state"]) for row in rows} == {("rtsp", "udp-pair", "latent")}, rows
        at = next(row for row in rows if row["guest"] == f"{liars.address[liars.left]}:41000")
        assert at["outside"].endswith(f":{door.outside_port}") and at["peer"].startswith(SERVER2) and int(at["expires_in_ms"]) <= 60000, at
        at["port"] = door.outside_port
        throw(SERVER2, at, "early")
        alg.say("pinhole_arm", flow=other, token=5)
        alg.say("pinhole_arm", flow=mine, token=5)
        wait_for(lambda: f"expectation {at['id']} was armed" in liars.gateway.log(), 5, "the door to be armed")
        throw(SERVER, at, "stranger")
        throw(SERVER2, at, "rtp", "again")
        heard = [media.stdout.readline() for _ in range(2)]
        throw(SERVER, {**at, "port": door.outside_port + 1}, "stranger")
        throw(SERVER2, {**at, "port": door.outside_port + 1}, "rtcp")
        heard.append(media.stdout.readline())
        assert heard == [f"41000 rtp {SERVER2}\n", f"41000 again {SERVER2}\n", f"41001 rtcp {SERVER2}\n"], heard
        assert next(row for row in liars.gateway.table("alg", "expectations") if row["id"] == at["id"])["state"] == "used"
    wait_for(lambda: not liars.gateway.table("alg", "expectations"), 5, "the doors to be shut")
    log = liars.gateway.log()
    assert "was created. Protocol rtsp, UDP pair, TCP session" in log and f"expectation {at['id']} was used by {SERVER2}:" in log
    liars.whole()


@pytest.fixture
def trunk(liars):
    yield from listener(liars, 5060)


def test_a_hostile_alg_lets_in_for_a_call_who_is_outside_and_nobody_else(liars, trunk):
    """SIP's flows may name another host for media: one outside. Floods of what costs nothing lead to nothing."""
    def throw(source, port, *words):
        liars.gateway.world.internet.run("/usr/bin/python3", "-c", THROW, source, outside, port, *words)

    def row():
        alg.hear()  # natproxy waits a second for a sign
        return next(row for row in liars.gateway.table("alg", "expectations") if row["id"] == door["id"])

    def armed(peer):
        alg.say("pinhole_arm", flow=mine, token=5, peer_ip_be=ip(peer))
        now = row()
        return now["state"] == "waiting" and now["peer"].split(":")[0] == peer

    with HostileAlg(liars, [liars.left, liars.other], 60, 5060) as alg:
        mine, other = sorted(alg.flows, key=lambda flow: alg.flows[flow].guest_ip_be != ip(liars.address[liars.left]))
        inside = [liars.address[liars.other], liars.address[liars.left], "127.0.0.1", "169.254.169.254", "224.0.1.75", "255.255.255.255", "240.0.0.1", "0.0.0.1"]
        assert {alg.wish(mine, 41000, kind=2, peer_ip_be=ip(peer)).why for peer in inside} == {"peer is no host outside that a guest may talk to"}
        assert alg.wish(mine, 41000, kind=2, peer_ip_be=0).why == "nobody in particular is named, and alg.sip_latch is false"
        assert {alg.wish(mine, 41000, kind=2, pairs=pairs, peer_ip_be=ip(SERVER2)).why for pairs in (5, 256, 2**31, 2**32 - 1)} == {"more pairs of ports than this protocol has"}
        assert {alg.wish(mine, port, kind=2, pairs=4, peer_ip_be=ip(SERVER2)).why for port in (5054, 5060, 65530, 1718)} == {"inside port is privileged or a protected service"}
        assert {alg.wish(mine, port, kind=1, peer_ip_be=ip(SERVER2)).why for port in (5060, 5061)} == {"inside port is privileged or a protected service"}
        granted = alg.wish(mine, 41000, kind=2, token=5, latent=True, pairs=4, peer_ip_be=ip(SERVER2))
        assert granted.granted and granted.outside_port % 2 == 0, granted
        assert not alg.wish(other, 41002, kind=0, token=5, latent=True, peer_ip_be=ip(SERVER2)).why
        alg.pass_on(mine)
        alg.pass_on(other)
        door = next(row for row in liars.gateway.table("alg", "expectations") if row["guest"] == f"{liars.address[liars.left]}:41000")
        outside = door["outside"].split(":")[0]
        assert door["state"] == "latent" and int(door["pairs"]) == 4, door
        for peer in [*inside, "0.0.0.0"]:
            alg.say("pinhole_arm", flow=mine, token=5, peer_ip_be=ip(peer))
        for flow in [*(NOBODYS - set(alg.flows)), other]:
            alg.say("pinhole_arm", flow=flow, token=5 if flow != other else 6, peer_ip_be=ip(SERVER))
            alg.say("pinhole_keep", flow=flow, token=6)
            alg.say("flow_hold", flow=flow if flow != other else 2**32 - 1, milliseconds=2**32 - 1)
        assert row()["state"] == "latent" and row()["peer"].startswith(SERVER2), row()
        throw(SERVER, granted.outside_port, "early")
        for n in range(3000):
            alg.say("pinhole_keep", flow=mine, token=5)
            alg.say("flow_hold", flow=mine, milliseconds=n)
            alg.hear()
            alg.say("pinhole_arm", flow=mine, token=5, peer_ip_be=ip(SERVER if n % 2 else SERVER2))
        wait_for(lambda: armed(SERVER), 10, "the door to be armed for the other host, once it may be again")
        assert alg.wish(mine, 41000, kind=2, token=5, peer_ip_be=ip(SERVER2)).why in ("token already in use", "this guest asks too fast"), "natproxy is there"
        assert int(row()["expires_in_ms"]) <= 300000
        throw(SERVER, granted.outside_port, "rtp")
        assert trunk.stdout.readline() == f"41000 rtp {SERVER}\n"
        wait_for(lambda: row()["state"] == "used", 5, "the door to be used")
    wait_for(lambda: not liars.gateway.table("alg", "expectations"), 5, "the doors to be shut")
    log = liars.gateway.log()
    assert log.count("is held open. Protocol sip") == 1 and log.count(f"expectation {door['id']} was armed") <= 1100, "floods are a few lines"
    liars.whole()


@pytest.fixture
def gatekeeper(liars):
    """Three of its ports: that of calls, one for a watch, one for another."""
    servers = [liars.gateway.world.internet.start(TOP / "tests/integration/ftp_server.py", SERVER2, port) for port in (1720, 5555, 5556)]
    assert {server.stdout.readline() for server in servers} == {"ready\n"}
    yield
    for server in servers:
        server.kill()
        server.wait()


CALL = "import socket, sys\nwith socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s: print(s.recv(100).decode().strip())"


def test_a_hostile_alg_has_connections_read_that_its_row_allows_and_no_others(liars, gatekeeper):
    """H.323's flows may say how other connections are to be read: of their guest, with their peer or a host outside, and as a service that there is."""
    listener, pair, service, watch = 0, 2, 3, 4
    privileged, unread = "inside port is privileged or a protected service", "it is no connection that this protocol reads"

    def call(guest, port):
        """A connection of a guest's, through whatever is made of it; the flows that alg is shown by it."""
        had, process = set(alg.flows), guest.start("/usr/bin/python3", "-c", CALL, SERVER2, port)
        while process.poll() is None:
            alg.hear()
            for flow in set(alg.shown) - had:
                alg.pass_on(flow)
            time.sleep(0.002)
        assert process.stdout.read() == "220 ready\n"
        alg.hear()
        return [alg.flows[flow] for flow in set(alg.flows) - had]

    def knock(source, door, times=1):
        had, process = set(alg.flows), liars.gateway.world.internet.start("/usr/bin/python3", "-c", KNOCK, source, *[f"{outside}:{door.outside_port}"] * times)
        while process.poll() is None:
            alg.hear()
            time.sleep(0.002)
        alg.hear()
        return process.stdout.read().split("\n"), [alg.flows[flow] for flow in set(alg.flows) - had]

    before = doors(liars)
    with HostileAlg(liars, [liars.left, liars.other], 60, 1720) as alg:
        mine, other = sorted(alg.flows, key=lambda flow: alg.flows[flow].guest_ip_be != ip(liars.address[liars.left]))
        assert {alg.flows[flow].alg for flow in (mine, other)} == {"h323"}
        assert alg.wish(mine, kind=service, inspect=0).why == "calls are sent on, and alg.h323_forward is false"
        alg.pass_on(mine)
        change(liars.gateway, ("set", "alg.h323_forward", "true"))
        for wrong in (1, 2, 4, 255, 256, 2**32 - 1):
            assert {alg.wish(mine, kind=kind, inspect=wrong).why for kind in (listener, service)} == {unread}, wrong
        assert alg.wish(mine, 41000, kind=pair, inspect=3).why == alg.wish(mine, 0, kind=watch, peer_ip_be=ip(SERVER2), peer_port=5555).why == unread
        assert {alg.wish(mine, port, kind=service, inspect=0).why for port in (0, 22, 1719, 5060, 8080, 65536 + 1720)} == {privileged}
        assert {alg.wish(mine, 1720, kind=kind).why for kind in (listener, 1, pair)} == {privileged}
        assert {alg.wish(mine, kind=kind, inspect=0, peer_ip_be=ip(SERVER)).why for kind in (listener, service)} == {"peer is not the control connection's peer"}
        inside = [liars.address[liars.other], "127.0.0.1", "169.254.169.254", "224.0.1.41", "255.255.255.255"]
        assert {alg.wish(mine, 0, kind=watch, inspect=3, peer_port=5555, peer_ip_be=ip(peer)).why for peer in inside} == {"peer is no host outside that a guest may talk to"}
        assert {alg.wish(mine, 0, kind=watch, inspect=3, peer_port=port, peer_ip_be=ip(SERVER2)).why for port in (0, 22, 1023, 65536, 2**32 - 1)} == {privileged}
        assert alg.wish(mine, 40000, kind=watch, inspect=3, peer_port=5555, peer_ip_be=ip(SERVER2)).why == privileged
        assert doors(liars) <= before and not liars.gateway.table("alg", "expectations")
        # a watch: of this guest, once, with the very link that was said, and of nobody else
        assert alg.wish(mine, 0, kind=watch, token=9, inspect=3, link=2**32 - 1, peer_port=5555, peer_ip_be=ip(SERVER2)).granted
        alg.pass_on(mine)  # natproxy waits a second for what becomes of an answer
        assert not call(liars.other, 5555) and not call(liars.left, 5556)
        shown, = call(liars.left, 5555)
        assert (shown.alg, shown.service, shown.link, shown.guest_serves) == ("h323", 3, 2**32 - 1, False), shown
        assert shown.guest_ip_be == ip(liars.address[liars.left]) and not call(liars.left, 5555)
        # many watches are a handful, and the other guest has its own
        granted = [alg.wish(mine, 0, kind=watch, token=100 + n, inspect=3, peer_port=2000 + n, peer_ip_be=ip(SERVER2)).granted for n in range(120)]
        alg.pass_on(mine)
        assert granted.count(True) <= 64 and doors(liars) <= before, granted.count(True)
        # a registered port: its peer gets in again and again, nobody else does, and all of it is read
        door = alg.wish(other, 40000, kind=service, token=3, inspect=0, link=77, lifetime_ms=2**32 - 1)
        assert door.granted
        alg.pass_on(other)
        row = next(row for row in liars.gateway.table("alg", "expectations") if row["kind"] == "tcp-service")
        outside = row["outside"].split(":")[0]
        assert int(row["expires_in_ms"]) <= 86400000 and row["guest"] == f"{liars.address[liars.other]}:40000" and row["peer"].startswith(SERVER2), row
        said, shown = knock(SERVER, door)
        assert said[0] in ("ConnectionResetError", "nothing") and not shown, said
        shown = [one for _ in range(3) for one in knock(SERVER2, door)[1]]
        assert [(one.service, one.link, one.guest_serves) for one in shown] == [(0, 77, True)] * 3, shown
        # what the peer's own connection asks for is its own; the listener does not outlive the flow that named it
        assert alg.say("pinhole_close", flow=mine, token=3) and knock(SERVER2, door)[1]
        alg.say("give_up", flow=other)
        wait_for(lambda: doors(liars) <= before, 5, "the door to be shut")
    wait_for(lambda: not liars.gateway.table("alg", "expectations"), 5, "all watches to end")
    change(liars.gateway, ("set", "alg.h323_forward", "false"))
    log = liars.gateway.log()
    assert f"Protocol h323, TCP watch, TCP session" in log and "Protocol h323, TCP service" in log and f"peer {SERVER2}:5555" in log
    liars.whole()


def test_a_hostile_alg_edits_only_what_it_was_shown(liars, ftp):
    """Each lie about a flow's bytes costs alg its place; the flow goes on as the server wrote it."""
    for until, edits in (
        (5000, ()), (2**63, ()),                                    # verdict beyond what was shown
        (11, [(20, 1, b"x")]), (11, [(2**64 - 1, 2, b"x")]),          # edits beyond it
        (11, [(0, 2**32 - 1, b"")]),                                # longer than it
        (11, [(4, 4, b"x"), (2, 4, b"y")]),                         # out of order
        (11, [(0, 6, b"x"), (3, 4, b"y")]),                         # overlapping
        (11, [(0, 0, b"A" * 16385)]),                               # more than may be added
        (11, [(0, 0, b"A" * 400)] * 60),                            # more in all
        (11, [(0, 0, b"")] * 129),                                  # too many
    ):
        with HostileAlg(liars, [liars.left], 0.01) as alg:
            flow = next(iter(alg.flows))
            for stranger in range(50):
                alg.say("verdict", flow=stranger << 16 | 3000 + stranger, direction=stranger % 2, until=2**40, seen=2**41)
                alg.say("give_up", flow=stranger << 16 | 3000 + stranger, why="x" * 300)
            assert not alg.place.dies(0.05), "what it says of flows that are not there is ignored"
            alg.say("verdict", flow=flow, direction=1, until=until, seen=11, edits=edits)
            assert alg.place.dies(3), (until, edits)
            assert alg.end()[0][1:3] == ["220 ready", "200 NOOP"]
        liars.nobody_else_ended(alg.before, {"alg"})
    assert "natproxy reports: malformed" in liars.gateway.log()
