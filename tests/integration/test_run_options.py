"""`natlock run`: its options, its users, its signals, and several of it."""
import json, os, pathlib, pwd, shutil, signal, subprocess, time
import pytest
from conftest import BIN, HUB, OUTSIDE, PEER, ROUTER, SERVER, act, alive, program, sh, wait_for

GRANTED, PLAIN, STRANGER = "nlgranted", "nlplain", "nlstranger"
WORKERS = {"broker", "netstack", "natproxy", "dhcpd", "alg"}


class User:
    def __init__(self, world, name):
        self.world, self.name, self.started = world, name, []
        sh("userdel", "--force", name, check=False)
        sh("useradd", "--no-create-home", "--shell", "/bin/sh", name)
        if name == PLAIN:
            for file in ("/etc/subuid", "/etc/subgid"):
                kept = [line for line in pathlib.Path(file).read_text().splitlines(True) if not line.startswith(name + ":")]
                pathlib.Path(file).write_text("".join(kept))
        self.home = world.folder / name
        self.home.mkdir()
        sh("chown", name, self.home)
        shutil.copytree(BIN.parent, self.home / "installed")
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.home)}

    def command(self, *words):
        return ["setpriv", "--reuid", self.name, "--regid", self.name, "--clear-groups", *map(str, words)]

    def run(self, *words, **options):
        return self.world.gateway.run(*self.command(self.home / "installed/bin/natlock", "run", *words), check=False, env=self.environment, **{"timeout": 20, **options})

    def start(self, *words, **options):
        process = self.world.gateway.start(*self.command(self.home / "installed/bin/natlock", "run", *words), env=self.environment, **options)
        self.started.append(process)
        return process

    def end(self):
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.wait(5)
        self.started.clear()

    def control(self, *words, **options):
        return sh(*self.command(self.home / "installed/bin/natlockctl", *words), env=self.environment, check=False, **options)

    def processes(self, *words):
        return {r["process"]: r for r in json.loads(self.control(*words, "-o", "json", "process", "list").stdout)["items"]}


@pytest.fixture(scope="module")
def users(world):
    made = {name: User(world, name) for name in (GRANTED, PLAIN, STRANGER)}
    yield made
    for user in made.values():
        user.end()
        sh("userdel", "--force", user.name, check=False)


@pytest.fixture
def user(users):
    yield users[PLAIN]
    users[PLAIN].end()


def uids(rows):
    return {name: (pathlib.Path(f"/proc/{rows[name]['pid']}/status").read_text().split("Uid:\t")[1].split()[0]) for name in WORKERS}


def ended(process, seconds=10):
    return process.communicate(timeout=seconds)[0]


@pytest.mark.parametrize("name,distinct", [(GRANTED, 5), (PLAIN, 1)])
def test_uids_of_workers_follow_the_grant(users, name, distinct):
    user = users[name]
    assert (f"{name}:" in pathlib.Path("/etc/subuid").read_text()) == (name == GRANTED), "this machine grants otherwise"
    process = user.start("--", "sh", "-c", "echo up; read line", stdin=subprocess.PIPE)
    assert process.stdout.readline() == "up\n"
    found = uids(user.processes())
    assert len(set(found.values())) == distinct, found
    own = str(pwd.getpwnam(name).pw_uid)
    assert "0" not in found.values() and (own in found.values()) == (name == PLAIN)
    process.communicate("\n", timeout=10)
    user.end()


def test_natlockctl_works_from_outside_for_the_same_user_only(users, user):
    process = user.start("--", "sh", "-c", f"{PEER} hold {SERVER} 4 | grep -q true && echo held; read line", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_for(lambda: f"{SERVER}:7001" in user.control("nat", "table").stdout, 5, "the session")
    api = [p for p in (user.home / "natlock").iterdir() if p.name.startswith("run-")][0]
    stranger = users[STRANGER].control("--api", api, "status")
    assert stranger.returncode == 5 and "Permission denied" in stranger.stderr
    assert "run-" in str(api) and user.control("status").returncode == 0
    assert "held" in process.communicate("\n", timeout=15)[0]


def test_shutdown_ends_the_program_and_gives_its_status(user):
    process = user.start("--", "sh", "-c", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "up\n"
    assert user.control("shutdown").returncode == 0
    assert process.wait(10) == 9


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2])
def test_signals_are_passed_on(user, number):
    name = number.name[3:]
    process = user.start("--", "sh", "-c", f"trap 'echo got {name}; exit 7' {name}; echo up; while :; do sleep 0.05; done")
    assert process.stdout.readline() == "up\n"
    process.send_signal(number)
    assert "got " + name in ended(process) and process.returncode == 7


def test_background_children_do_not_hold_it_up(user):
    begin = time.monotonic()
    result = user.run("--", "sh", "-c", "sleep 300 >/dev/null 2>&1 & echo $!; exit 3")
    assert result.returncode == 3 and time.monotonic() - begin < 5
    os.kill(int(result.stdout), signal.SIGKILL)  # it is the user's own, as after any shell


def test_kill_9_takes_everything_along(user):
    process = user.start("--", "sh", "-c", "echo $$; exec sleep 300")
    program_pid = int(process.stdout.readline())
    pids = [r["pid"] for r in user.processes().values()] + [program_pid]
    os.kill(user.processes()["supervisor"]["pid"], signal.SIGKILL)
    wait_for(lambda: not [p for p in pids if alive(p)], 5, "the end of all")
    process.wait(5)


def test_subnet(user):
    result = user.run("--subnet", "10.7.0.0/24", "--", "sh", "-c", f"ip -4 -o addr show eth0; ip route; cat /etc/resolv.conf; {PEER} up {SERVER} 1000000")
    for text in ("10.7.0.", "default via 10.7.0.1", "nameserver 10.7.0.1", '"ok": true'):
        assert text in result.stdout, result.stdout + result.stderr


