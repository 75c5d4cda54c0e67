"""Each kind of system call, injected into each live process of a release gateway by root: killed, or that process's own job.

tests/escape/inject seizes the workers by ptrace; injections.def says what it makes them try and whose job that is. The same injector makes the same
calls in an unconfined program, where they must work: what does not work there proves nothing here. docs/escape.md holds the outcome; after a change

    NATLOCK_WRITE_DOCS=1 python3 -m pytest tests/integration/test_escape_inject.py

writes it anew.
"""
import concurrent.futures, dataclasses, errno, os, platform, signal, subprocess, sys, time
import pytest
from conftest import BIN, SERVER, TOP, Gateway, act, alive, leased_address, sh, wait_for
from test_audit import built

sys.path.insert(0, str(TOP / "tests/escape"))
import escape_table  # noqa: E402

if platform.machine() != "x86_64":
    pytest.skip("tests/escape/seize.c knows the registers of x86-64 only", allow_module_level=True)
INJECT = built("inject", "escape")
DOCUMENT = TOP / "docs/escape.md"
WORKERS = ["natproxy", "netstack", "broker", "dhcpd", "alg"]
# Two hubs: what dies in the one must not be felt by the flows of the other kind of worker.
HUBS = {"parsers": ["dhcpd", "alg"], "path": ["natproxy", "netstack", "broker"]}
HUB_OF = {worker: hub for hub, workers in HUBS.items() for worker in workers}
CONFIG = """hubs:
  parsers: {{attach: [{0}]}}
  path: {{attach: [{1}]}}
policy: {{restart_backoff_min: 10ms, restart_backoff_max: 10ms}}
"""
# The supervisor itself: its end is the end of the gateway, so each of these has a gateway of its own.
TELLING = ["unshare_network", "setns", "chroot", "open_by_handle_at", "ptrace_attach", "process_vm_writev", "pidfd_getfd", "kill", "execve", "execveat",
           "fork", "mmap_rwx", "socket_raw", "socket_packet", "bpf_map", "perf_event_open", "io_uring_setup", "init_module", "seccomp_listener", "x32_getpid"]
GUEST = """
import socket, sys, threading, time
ended, held = threading.Event(), []
def connect(patience):
    c = socket.create_connection((sys.argv[1], 7001), patience)
    c.settimeout(patience)
    return c
def echo(c, word):
    c.sendall(word)
    back = b""
    while len(back) < len(word):
        piece = c.recv(4096)
        assert piece, "closed"
        back += piece
    assert back == word, "other bytes"
def hold():
    try:
        with connect(10) as c:
            while not ended.is_set():
                echo(c, b"%08d" % len(held))
                held.append(time.monotonic())
                time.sleep(0.02)
    except Exception as e:
        held.append(repr(e))
def load():
    while not ended.is_set():
        try:
            with connect(0.2) as c:
                while not ended.is_set():
                    echo(c, b"y" * 3000)
                    time.sleep(0.002)
        except (OSError, AssertionError):
            time.sleep(0.005)
def attempt():
    for turn in range(1, 50):
        try:
            with connect(0.2) as c:
                echo(c, b"x" * 2000)
                return turn
        except OSError:
            time.sleep(0.01)
    return 0
for line in sys.stdin:
    if line == "hold\\n":
        thread = threading.Thread(target=hold)
        thread.start()
    elif line == "load\\n":
        threading.Thread(target=load, daemon=True).start()
    elif line == "try\\n":
        print(attempt(), flush=True)
ended.set()
if held:
    thread.join()
    print(len(held), held[-1] if isinstance(held[-1], str) else "whole", flush=True)
"""


@dataclasses.dataclass
class Kind:
    jobs: list
    without: str
    subject: str


@dataclasses.dataclass(frozen=True)
class Attempt:
    kind: str
    role: str
    end: str
    value: int

    def contained(self):
        return self.end == "killed"

    def has_no_entry(self):
        """A kernel without the 32-bit entry ends whoever uses it, by itself."""
        return self.kind.startswith("i386_") and (self.end, self.value) == ("signal", signal.SIGSEGV)

    def as_declared(self):
        return self.has_no_entry() or self.end == ("returned" if self.role in KINDS[self.kind].jobs else "killed")

    def __str__(self):
        return f"{self.kind} in {self.role}: {self.end} {errno.errorcode.get(-self.value, self.value)}"


