"""`natlockctl policy audit`: nothing to find on a gateway that works, and each lock that is left off is found and named.

The loosened gateways are tests/audit/loose.c: the supervisor linked with --wrap, so that no product has a switch for it.
"""
import json, os, pathlib, shutil, signal, subprocess
import pytest
from conftest import BIN, PEER, SERVER, TOP, Namespace, act, alive, leased_address, program, sh, wait_for

CONFIG = """hubs:
  left: {{attach: ["netns:{0}"], shards: 2}}
  right: {{attach: ["netns:{1}"], data_path: strict}}
"""
NOBODY_IN_PARTICULAR = 64990  # a uid without a name and without a grant in /etc/subuid
WORKERS = ["broker", "dhcpd", "netstack", "natproxy", "alg"]


def built(name, part="audit"):
    """A program of the tests, in the build folder that NATLOCK_BIN was staged from."""
    folders = [*([pathlib.Path(os.environ["NATLOCK_BUILD"])] if "NATLOCK_BUILD" in os.environ else []), *BIN.parents, TOP / "build"]
    found = [folder / "tests" / part / name for folder in folders if os.access(folder / "tests" / part / name, os.X_OK)]
    assert found, f"{name} is missing: set NATLOCK_BUILD to the build folder"
    return found[0]


def audit(gateway, code=0):
    answer = gateway.control("policy", "audit", "--json", check=False)
    assert answer.returncode in (0, 7), answer.stdout + answer.stderr
    report = json.loads(answer.stdout)
    assert answer.returncode == code, [row for row in report["items"] if row["result"] != "ok"]
    return report


def drift(report):
    return {(row["process"].split(".")[0], row["check"]) for row in report["items"] if row["result"] == "drift"}


@pytest.fixture(scope="module")
def hubs(spawn):
    guests = [spawn.guest("a-left"), spawn.guest("a-right")]
    gateway = spawn.gateway("audited", config=CONFIG.format(guests[0].name, guests[1].name))
    gateway.guests = guests
    for guest in guests:
        leased_address(guest)
    return gateway


def test_nothing_has_drifted_under_load_and_no_flow_notices(hubs):
    """Two hubs, one of two shards. The audit runs again and again while bytes and their hashes pass both ways and connections come and go."""
    left, right = hubs.guests
    before = hubs.table("process", "list")
    hold, churn = right.start(PEER, "hold", SERVER, "2"), left.start(PEER, "churn", SERVER, "2")
    flows = [guest.start(PEER, way, SERVER, 16 << 20) for guest in hubs.guests for way in ("up", "down")]
    reports = [audit(hubs)]
    while any(load.poll() is None for load in (hold, churn, *flows)):
        reports.append(audit(hubs))
    for flow in flows:
        answer = json.loads(flow.communicate(timeout=60)[0])
        assert answer["ok"], answer
    churned, held = json.loads(churn.communicate(timeout=10)[0]), json.loads(hold.communicate(timeout=10)[0])
    print(f"{len(reports)} audits, longest stop {max(r['longest_stop_ns'] for r in reports) / 1000:.0f} us;", churned, held)
    assert churned["bad"] == 0 and churned["good"] > 20, churned
    assert held["ok"] and held["worst"] < 1, held
    for report in reports:
        assert report["drift"] == 0 and report["unknown"] == 0 and report["schema"] == "natlock.policy.audit/1", [r for r in report["items"] if r["result"] != "ok"]
        assert {row["process"] for row in report["items"]} == {"supervisor", "broker", "dhcpd", *WORKERS[2:], *(f"{w}.{n}" for w in WORKERS[2:] for n in (0, 1))}
        assert 0 < report["longest_stop_ns"] < 10_000_000
    assert len(reports) > 3
    assert [(row["pid"], row["restarts"]) for row in hubs.table("process", "list")] == [(row["pid"], row["restarts"]) for row in before]


def test_each_lock_is_a_line(hubs):
    table = hubs.control("policy", "audit")
    lines = table.stdout.splitlines()
    assert "checks:" in table.stderr and "stood still" in table.stderr
    assert lines[0].split() == ["PROCESS", "PID", "CHECK", "DECLARED", "FOUND", "RESULT"]
    assert all(line.endswith(" ok") for line in lines[1:])
    checks = {row["check"] for row in audit(hubs)["items"] if row["process"] == "dhcpd"}
    assert checks >= {"filter", "seccomp", "no_new_privs", "capabilities", "uid", "gid", "groups", "root", "descriptors", "dumpable", "landlock", "environment",
                      "executable memory", "threads", "code", *(f"{ns} namespace" for ns in ("user", "pid", "mnt", "ipc", "uts", "cgroup", "net"))}
    assert {f"limit: {limit}" for limit in ("processes", "file size", "core file size", "open files")} <= checks


