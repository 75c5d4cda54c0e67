"""Every kind of port that a guest can come by, and two guests on one hub."""
import json, os, socket, subprocess, sys
import pytest
from conftest import HUB, OUTSIDE, PEER, SERVER, TOP, Namespace, act, leased_address, program, serve, sh, wait_for

FRAMES = TOP / "tests/integration/frames.py"


def mac(namespace, interface="eth0"):
    return json.loads(namespace.run("ip", "-j", "link", "show", interface).stdout)[0]["address"]


def works(guest, interface="eth0"):
    assert leased_address(guest, interface).startswith("192.168.30.")
    for command in (["up", 4 << 20], ["down", 4 << 20], ["udp", 1, 1400, 5000]):
        assert act(guest, *command)["ok"], command


@pytest.fixture(scope="module")
def hub(spawn):
    return spawn.gateway("attach", config="hubs:\n  default:\n    attach: []\n")


def test_netns_by_name_while_running(hub, spawn):
    guest = spawn.guest("a1")
    assert "port 0 on hub default" in hub.attach(f"netns:{guest.name}").stdout
    works(guest)


def test_netns_by_path(hub, spawn):
    guest = spawn.guest("a2")
    hub.attach(f"netns:/run/netns/{guest.name}")
    works(guest)


def test_pid(hub, spawn):
    guest = spawn.guest("a3")
    sleeper = guest.start("sleep", "600")
    wait_for(lambda: sleeper.pid in guest.pids(), 5, "the process in its namespace")
    hub.attach(f"pid:{sleeper.pid}")
    works(guest)


def test_tap_of_the_host(world, hub):
    """A TAP beside natlock, in its own namespace: the way OpenVPN or libvirt would share one."""
    world.gateway.run("ip", "tuntap", "add", "dev", "nltap", "mode", "tap", "vnet_hdr")
    world.gateway.run("sysctl", "-qw", "net.ipv4.conf.nltap.rp_filter=0")
    hub.attach("tap:nltap")
    assert "LOWER_UP" in world.gateway.run("ip", "link", "show", "nltap").stdout
    assert "tap" in [row["kind"] for row in hub.table("session", "list")]
    guest = Namespace("a4")
    try:
        world.gateway.run("ip", "link", "set", "nltap", "netns", guest.name)
        guest.run("ip", "link", "set", "nltap", "up")
        works(guest, "nltap")
    finally:
        guest.remove()


