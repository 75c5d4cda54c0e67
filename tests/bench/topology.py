"""The network of one measurement, new for each gateway that is started:

    PREFIXguest [tap0] ~~~ gateway, in PREFIXgw [w0 198.18.1.2] --- veth --- [i0 198.18.1.1] PREFIXinet [servers on 198.18.2.1]

The outer link has MTU 1500. Nothing outside of the three namespaces is touched; leaving the `with` block ends every process in
them, and every child of what was started there, and removes them.
"""
import json, os, pathlib, select, shutil, signal, subprocess, time
import processes

TAP, ROUTER, SERVER, OUTSIDE = "tap0", "198.18.1.1", "198.18.2.1", "198.18.1.2"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # what ends a run early
SETTINGS = ["net.ipv4.tcp_tw_reuse=1", "net.ipv4.ip_local_port_range=1024 65535", "net.ipv4.tcp_no_metrics_save=1",
            "net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1"]


class Failed(Exception):
    """A gateway, or something that was to pass through it, did not work."""


def sh(*command, check=True, timeout=30, **options):
    try:
        return subprocess.run([str(c) for c in command], check=check, text=True, capture_output=True, timeout=timeout, **options)
    except subprocess.CalledProcessError as error:
        raise Failed(f"{' '.join(map(str, command))}: {error.stderr.strip() or error.stdout.strip() or error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{' '.join(map(str, command))}: no end after {timeout} s") from error


def wait_for(condition, what, seconds=5):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise Failed(f"waited {seconds} s for {what}")
        time.sleep(0.0005)
    return value


