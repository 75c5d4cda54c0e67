"""Workers die again and again; the supervisor keeps nothing of them, and leaves nothing when it ends."""
import ctypes, json, os, pathlib, signal, time
import pytest
from conftest import PEER, SERVER, act, alive, leased_address, wait_for

WORKERS = ["broker", "netstack", "natproxy", "dhcpd", "alg"]


@pytest.fixture(scope="module")
def gateway(spawn):
    guest = spawn.guest("heal")
    gateway = spawn.gateway("recovery", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\npolicy: {{restart_backoff_min: 20ms, restart_backoff_max: 100ms}}\n')
    leased_address(guest)
    return gateway


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def children(pid):
    """(pid, state) of each child: Z is one that nobody waited for."""
    found = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == pid:
                    found.append((int(folder.name), fields[0]))
            except OSError:
                pass
    return found


@pytest.mark.parametrize("worker", WORKERS)
def test_five_deaths_in_a_row_under_load(gateway, worker):
    supervisor = gateway.processes()["supervisor"]["pid"]
    wait_for(lambda: all(r["state"] == "ok" for r in gateway.table("process", "list") if r["process"] in WORKERS), 5, "a healthy gateway")
    before = descriptors(supervisor)
    load = gateway.guest.start(PEER, "churn", SERVER, 4)
    for _ in range(5):
        pid = gateway.processes()[worker]["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: (row := gateway.processes()[worker])["pid"] not in (0, None, pid) and row["state"] == "ok", 5, f"a new {worker}")
    wait_for(lambda: act(gateway.guest, "up", 100000)["ok"], 10, "traffic")
    answer = json.loads(load.communicate(timeout=30)[0])
    assert answer["good"] > 5, answer
    assert not [c for c in children(supervisor) if c[1] == "Z"]
    wait_for(lambda: descriptors(supervisor) <= before, 3, f"no more descriptors than the {before} before")
    for command in ("up", "down"):
        assert act(gateway.guest, command, 1 << 20)["ok"]
    assert leased_address(gateway.guest).startswith("192.168.30.")


@pytest.mark.parametrize("worker", ["netstack", "natproxy"])
def test_the_broker_and_its_ports_outlive_their_netstack(gateway, worker):
    before = gateway.processes()
    os.kill(before[worker]["pid"], signal.SIGKILL)
    wait_for(lambda: (row := gateway.processes()[worker])["pid"] not in (0, None, before[worker]["pid"]) and row["state"] == "ok", 5, f"a new {worker}")
    after = gateway.processes()
    assert [name for name in ("broker", "dhcpd", "alg") if before[name]["pid"] != after[name]["pid"]] == []
    wait_for(lambda: act(gateway.guest, "up", 100000)["ok"], 10, "traffic")


def test_each_death_is_in_the_security_log(gateway):
    for worker in WORKERS:
        assert worker in gateway.log(), worker


def test_sigterm_leaves_nothing(gateway):
    rows = gateway.processes()
    pids = [row["pid"] for row in rows.values()]
    kept = [open(f"/proc/{pid}/ns/{kind}") for pid in pids for kind in ("user", "mnt", "pid", "ipc")]  # so that no other gets its number
    spaces = {os.readlink(f"/proc/self/fd/{f.fileno()}") for f in kept} - {os.readlink(f"/proc/self/ns/{k}") for k in ("user", "mnt", "pid", "ipc")}
    spaces -= {os.readlink(f"/proc/{gateway.process.pid}/ns/mnt")}  # made by `ip netns exec`
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(10) == 0
    wait_for(lambda: not [p for p in pids if alive(p)], 3, "the workers' end")
    held = set()
    for folder in pathlib.Path("/proc").iterdir():
        for kind in ("user", "mnt", "pid", "ipc"):
            try:
                held.add(os.readlink(folder / "ns" / kind))
            except OSError:
                pass
    for f in kept:
        f.close()
    assert spaces and not spaces & held
    left = [p.name for p in (gateway.folder / "run").iterdir() if not p.name.startswith("uids-")]  # a lock that is empty and free
    assert left == [], left
    assert "eth0" not in gateway.guest.run("ip", "link").stdout
    assert gateway.control("status", check=False).returncode == 3


def test_and_starts_again_at_once(gateway):
    gateway.start()
    leased_address(gateway.guest)
    assert act(gateway.guest, "up", 1 << 20)["ok"]


def test_a_tracer_that_does_not_look_holds_up_nobody_else(spawn):
    """The kernel tells a tracer (strace whose output nobody reads) of the end first; until then the supervisor has other work."""
    gateway = spawn.gateway("traced", config="hubs:\n  default:\n    attach: []\n")
    libc = ctypes.CDLL(None)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    pid = gateway.processes()["alg"]["pid"]
    assert libc.ptrace(0x4206, pid, None, None) == 0  # PTRACE_SEIZE
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.3)
    assert gateway.table("session", "list") is not None
    os.waitpid(pid, 0x40000000)  # __WALL
    wait_for(lambda: gateway.processes()["alg"]["restarts"] == 1, 10, "a new alg")