def read_kinds():
    rows = [line.split("\t") for line in sh(INJECT, "list").stdout.splitlines()]
    return {name: Kind(jobs.split(), without, subject) for name, jobs, without, subject in rows}


KINDS = read_kinds()


def read_attempts(text):
    return [Attempt(kind, role, end, int(value)) for kind, role, end, value in (line.split("\t") for line in text.splitlines())]


class Guest:
    """A program in a guest's namespace that holds one flow, or always has some, and opens another whenever it is asked."""

    def __init__(self, namespace):
        self.process = namespace.start("python3", "-c", GUEST, SERVER, stdin=subprocess.PIPE)

    def say(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def turns(self):
        """How many times it had to begin until a new flow echoed; 0: given up."""
        self.say("try")
        return int(self.process.stdout.readline())

    def end(self):
        return self.process.communicate(timeout=30)[0].split(maxsplit=1)


class Campaign:
    """Every kind into every worker of one gateway, round by round: five of them die, five come back."""

    def __init__(self, gateway, guest=None):
        self.gateway, self.guest, self.attempts, self.turns, self.harmed, self.lost = gateway, guest, [], [], [], 0

    def workers(self):
        rows = self.gateway.table("process", "list")
        return {row["process"]: row for row in rows if row["hub"] and HUB_OF[row["process"]] == row["hub"]} if all(row["state"] == "ok" for row in rows) else {}

    def inject(self, kind, rows):
        targets = [f"{name}={rows[name]['pid']}" for name in rows]
        return read_attempts(sh(INJECT, "into", kind, *targets).stdout)

    def settle(self, before, killed):
        """Until those have successors that serve."""
        def replaced():
            time.sleep(0.01)
            rows = self.workers()
            return rows if rows and all(rows[name]["pid"] not in (0, None, before[name]["pid"]) for name in killed) else None
        return wait_for(replaced, 20, f"successors of {killed}")

    def try_at_once(self, kind, rows, workers):
        """Who was ended by the supervisor because his neighbour died first is asked once more."""
        while workers:
            attempts = self.inject(kind, {name: rows[name] for name in workers})
            lost = [a.role for a in attempts if (a.end, a.value) == ("signal", signal.SIGKILL)]
            self.attempts += [a for a in attempts if a.role not in lost]
            rows = self.settle(rows, [a.role for a in attempts if a.end != "returned"])
            self.lost += len(lost)
            workers = lost
        return rows

    def round(self, kind, rows):
        """First those that are to die, together; then those whose job it is, and they have to be the same processes afterwards."""
        job = [name for name in WORKERS if name in KINDS[kind].jobs]
        rows = self.try_at_once(kind, rows, [name for name in WORKERS if name not in job])
        self.try_at_once(kind, rows, job)
        if self.guest:
            self.turns.append(self.guest.turns())
        after = wait_for(self.workers, 10, "a whole gateway")
        self.harmed += [f"{name} after {kind}" for name in WORKERS if after[name]["pid"] != rows[name]["pid"]]
        return after

    def run(self):
        rows = wait_for(self.workers, 10, "a whole gateway")
        for kind in KINDS:
            rows = self.round(kind, rows)
        return self

    def undeclared(self):
        return [str(a) for a in self.attempts if not a.as_declared()]


@pytest.fixture(scope="module")
def control():
    """Waits for the kernel most of the time, so it runs beside the campaigns."""
    process = subprocess.Popen([INJECT, "control"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    if process.poll() is None:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def controls(control, campaigns):
    text, errors = control.communicate(timeout=120)
    assert control.returncode == 0, errors
    return {a.kind: a for a in read_attempts(text)}


@pytest.fixture(scope="module")
def campaigns(control, spawn):
    """One gateway that has just started and whose guests have not said a word; one whose guests have flows the whole time."""
    quiet = spawn.gateway("inject-start", config=CONFIG.format("", ""))
    guests = [spawn.guest(f"inject-{hub}") for hub in HUBS]
    busy = spawn.gateway("inject-traffic", config=CONFIG.format(*(f'"netns:{guest.name}"' for guest in guests)))
    for guest in guests:
        leased_address(guest)
    busy.guests = guests
    holding, asking = (Guest(guest) for guest in guests)
    holding.say("hold")
    asking.say("load")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        runs = [pool.submit(Campaign(quiet).run), pool.submit(Campaign(busy, asking).run)]
        made = dict(zip(("start", "traffic"), (run.result() for run in runs)))
    made["traffic"].held = holding.end()
    asking.end()
    yield made


def worked(attempt):
    """An exec replaces the program, an exit ends it, and a reboot ends the pid namespace by SIGHUP."""
    return attempt.end in ("replaced", "exited") or (attempt.end == "returned" and attempt.value >= 0) or (attempt.end, attempt.value) == ("signal", signal.SIGHUP)


def test_outside_of_the_sandbox_every_kind_works(controls):
    failed = {kind: a for kind, a in controls.items() if not worked(a)}
    print(f"{len(controls) - len(failed)} of {len(KINDS)} kinds have a control here; without:", *map(str, failed.values()), sep="\n  ")
    assert set(controls) == set(KINDS)
    assert [str(a) for kind, a in failed.items() if not KINDS[kind].without] == []
    assert len(controls) - len(failed) >= 200


@pytest.mark.parametrize("when", ["start", "traffic"])
def test_nothing_is_left_of_a_call_but_the_workers_own_job(campaigns, controls, when):
    run = campaigns[when]
    assert run.undeclared() == []
    assert run.harmed == [], "a call that is its job, or a neighbour's death that was over, ended it"
    assert sorted((a.kind, a.role) for a in run.attempts) == sorted((kind, worker) for kind in KINDS for worker in WORKERS), "each kind in each worker, once"
    for worker in WORKERS:
        contained = [a for a in run.attempts if a.role == worker and a.contained() and worked(controls[a.kind])]
        own = [f"{a.kind} ({a.value if a.value >= 0 else errno.errorcode[-a.value]})" for a in run.attempts if a.role == worker and not a.contained()]
        print(f"{when}: {worker}: {len(contained)} contained, each with a control; its own job: {', '.join(own)}")
        assert len(contained) >= 200


@pytest.mark.parametrize("when", ["start", "traffic"])
def test_each_death_is_in_the_log(campaigns, when):
    """Also of those that the supervisor was about to end for the sake of a neighbour, whose death it had heard of first."""
    run, log = campaigns[when], campaigns[when].gateway.log()
    deaths = {worker: sum(a.contained() for a in run.attempts if a.role == worker) for worker in WORKERS}
    logged = {worker: log.count(f"The process {worker} was killed by its policy") for worker in WORKERS}
    print(f"{deaths}, in the log {logged}; {run.lost} asked once more because a neighbour's death came first")
    assert logged == deaths


def test_guests_are_served_after_each_death(campaigns):
    """New flows after each round through a new broker, netstack and natproxy; one flow that outlives every dhcpd and alg."""
    run = campaigns["traffic"]
    print(f"new flows echoed at turn: {dict((n, run.turns.count(n)) for n in sorted(set(run.turns)))}; the held flow: {run.held}")
    assert len(run.turns) == len(KINDS) and 0 not in run.turns
    assert run.held[1].strip() == "whole" and int(run.held[0]) > 50, run.held
    for guest in run.gateway.guests:
        assert leased_address(guest).startswith("192.168.30.")
        assert act(guest, "up", 1 << 20)["ok"] and act(guest, "down", 1 << 20)["ok"]


@pytest.fixture(scope="module")
def copies(campaigns):
    """Every kind, in copies of the live supervisor that its own clone3 makes: they wear its filter. Its gateway is not used afterwards."""
    return read_attempts(sh(INJECT, "copies", campaigns["start"].gateway.process.pid).stdout)


def test_the_supervisor_can_do_its_job_and_nothing_else(copies, controls):
    assert [a.kind for a in copies] == list(KINDS)
    assert [str(a) for a in copies if not a.as_declared()] == []
    contained = [a for a in copies if a.contained() and worked(controls[a.kind])]
    print(f"supervisor: {len(contained)} contained, each with a control; {len(copies) - sum(a.contained() for a in copies)} its job")
    assert len(contained) >= 130


def test_a_supervisor_that_tries_ends_with_its_workers(world):
    def tried(kind):
        gateway = Gateway(world, f"super-{kind}", config="hubs: {default: {attach: []}}\n")
        workers = [row["pid"] for row in gateway.table("process", "list") if row["hub"]]
        try:
            attempts = read_attempts(sh(INJECT, "into", kind, f"supervisor={gateway.process.pid}").stdout)
            ended = gateway.process.wait(10)
            wait_for(lambda: not any(map(alive, workers)), 10, "the end of its workers")
            return [(a.kind, a.end) for a in attempts], ended, len(workers)
        finally:
            gateway.end()

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for kind, outcome in zip(TELLING, pool.map(tried, TELLING)):
            assert outcome == ([(kind, "killed")], -signal.SIGSYS, 5), (kind, outcome)


def test_who_takes_all_descriptors_takes_his_own(world, spawn):
    """A captured natproxy opens sockets until it is refused: at its own limit, and only its own guests go without."""
    guests = {hub: spawn.guest(f"exhaust-{hub}") for hub in HUBS}
    gateway = spawn.gateway("exhaust", config=CONFIG.format(*(f'"netns:{guest.name}"' for guest in guests.values())), prefix=("prlimit", "--nofile=2000:2000"))
    for guest in guests.values():
        leased_address(guest)
        assert act(guest, "up", 1000)["ok"]
    pids = {row["hub"]: row["pid"] for row in gateway.table("process", "list") if row["process"] == "natproxy"}
    lines = sh(INJECT, "exhaust", "socket_udp", f"natproxy={pids['path']}").stdout.splitlines()
    assert read_attempts(lines[0]) == [Attempt("socket_udp", "natproxy", "returned", -errno.EMFILE)] and 1900 < int(lines[1]) < 2000, lines
    assert act(guests["path"], "refused", 7001)["error"] != "connected"
    assert act(guests["parsers"], "up", 1 << 20)["ok"] and leased_address(guests["path"])
    assert [row["state"] for row in gateway.table("process", "list") if row["pid"] in pids.values()] == ["ok", "ok"], "and it lives"
    os.kill(pids["path"], signal.SIGKILL)
    assert act(guests["path"], "up", 1000)["ok"]


class Loose(Gateway):
    """natlock with getpid allowed to alg (tests/audit/loose.c)."""

    def start(self):
        environment = {**self.environment, "NATLOCK_LIBEXEC": str(BIN.parent / "libexec/natlock"), "NATLOCK_LOOSE": "filter"}
        self.process = self.where.start(built("natlock-loose"), "up", "-c", self.folder / "natlock.yaml", env=environment, stdout=self.output)
        wait_for(lambda: " up; " in self.text() or self.process.poll() is not None, 10, "the hubs")
        assert self.process.poll() is None, self.text()


def test_a_rule_too_many_is_seen(world):
    """The proof that the above can fail: one call more in one filter is one uncontained call, and nobody is harmed by the injection."""
    gateway = Loose(world, "inject-loose", config=CONFIG.format("", ""))
    run = Campaign(gateway)
    before = wait_for(run.workers, 10, "a whole gateway")
    after = run.try_at_once("getpid", before, WORKERS)
    gateway.stop()
    assert run.undeclared() == ["getpid in alg: returned 1"]
    assert after["alg"]["pid"] == before["alg"]["pid"] and all(after[name]["pid"] != before[name]["pid"] for name in WORKERS if name != "alg")


def test_the_table_in_the_documentation_is_what_was_seen(campaigns, copies):
    cells = {(a.kind, a.role): escape_table.fate(KINDS[a.kind], a.role, a.end, a.value) for a in [*campaigns["traffic"].attempts, *copies]}
    text = DOCUMENT.read_text()
    seen = escape_table.replace(text, escape_table.render(KINDS, cells))
    if "NATLOCK_WRITE_DOCS" in os.environ:
        DOCUMENT.write_text(seen)
    assert DOCUMENT.read_text() == seen, "write it anew: NATLOCK_WRITE_DOCS=1 python3 -m pytest tests/integration/test_escape_inject.py"
