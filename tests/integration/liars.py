"""The gateway that test_escape_liar.py and test_escape_alg.py lie to: root takes a worker's place (tests/escape/liar.py) and says what a captured one could.

Of the hubs `left` is lied to, `right` has a flow that must not notice, `shards` has two shards. NATLOCK_LIAR_SEED repeats a run, NATLOCK_LIAR_ROUNDS=N makes N of them.
"""
import os, random, struct, sys, threading, time
import pytest
from conftest import SERVER, TOP, leased_address, sh, wait_for

sys.path.insert(0, str(TOP / "tests/escape"))
import liar  # noqa: E402,F401
from liar import Place, facts, is_there  # noqa: E402

SEED = int(os.environ.get("NATLOCK_LIAR_SEED", time.time_ns() % 10**6))
ROUNDS = int(os.environ.get("NATLOCK_LIAR_ROUNDS", 1))
LOG_BURST = 72 << 20  # what one process may write at once (policy/supervisor/seclog.h), and a little
BURST = 220  # records of each malformed kind
CONFIG = """hubs:
  left: {{attach: ["netns:{0}", "netns:{1}"]}}
  right: {{attach: ["netns:{2}"]}}
  shards: {{attach: ["netns:{3}"], shards: 2}}
policy: {{restart_backoff_min: 20ms, restart_backoff_max: 20ms}}
"""
NEIGHBOURS = {"broker": ["netstack", "dhcpd"], "netstack": ["broker", "natproxy"], "natproxy": ["netstack", "alg"], "dhcpd": ["broker"], "alg": ["natproxy"]}
EDGES = [(worker, peer) for worker, peers in NEIGHBOURS.items() for peer in peers]
REACH = {"alg": 0, "dhcpd": 0, "netstack": 1, "natproxy": 1, "broker": 2}  # how much ends with it (policy/supervisor/watch.c)
FATE = {"alg": {"alg"}, "dhcpd": {"dhcpd"}, "netstack": {"netstack", "natproxy"}, "natproxy": {"netstack", "natproxy"}, "broker": {"broker", "netstack", "natproxy"}}


class Echo:
    """One TCP connection of a guest that echoes without a pause; samples in ms."""
    CODE = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 7001), 5)
s.setsockopt(6, 1, 1)
s.settimeout(5)
while True:
    begin = time.monotonic()
    s.sendall(b'12345678')
    got = b''
    while len(got) < 8:
        piece = s.recv(8)
        if not piece: sys.exit('closed')
        got += piece
    print(f'{begin:.4f} {(time.monotonic() - begin) * 1000:.3f}', flush=True)
    time.sleep(0.01)
"""

    def __init__(self, guest):
        self.samples, self.process = [], guest.start("/usr/bin/python3", "-c", self.CODE, SERVER)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 2 and words[1].replace(".", "").isdigit():
                self.samples.append((float(words[0]), float(words[1])))

    def p99(self, since=0.0):
        values = sorted(ms for at, ms in list(self.samples) if at >= since)
        assert len(values) > 20, "no samples: the flow has stopped"
        return values[len(values) * 99 // 100], values[-1]

    def goes_on(self):
        count = len(self.samples)
        wait_for(lambda: len(self.samples) > count + 3, 5, "an echo")
        assert self.process.poll() is None

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)


TRAFFIC = r"""
import socket, sys, time
while True:
    try:
        u = socket.socket(type=socket.SOCK_DGRAM)
        u.sendto(b"x", (sys.argv[1], 7001))
        with socket.create_connection((sys.argv[1], 7001), 1) as s:
            for _ in range(20):
                s.sendall(bytes(2000))
                s.recv(2000)
    except OSError:
        pass
    time.sleep(0.02)
