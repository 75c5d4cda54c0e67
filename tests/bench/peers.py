"""Who is measured. A peer says how it is started and what the guest's address is then; everything else has a default. A program that
is not on the path is named by an environment variable: PASTA, SLIRP4NETNS, QEMU, GVPROXY, DNSMASQ, KEA, SOFTETHER (its folder)."""
import json, os, pathlib, re, shutil, time
import processes
from topology import SERVER, TAP, sh, wait_for

NO_MACHINE = ["-machine", "none", "-nodefaults", "-display", "none", "-monitor", "none", "-serial", "none"]


class Peer:
    name = what = program = ""
    user_space = True
    mtus = (1500,)      # the last is that of tcp_big
    dns = ""            # the forwarder as the guest sees it
    dhcp = 0            # clients that its pool has room for
    cases = None        # all of them

    def path(self):
        return os.environ.get(self.name.upper()) or shutil.which(self.program)

    def missing(self):
        """Why it cannot run here; empty: it can."""
        return "" if self.path() else f"no {self.program}"

    def version(self):
        return re.search(r"version:? ([^ ,]+)", sh(self.path(), "--version").stdout, re.I)[1]

    def prepare(self, t):
        """Not timed: files on disk."""

    def start(self, t, mtu):
        """Timed: from nothing to a guest with an address."""
        raise NotImplementedError

    def ready(self, t):
        """Not timed: waits for what comes up later."""

    def reads_sip(self, t):
        """Whether it has an ALG for SIP; one that has to be told reads it from now on."""
        return False

    def inspect(self, t):
        """Metrics that the peer reports of itself before it is ended."""
        return {}


class Kernel(Peer):
    """The reference: nftables masquerade and connection tracking, the guest on a veth."""
    name, what, program, user_space, dns = "kernel", "kernel NAT, veth", "nft", False, SERVER

    def version(self):
        return f"Linux {os.uname().release}, {sh('nft', '--version').stdout.split()[1]}"

    def start(self, t, mtu):
        sh("ip", "link", "add", TAP, "netns", t.guest.name, "type", "veth", "peer", "name", "g0", "netns", t.gateway.name)
        t.links(t.gateway, "addr add 10.9.0.1/16 dev g0", f"link set g0 up mtu {mtu}")
        t.gateway.run("nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname w0 masquerade")
        t.gateway.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        t.address_guest("10.9.0.2/16", "10.9.0.1", mtu)

    def reads_sip(self, t):
        """nf_conntrack_sip and nf_nat_sip, for port 5060."""
        helpers = [f'add ct helper ip nat sip-{p} {{ type "sip" protocol {p}; }}; add rule ip nat helper {p} dport 5060 ct helper set "sip-{p}"' for p in ("udp", "tcp")]
        t.gateway.run("nft", "; ".join(["add chain ip nat helper { type filter hook prerouting priority 0; }", *helpers]))
        return True


class Dnsmasq(Kernel):
    """Only for DNS and DHCP: what a forwarder and a server with stored leases do."""
    name, what, program, user_space, cases, dns, dhcp = "dnsmasq", "dnsmasq, with kernel NAT", "dnsmasq", True, ("dns", "dhcp"), "10.9.0.1", 2000
    version = Peer.version

    def start(self, t, mtu):
        super().start(t, mtu)
        t.gateway.start(self.path(), "--keep-in-foreground", "--conf-file=/dev/null", "--user=root", "--no-hosts", "--bind-interfaces", "--interface=g0",
                        "--cache-size=1000", "--dhcp-lease-max=100000", "--no-ping", "--dhcp-range=10.9.16.0,10.9.250.250,255.255.0.0,1h", "--dhcp-authoritative",
                        f"--dhcp-leasefile={t.folder}/dnsmasq.leases", "--dns-forward-max=1000", "--quiet-dhcp", "--log-facility=/dev/null", "--pid-file=")

    def ready(self, t):
        time.sleep(1)  # traffic passes before it listens


class Kea(Kernel):
    """Only for DHCP: leases in its journal (memfile), as it comes."""
    name, what, program, user_space, cases, dns, dhcp = "kea", "Kea DHCPv4, memfile, with kernel NAT", "kea-dhcp4", True, ("dhcp",), "", 2000

    def version(self):
        return sh(self.path(), "-v").stdout.strip()

    def start(self, t, mtu):
        super().start(t, mtu)
        (t.folder / "kea.json").write_text(json.dumps({"Dhcp4": {
            "interfaces-config": {"interfaces": ["g0"]}, "valid-lifetime": 3600, "lease-database": {"type": "memfile", "persist": True, "name": f"{t.folder}/kea.csv"},
            "subnet4": [{"subnet": "10.9.0.0/16", "pools": [{"pool": "10.9.16.0 - 10.9.250.250"}]}], "loggers": [{"name": "kea-dhcp4", "severity": "ERROR"}]}}))
        folders = {"KEA_PIDFILE_DIR": str(t.folder), "KEA_LOCKFILE_DIR": str(t.folder)}
        t.gateway.start(self.path(), "-c", t.folder / "kea.json", env=dict(os.environ, **folders))

    def ready(self, t):
        time.sleep(2)  # traffic passes before it listens


