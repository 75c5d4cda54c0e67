"""Every worker is locked as promised: read from the kernel's own files, not from natlock's word."""
import os, pathlib, signal
import pytest
from conftest import TOP, sh, wait_for

BARS = {"broker": 14, "netstack": 16, "natproxy": 30, "dhcpd": 12, "alg": 12}
WORKERS = sorted(BARS)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, value in (line.split(":", 1) for line in lines)}


def namespace(pid, kind):
    return os.readlink(f"/proc/{pid}/ns/{kind}")


@pytest.fixture(scope="module")
def pids(gateway):
    rows = gateway.processes()
    return {name: rows[name]["pid"] for name in WORKERS}


@pytest.mark.parametrize("worker", WORKERS)
def test_seccomp_capabilities_and_no_new_privileges(pids, worker):
    facts = status(pids[worker])
    assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(facts[kind], 16) == 0, kind


@pytest.mark.parametrize("worker", WORKERS)
def test_root_is_empty_and_namespaces_are_its_own(pids, worker):
    assert os.listdir(f"/proc/{pids[worker]}/root/") == []
    kinds = ["user", "pid", "mnt", "ipc", "uts", "cgroup"] + ([] if worker == "natproxy" else ["net"])
    for kind in kinds:
        assert namespace(pids[worker], kind) != namespace("self", kind), kind
        for other in WORKERS:
            assert other == worker or namespace(pids[worker], kind) != namespace(pids[other], kind), (kind, other)


def test_each_worker_has_a_uid_of_its_own_and_nobody_is_root(gateway, pids):
    uids = [set(status(pid)["Uid"].split()) for pid in pids.values()]
    assert all(len(u) == 1 for u in uids)
    assert len(set.union(*uids)) == len(pids)
    supervisor = gateway.processes()["supervisor"]["pid"]
    assert "0" not in set.union(*uids, set(status(supervisor)["Uid"].split()))


@pytest.mark.parametrize("worker", WORKERS)
def test_limits(pids, worker):
    limits = {line[:26].strip(): line[26:].split()[:2] for line in pathlib.Path(f"/proc/{pids[worker]}/limits").read_text().splitlines()[1:]}
    assert limits["Max processes"] == ["0", "0"] and limits["Max file size"] == ["0", "0"] and limits["Max core file size"] == ["0", "0"]


@pytest.mark.parametrize("worker", WORKERS)
def test_nothing_else_is_unlimited(pids, worker):
    limits = {line[:26].strip(): line[26:].split()[:2] for line in pathlib.Path(f"/proc/{pids[worker]}/limits").read_text().splitlines()[1:]}
    for name in ("Max locked memory", "Max msgqueue size", "Max file locks", "Max realtime priority"):
        assert limits[name] == ["0", "0"], name
    assert int(limits["Max open files"][1]) <= (65536 if worker == "natproxy" else 144)


@pytest.mark.parametrize("process", WORKERS + ["supervisor"])
def test_not_dumpable(gateway, process):
    """Of such a process /proc belongs to root: its equals may neither trace nor read it."""
    pid = gateway.processes()[process]["pid"]
    facts = os.stat(f"/proc/{pid}/environ")
    assert facts.st_uid == 0 and status(pid)["Uid"].split()[0] != "0"


@pytest.mark.parametrize("process", WORKERS + ["supervisor"])
def test_no_groups(gateway, process):
    facts = status(gateway.processes()[process]["pid"])
    assert facts["Groups"] == "" and "0" not in facts["Gid"].split() and len(set(facts["Gid"].split())) == 1


def test_the_supervisor_lives_in_a_user_namespace_of_its_own(gateway):
    pid = gateway.processes()["supervisor"]["pid"]
    assert namespace(pid, "user") != namespace("self", "user")
    facts = status(pid)
    assert facts["Seccomp"] == "2" and facts["NoNewPrivs"] == "1"
    assert int(facts["CapEff"], 16) == int(facts["CapBnd"], 16) == 0xc0, "SETUID and SETGID, in that namespace"


@pytest.mark.parametrize("worker", WORKERS)
def test_root_is_one_read_only_file_system(pids, worker):
    mounts = pathlib.Path(f"/proc/{pids[worker]}/mountinfo").read_text().splitlines()
    assert len(mounts) == 1 and mounts[0].split()[4] == "/" and {"ro", "nosuid", "nodev", "noexec"} <= set(mounts[0].split()[5].split(",")), mounts


def test_every_worker_wears_landlock(gateway):
    assert all(row["landlock"].startswith("v") for name, row in gateway.processes().items() if name != "supervisor")


@pytest.mark.parametrize("worker", WORKERS)
def test_environment_is_empty(pids, worker):
    assert pathlib.Path(f"/proc/{pids[worker]}/environ").read_bytes().strip(b"\0") == b""


def test_descriptors_are_as_declared(pids):
    for worker in ("dhcpd", "alg"):
        kinds = [os.readlink(f"/proc/{pids[worker]}/fd/{fd}") for fd in os.listdir(f"/proc/{pids[worker]}/fd")]
        assert not [k for k in kinds if not k.startswith(("/dev/null", "socket:", "anon_inode:"))], (worker, kinds)
        assert all(int(fd) < 16 for fd in os.listdir(f"/proc/{pids[worker]}/fd"))


def test_allowed_calls_stay_under_the_bars(gateway):
    rows = gateway.processes()
    for worker, bar in BARS.items():
        assert 0 < rows[worker]["syscalls"] <= bar, worker


def test_status_shows_every_process_locked(gateway):
    text = gateway.control("status").stdout
    for worker in WORKERS:
        assert worker in text
    assert "filter" in text


def test_where_the_clock_is_a_system_call(world, spawn):
    """The C library asks the kernel for the time where the vdso cannot read the clock source: nobody dies of it."""
    slow = world.folder / "slow_clock.so"
    sh("cc", "-shared", "-fPIC", "-o", slow, TOP / "tests/integration/slow_clock.c")
    gateway = spawn.gateway("slow", config="hubs:\n  default:\n    attach: []\n", environment={"LD_PRELOAD": str(slow)})
    for command in ("status", "process list", "config show", "nat table"):
        result = gateway.control(*command.split(), check=False)
        assert result.returncode == 0, (command, result)
    os.kill(gateway.processes()["alg"]["pid"], signal.SIGKILL)
    wait_for(lambda: gateway.processes()["alg"]["restarts"] == 1 and gateway.processes()["alg"]["state"] == "ok", 10, "a new alg")
