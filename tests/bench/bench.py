"""The driver of tests/bench/run: round by round, gateway by gateway, case by case; every figure is on disk when it is known."""
import argparse, contextlib, datetime, json, os, pathlib, platform, shutil, signal, sys, tempfile
import cases, table
from peers import PEERS
from topology import SERVER, SIGNALS, Failed, Topology, compile_load, sh

BUILD = pathlib.Path(os.environ.get("NATLOCK_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
FAILURES = (Failed, OSError, json.JSONDecodeError)  # what a gateway can do to us


def names(known):
    """A type for argparse: some of `known`, separated by commas."""
    def parse(text):
        if wrong := set(text.split(",")) - set(known):
            raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: not one of {', '.join(known)}")
        return text.split(",")
    return parse


def options():
    p = argparse.ArgumentParser(prog="tests/bench/run", description="Measures natlock beside other gateways; needs root.")
    p.add_argument("--peers", type=names(PEERS), default=list(PEERS), help="default: all that are installed; kernel NAT is always in")
    p.add_argument("--cases", type=names(cases.CASES), default=cases.CASES)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--out", type=pathlib.Path, default=BUILD / "bench", help="folder of cells.tsv and table.md; default build/bench")
    p.add_argument("--seconds", type=int, default=2, help="of each TCP bulk run")
    p.add_argument("--short", type=float, default=1, help="seconds of each other run")
    p.add_argument("--flows", type=names(table.FLOWS), default=table.FLOWS[:2], help=f"idle flows of the memory case, of {', '.join(table.FLOWS)}")
    p.add_argument("--congestion", type=lambda text: text.split(","), default=["cubic", "reno"], help="pinned in each namespace: the first that the kernel allows there")
    p.add_argument("--endpoints", default="cubic", help="congestion control of both ends of TCP bulk")
    p.add_argument("--prefix", default=f"nlb-{os.getpid()}-", help="of the namespaces")
    p.add_argument("--list", action="store_true", help="prints the gateways and the cases")
    return p.parse_args()


def say(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


class Run:
    def __init__(self, o, work):
        self.o, self.work, self.load = o, work, compile_load(work)
        self.peers = [PEERS["kernel"]] + [PEERS[n] for n in o.peers if n != "kernel"]
        o.out.mkdir(parents=True, exist_ok=True)
        self.cells = open(o.out / "cells.tsv", "w")
        self.put("round", "peer", "metric", "value", "unit")

    def put(self, *fields):
        print(*fields, sep="\t", file=self.cells, flush=True)

    def fact(self, name, value, peer="run"):
        self.put(0, peer, name, " ".join(str(value).split()), "text")
        if peer == "run":
            say(f"{name}: {value}")

    def world(self):
        return Topology(self.o.prefix, self.load, self.work, self.o.congestion)

    def begin(self):
        """Finds who is here, and writes down under what conditions."""
        for peer in list(self.peers):
            if reason := peer.missing():
                say(f"{peer.name}: not here ({reason})")
                self.peers.remove(peer)
        cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
        with self.world() as t:
            congestion = ", ".join(f"{name} {value}" for name, value in t.congestion.items())
        self.fact("date", f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d %H:%M} UTC")
        self.fact("command", "tests/bench/run " + " ".join(sys.argv[1:]))
        self.fact("rounds", self.o.rounds)
        self.fact("machine", f"{os.cpu_count()} x {cpu}, {memory} MiB, {platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}")
        self.fact("congestion control", f"{congestion}; both ends of TCP bulk {self.o.endpoints}")
        tools = [sh(tool, "--version").stdout.splitlines()[0] for tool in ("iperf3", "cc") if shutil.which(tool)]
        self.fact("load generator", ", ".join(tools))
        for peer in self.peers:
            self.fact("what", peer.what, peer.name)
            self.fact("version", peer.version(), peer.name)

    @contextlib.contextmanager
    def started(self, peer, mtu, ends):
        """A new gateway that lets bytes through; `ends` adds up what it says of itself at the end."""
        with self.world() as t:
            peer.prepare(t)
            peer.start(t, mtu)
            t.load(t.guest, "first", SERVER, 15)
            peer.ready(t)
            yield t
            for metric, value in peer.inspect(t).items():
                ends[metric] = ends.get(metric, 0) + value

    def attempt(self, number, peer, name, case, *arguments):
        """A case that fails is written down; the others go on."""
        try:
            self.record(number, peer, case(*arguments, peer, self.o))
        except FAILURES as error:
            self.fail(number, peer, f"{name}: {error}")

    def record(self, number, peer, found):
        for metric, value in found.items():
            self.put(number, peer.name, metric, f"{value:.10g}", table.UNIT[metric])

    def fail(self, number, peer, text):
        text = " ".join(text.split())
        self.put(number, peer.name, "failed", text, "text")
        say(f"{peer.name}: {text}")

    def turn(self, number, peer):
        """One round of one gateway."""
        wanted, ends = [c for c in cases.CASES if c in self.o.cases and c in (peer.cases or cases.CASES)], {}
        through = []
        if common := [c for c in wanted if c in cases.COMMON]:
            through.append((1500, common))
        if "tcp_big" in wanted and peer.mtus[-1] != 1500:
            through.append((peer.mtus[-1], ["tcp_big"]))
        if "startup" in wanted:
            self.attempt(number, peer, "startup", cases.startup, self.world)
        for mtu, these in through:
            try:
                with self.started(peer, mtu, ends) as t:
                    for name in these:
                        self.attempt(number, peer, name, getattr(cases, name), t)
            except FAILURES as error:
                self.fail(number, peer, f"MTU {mtu}: {error}")
        if "memory" in wanted:
            self.attempt(number, peer, "memory", cases.memory, lambda: self.started(peer, 1500, ends))
        self.record(number, peer, ends)

    def rounds(self):
        busy = []
        for number in range(1, self.o.rounds + 1):
            busy.append(f"{os.getloadavg()[0]:.1f}")
            for peer in self.peers:
                say(f"round {number} of {self.o.rounds}: {peer.name}")
                self.turn(number, peer)
        self.fact("load average before each round", ", ".join(busy))


def stop(number, frame):
    """Once: what was started is ended on the way out, and that is not interrupted again."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main():
    o = options()
    if o.list:
        print("gateways:", *(f"  {p.name}: {p.missing() or p.what}" for p in PEERS.values()), "cases:", *(f"  {c}" for c in cases.CASES), sep="\n")
        return
    if os.geteuid():
        sys.exit("tests/bench/run makes network namespaces: run it as root")
    for each in SIGNALS:
        signal.signal(each, stop)
    with tempfile.TemporaryDirectory(prefix="natlock-bench-") as work:
        os.chmod(work, 0o755)  # gateways give up root
        pathlib.Path(work, "output").touch()
        run = Run(o, pathlib.Path(work))
        try:
            run.begin()
            run.rounds()
        finally:
            shutil.copy(pathlib.Path(work, "output"), o.out)
        (o.out / "table.md").write_text(table.render(o.out / "cells.tsv"))
    say(f"wrote {o.out}/table.md")


if __name__ == "__main__":
    main()