def test_veth(world, hub, spawn):
    guest = spawn.guest("a5")
    sh("ip", "link", "add", "nlv", "netns", world.gateway.name, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    world.gateway.run("ip", "link", "set", "nlv", "up")
    guest.run("ip", "link", "set", "eth0", "up")
    hub.attach("veth:nlv")
    works(guest)


def broker_of(hub):
    row = hub.processes()["broker"]
    return row["pid"], row["restarts"]


@pytest.mark.parametrize("kind", ["veth", "tap"])
def test_the_device_of_a_port_is_deleted(world, hub, spawn, kind):
    """The port ends, and nobody is blamed: the broker goes on, and so do the other guests."""
    other, name = spawn.guest(f"o{kind}"), f"nld{kind}"
    hub.attach(f"netns:{other.name}")
    works(other)
    before, ports = broker_of(hub), len(hub.table("session", "list"))
    if kind == "veth":
        world.gateway.run("ip", "link", "add", name, "type", "veth", "peer", "name", f"{name}p")
        world.gateway.run("ip", "link", "set", f"{name}p", "up")
    else:
        world.gateway.run("ip", "tuntap", "add", "dev", name, "mode", "tap", "vnet_hdr")
    world.gateway.run("ip", "link", "set", name, "up")
    hub.attach(f"{kind}:{name}")
    assert len(hub.table("session", "list")) == ports + 1
    world.gateway.run("ip", "link", "del", name)

    def gone():
        other.run("ip", "neigh", "replace", "192.168.30.250", "lladdr", "ff:ff:ff:ff:ff:ff", "dev", "eth0")
        other.run("ping", "-c", "1", "-W", "1", "192.168.30.250", check=False)  # floods each port
        return len(hub.table("session", "list")) == ports
    wait_for(gone, 10, "the end of the port")
    works(other)
    assert broker_of(hub) == before, hub.text()


def bridge(where, name, *guests):
    """A Linux bridge with a veth to each guest's eth0."""
    where.run("ip", "link", "add", name, "type", "bridge")
    where.run("ip", "link", "set", name, "up")
    for n, guest in enumerate(guests):
        sh("ip", "link", "add", f"{name}p{n}", "netns", where.name, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
        where.run("ip", "link", "set", f"{name}p{n}", "master", name, "up")
        guest.run("ip", "link", "set", "eth0", "up")


def ports_of(where, name):
    return [link["ifname"] for link in json.loads(where.run("ip", "-j", "link", "show", "master", name).stdout)]


@pytest.mark.parametrize("tun", [True, False], ids=["tap", "veth"])
def test_bridge(world, spawn, tun):
    """Two guests behind a bridge of the host; the port is natlock's own and ends with it."""
    kind = "tap" if tun else "veth"
    guests = [spawn.guest(f"b{kind}{n}") for n in range(2)]
    bridge(world.gateway, f"br{kind}", *guests)
    hide = () if tun else ("unshare", "-m", "--propagation", "private", "sh", "-c", "mount --bind /dev/null /dev/net/tun; exec \"$@\"", "sh")
    gateway = spawn.gateway(f"bridge{kind}", prefix=hide, config=f"hubs:\n  default:\n    attach: [\"bridge:br{kind}\"]\n")
    assert "nlb0" in ports_of(world.gateway, f"br{kind}")
    for guest in guests:
        works(guest)
    made = json.loads(world.gateway.run("ip", "-j", "-d", "link", "show", "nlb0").stdout)[0]["linkinfo"]["info_kind"]
    assert made == ("tun" if tun else "veth")
    gateway.end()
    wait_for(lambda: "nlb0" not in ports_of(world.gateway, f"br{kind}"), 5, "the end of the port")
    world.gateway.run("ip", "link", "del", f"br{kind}")


def test_bridge_while_running(world, hub, spawn):
    guest = spawn.guest("br")
    bridge(world.gateway, "brrun", guest)
    assert "on hub default" in hub.attach("bridge:brrun").stdout
    works(guest)
    world.gateway.run("ip", "link", "del", "brrun")


@pytest.mark.parametrize("target,cause", [("netns:nl-nothing", "No such file"), ("pid:0", "No such file"), ("pid:x", "Invalid argument"), ("veth:nl-nothing", ""),
                                          ("fd:99", "Bad file descriptor"), ("qemu:relative", "Invalid argument"), ("bridge:br9", "there is no br9 here"),
                                          ("bridge:w0", "w0 is not a bridge"), ("vde:/run/vde", "not a target of this version")])
def test_a_wrong_target_is_explained_and_the_hub_goes_on(world, hub, target, cause):
    result = world.gateway.run(program("natlock"), "attach", target, env=hub.environment, check=False)
    assert result.returncode in (1, 2) and "cannot " in result.stderr and cause in result.stderr, result.stderr
    assert hub.table("process", "list")


def test_fd_of_a_stream_socket(world, hub):
    """Frames with a length before them, as QEMU's stream netdev has them, over a socket that the caller made."""
    before = len(hub.table("session", "list"))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    subprocess.run(world.gateway.wrap([program("natlock"), "attach", f"fd:{theirs.fileno()}"]), env=hub.environment, pass_fds=[theirs.fileno()], check=True, capture_output=True)
    theirs.close()
    own = bytes.fromhex("020000000a06")
    question = b"\xff" * 6 + own + bytes.fromhex("0806" "0001080006040001") + own + socket.inet_aton("192.168.30.199") + bytes(6) + socket.inet_aton(HUB)
    ours.settimeout(2)
    ours.sendall(len(question).to_bytes(4, "big") + question)
    while True:
        length = int.from_bytes(ours.recv(4, socket.MSG_WAITALL), "big")
        frame = ours.recv(length, socket.MSG_WAITALL)
        if frame[12:14] == b"\x08\x06" and frame[:6] == own:
            break
    assert frame[20:22] == b"\0\x02" and frame[28:32] == socket.inet_aton(HUB)
    ours.close()
    wait_for(lambda: len(hub.table("session", "list")) == before, 5, "the port's end")


def test_a_port_whose_guest_left_is_forgotten(hub, spawn):
    before = len(hub.table("session", "list"))
    guest = spawn.guest("a6")
    hub.attach(f"netns:{guest.name}")
    wait_for(lambda: len(hub.table("session", "list")) == before + 1, 5, "the port")
    works(guest)
    guest.remove()
    wait_for(lambda: len(hub.table("session", "list")) == before, 10, "the port's end")


def test_fd_of_a_datagram_socket(world, hub):
    """One frame a datagram, over a socket that the caller made and connected."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    subprocess.run(world.gateway.wrap([program("natlock"), "attach", f"fd:{theirs.fileno()}"]), env=hub.environment, pass_fds=[theirs.fileno()], check=True, capture_output=True)
    theirs.close()
    own = bytes.fromhex("020000000a07")
    ours.settimeout(2)
    ours.send(b"\xff" * 6 + own + bytes.fromhex("0806" "0001080006040001") + own + socket.inet_aton("192.168.30.198") + bytes(6) + socket.inet_aton(HUB))
    frame = b""
    while frame[12:14] != b"\x08\x06" or frame[:6] != own:
        frame = ours.recv(2000)
    assert frame[20:22] == b"\0\x02" and frame[28:32] == socket.inet_aton(HUB)
    ours.close()


# ---- two guests on one hub ----
@pytest.fixture(scope="module")
def pair(spawn):
    one, two = spawn.guest("one"), spawn.guest("two")
    gateway = spawn.gateway("pair", config=f'hubs:\n  default:\n    attach: ["netns:{one.name}", "netns:{two.name}"]\n')
    one.address, two.address = leased_address(one), leased_address(two)
    assert one.address != two.address
    serve(one, one.address)
    gateway.one, gateway.two = one, two
    return gateway


@pytest.mark.parametrize("command", [("up", 32 << 20), ("down", 32 << 20), ("udp", 1, 1400, 9000)], ids=lambda c: c[0])
def test_guest_to_guest_by_hash(pair, command):
    assert act(pair.two, *command, address=pair.one.address)["ok"]


def test_guests_see_each_others_addresses(pair):
    answer = act(pair.two, "who", address=pair.one.address)
    assert answer["seen"] == answer["own"] and answer["own"].startswith(pair.two.address)


def test_both_use_one_source_port_to_one_server_at_once(pair):
    code = ("import socket, time\nc = socket.socket()\nc.bind(('0.0.0.0', 40444))\nc.connect(('%s', 7001))\nprint('open', flush=True)\ninput()\n"
            "c.sendall(b'%s' * 100)\nd = b''\nwhile len(d) < 300: d += c.recv(300)\nprint(d == b'%s' * 100, flush=True)")
    flows = [guest.start("/usr/bin/python3", "-c", code % (SERVER, word, word), stdin=subprocess.PIPE) for guest, word in ((pair.one, "one"), (pair.two, "two"))]
    for flow in flows:
        assert flow.stdout.readline() == "open\n"
    rows = [r for r in pair.table("nat", "table") if r["source"].endswith(":40444") and r["destination"] == f"{SERVER}:7001"]
    assert len(rows) == 2 and len({r["outside"] for r in rows}) == 2
    for flow in flows:
        assert flow.communicate("\n", timeout=10)[0] == "True\n"


@pytest.mark.parametrize("kind,counted", [("gateway-mac", "MAC_SPOOF"), ("gateway-address", "ARP_SPOOF"), ("guest-mac", "MAC_SPOOF"), ("guest-address", "ARP_SPOOF")])
def test_a_spoofing_guest_breaks_nobodys_flow(pair, kind, counted):
    gateway_mac, victim = pair.table("hub", "list")[0]["mac"].lower(), pair.one

    def count():
        return sum(int(row["count"]) for row in pair.table("drops") if row["reason"] == counted)

    before = count()
    flow = victim.start(PEER, "hold", SERVER, 2)
    bulk = victim.start(PEER, "down", SERVER, 64 << 20)
    pair.two.run(FRAMES, "eth0", "spoof", kind, mac(victim), victim.address, gateway_mac, 1.5)
    held, moved = [json.loads(f.communicate(timeout=20)[0]) for f in (flow, bulk)]
    assert held["ok"] and held["worst"] < 1 and moved["ok"], (held, moved)
    assert count() > before + 100
    assert gateway_mac in victim.run("ip", "neigh", "show", HUB).stdout, "the victim was led astray"
    assert act(victim, "up", 1 << 20)["ok"] and act(pair.two, "up", 1 << 20)["ok"]
