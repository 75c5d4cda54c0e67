"""Workers that lie to their neighbours, on the live gateway (liars.py)."""
import json, os, signal, socket, struct, threading, time
import pytest
from conftest import PEER, SERVER, act, leased_address, wait_for
from liars import (BURST, FATE, LOG_BURST, NEIGHBOURS, ROUNDS, Echo, Place, burst, facts, ip, is_there, liar, liars,  # noqa: F401
                   nobody_crashes, replaced, seeded)
from operator_client import change


@pytest.mark.parametrize("worker,peer", [(w, p) for w in NEIGHBOURS for p in [*NEIGHBOURS[w], "super"]])
def test_malformed_records_cost_the_liar_its_place(liars, worker, peer):
    """The first is enough, so most of a thousand wait behind it: they must not be held against the liar's successor."""
    ends, said, sent, turn = (worker, peer), {}, 0, 0
    while turn < ROUNDS or sent < 1000:
        for kind, make in liar.MALFORMED.items():
            records = burst(seeded(worker, peer, kind, turn), make, ends)
            said[kind] = replaced(liars, worker, peer, lambda place, receiver: place.persist(peer, records, receiver))
            sent += said[kind][0]
            if turn >= ROUNDS and sent >= 1000:
                break
        turn += 1
    print(f"{worker} to {peer}: {sent} sent; last of each kind (sent, had to wait, accusations):", said)


def test_well_formed_nonsense_is_dropped_or_costs_the_liar_its_place(liars):
    """Right type, absurd values, on every edge and to the supervisor; and again with descriptors attached."""
    said = {}
    for worker, peer in [(w, p) for w in NEIGHBOURS for p in [*NEIGHBOURS[w], "super"]]:
        for turn in range(ROUNDS):
            rng, luggage = seeded("absurd", worker, peer, turn), liar.Luggage()
            with liars.place(worker) as place:
                before = liars.whole()
                records = ((liar.absurd((worker, peer), rng), ()) for _ in range(4 * BURST))
                died = place.persist(peer, records, before.get(peer, liars.supervisor), seconds=1.0)
            with liars.place(worker) as other:
                for count in (1, 2, liar.DESCRIPTORS_MAX, liar.DESCRIPTORS_MAX + 1, 253):
                    other.say(peer, liar.absurd((worker, peer), rng), luggage.some(rng, count))
                other.dies(0.1)
            luggage.close()
            said[worker, peer] = place.sent, died, other.refused
            assert place.sent, (worker, peer)
        liars.whole()
    print(said)


def log_size(world):
    return sum(f.stat().st_size for f in world.gateway.folder.rglob("sec_*.log"))


def asks(world, seconds):
    """How long `natlockctl process list` takes meanwhile, at worst."""
    worst, end = 0.0, time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        world.gateway.control("process", "list")
        worst = max(worst, time.monotonic() - begin)
    return worst


FLOODS = {
    "notes": ("alg", lambda rng: liar.absurd(("alg", "super"), rng, "note")),
    "rows that nobody asked for": ("netstack", lambda rng: super_record("netstack", "rows", request=rng.randrange(2**32), rows=[rng.randbytes(400)] * 60, next_cursor=1)),
    "answers that nobody asked for": ("natproxy", lambda rng: super_record("natproxy", "answer", request=rng.randrange(2**32), count=2**32 - 1)),
    "session lines": ("natproxy", lambda rng: super_record("natproxy", "note", kind=0, events=[liar.event("x" * 900, rng)] * 30)),
    "diagnostics": ("natproxy", lambda rng: super_record("natproxy", "note", kind=1, text=f"{rng.random()} " + "y" * 900)),
    "leases": ("dhcpd", lambda rng: liar.lease(rng)),
    "leases of the hub": ("dhcpd", lambda rng: liar.lease(rng, ip=ip(f"192.168.30.{rng.randrange(100, 250)}"))),
    "ports closed": ("broker", lambda rng: super_record("broker", "port_closed", port=rng.randrange(64), why="z" * 500)),
    "edges cleared": ("broker", lambda rng: super_record("broker", "edge_cleared", shard=0, generation=rng.randrange(2**32))),
}


