"""Workers that lie to their neighbours, on the live gateway: root takes a worker's place (tests/escape/liar.py) and says what a captured one could.

Two hubs: `left` is lied to, `right` has a flow that must not notice. NATLOCK_LIAR_SEED repeats a run, NATLOCK_LIAR_ROUNDS=N makes N of them.
"""
import json, os, random, signal, statistics, subprocess, sys, threading, time
import pytest
from conftest import PEER, SERVER, SERVER2, TOP, act, leased_address, sh, wait_for

sys.path.insert(0, str(TOP / "tests/escape"))
import liar  # noqa: E402
from liar import Place, facts, is_there  # noqa: E402

SEED = int(os.environ.get("NATLOCK_LIAR_SEED", time.time_ns() % 10**6))
ROUNDS = int(os.environ.get("NATLOCK_LIAR_ROUNDS", 1))
BURST = 150  # records of each malformed kind: seven kinds, so a thousand on each edge
CONFIG = """hubs:
  left: {{attach: ["netns:{0}"]}}
  right: {{attach: ["netns:{1}"]}}
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


class World:
    def __init__(self, spawn):
        self.left, self.right = spawn.guest("li-l"), spawn.guest("li-r")
        self.gateway = spawn.gateway("liars", config=CONFIG.format(self.left.name, self.right.name))
        for guest in (self.left, self.right):
            leased_address(guest)
        self.witness = Echo(self.right)
        wait_for(lambda: len(self.witness.samples) > 100, 20, "a first second of echoes")
        self.quiet = self.witness.p99()
        self.rows = self.gateway.table("process", "list")
        self.supervisor = next(row["pid"] for row in self.rows if row["process"] == "supervisor")
        self.others = {row["pid"] for row in self.rows if row["hub"] == "right"}
        self.began, self.before = time.monotonic(), {pid: facts(pid) for pid in self.others | {self.supervisor}}

    def pids(self):
        return {row["process"]: row["pid"] for row in self.gateway.table("process", "list") if row["hub"] == "left" and row["state"] == "ok"}

    def whole(self):
        """The pids of left's workers, once all of them serve."""
        return wait_for(lambda: (pids := self.pids()) and len(pids) == 5 and all(map(is_there, pids.values())) and pids, 15, "left's five workers")

    def place(self, worker):
        return Place(self.whole()[worker], worker)

    def nobody_else_ended(self, before, fate):
        after = self.whole()
        for worker in set(before) - fate:
            assert after[worker] == before[worker], f"{worker} ended too"
        return after


@pytest.fixture(scope="module")
def liars(spawn):
    print(f"seed {SEED}")
    world = World(spawn)
    yield world
    world.witness.stop()


def seeded(*words):
    return random.Random(f"{SEED} {words}")


def burst(rng, make, ends, count=BURST):
    return ((make(ends, rng), ()) for _ in range(count))


def replaced(world, worker, peer, lie):
    """Lies until the liar is gone. Of those with whom more would end than with the receiver it is believed the second time only: how often, and what was sent."""
    sent = blocked = 0
    for strike in (1, 2):
        before = world.whole()
        with Place(before[worker], worker) as place:
            died = lie(place, before.get(peer, world.supervisor))
        sent, blocked = sent + place.sent, blocked + place.blocked
        if died:
            world.nobody_else_ended(before, FATE[worker] | (FATE[peer] if REACH[worker] > REACH.get(peer, 9) else set()))
            return sent, blocked, strike
        assert peer != "super" and REACH[worker] > REACH[peer], f"{worker} lied to {peer} and lives"
        world.nobody_else_ended(before, FATE[peer])
    raise AssertionError(f"{worker} lied to {peer} twice and lives: {sent} sent")


@pytest.mark.parametrize("worker,peer", [(w, p) for w in NEIGHBOURS for p in [*NEIGHBOURS[w], "super"]])
def test_malformed_records_cost_the_liar_its_place(liars, worker, peer):
    ends, said = (worker, peer), {}
    for turn in range(ROUNDS):
        for kind, make in liar.MALFORMED.items():
            rng = seeded(worker, peer, kind, turn)
            print(worker, peer, kind)
            said[kind] = replaced(liars, worker, peer, lambda place, receiver: place.persist(peer, burst(rng, make, ends), receiver))
    print(worker, peer, said)
