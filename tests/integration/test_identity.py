"""Who natlock is to the kernel once it runs: nobody's root, by no uid, group, capability or descriptor; and what it goes without is said."""
import json, os, pathlib, pwd, stat
import pytest
from conftest import program, sh, wait_for

SETUID, SETGID = 1 << 7, 1 << 6
NOTHING = "hubs: {default: {attach: []}}\n"
INHERIT = ("sh", "-c", 'exec 7</etc/shadow 9>>/etc/hosts; exec "$@"', "sh")
# Whoever has taken over the supervisor, with even more: all capabilities in its user namespace, and no filter.
PROBE = """
import ctypes, json, os, socket, sys
libc, out = ctypes.CDLL(None, use_errno=True), {}
def attempt(name, what):
    try:
        what(); out[name] = "done"
    except OSError as e:
        out[name] = e.strerror
def mount():
    if libc.mount(b"x", b"/mnt", b"tmpfs", 0, None): raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("mount", mount)
attempt("kill", lambda: os.kill(int(sys.argv[2]), 0))
attempt("port", lambda: socket.socket().bind(("127.0.0.1", 81)))
attempt("raw", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
attempt("chown", lambda: os.chown("/etc/hosts", 0, 0))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
out["uids"] = 0
for uid in range(40):
    child = os.fork()
    if not child:
        try:
            os.setresgid(uid, uid, uid); os.setresuid(uid, uid, uid); os.close(os.open(f"{sys.argv[1]}/{uid}", os.O_CREAT | os.O_WRONLY))
        except OSError:
            os._exit(1)
        os._exit(0)
    out["uids"] += os.waitpid(child, 0)[1] == 0
print(json.dumps(out))
"""
# Loads a filter that makes one system call unknown, then becomes the program.
WITHOUT = "import errno, os, seccomp, sys\nf = seccomp.SyscallFilter(seccomp.ALLOW)\nf.add_rule(seccomp.ERRNO(errno.ENOSYS), sys.argv[1])\nf.load()\nos.execv(sys.argv[2], sys.argv[2:])"


def without(call):
    return ("/usr/bin/python3", "-c", WITHOUT, call)


def status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.split() for key, value in (line.split(":", 1) for line in lines)}


def pids(rows):
    return {row["process"]: row["pid"] for row in rows}


def check_nobody_is_root(found):
    seen = set()
    for name, pid in found.items():
        facts = status(pid)
        for key in ("Uid", "Gid"):
            assert len(set(facts[key])) == 1 and facts[key][0] != "0", (name, key, facts[key])
        assert facts["Groups"] == [] and facts["NoNewPrivs"] == ["1"], name
        assert facts["Uid"][0] not in seen, name
        seen.add(facts["Uid"][0])
        held = SETUID | SETGID if name == "supervisor" else 0
        for key, most in (("CapEff", held), ("CapPrm", held), ("CapBnd", held), ("CapInh", 0), ("CapAmb", 0)):
            assert int(facts[key][0], 16) == most, (name, key)
        for kind in ("uid_map", "gid_map"):
            for line in pathlib.Path(f"/proc/{pid}/{kind}").read_text().splitlines():
                assert int(line.split()[1]) > 0, (name, kind, line)
    return seen


@pytest.fixture(scope="module")
def named(spawn):
    """`up --user nobody`, by somebody who leaves root's files open."""
    return spawn.gateway("named", config=NOTHING, arguments=("--user", "nobody"), prefix=INHERIT)


def test_up_with_a_user_drops_for_good(named):
    found = pids(named.table("process", "list"))
    assert str(pwd.getpwnam("nobody").pw_uid) in check_nobody_is_root(found) and len(found) == 6


def test_workers_that_are_born_again_are_nobody_either(named):
    before = pids(named.table("process", "list"))
    named.control("process", "restart", "natproxy")
    wait_for(lambda: pids(named.table("process", "list"))["natproxy"] not in (before["natproxy"], 0) and
             all(row["state"] == "ok" for row in named.table("process", "list")), 8, "the new natproxy")
    check_nobody_is_root(pids(named.table("process", "list")))