def super_record(worker, name, **fields):
    wrapper = liar.WRAPPERS[worker, "super"]()
    message = getattr(wrapper, name)
    message.SetInParent()
    for field, value in fields.items():
        if isinstance(value, list):
            getattr(message, field).extend(value)
        else:
            setattr(message, field, value)
    return wrapper.SerializeToString()


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_to_the_supervisor_delays_nobody_and_fills_nothing(liars, flood):
    worker, make = FLOODS[flood]
    before, log = facts(liars.supervisor), log_size(liars)
    rng, end, alive = seeded(flood), time.monotonic() + 0.4 * ROUNDS, True
    records = [make(rng) for _ in range(64)]
    with liars.place(worker) as place:
        place.channel("super")

        def speak():
            while time.monotonic() < (end if place.sent > 500 else end + 10) and is_there(place.pid):
                for record in records:
                    place.say("super", record) or time.sleep(0.0002)

        thread = threading.Thread(target=speak)
        thread.start()
        worst = asks(liars, 0.3)
        thread.join()
        alive = not place.dies(0)
    liars.whole()
    after = facts(liars.supervisor)
    print(f"{flood}: {place.sent} records, {place.blocked} waited, asked {worst * 1000:.0f} ms, log +{log_size(liars) - log}, rss +{after[1] - before[1]} KiB, {'lives' if alive else 'replaced'}")
    assert (place.sent > 500 or not alive) and worst < 2, (place.sent, worst)
    assert after[1] - before[1] < 16 * 1024 and abs(after[0] - before[0]) <= 2, (before, after)
    assert log_size(liars) - log < LOG_BURST


def test_leases_without_end_do_not_fill_the_channel_of_natproxy(liars):
    """Each is a change of names that natproxy is told of; it stands still meanwhile, as it may on a busy machine."""
    before, rng = liars.whole(), seeded("names")
    records = [liar.lease(rng, ip=ip(f"192.168.30.{rng.randrange(100, 250)}")) for _ in range(512)]
    with Place(before["natproxy"], "natproxy"), Place(before["dhcpd"], "dhcpd") as place:
        end = time.monotonic() + 1.5
        while time.monotonic() < end and place.sent < 20000:
            for record in records:
                place.say("super", record) or time.sleep(0.0005)
    print(place.sent, "leases")
    assert place.sent > 8000
    liars.nobody_else_ended(before, {"dhcpd"})
    assert act(liars.left, "up", 1 << 18)["ok"]


RINGS = [("broker", "netstack"), ("netstack", "broker"), ("netstack", "natproxy"), ("natproxy", "netstack")]
MAY_BE_LATE = {"stale generation", "any operation on a live flow", "random"}  # may be a late message of a flow that ended, or a true one


def lie_in_ring(ends, kind, rng):
    def lie(place, receiver):
        ring, bell = place.ring(receiver), place.bell(ends[1])
        try:
            if kind in liar.INDICES:
                liar.INDICES[kind](ring)
            else:
                ring.put([liar.DESCRIPTORS[kind](ends, rng) for _ in range(64)])
            os.write(bell, struct.pack("Q", 1))
            end = time.monotonic() + (0.3 if kind in MAY_BE_LATE else 3)
            while is_there(place.pid) and is_there(receiver) and time.monotonic() < end:
                time.sleep(0.002)
            if kind in MAY_BE_LATE and is_there(place.pid) and is_there(receiver):
                os.kill(place.pid, signal.SIGKILL)  # its own indices know nothing of this
            return place.dies(0.2 if not is_there(receiver) else 0.5)
        finally:
            os.close(bell)
    return lie


@pytest.mark.parametrize("worker,peer", RINGS)
def test_malformed_descriptors_cost_the_liar_its_place(liars, worker, peer):
    for turn in range(ROUNDS):
        for kind in [*liar.DESCRIPTORS, *liar.INDICES]:
            if kind in ("what was not lent", "returned twice") and "IDS" not in liar.ops((worker, peer)):
                continue
            replaced(liars, worker, peer, lie_in_ring((worker, peer), kind, seeded(worker, peer, kind, turn)))