"""


class World:
    def __init__(self, spawn):
        self.left, self.other, self.right = (spawn.guest(f"li-{name}") for name in "lor")
        self.sharded = spawn.guest("li-s")
        guests = self.left, self.other, self.right, self.sharded
        self.gateway = spawn.gateway("liars", config=CONFIG.format(*(guest.name for guest in guests)))
        self.address = {guest: leased_address(guest) for guest in guests}
        self.mac = bytes.fromhex(next(row["mac"] for row in self.gateway.table("hub", "list") if row["name"] == "left").replace(":", ""))
        self.witness = Echo(self.right)
        wait_for(lambda: len(self.witness.samples) > 100, 20, "a first second of echoes")
        self.quiet = self.witness.p99()
        self.traffic = self.left.start("/usr/bin/python3", "-c", TRAFFIC, SERVER)
        self.rows = self.gateway.table("process", "list")
        self.supervisor = next(row["pid"] for row in self.rows if row["process"] == "supervisor")
        self.others = {row["pid"] for row in self.rows if row["hub"] == "right"}
        self.began, self.before = time.monotonic(), {pid: facts(pid) for pid in self.others | {self.supervisor}}

    def pids(self, hub):
        return {row["process"]: row["pid"] for row in self.gateway.table("process", "list") if row["hub"] == hub and row["state"] == "ok"}

    def whole(self, hub="left", count=5):
        """The pids of a hub's workers, once all of them serve."""
        return wait_for(lambda: (pids := self.pids(hub)) and len(pids) == count and all(map(is_there, pids.values())) and pids, 15, f"all workers of {hub}")

    def joined(self, worker, peer):
        """The same, once that one's channel leads to a living peer."""
        return wait_for(lambda: (pids := self.whole()) and Place(pids[worker], worker).reaches(peer) and pids, 15, f"{worker}'s channel to {peer}")

    def place(self, worker):
        return Place(self.whole()[worker], worker)

    def ends(self, count):
        """The last that the security log tells of ends."""
        return [line for line in self.gateway.log().splitlines() if "will be restarted" in line][-count:]

    def nobody_else_ended(self, before, fate):
        after = self.whole()
        for worker in set(before) - fate:
            assert after[worker] == before[worker], (f"{worker} ended too", self.ends(5))
        return after


def crashes(world):
    """What the security logs tell of ends that no supervisor decided: a receiver that did not survive."""
    told = sh("grep", "-rhE", "was killed by its policy|was ended by signal (4|5|6|7|8|11) ", "--include=sec_*.log", world.gateway.folder, check=False)
    assert told.returncode < 2, told.stderr
    return set(told.stdout.splitlines())


@pytest.fixture(scope="module")
def liars(spawn):
    print(f"seed {SEED}")
    world = World(spawn)
    yield world
    world.witness.stop()
    world.traffic.kill()
    world.traffic.wait()


@pytest.fixture(autouse=True)
def nobody_crashes(liars):
    """The test in which it happened fails, so that tests/check, which runs again what failed, tells the same lies (and with the same seed) again."""
    before = crashes(liars)
    yield
    assert crashes(liars) == before


def seeded(*words):
    return random.Random(f"{SEED} {words}")


def burst(rng, make, ends, count=BURST):
    """Made beforehand: a liar sends as fast as it can."""
    return [(make(ends, rng), ()) for _ in range(count)]


def replaced(world, worker, peer, lie):
    """Lies until the liar is gone. Of those with whom more would end than with the receiver it is believed the second time only: how often, and what was sent."""
    sent = blocked = 0
    for strike in (1, 2):
        before = world.joined(worker, peer)
        with Place(before[worker], worker) as place:
            died = lie(place, before.get(peer, world.supervisor))
        sent, blocked = sent + place.sent, blocked + place.blocked
        if died or world.whole()[worker] != before[worker]:  # the second accusation may come when nobody waits for it any more
            world.nobody_else_ended(before, FATE[worker] | (FATE[peer] if REACH[worker] > REACH.get(peer, 9) else set()))
            return sent, blocked, strike
        assert peer != "super" and REACH[worker] > REACH[peer], f"{worker} lied to {peer} and lives"
        world.nobody_else_ended(before, FATE[peer] | FATE[worker])
    raise AssertionError(f"{worker} lied to {peer} twice and lives: {sent} sent", world.ends(6))


def ip(text):
    return struct.unpack("<I", bytes(map(int, text.split("."))))[0]