@pytest.mark.parametrize("mtu", [576, 9000, 65400, 65520])
def test_mtu(user, mtu):
    # a datagram that fits the hub but not the path leaves with DF: it teaches the guest's kernel the path's MTU (RFC 1191), the next is cut by the guest
    learn = f"{PEER} udp {SERVER} 8900 >/dev/null;" if mtu > 9000 else ""
    result = user.run("--mtu", mtu, "--", "sh", "-c", f"ip -o link show eth0; {PEER} up {SERVER} 4000000 && {PEER} down {SERVER} 4000000 && {{ {learn} {PEER} udp {SERVER} 1 500 9000 30000; }}")
    assert f"mtu {mtu} " in result.stdout and result.stdout.count('"ok": true') == 3, result.stdout + result.stderr


@pytest.mark.parametrize("words,text", [(["--mtu", "500"], "out of range"), (["--mtu", "x"], "out of range"), (["--subnet", "10.7.0.1/24"], "--subnet 10.7.0.1/24"),
                                        (["--publish", "nonsense"], "--publish nonsense"), (["--subnet", "198.18.1.0/24"], "overlaps the host's route")])
def test_wrong_options_are_125_with_a_remedy(user, words, text):
    result = user.run(*words, "--", "true")
    assert result.returncode == 125 and text in result.stderr, result.stderr


def test_ready_fd_tells_when_it_works(user):
    reading, writing = os.pipe()
    process = user.start("--ready-fd", writing, "--", "sh", "-c", "read line; ls /proc/self/fd", stdin=subprocess.PIPE, pass_fds=[writing])
    os.close(writing)
    with os.fdopen(reading) as ready:
        assert ready.read() == "ready\n"  # and then its end: nobody else holds the descriptor
    assert user.control("status").returncode == 0
    assert str(writing) not in process.communicate("\n", timeout=10)[0].split()


def test_publish_reaches_the_program(world, user):
    process = user.start("--publish", f"{OUTSIDE}:7002:7002/tcp", "--publish", f"{OUTSIDE}:7003:7003", "--publish", f"{OUTSIDE}:7008:7008", "--publish", f"{OUTSIDE}:7001:7001/udp",
                         "--", PEER, "serve", "0.0.0.0")
    assert process.stdout.readline() == "ready\n"
    for command in (["up", 16 << 20], ["down", 16 << 20], ["udp", 1, 1400, 5000]):
        assert act(world.internet, *command, address=OUTSIDE)["ok"], command
    assert act(world.internet, "who", 40555, address=OUTSIDE)["seen"] == f"{ROUTER}:40555"
    process.terminate()
    process.wait(10)


def test_a_port_that_cannot_be_published_is_named_and_the_program_runs(world, user):
    holder = world.gateway.start("/usr/bin/python3", "-c", f"import socket, time\ns = socket.create_server(('{OUTSIDE}', 7090))\nprint('held', flush=True)\ntime.sleep(60)")
    assert holder.stdout.readline() == "held\n"
    result = user.run("--publish", f"{OUTSIDE}:7090:80", "--publish", f"{OUTSIDE}:80:80", "--", PEER, "up", SERVER, 1000)
    assert result.returncode == 0 and '"ok": true' in result.stdout
    assert f"cannot listen on {OUTSIDE}:7090/tcp: in use. Choose another port or see who has it: ss -tulnp" in result.stderr, result.stderr
    assert "port 80 needs privilege (net.ipv4.ip_unprivileged_port_start=1024). Use --publish 8080:80." in result.stderr, result.stderr
    holder.kill()
    holder.wait()


def test_two_at_once_do_not_disturb_each_other(user):
    flows = [user.start("--", PEER, "hold", SERVER, 2, stderr=subprocess.PIPE) for _ in range(2)]
    apis = wait_for(lambda: (lambda found: found if len(found) == 2 else None)([p for p in (user.home / "natlock").iterdir() if p.name.startswith("run-")]), 5, "two sockets")
    for api in apis:
        wait_for(lambda: f"{SERVER}:7001" in user.control("--api", api, "nat", "table").stdout, 5, "a session in each")
    both = user.control("status")
    assert both.returncode != 0 and "run-" in both.stderr, "natlockctl chose one of two by itself"
    for flow in flows:
        answer, errors = flow.communicate(timeout=20)
        assert json.loads(answer)["ok"], errors
    assert not [p for p in (user.home / "natlock").iterdir() if "run-" in p.name or "resolv-" in p.name], "files were left behind"


def test_one_inside_of_another(user):
    """The inner one's subnet must be another: the outer one's is its host's."""
    natlock = user.home / "installed/bin/natlock"
    result = user.run("--", natlock, "run", "--", "true")
    assert result.returncode == 125 and "overlaps the host's route 192.168.30.0/24 dev eth0" in result.stderr and "Use --subnet" in result.stderr, result.stderr
    result = user.run("--", natlock, "run", "--subnet", "10.9.0.0/24", "--", "sh", "-c", f"dig +short www.example.test; {PEER} up {SERVER} 4000000; {PEER} down {SERVER} 4000000")
    assert result.stdout.count('"ok": true') == 2 and result.stdout.startswith(SERVER), result.stdout + result.stderr


def test_in_a_namespace_of_the_users_own(user):
    """As in a rootless container: root there, an ordinary user here."""
    command = user.command("unshare", "--user", "--map-root-user", "--mount", user.home / "installed/bin/natlock", "run", "--", PEER, "up", SERVER, 4000000)
    result = user.world.gateway.run(*command, env=user.environment, check=False)
    assert '"ok": true' in result.stdout, result.stdout + result.stderr