def compile_load(folder):
    """Builds the load generator in `folder`; its path."""
    program = folder / "load"
    sources = sorted((pathlib.Path(__file__).resolve().parent / "load").glob("*.c"))
    sh("cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program, *sources, timeout=120, env=dict(os.environ, TMPDIR=str(folder)))
    return program


class Namespace:
    """A network namespace, what was started in it, and one sleeping process through which /proc shows its tables."""

    def __init__(self, name, log):
        self.name, self.log, self.started, self.network, self.anchor = name, log, [], 0, 0

    def open(self):
        sh("ip", "netns", "add", self.name)
        self.network = os.stat(f"/run/netns/{self.name}").st_ino
        self.anchor = self.start("sleep", "infinity").pid
        wait_for(lambda: processes.network_of(self.anchor) == self.network, f"namespace {self.name}")
        self.run("ip", "link", "set", "lo", "up")
        self.run("sysctl", "-qw", *SETTINGS)

    def wrap(self, command):
        return ["ip", "netns", "exec", self.name, *map(str, command)]

    def run(self, *command, **options):
        return sh(*self.wrap(command), **options)

    def start(self, *command, **options):
        """A process group of its own: what the terminal sends to us does not reach it, we end it. No session of its own: the
        scheduler groups by session, and a switch between groups costs two microseconds more."""
        self.started.append(subprocess.Popen(self.wrap(command), text=True, process_group=0,
                                             **{"stdout": self.log, "stderr": self.log, "stdin": subprocess.DEVNULL, **options}))
        return self.started[-1]

    def table(self, name):
        return pathlib.Path(f"/proc/{self.anchor}/net/{name}").read_text()

    def flags(self, interface):
        """Of an interface, bit 0: it is up; None: there is none. `ip netns exec` gives each namespace a /sys of its own."""
        try:
            return int(pathlib.Path(f"/proc/{self.anchor}/root/sys/class/net/{interface}/flags").read_text(), 16)
        except OSError:
            return None

    def pids(self):
        return processes.family({p.pid for p in self.started}, self.network) - {self.anchor}

    def pin_congestion(self, choices):
        """The first of `choices` that this kernel lets a namespace have (some only reno); returns what is in force."""
        for choice in choices:
            if self.run("sysctl", "-qw", f"net.ipv4.tcp_congestion_control={choice}", check=False).returncode == 0:
                break
        return self.run("sysctl", "-n", "net.ipv4.tcp_congestion_control").stdout.strip()

    def close(self):
        processes.end([p.pid for p in self.started], self.pids())
        for process in self.started:
            process.wait()
        sh("ip", "netns", "del", self.name, check=False)  # not there if it was interrupted at once


class Topology:
    """load: the compiled load generator; folder: scratch space for the gateway's files and the log of all output."""

    def __init__(self, prefix, load, folder, congestion=("cubic", "reno")):
        self.prefix, self.load_program, self.folder, self.choices = prefix, load, folder, congestion
        self.spaces, self.next_port = [], 7200

    def __enter__(self):
        try:
            self.log = open(self.folder / "output", "a")
            self.guest, self.gateway, self.internet = map(self.space, ("guest", "gw", "inet"))
            self.congestion = {space.name.removeprefix(self.prefix): space.pin_congestion(self.choices) for space in self.spaces}
            self.resolver = pathlib.Path("/etc/netns", self.gateway.name)
            self.resolver.mkdir(parents=True)
            (self.resolver / "resolv.conf").write_text(f"nameserver {SERVER}\n")
            sh("ip", "link", "add", "w0", "netns", self.gateway.name, "type", "veth", "peer", "name", "i0", "netns", self.internet.name)
            self.links(self.gateway, f"addr add {OUTSIDE}/24 dev w0", "link set w0 up", f"route add default via {ROUTER}")
            self.links(self.internet, f"addr add {ROUTER}/24 dev i0", f"addr add {SERVER}/32 dev lo", "link set i0 up")
            self.internet.start(self.load_program, "serve", SERVER)
            self.wait_port("tcp", 7001)
            self.wait_port("udp", 53)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        """Not interrupted: a signal that comes now is delivered when all is removed."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            for space in self.spaces:
                space.close()
            shutil.rmtree(f"/etc/netns/{self.prefix}gw", ignore_errors=True)
            self.log.close()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def space(self, name):
        if os.path.exists(f"/run/netns/{self.prefix}{name}"):
            raise SystemExit(f"namespace {self.prefix}{name} exists: another run, or what a killed one left (ip netns del {self.prefix}{name})")
        self.spaces.append(Namespace(self.prefix + name, self.log))
        self.spaces[-1].open()
        return self.spaces[-1]

    def links(self, space, *lines):
        sh("ip", "-n", space.name, "-batch", "-", input="\n".join(lines) + "\n")

    def wait_port(self, protocol, port):
        wait_for(lambda: f":{port:04X} " in self.internet.table(protocol), f"port {port}")

    def new_port(self):
        self.next_port += 1
        return self.next_port

    def wait_link(self, space, name, up=False):
        wait_for(lambda: (space.flags(name) or 0) & 1 if up else space.flags(name) is not None, f"interface {name}")

    def take_tap(self, name, up=False):
        """Hands a TAP that the gateway made in its own namespace to the guest; `up`: not before it has been brought up there, which
        is the last that a gateway does to it."""
        self.wait_link(self.gateway, name, up)
        sh("ip", "-n", self.gateway.name, "link", "set", name, "netns", self.guest.name, "name", TAP)

    def address_guest(self, address, router, mtu):
        """Static, so that the start does not depend on DHCP."""
        self.wait_link(self.guest, TAP)
        self.links(self.guest, f"addr replace {address} dev {TAP}", f"link set {TAP} up mtu {mtu}", f"route replace default via {router}")

    def load(self, space, *command, cpu=None, timeout=40):
        """What one command of the load generator found."""
        pinned = [] if cpu is None else ["taskset", "-c", str(cpu)]
        result = space.run(*pinned, self.load_program, *command, check=False, timeout=timeout)
        if result.returncode:
            raise Failed(f"load {' '.join(map(str, command))}: {result.stderr.strip() or 'nothing came through'}")
        return json.loads(result.stdout)

    def start_load(self, space, *command):
        return space.start(self.load_program, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def answer(self, process, timeout=40):
        """The next line of a command that goes on."""
        if not select.select([process.stdout], [], [], timeout)[0] or not (line := process.stdout.readline()):
            raise Failed(f"load: no answer within {timeout} s")
        return json.loads(line)