@pytest.mark.parametrize("worker,peer", RINGS)
def test_what_changes_after_the_check_harms_nobody(liars, worker, peer):
    """Another thread of the liar changes length, buffer and header while the receiver may be reading them."""
    ends, arena = (worker, peer), liar.OWN[worker]
    for turn in range(ROUNDS):
        before, put = liars.whole(), 0
        with Place(before[worker], worker) as place:
            ring, bell = place.ring(before[peer]), place.bell(peer)
            rng, good = seeded("toctou", worker, peer, turn), liar.seg(0, 64, liar.buffer_id(arena, 0))
            bad = liar.seg(0, 0xffffffff, liar.buffer_id(arena, 0))
            first = ring.index(liar.HEAD)
            places = [(ring.slot(first + n) + 16, (bad, good)) for n in range(8)] + [(ring.slot(first) + 1, (b"\xff", b"\1"))]
            kinds, mac = liar.ops(ends), liars.mac
            header = bytes(12) + b"\xff" * 6 + mac + b"\x08\0" + bytes(102)
            places += [(ring.base + liar.HEADERS + 128 * ((first + n) % liar.RING_SLOTS) + 18, (b"\x02liar", mac[:5])) for n in range(8)]
            number = kinds[next(k for k in ("SEG", "RUN", "HEADER") if k in kinds)][0]
            child = liar.flip_while(place.mem, places, 0.4)
            end = time.monotonic() + 0.4
            while is_there(place.pid) and is_there(before[peer]) and time.monotonic() < end and put < 2000:
                try:
                    ring.put([liar.descriptor(number, 1, 42 * ("HEADER" in kinds), rng.getrandbits(32), 0, good)], [header])
                except OSError:
                    break  # its memory is gone
                os.write(bell, struct.pack("Q", 1))
                put += 1
                time.sleep(0.0002)
            os.waitpid(child, 0)
            os.close(bell)
            if is_there(place.pid):
                os.kill(place.pid, signal.SIGKILL)
            place.dies(2)
        liars.nobody_else_ended(before, FATE[worker])
        print(worker, peer, put, "descriptors")
        assert put


def test_payload_that_changes_under_way_spoils_its_own_flow_at_most(liars):
    """The arenas of broker and natproxy change all the time while bytes pass both ways."""
    before = liars.whole()
    flows = [liars.left.start(PEER, way, SERVER, 4 << 20) for way in ("up", "down")]
    children = []
    for worker in ("broker", "natproxy"):
        mem = os.open(f"/proc/{before[worker]}/mem", os.O_RDWR)
        base = next(base for base, mode, _, name in Place(before[worker], worker).maps() if mode.startswith("rw") and f"arena {worker}" in name)
        places = [(base + 2048 * n + at, (b"\xff\x00\xff\x00", b"\x45\x00\x05\xdc")) for n in range(4090, 4096) for at in (0, 14, 34)]
        places += [(base + 2048 * 4096 + 65536 * n + at, (b"\xff" * 4, b"\x00" * 4)) for n in range(506, 512) for at in (0, 14, 34, 1000)]
        children.append(liar.flip_while(mem, places, 1.0 * ROUNDS))
        os.close(mem)
    for child in children:
        os.waitpid(child, 0)
    for flow in flows:
        flow.kill()
        flow.wait()
    assert liars.whole() == before
    assert act(liars.left, "up", 1 << 18)["ok"], "what was spoilt is over"


def test_bells_without_work_cost_time_only(liars):
    before = liars.whole()
    for worker, peer in RINGS:
        place = Place(before[worker], worker)
        bell = place.bell(peer)
        for _ in range(20000):
            os.write(bell, struct.pack("Q", 1))
        os.close(bell)
    assert liars.whole() == before