class Natlock(Peer):
    what, program, mtus, dns, dhcp = "natlock", "natlock", (1500, 65520), "192.168.30.1", 2000

    def __init__(self, name="natlock", extra=""):
        self.name, self.extra = name, extra

    def path(self):
        return shutil.which("natlock", path=os.environ.get("NATLOCK_BIN", ""))

    def missing(self):
        if not self.path():
            return "not built, or not in the folder NATLOCK_BIN"
        check = sh(self.path(), "check", "-c", "/dev/stdin", input=self.config(1500), check=False)
        return check.stderr.strip() if check.returncode else ""

    def version(self):
        commit = sh("git", "-C", pathlib.Path(__file__).parent, "describe", "--always", "--dirty", check=False).stdout.strip()
        return f"{sh(self.path(), '--version').stdout.split()[1]} {commit}"

    def config(self, mtu):
        return f"""hubs:
  default:
    attach: ["tap:{TAP}"]
    host: {{netmask: 255.255.0.0}}
    nat: {{mtu: {mtu}, log: false}}
    dhcp: {{range: 192.168.32.1-192.168.47.254, netmask: 255.255.0.0, log: false}}
    limits: {{tcp_sessions_per_host: 16000, udp_sessions_per_host: 16000, syn_sent_per_host: 1024, macs_per_port: 4096}}
    {self.extra}
"""

    def start(self, t, mtu):
        home = t.folder / "natlock"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "natlock.yaml").write_text(self.config(mtu))
        folders = {"RUNTIME_DIRECTORY": f"{home}/run", "STATE_DIRECTORY": f"{home}/state", "LOGS_DIRECTORY": f"{home}/log"}
        t.gateway.start(self.path(), "up", "-c", home / "natlock.yaml", env=dict(os.environ, **folders))
        t.take_tap(TAP, up=True)
        t.address_guest("192.168.30.2/16", "192.168.30.1", mtu)

    def reads_sip(self, t):
        return True

    def inspect(self, t):
        """Both must be 0: a doorbell that was lost, and a worker that died."""
        def table(*what):
            return json.loads(sh(pathlib.Path(self.path()).with_name("natlockctl"), "--api", t.folder / "natlock/run/api", "-o", "json", *what).stdout)["items"]
        return {"fallback_wakes": sum(row["count"] for row in table("drops") if row["reason"] == "FALLBACK_WAKES"),
                "worker_restarts": sum(row["restarts"] for row in table("process", "list"))}


class Pasta(Peer):
    name, what, program, mtus, dns, dhcp = "pasta", "passt in its TAP mode", "pasta", (1500, 65520), "198.18.3.53", 2000

    def version(self):
        said = sh(self.path(), "--version").stdout.split()[1]
        return said if said != "unknown" else sh("dpkg-query", "-W", "-f", "${Version}", "passt", check=False).stdout

    def start(self, t, mtu):
        t.gateway.start(self.path(), "-f", "-4", "--config-net", "-m", mtu, "-I", TAP, "-t", "none", "-u", "none", "-T", "none", "-U", "none",
                        "--dns-forward", self.dns, "--runas", "0", "--netns", f"/run/netns/{t.guest.name}")


class Slirp4netns(Peer):
    name, what, program, mtus, dns, dhcp = "slirp4netns", "libslirp on a TAP", "slirp4netns", (1500, 65520), "10.0.2.3", 15

    def version(self):
        words = sh(self.path(), "--version").stdout.split()
        return f"{words[2]}, libslirp {words[words.index('libslirp:') + 1]}"

    def start(self, t, mtu):
        t.gateway.start(self.path(), "--netns-type=path", "--configure", f"--mtu={mtu}", "--disable-host-loopback", f"/run/netns/{t.guest.name}", TAP)


