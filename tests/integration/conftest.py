"""Three namespaces on this machine, as in the field:

    guest [eth0] ~~~ natlock, in gateway [w0 198.18.1.2] --- veth --- [i0 198.18.1.1] internet [servers on 198.18.2.1, .2]

Everything a test sends stays inside them. Processes are ended by the pids that were started here. `--gateway kernel` puts
kernel NAT in natlock's place: what fails there is the test's fault.
"""
import json, os, pathlib, re, shutil, signal, socket, subprocess, tempfile, time
import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("NATLOCK_BIN", TOP / "build/stage/usr/local/bin"))
PEER = TOP / "tests/integration/peer.py"
ROUTER, SERVER, SERVER2, OUTSIDE, HUB = "198.18.1.1", "198.18.2.1", "198.18.2.2", "198.18.1.2", "192.168.30.1"
PREFIX = f"nl-p{os.getpid()}-"  # whose it is: clear_leftovers
# These take longest and are begun first, so that no worker of xdist is left with one of them at the end.
LONGEST = ["test_escape_liar", "test_tcp", "test_policy_use", "test_escape_inject", "test_conformance_tcp", "test_shards", "test_attach", "test_nat_rules",
           "test_dhcp", "test_conformance_dhcp", "test_virtual_host_live", "test_recovery", "test_run_options", "test_ipsec_esp", "test_virtual_host"]


really_kill = os.kill


def kill(pid, number):
    """Tables give the pid 0 to a process that is not there now; for kill(2) that is the whole group, pytest first, and all it made would stay."""
    assert pid > 0, "the process to be signalled is not there"
    really_kill(pid, number)


os.kill = kill


def pytest_addoption(parser):
    parser.addoption("--gateway", default="natlock", choices=["natlock", "kernel"])


def pytest_collection_modifyitems(items):
    order = {name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def pytest_sessionstart(session):
    if not hasattr(session.config, "workerinput"):  # xdist's workers come later
        clear_leftovers()


def clear_leftovers():
    """What is left of a run that was killed: namespaces that have the number of a process that is not there any more."""
    folders = [pathlib.Path("/run/netns"), pathlib.Path("/etc/netns")]
    for name in sorted({path.name for folder in folders if folder.is_dir() for path in folder.iterdir()}):
        owner = re.fullmatch(r"nl-p(\d+)-.+", name)
        if not owner or os.path.exists(f"/proc/{owner[1]}"):
            continue
        for pid in sh("ip", "netns", "pids", name, check=False).stdout.split():
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        sh("ip", "netns", "del", name, check=False)
        shutil.rmtree(folders[1] / name, ignore_errors=True)


def sh(*command, check=True, **options):
    return subprocess.run([str(c) for c in command], check=check, text=True, capture_output=True, **options)


class Namespace:
    there = []  # of a fixture that failed halfway, too

    def __init__(self, name):
        self.name, self.started = PREFIX + name, []
        sh("ip", "netns", "add", self.name)
        self.there.append(self)
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")

    def wrap(self, command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command, check=True, timeout=120, **options):
        return sh(*self.wrap(command), check=check, timeout=timeout, **options)

    def start(self, *command, **options):
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.STDOUT)
        process = subprocess.Popen(self.wrap(command), text=True, **options)
        self.started.append(process)
        return process

    def pids(self):
        return [int(p) for p in sh("ip", "netns", "pids", self.name, check=False).stdout.split()]

    def remove(self):
        for process in self.started:
            if process.poll() is None:
                process.terminate()
        for process in self.started:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        sh("ip", "netns", "del", self.name, check=False)
        if self in self.there:  # a test may have taken it away before its fixture does
            self.there.remove(self)