def test_run_by_root_drops_too(world):
    """The program stays its starter's, and so does the keeper that waits for it; what carries packets does not."""
    folder = world.folder / "rootrun"
    environment = dict(os.environ, RUNTIME_DIRECTORY=str(folder), STATE_DIRECTORY=str(folder), LOGS_DIRECTORY=str(folder))
    run = world.gateway.start(program("natlock"), "run", "--", "sleep", "30", env=environment)
    try:
        api = wait_for(lambda: list(folder.glob("run-*")) if folder.exists() else [], 5, "its socket")[0]
        rows = wait_for(lambda: [r for r in [sh(program("natlockctl"), "-o", "json", "process", "list", env=dict(environment, NATLOCK_API=str(api)), check=False)]
                                 if r.returncode == 0 and '"starting"' not in r.stdout and '"locked"' not in r.stdout], 5, "the processes")[0]
        wait_for(lambda: status(pids(json.loads(rows.stdout)["items"])["supervisor"])["Seccomp"] == ["2"], 3, "the lock")
        check_nobody_is_root(pids(json.loads(rows.stdout)["items"]))
    finally:
        run.terminate()
        run.wait(10)


def test_whoever_takes_the_supervisor_gets_nothing_of_roots(world, named):
    supervisor = pids(named.table("process", "list"))["supervisor"]
    room, other = world.folder / "uids", world.folder / "control"
    for folder in (room, other):
        folder.mkdir()
        folder.chmod(0o777)
    result = world.gateway.run("nsenter", f"--user=/proc/{supervisor}/ns/user", "-S", "0", "-G", "0", "/usr/bin/python3", "-c", PROBE, room, os.getpid())
    got = json.loads(result.stdout)
    assert got.pop("uids") == 33 and "done" not in got.values(), got
    owners = {os.stat(room / name).st_uid for name in os.listdir(room)} | {os.stat(room / name).st_gid for name in os.listdir(room)}
    assert len(owners) >= 33 and 0 not in owners
    control = json.loads(world.gateway.run("/usr/bin/python3", "-c", PROBE.replace('attempt("mount", mount)', ""), other, os.getpid()).stdout)
    assert set(control.values()) == {"done", 40}, control


def test_no_descriptor_holds_more_than_its_own_files(named):
    supervisor = pids(named.table("process", "list"))["supervisor"]
    for fd in map(int, os.listdir(f"/proc/{supervisor}/fd")):
        try:
            target = os.readlink(f"/proc/{supervisor}/fd/{fd}")
        except FileNotFoundError:  # the connection of the question above
            continue
        if fd < 3 or target.startswith(("socket:", "anon_inode:", "/memfd:", "pidfd:")):
            continue
        facts = os.stat(f"/proc/{supervisor}/fd/{fd}")
        flags = int(next(line for line in pathlib.Path(f"/proc/{supervisor}/fdinfo/{fd}").read_text().splitlines() if line.startswith("flags:")).split()[1], 8)
        own = target.startswith(str(named.folder))
        worker = "/natlock-" in target and flags & os.O_ACCMODE == os.O_RDONLY
        assert own or worker or target in ("/dev/null", "/dev/net/tun"), (fd, target)
        assert own or not stat.S_ISDIR(facts.st_mode), (fd, target)


def test_what_the_starter_left_open_is_closed(named):
    supervisor = pids(named.table("process", "list"))["supervisor"]
    targets = [os.readlink(f"/proc/{supervisor}/fd/{fd}") for fd in os.listdir(f"/proc/{supervisor}/fd")]
    assert not {"/etc/shadow", "/etc/hosts"} & set(targets)


def test_the_program_of_run_keeps_what_its_starter_left_open(world):
    result = world.gateway.run(*INHERIT, program("natlock"), "run", "--", "sh", "-c", "head -c 4 <&7", env=dict(os.environ, RUNTIME_DIRECTORY=str(world.folder / "keep")))
    assert result.stdout == pathlib.Path("/etc/shadow").read_text()[:4]