FLOOD = r"""
import socket, sys, time
s, end = socket.socket(type=socket.SOCK_DGRAM), time.monotonic() + 0.7
while time.monotonic() < end:
    for to in ((sys.argv[1], 7001), ("192.168.30.1", 67), ("192.168.30.1", 53)):
        s.sendto(bytes([1, 1, 6, 0]) + bytes(300), to)
"""


@pytest.mark.parametrize("worker", ["netstack", "natproxy", "dhcpd", "alg"])
def test_who_never_reads_holds_up_only_what_it_serves(liars, worker):
    """Stopped for a while under load: bounded queues, nobody dies, and what comes later is served."""
    before, counts = liars.whole(), {w: facts(p) for w, p in liars.whole().items()}
    with Place(before[worker], worker):
        flood = liars.left.start("/usr/bin/python3", "-c", FLOOD, SERVER)
        liars.witness.goes_on()
        flood.wait(10)
    after = liars.whole()
    assert after == before
    for name, pid in after.items():
        now = facts(pid)
        assert now[0] == counts[name][0] or name == "natproxy", (name, counts[name], now)
        assert now[1] - counts[name][1] < 48 * 1024, (name, counts[name], now)
    assert act(liars.left, "up", 1 << 18)["ok"]


@pytest.mark.parametrize("worker", ["dhcpd", "alg"])
def test_accusations_from_below_end_no_flow(liars, worker):
    """dhcpd accuses the broker, alg natproxy, and both whom they cannot know: a thousand words of one incarnation end it alone."""
    victim = NEIGHBOURS[worker][0]
    before, echo = liars.whole(), Echo(liars.left)
    wait_for(lambda: echo.samples, 5, "an echo")
    accused = lambda name: super_record(worker, "incident", actor=name, what="it lies", shard=0)  # noqa: E731
    with Place(before[worker], worker) as place:
        assert place.persist("super", ((accused(victim), ()) for _ in range(1000)), liars.supervisor)
    liars.nobody_else_ended(before, {worker})
    before = liars.whole()
    with Place(before[worker], worker) as place:
        strangers = [name for name in (*FATE, "supervisor", "", "../broker") if name not in (victim, worker)]
        assert place.persist("super", ((accused(name), ()) for name in strangers), liars.supervisor)
    liars.nobody_else_ended(before, {worker})
    echo.goes_on()
    echo.stop()
    assert "that is its word alone" in liars.gateway.log() and "a process that it cannot know" in liars.gateway.log()


@pytest.mark.parametrize("worker", ["netstack", "natproxy"])
def test_the_other_shard_goes_on(liars, worker):
    """A worker of the shard that does not serve the guest lies in its ring, on its channels, and accuses the broker."""
    pids, echo = liars.whole("shards", 8), Echo(liars.sharded)
    wait_for(lambda: echo.samples, 5, "an echo")
    serving = next(row["process"] for row in liars.gateway.table("--hub", "shards", "nat", "table") if row["source"].startswith(liars.address[liars.sharded] + ":"))[-1]
    name = f"{worker}.{1 - int(serving)}"
    stays = {process: pid for process, pid in pids.items() if "." not in process or process.endswith(serving)}
    peer = "broker" if worker == "netstack" else "alg"
    receiver = "broker" if worker == "netstack" else f"alg.{1 - int(serving)}"
    lies = [("malformed", lambda place: place.persist(peer, burst(seeded("shard", worker), liar.MALFORMED["rubbish"], (worker, peer), 50), pids[receiver])),
            ("accusation", lambda place: place.persist("super", [(super_record(worker, "incident", actor=peer, what="it lies"), ())] * 50, liars.supervisor, seconds=0.5))]
    if worker == "netstack":
        lies.append(("ring", lambda place: (liar.INDICES["head jumps"](place.ring(pids["broker"])), os.write(place.bell("broker"), struct.pack("Q", 1)), place.dies(3))[2]))
    for what, lie in lies:
        with Place(liars.whole("shards", 8)[name], worker) as place:
            assert lie(place) or peer == "alg", what
        now = liars.whole("shards", 8)
        assert {process: now[process] for process in stays} == stays, what
    echo.goes_on()
    print(name, "lied; echo of the other shard, p99 and worst in ms:", echo.p99() if len(echo.samples) > 20 else echo.samples)
    echo.stop()


