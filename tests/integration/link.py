"""A bad link of veth pairs between a guest and a gateway, see tests/impair:

    guest [eth0] --- [near] impair, in a namespace of its own [far] --- [NAME] gateway's namespace

Offloads of all four ends are off, so what is lost is one packet of the MTU, whoever sent it.
"""
import json, os, signal, subprocess
from conftest import BIN, HUB, TOP, Namespace, sh

PROFILES = {
    "A": ["loss=1", "copies=1", "late=2", "delay=2.5"],
    "B": ["pairs=5", "copies=2", "late=5", "delay=5"],
    "C": ["damage=1", "cut=0.2"],
    "clean": [],
}
OFFLOADS = """
import fcntl, socket, struct, array, sys
s = socket.socket()
for name in sys.argv[1:]:
    for command in (0x1F, 0x24, 0x2C, 0x17):  # ETHTOOL_STSO, SGSO, SGRO, STXCSUM
        value = array.array("I", [command, 0])
        try:
            fcntl.ioctl(s, 0x8946, struct.pack("16sP", name.encode(), value.buffer_info()[0]))
        except OSError:
            pass
"""


def offloads_off(namespace, *interfaces):
    namespace.run("/usr/bin/python3", "-c", OFFLOADS, *interfaces)


def tool(folder):
    """The relay: as meson built it beside the staged gateway, else compiled here."""
    for place in (BIN.parents[3] if len(BIN.parents) > 3 else BIN, TOP / "build"):
        if os.access(place / "tests/impair/impair", os.X_OK):
            return place / "tests/impair/impair"
    program = folder / "impair"
    if not program.exists():
        sources = [TOP / "tests/impair" / name for name in ("impair.c", "fate.c")]
        sh("cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-o", program, *sources)
    return program


class Link:
    """One relay and its two veth pairs. With `gateway` None the far end is left to a peer that makes a TAP in `self.middle`."""

    def __init__(self, folder, guest, gateway, name):
        self.program, self.guest, self.middle, self.process, self.far = tool(folder), guest, Namespace(f"{name}-link"), None, "far"
        sh("ip", "link", "add", "eth0", "netns", guest.name, "type", "veth", "peer", "name", "near", "netns", self.middle.name)
        self.middle.run("ip", "link", "set", "near", "up")
        guest.run("ip", "link", "set", "eth0", "up")
        offloads_off(guest, "eth0")
        if gateway:
            sh("ip", "link", "add", name, "netns", gateway.name, "type", "veth", "peer", "name", "far", "netns", self.middle.name)
            self.middle.run("ip", "link", "set", "far", "up")
            gateway.run("ip", "link", "set", name, "up")
            offloads_off(gateway, name)

    def address(self, address, router, mtu=1500):
        self.guest.run("ip", "link", "set", "eth0", "mtu", mtu)
        self.guest.run("ip", "addr", "replace", address, "dev", "eth0")
        self.guest.run("ip", "route", "replace", "default", "via", router)

    def begin(self, seed, profile):
        self.process = self.middle.start(self.program, "near", self.far, seed, *profile, stderr=subprocess.STDOUT)
        line = self.process.stdout.readline()
        assert line == "ready\n", line

    def end(self):
        """Stops the relay; what it did, which is only worth something if the relay itself lost nothing."""
        self.process.send_signal(signal.SIGTERM)
        text = self.process.communicate(timeout=10)[0]
        assert self.process.returncode == 0, text
        return json.loads(text)

    def remove(self):
        """At once: a namespace takes its interfaces along only some time later."""
        self.guest.run("ip", "link", "del", "eth0")
        if self.far == "far":
            self.middle.run("ip", "link", "del", "far")
        self.middle.remove()


class KernelNat:
    """Kernel NAT beside natlock's namespace, with an outside link and a guest of its own."""

    def __init__(self, world, name):
        self.world, self.outside = world, f"k-{name}"[:15]
        self.namespace, self.guest = Namespace(f"{name}-knat"), Namespace(f"{name}-kguest")
        sh("ip", "link", "add", "w0", "netns", self.namespace.name, "type", "veth", "peer", "name", self.outside, "netns", world.internet.name)
        world.internet.run("ip", "addr", "add", "198.18.3.1/24", "dev", self.outside)
        world.internet.run("ip", "link", "set", self.outside, "up")
        self.namespace.run("ip", "addr", "add", "198.18.3.2/24", "dev", "w0")
        self.namespace.run("ip", "link", "set", "w0", "up")
        self.namespace.run("ip", "route", "add", "default", "via", "198.18.3.1")
        self.namespace.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self.namespace.run("nft", "add table ip nat; add chain ip nat post { type nat hook postrouting priority 100; }; add rule ip nat post oifname w0 masquerade")
        for namespace in (self.namespace, self.guest):
            namespace.run("sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")

    def serve(self, interface):
        self.namespace.run("ip", "addr", "add", f"{HUB}/24", "dev", interface)

    def remove(self):
        self.guest.remove()
        self.world.internet.run("ip", "link", "del", self.outside)
        self.namespace.remove()