def test_a_user_whose_group_is_roots_is_refused(world):
    """Its gid would stay."""
    record = world.folder / "passwd"
    record.write_text(pathlib.Path("/etc/passwd").read_text() + "almost:x:7777:0::/:/bin/false\n")
    result = world.gateway.run("unshare", "-m", "sh", "-c", f'mount --bind {record} /etc/passwd && exec "$@"', "sh", program("natlock"), "up", "--user", "almost", check=False,
                               env=dict(os.environ, RUNTIME_DIRECTORY=str(world.folder / "almost")))
    assert result.returncode == 2 and "--user almost: its group is root's" in result.stderr, result.stderr


def test_closed_standard_descriptors_do_not_become_sockets(world):
    """What natlock says there would be written into them."""
    file, environment = world.folder / "closed.yaml", dict(os.environ, **{name: str(world.folder / "closed") for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY")})
    file.write_text(NOTHING)
    process = world.gateway.start("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", program("natlock"), "up", "-c", file, env=environment)
    try:
        wait_for(lambda: status(process.pid)["Seccomp"] == ["2"], 5, "the lock")
        assert {os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in range(3)} == {"/dev/null"}
    finally:
        process.terminate()
        process.wait(5)


# ---- what is not to be had is said ----
def told(gateway, text):
    return text in gateway.text() and text in gateway.control("status").stdout


def test_without_landlock_it_runs_and_says_so(world, spawn):
    gateway = spawn.gateway("nolandlock", config=NOTHING, prefix=without("landlock_create_ruleset"))
    assert told(gateway, "workers run without Landlock: this kernel offers none. Boot with landlock in lsm=")
    assert {row["landlock"] for row in gateway.table("process", "list")} == {"none"}
    doctor = world.gateway.run(*without("landlock_create_ruleset"), program("natlock"), "doctor", check=False).stdout
    line = next(line for line in doctor.splitlines() if line.startswith("Landlock"))
    assert line.split()[1] == "no" and "boot with landlock in lsm=" in doctor


def test_without_namespaces_it_does_not_run_and_says_so(world):
    environment = dict(os.environ, **{name: str(world.folder / "nons") for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY")})
    file = world.folder / "nons.yaml"
    file.write_text(NOTHING)
    result = world.gateway.run(*without("clone3"), program("natlock"), "up", "-c", file, env=environment, check=False)
    assert result.returncode == 1 and "cannot start broker: no namespaces of its own" in result.stderr, result.stderr
    assert "Function not implemented" in result.stderr and "natlock doctor" in result.stderr


def test_a_container_with_one_uid_is_said_to_leave_no_other(spawn):
    gateway = spawn.gateway("oneuid", config=NOTHING, prefix=("unshare", "-U", "--map-root-user"), environment={"XDG_RUNTIME_DIR": ""})
    assert told(gateway, "natlock goes on as uid 0 of the user namespace that it was started in")
    assert told(gateway, "all workers share the uid of root")


def test_a_container_with_one_uid_hears_it_from_doctor_too(world):
    text = world.gateway.run("unshare", "-U", "--map-root-user", program("natlock"), "doctor", check=False, env=dict(os.environ, RUNTIME_DIRECTORY=str(world.folder / "onedoctor"))).stdout
    assert "natlock and its workers stay its uid 0" in text and "65536 uids" in text, text


def test_an_ordinary_user_hears_what_is_shared(world, spawn):
    room = world.folder / "ordinary"
    room.mkdir()
    os.chown(room, pwd.getpwnam("nobody").pw_uid, -1)
    gateway = spawn.gateway("ordinarily", config=NOTHING, prefix=("setpriv", "--reuid", "nobody", "--regid", "nogroup", "--groups", "4242"),
                            environment={"XDG_RUNTIME_DIR": str(room), "XDG_STATE_HOME": str(room)})
    assert "all workers share the uid of nobody: /etc/subuid and /etc/subgid grant no others" in gateway.text()
    assert "all processes keep the supplementary groups of nobody" in gateway.text()


def test_a_user_cannot_be_chosen_where_there_are_too_few_uids(world):
    result = world.gateway.run("unshare", "-U", "--map-root-user", program("natlock"), "up", "--user", "nobody", check=False,
                               env=dict(os.environ, **{name: str(world.folder / "few") for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY")}))
    assert result.returncode == 2 and "too few uids" in result.stderr, result.stderr