def test_who_stops_reading_what_the_supervisor_says_is_replaced(liars):
    """Its queue is bounded; what does not fit would be missing for ever."""
    pids, before = liars.whole(), facts(liars.supervisor)
    entries = ", ".join(f"{{name: r{n}, mac: '02:00:00:00:00:{n:02x}', address: 192.168.30.{n}}}" for n in range(10, 250))
    with Place(pids["dhcpd"], "dhcpd") as place:
        for n in range(1000):
            change(liars.gateway, ("set", "dhcp.lease", f"{7200 + n}s"), ("set", "dhcp.reservations", f"[{entries}]"), hub="left")
            if place.dies(0):
                break
        assert place.dies(1), "it is still there"
    print(f"replaced after {n} changes; supervisor +{facts(liars.supervisor)[1] - before[1]} KiB")
    liars.nobody_else_ended(pids, {"dhcpd"})
    change(liars.gateway, ("set", "dhcp.lease", "7200s"), ("set", "dhcp.reservations", "[]"), hub="left")
    assert "The process dhcpd was ended by signal 9 and will be restarted. Reason: it does not " in liars.gateway.log()


def unwilling():
    """A connection whose close waits 5 s for a far end that reads nothing."""
    door = socket.create_server(("127.0.0.1", 0))
    s = socket.create_connection(door.getsockname())
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 5))
    s.setblocking(False)
    try:
        while True:
            s.send(bytes(1 << 20))
    except BlockingIOError:
        return s, (door, door.accept()[0])


def test_a_descriptor_whose_close_waits_stops_nobody(liars):
    """natproxy could make such a socket and attach it. Kernels from 6.16 refuse it to the sender; before, whoever closes it waits."""
    pids, had = liars.whole(), facts(liars.supervisor)[0]
    for peer in ("super", "alg", "netstack"):
        with Place(liars.whole()["natproxy"], "natproxy") as place:
            s, far = unwilling()
            place.say(peer, b"\x08\1", [s.fileno()])
            passes = place.refused == 0
            for one in () if passes else far:
                one.close()  # else it is our own close that waits
            s.close()
            began = time.monotonic()
            liars.gateway.control("process", "list")
            took = time.monotonic() - began
            for one in far:
                one.close()
        print(f"to {peer}: {'passed' if passes else 'refused by the kernel'}, process list in {took:.2f} s")
        assert not passes or not has_passrights()
        assert took < 2 or passes
    assert abs(facts(liars.supervisor)[0] - had) <= 2
    assert passes or liars.whole() == pids, "who could send nothing said nothing wrong"


def has_passrights():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        try:
            s.setsockopt(socket.SOL_SOCKET, 83, 0)
            return True
        except OSError:
            return False


def test_afterwards_everything_is_as_before(liars):
    """Who was not lied from is the same process with as many descriptors and hardly more memory; the gateway serves, and its locks are on."""
    liars.whole()
    worst = liars.witness.p99(liars.began)
    print(f"echo of the other hub, p99 and worst in ms: {liars.quiet} before, {worst} during; {len(liars.witness.samples)} samples")
    liars.witness.goes_on()
    assert worst[0] < max(2 * liars.quiet[0], 50) and worst[1] < 1000, (liars.quiet, worst)
    for pid, (descriptors, rss) in liars.before.items():
        now = facts(pid)
        assert abs(now[0] - descriptors) <= 2, (pid, descriptors, now)
        assert now[1] - rss < 24 * 1024, (pid, rss, now)
    ended = [line for line in liars.gateway.log().splitlines() if "will be restarted" in line]
    print(len(ended), "ends")
    leased_address(liars.left)
    for way in ("up", "down"):
        assert act(liars.left, way, 4 << 20)["ok"]
    report = wait_for(lambda: (r := json.loads(liars.gateway.control("policy", "audit", "--json", check=False).stdout))["drift"] == 0 and r, 5, "an audit without drift")
    assert report["unknown"] == 0