class Qemu(Peer):
    """-netdev user and -netdev tap joined by a hub: QEMU's own gateway without a virtual machine."""
    name, what, program, dns, dhcp = "qemu", "QEMU -netdev user (libslirp)", "qemu-system-x86_64", "10.0.2.3", 15

    def start(self, t, mtu):
        t.gateway.start(self.path(), *NO_MACHINE, "-netdev", "user,id=u", "-netdev", "hubport,id=hu,hubid=0,netdev=u",
                        "-netdev", "tap,id=t,ifname=q0,script=no,downscript=no", "-netdev", "hubport,id=ht,hubid=0,netdev=t")
        t.take_tap("q0")
        t.address_guest("10.0.2.15/24", "10.0.2.2", mtu)


class Gvproxy(Peer):
    """It speaks to a virtual machine's socket: QEMU without a machine joins that to the TAP; what QEMU uses is not counted."""
    name, what, program, mtus, dns, dhcp = "gvproxy", "gvisor-tap-vsock (gVisor netstack), through QEMU", "gvproxy", (1500, 65520), "192.168.127.1", 150

    def missing(self):
        return super().missing() or Qemu().missing()

    def start(self, t, mtu):
        socket = t.folder / "gvproxy"
        socket.unlink(missing_ok=True)
        t.gateway.start(self.path(), "-mtu", mtu, "-ssh-port", "-1", "-listen-qemu", f"unix://{socket}")
        wait_for(socket.exists, "gvproxy")
        t.guest.start(Qemu().path(), *NO_MACHINE, "-netdev", f"stream,id=u,server=off,addr.type=unix,addr.path={socket}", "-netdev", "hubport,id=hu,hubid=0,netdev=u",
                      "-netdev", f"tap,id=t,ifname={TAP},script=no,downscript=no", "-netdev", "hubport,id=ht,hubid=0,netdev=t")
        t.address_guest("192.168.127.3/24", "192.168.127.1", mtu)


class Softether(Peer):
    """SecureNAT with its user-mode NAT forced. The program and its state are a copy in the scratch folder, configured once."""
    name, what, program, dns, dhcp = "softether", "SoftEther SecureNAT, user mode", "vpnserver", "192.168.30.1", 150
    SETUP = ["/CMD HubCreate V /PASSWORD:v", "/ADMINHUB:V /CMD SecureNatEnable", "/ADMINHUB:V /CMD ExtOptionSet DisableIpRawModeSecureNAT /VALUE:1",
             "/ADMINHUB:V /CMD ExtOptionSet DisableKernelModeSecureNAT /VALUE:1", "/CMD BridgeCreate V /DEVICE:g0 /TAP:yes", "/CMD Flush"]

    def path(self):
        folder = pathlib.Path(os.environ.get("SOFTETHER", "/usr/libexec/softether"))
        return next((p.parent for p in (folder / "vpnserver", folder / "vpnserver/vpnserver") if p.is_file()), None)

    def version(self):
        vpncmd = next(p for p in (self.path() / "vpncmd", self.path().parent / "vpncmd/vpncmd") if p.is_file())
        return re.search(r"Version (\S+ Build \d+)", sh(vpncmd, "/TOOLS", "/CMD", "About", check=False).stdout)[1]

    def serve(self, t):
        """Whatever paths were compiled in: they lead into the copy, in a mount namespace of its own."""
        places = {"/var/lib": "lib", "/var/log": "log", "/run": "run"}
        mounts = " && ".join(f"mount -t tmpfs none {place} && mkdir {place}/softether && mount --bind {self.home}/{own} {place}/softether" for place, own in places.items())
        return t.gateway.start("unshare", "-m", "sh", "-c", f"{mounts} && exec ./vpnserver execsvc", cwd=self.home)

    def prepare(self, t):
        self.home = t.folder / "softether"
        if (self.home / "configured").exists():
            return
        shutil.rmtree(self.home, ignore_errors=True)
        for folder in ("lib", "log", "run"):
            (self.home / folder).mkdir(parents=True)
        for file in [*self.path().iterdir(), *self.path().parent.glob("vpncmd/*")]:
            shutil.copy(file, self.home)
        self.serve(t)
        for command in self.SETUP:
            wait_for(lambda: t.gateway.run("./vpncmd", "localhost:5555", "/SERVER", *command.split(), cwd=self.home, check=False).returncode == 0, f"SoftEther: {command}", 30)
        processes.end(t.gateway.pids())  # the server has a child
        (self.home / "configured").touch()

    def start(self, t, mtu):
        self.serve(t)
        t.take_tap("tap_g0")
        t.address_guest("192.168.30.5/24", "192.168.30.1", mtu)


PEERS = {peer.name: peer for peer in (
    Kernel(), Natlock(), Natlock("natlock-strict", "data_path: strict"), Natlock("natlock-2shards", "shards: 2"),
    Pasta(), Slirp4netns(), Qemu(), Gvproxy(), Softether(), Dnsmasq(), Kea())}