def test_a_restarted_worker_wears_the_supervisors_filter_too(hubs):
    def running():
        return {row["pid"] for row in hubs.table("process", "list") if row["process"] == "dhcpd" and row["state"] == "ok"}
    before = running()
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(running() - before) == 1, 5, "its successor")
    filters = [row["found"] for row in audit(hubs)["items"] if row["check"] == "filter" and row["process"] == "dhcpd"]
    assert sorted("below it the supervisor's" in found for found in filters) == [False, True], filters


def test_a_worker_that_is_missing_is_named(spawn):
    """Nobody has to say that it should be there: its neighbours' channels lead to it."""
    gateway = spawn.gateway("missing", config="hubs: {default: {attach: []}}\npolicy: {restart_backoff_min: 60s, restart_backoff_max: 60s}\n")
    assert audit(gateway)["drift"] == 0
    os.kill(gateway.processes()["dhcpd"]["pid"], signal.SIGKILL)
    wait_for(lambda: not gateway.processes()["dhcpd"].get("pid"), 5, "its end")
    report = audit(gateway, 7)
    assert drift(report) == {("broker", "channels")}
    assert [row["found"] for row in report["items"] if row["result"] == "drift"] == ["5 ends nowhere: no dhcpd runs"]


def test_an_auditor_that_is_killed_leaves_nobody_standing(hubs):
    pids = [row["pid"] for row in hubs.table("process", "list")]
    for turn in range(12):
        process = subprocess.Popen([program("natlockctl"), "policy", "audit"], env=hubs.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process.wait(0.003 * turn)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pid in pids:
        status = pathlib.Path(f"/proc/{pid}/status").read_text()
        assert "TracerPid:\t0" in status and "State:\tt" not in status and "State:\tT" not in status
    for guest in hubs.guests:
        act(guest, "up", 1 << 16)


def test_probes_show_what_happens_to_who_tries(hubs):
    before = hubs.processes()
    report = json.loads(hubs.control("policy", "audit", "--probe", "--json").stdout)
    assert report["drift"] == 0 and report["unknown"] == 0
    found = {(row["process"], row["check"]): (row["declared"], row["found"]) for row in report["items"] if row["pid"] is None}
    for worker in WORKERS:
        assert len([1 for process, _ in found if process == worker]) >= 60
        for probe in ("openat", "execve", "fork", "ptrace_attach", "mprotect_exec", "bpf", "unshare_user", "setuid_root", "x32_getpid", "socket_raw", "tiocsti"):
            assert found[worker, f"probe: {probe}"] == ("killed by the filter", "killed by the filter"), (worker, probe)
    assert found["natproxy", "probe: socket_inet"] == ("works: its job", "succeeded")
    assert found["alg", "probe: socket_inet"][1] == "killed by the filter"
    assert found["no filter", "probe: openat"][1] == "No such file or directory", "the root is empty"
    assert found["landlock alone", "probe: openat"][1] == "Permission denied"
    assert {name: row["pid"] for name, row in hubs.processes().items()} == {name: row["pid"] for name, row in before.items()}, "no worker was touched"


def test_policies_are_exported(hubs):
    exported = json.loads(hubs.control("policy", "export", "json").stdout)
    assert exported["schema"] == "natlock.policy.export/1"
    assert {item["process"] for item in exported["items"]} == {*WORKERS, "supervisor", "ctl"}
    assert json.loads(hubs.control("policy", "export", "oci", "alg").stdout)["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    assert "SystemCallFilter=recvmsg sendmsg" in hubs.control("policy", "export", "systemd", "alg").stdout
    for words in (("xml",), ("oci", "nobody"), ()):
        assert hubs.control("policy", "export", *words, check=False).returncode == 2, words
    assert hubs.control("status", "--probe", check=False).returncode == 2
    assert hubs.control("-o", "csv", "policy", "audit", check=False).returncode == 2


def test_without_a_gateway_there_is_nothing_to_audit(hubs, tmp_path):
    answer = sh(program("natlockctl"), "--api", tmp_path / "api", "policy", "audit", check=False)
    assert answer.returncode == 3 and "natlock up" in answer.stderr


def test_a_user_is_told_what_needs_root(world):
    """Who started `natlock run` without privileges may look at his workers, but not at their filters, and not at the supervisor."""
    home = world.folder / "audit-home"
    shutil.copytree(BIN.parent, home / "installed")
    os.chown(home, NOBODY_IN_PARTICULAR, NOBODY_IN_PARTICULAR)
    user = ["setpriv", f"--reuid={NOBODY_IN_PARTICULAR}", f"--regid={NOBODY_IN_PARTICULAR}", "--clear-groups", "env", "-i", "PATH=/usr/bin:/bin",
            f"HOME={home}", f"XDG_RUNTIME_DIR={home}"]
    gateway = world.gateway.start(*user, home / "installed/bin/natlock", "run", "--", "sleep", "60")
    wait_for(lambda: list(home.glob("natlock/admin-run-*")), 5, "its socket")
    answer = world.gateway.run(*user, home / "installed/bin/natlockctl", "policy", "audit", check=False)
    rows = world.gateway.run(*user, home / "installed/bin/natlockctl", "policy", "audit", "--json", check=False)
    gateway.terminate()
    gateway.wait(10)
    assert rows.returncode == answer.returncode == 0, answer.stdout + rows.stderr
    rows = json.loads(rows.stdout)["items"]
    unknown = {(row["process"], row["check"]) for row in rows if row["result"] == "unknown"}
    assert {(worker, "filter") for worker in WORKERS} <= unknown and ("supervisor", "descriptors") in unknown
    assert all(row["needs"] == "root" for row in rows if row["result"] == "unknown"), rows
    known = {(row["process"], row["check"]) for row in rows if row["result"] == "ok"}
    for check in ("descriptors", "seccomp", "capabilities", "user namespace", "root", "code", "executable memory", "environment", "limit: processes"):
        assert {(worker, check) for worker in WORKERS} <= known, check
    assert "UNKNOWN (needs root)" in answer.stdout and f"sudo natlockctl --api {home}/natlock/run-" in answer.stderr, answer.stderr


LOOSE = {
    "filter": {("alg", "filter")},
    "supervisor": {("supervisor", "filter"), ("supervisor", "seccomp")},
    "descriptor": {(w, c) for w in WORKERS for c in ("descriptor 10", "descriptors")},
    "edge": {("alg", "channels"), ("natproxy", "channels")},
    "leak": {(w, "descriptors") for w in WORKERS},
    "capability": {(w, "capabilities") for w in WORKERS},
    "net": {(w, "net namespace") for w in WORKERS if w != "natproxy"},
    "ipc": {(w, "ipc namespace") for w in WORKERS},
    "limit": {(w, "limit: processes") for w in WORKERS},
    "uid": {(w, "uid") for w in WORKERS},
    "seal": {(w, "shared memory") for w in ("broker", "netstack", "natproxy")},
    "root": {(w, "root") for w in WORKERS},
    "environment": {(w, "environment") for w in WORKERS},
    "fence": {("supervisor", "fence")},
    "child": {("supervisor", "processes"), ("keeper", "process")},
    "nothing": set(),
}


WITHOUT = {"landlock": {"file", "code", "landlock"}, "dumpable": {"file", "code", "landlock", "dumpable"}}  # left off by alg itself


class Loosened:
    """A gateway without ports, one of whose locks is off."""

    def __init__(self, world, name, binary, libexec):
        self.folder = world.folder / f"loose-{name}"
        self.folder.mkdir()
        (self.folder / "natlock.yaml").write_text("hubs: {default: {attach: []}}\n")
        places = {"RUNTIME_DIRECTORY": "run", "STATE_DIRECTORY": "state", "LOGS_DIRECTORY": "log"}
        environment = {**os.environ, **{key: str(self.folder / value) for key, value in places.items()}, "NATLOCK_LIBEXEC": str(libexec), "NATLOCK_LOOSE": name}
        self.process = world.gateway.start(binary, "up", "-c", self.folder / "natlock.yaml", env=environment, stdout=open(self.folder / "output", "w"))

    def audit(self):
        """Its drift, but for files that are no installed ones because the test put them elsewhere; and all of it."""
        wait_for(lambda: " up; " in (self.folder / "output").read_text() or self.process.poll() is not None, 10, "the hub")
        assert self.process.poll() is None, (self.folder / "output").read_text()
        answer = sh(program("natlockctl"), "policy", "audit", "--json", env={**os.environ, "NATLOCK_API": str(self.folder / "run/api")}, check=False)
        report = json.loads(answer.stdout)
        found = drift(report)
        assert answer.returncode == (7 if found else 0), answer.stderr
        return {one for one in found if one[1] != "file" or one[0] == "alg"}, report


@pytest.fixture(scope="module")
def loosened(world):
    """All of them side by side: each has to be half a second old before an audit believes what it sees."""
    installed, made = BIN.parent / "libexec/natlock", {}
    for lock in LOOSE:
        made[lock] = Loosened(world, lock, built("natlock-loose"), installed)
    for lock in WITHOUT:
        shutil.copytree(installed, world.folder / f"libexec-{lock}")
        shutil.copy(built(f"natlock-alg-{lock}"), world.folder / f"libexec-{lock}/natlock-alg")
        made[lock] = Loosened(world, lock, program("natlock"), world.folder / f"libexec-{lock}")
    yield made
    for gateway in made.values():
        gateway.process.terminate()
    for gateway in made.values():
        gateway.process.wait(10)


@pytest.mark.parametrize("lock", LOOSE)
def test_a_lock_left_off_is_named(loosened, lock):
    found, report = loosened[lock].audit()
    found -= {(w, f"descriptor {n}") for w in WORKERS for n in range(16, 300)}  # which number leaked is chance
    assert found == LOOSE[lock], [row for row in report["items"] if row["result"] == "drift"]


@pytest.mark.parametrize("lock", WITHOUT)
def test_a_lock_that_a_worker_leaves_off_is_named(loosened, lock):
    found, report = loosened[lock].audit()
    assert found == {("alg", check) for check in WITHOUT[lock]}, report