class World:
    """The Internet side and the host that natlock runs on; a guest namespace for the tests that attach one by name."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="natlock-test-"))
        self.folder.chmod(0o755)
        self.gateway, self.internet, self.guest = Namespace("gw"), Namespace("inet"), Namespace("guest")
        self.resolv = pathlib.Path("/etc/netns") / self.gateway.name
        self.resolv.mkdir(parents=True)
        (self.resolv / "resolv.conf").write_text(f"nameserver {SERVER}\n")
        sh("ip", "link", "add", "w0", "netns", self.gateway.name, "type", "veth", "peer", "name", "i0", "netns", self.internet.name)
        self.gateway.run("ip", "addr", "add", f"{OUTSIDE}/24", "dev", "w0")
        self.gateway.run("ip", "link", "set", "w0", "up")
        self.gateway.run("ip", "route", "add", "default", "via", ROUTER)
        self.gateway.run("sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")
        self.internet.run("ip", "addr", "add", f"{ROUTER}/24", "dev", "i0")
        for address in (SERVER, SERVER2):
            self.internet.run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        self.internet.run("ip", "link", "set", "i0", "up")
        for namespace in (self.gateway, self.internet, self.guest):
            namespace.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
        self.serve()

    def serve(self):
        for address in (SERVER, SERVER2):
            server = self.internet.start(PEER, "serve", address)
            assert server.stdout.readline() == "ready\n"
        self.internet.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", f"--listen-address={SERVER}",
                            "--bind-interfaces", "--address=/www.example.test/198.18.2.1", "--txt-record=long.example.test," + ",".join(["x" * 200] * 12),
                            "--user=root", "--pid-file=", "--local-ttl=60")

    def close(self):
        for namespace in reversed(list(Namespace.there)):
            namespace.remove()
        shutil.rmtree(self.resolv, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)


class Gateway:
    """A running natlock (as root, `natlock up`, guest attached by namespace) and its guest, which got its address by DHCP."""

    def __init__(self, world, name="main", config="", guest=None, environment=None, where=None, prefix=(), arguments=()):
        self.world, self.guest, self.where, self.prefix, self.arguments = world, guest or world.guest, where or world.gateway, prefix, arguments
        self.folder = next(f for f in (world.folder / f"{name}{n or ''}" for n in range(100)) if not f.exists())  # other files have gateways of this name
        self.folder.mkdir()
        self.api = self.folder / "run/api"
        config_file = self.folder / "natlock.yaml"
        config_file.write_text(config or f"hubs:\n  default:\n    attach: [\"netns:{self.guest.name}\"]\n")
        self.environment = {**os.environ, "RUNTIME_DIRECTORY": str(self.folder / "run"), "STATE_DIRECTORY": str(self.folder / "state"),
                            "LOGS_DIRECTORY": str(self.folder / "log"), "NATLOCK_API": str(self.api), **(environment or {})}
        self.output = open(self.folder / "output", "w+")
        self.start()

    def start(self):
        """Also after its end: the same file, the same folders."""
        before = self.text().count(" up; ")
        self.process = self.where.start(*self.prefix, program("natlock"), "up", "-c", self.folder / "natlock.yaml", *self.arguments, env=self.environment, stdout=self.output)
        wait_for(lambda: self.text().count(" up; ") > before or self.process.poll() is not None, 10, "the hubs")
        assert self.process.poll() is None, self.text()

    def text(self):
        self.output.flush()
        return (self.folder / "output").read_text()

    def control(self, *command, check=True):
        return sh(program("natlockctl"), *command, env=self.environment, check=check)

    def attach(self, target):
        """Adds a port to the running hub, as an operator would on the host."""
        return self.where.run(program("natlock"), "attach", target, env=self.environment)

    def table(self, *command):
        return json.loads(self.control("-o", "json", *command).stdout)["items"]

    def processes(self):
        return {row["process"]: row for row in self.table("process", "list")}

    def log(self):
        return "".join(f.read_text() for f in sorted(self.folder.rglob("sec_*.log")))

    def lost_doorbells(self):
        """Workers whose fallback timer found work that nobody had rung for (ipc/actor.c). None in a healthy gateway."""
        answer = self.control("-o", "json", "drops", check=False)
        rows = json.loads(answer.stdout)["items"] if answer.returncode == 0 else []
        return [row for row in rows if row["reason"] == "FALLBACK_WAKES"]

    def stop(self):
        if self.process.poll() is None:
            lost = self.lost_doorbells()
            self.end()
            assert not lost, lost
        return self.process.returncode

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(10)


def program(name):
    path = BIN / name
    assert os.access(path, os.X_OK), f"{path} is missing: tests/check integration builds and stages it"
    return path


def unpacked(package, path):
    """A program of a package of tests/lib/unpacked.txt."""
    found = pathlib.Path(os.environ.get("NATLOCK_BUILD", TOP / "build")) / "debian" / package / path
    assert os.access(found, os.X_OK), f"{found} is missing: tests/check integration unpacks it"
    return found


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"waited {seconds} s for {what}")


def alive(pid):
    """Neither gone nor a zombie that nobody has asked for yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def lease(guest, interface="eth0", script=TOP / "tests/integration/udhcpc.sh"):
    """Runs a real DHCP client in the guest; returns what it printed."""
    return guest.run("udhcpc", "-i", interface, "-n", "-q", "-f", "-t", "8", "-T", "1", "-s", script, env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin")).stdout


def leased_address(guest, interface="eth0"):
    return lease(guest, interface).split("ip=")[1].split()[0]


def act(where, command, *arguments, address=SERVER, timeout=60):
    """One client action of peer.py in a namespace; its answer."""
    result = where.run(PEER, command, address, *arguments, timeout=timeout, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def serve(where, address):
    """peer.py's servers in a namespace."""
    process = where.start(PEER, "serve", address)
    assert process.stdout.readline() == "ready\n"
    return process


class KernelGateway:
    """Kernel NAT in natlock's place: the control experiment."""

    def __init__(self, world):
        self.world, self.guest = world, world.guest
        sh("ip", "link", "add", "eth0", "netns", world.guest.name, "type", "veth", "peer", "name", "g0", "netns", world.gateway.name)
        world.gateway.run("ip", "addr", "add", f"{HUB}/24", "dev", "g0")
        world.gateway.run("ip", "link", "set", "g0", "up")
        world.gateway.run("nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname w0 masquerade")
        world.gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        world.guest.run("ip", "addr", "add", "192.168.30.10/24", "dev", "eth0")
        world.guest.run("ip", "link", "set", "eth0", "up")
        world.guest.run("ip", "route", "add", "default", "via", HUB)

    def stop(self):
        return 0


@pytest.fixture(scope="session")
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def gateway(world, request):
    if request.config.getoption("gateway") == "kernel":
        yield KernelGateway(world)
        return
    gateway = Gateway(world)
    lease(world.guest)
    yield gateway
    gateway.stop()
    print(gateway.text())


@pytest.fixture(scope="module")
def spawn(world):
    """Makes guests (namespaces) and gateways that end with the module."""
    made = []

    class Spawn:
        @staticmethod
        def guest(name):
            made.append(Namespace(name))
            return made[-1]

        @staticmethod
        def gateway(name, **options):
            made.append(Gateway(world, name, **options))
            return made[-1]

        @staticmethod
        def two_guests(name, prefix, config=""):
            """A gateway whose one hub has two guests, its `guests`, each with a lease; config: more keys of the hub."""
            guests = [Spawn.guest(f"{prefix}{i}") for i in range(2)]
            attach = ", ".join(f'"netns:{guest.name}"' for guest in guests)
            gateway = Spawn.gateway(name, config=f"hubs:\n  default:\n    attach: [{attach}]\n{config}")
            gateway.guests = guests
            for guest in guests:
                lease(guest)
            return gateway

    yield Spawn
    for one in reversed(made):
        (one.stop if isinstance(one, Gateway) else one.remove)()


@pytest.fixture
def peer(gateway):
    """Runs one client action in the guest against the server beyond the gateway."""

    def run(command, *arguments, address=SERVER, timeout=120):
        result = gateway.guest.run(PEER, command, address, *arguments, timeout=timeout, check=False)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    return run
