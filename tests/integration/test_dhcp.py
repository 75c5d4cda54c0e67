"""DHCP with ISC dhclient as the second real client, and with messages that no client sends."""
import json, os, re, signal
import pytest
from conftest import HUB, TOP, act, alive, lease, leased_address, wait_for

FRAMES, SCRIPT = TOP / "tests/integration/frames.py", TOP / "tests/integration/dhclient.sh"
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Dhclient:
    def __init__(self, gateway, guest, name):
        self.guest, self.gateway = guest, gateway
        self.leases, self.pidfile, self.config = (gateway.folder / f"{name}.{end}" for end in ("leases", "pid", "conf"))
        self.config.write_text("timeout 8;\nretry 2;\ninitial-interval 1;\nbackoff-cutoff 1;\nreboot 3;\nsend host-name \"second\";\n"
                               "request subnet-mask, routers, domain-name-servers, dhcp-lease-time;\n")

    def run(self, *options, **environment):
        command = ["dhclient", "-v", "-4", "-cf", self.config, "-lf", self.leases, "-pf", self.pidfile, "-sf", SCRIPT, *options, "eth0"]
        extra = [word for key, value in environment.items() for word in ("-e", f"{key}={value}")]
        result = self.guest.run(*command[:1], *extra, *command[1:], check=False, timeout=40, env=dict(os.environ, PATH=PATH))
        return result.stdout + result.stderr

    def release(self):
        """dhclient gives the address up right after it sent the message, so the server's MAC must be known before."""
        self.guest.run("ping", "-c", 1, "-W", 2, HUB)
        return self.run("-r")

    def stop(self):
        return self.run("-x")

    def remember(self, address, server=HUB):
        """A lease from some earlier day, as dhclient keeps it."""
        self.leases.write_text(f'lease {{\n  interface "eth0";\n  fixed-address {address};\n  option subnet-mask 255.255.255.0;\n  option routers {HUB};\n'
                               f"  option dhcp-lease-time 7200;\n  option dhcp-message-type 5;\n  option dhcp-server-identifier {server};\n"
                               "  renew 2 2037/01/01 00:00:00;\n  rebind 2 2037/01/01 00:00:00;\n  expire 2 2037/01/01 00:00:00;\n}\n")


def frames(guest, *command, timeout=60):
    return json.loads(guest.run(FRAMES, "eth0", *command, timeout=timeout).stdout)


def bound(text):
    return re.search(r"bound to ([0-9.]+)", text).group(1)


@pytest.fixture(scope="module")
def gateway(spawn):
    guest = spawn.guest("dhcp")
    return spawn.gateway("dhcp", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    dhcp: {{lease: 10s}}\n')


@pytest.fixture
def client(gateway, request):
    client = Dhclient(gateway, gateway.guest, re.sub(r"\W", "-", request.node.name))
    yield client
    client.stop()


def test_dhclient_gets_the_defaults(gateway, client):
    text = client.run("-1")
    address = bound(text)
    assert f"BOUND ip={address} router={HUB} dns={HUB} lease=10 server={HUB}" in text
    assert any(address in str(row) and "second" in str(row) for row in gateway.table("dhcp", "table"))


def test_dhclient_renews_without_a_gap(gateway, client):
    address = bound(client.run("-1"))
    renewed = gateway.log().count("was renewed")
    wait_for(lambda: gateway.log().count("was renewed") > renewed, 9, "the renewal at half the lease's time")
    # dhclient's script takes the address away for a moment before it puts it on again
    wait_for(lambda: address in gateway.guest.run("ip", "-4", "addr", "show", "eth0").stdout, 2, "the same address")


def test_udhcpc_renews_and_releases_on_signals(gateway):
    output = gateway.folder / "udhcpc"
    with open(output, "w") as file:
        process = gateway.guest.start("udhcpc", "-i", "eth0", "-f", "-t", "5", "-T", "1", "-s", TOP / "tests/integration/udhcpc.sh", stdout=file,
                                      env=dict(os.environ, PATH=PATH))
    wait_for(lambda: "bound ip=" in output.read_text(), 8, "the lease")
    address = output.read_text().split("bound ip=")[1].split()[0]
    process.send_signal(signal.SIGUSR1)
    wait_for(lambda: f"renew ip={address}" in output.read_text(), 4, "the renewal")
    process.send_signal(signal.SIGUSR2)
    wait_for(lambda: re.search(rf"was released\. .*{re.escape(address)}", gateway.log()), 4, "the release in the log")
    process.terminate()
    process.wait(5)


def test_dhclient_releases_and_gets_the_same_again(gateway, client):
    address = bound(client.run("-1"))
    released = gateway.log().count("was released")
    client.release()
    wait_for(lambda: gateway.log().count("was released") > released, 4, "the release")
    assert bound(client.run("-1")) == address


def test_dhclient_comes_back_by_init_reboot(gateway, client):
    address = bound(client.run("-1"))
    client.stop()
    text = client.run("-1")
    assert "DHCPDISCOVER" not in text and "DHCPACK" in text and bound(text) == address, text


@pytest.mark.parametrize("address", ["10.9.9.9", "192.168.30.250"])
def test_dhclient_with_a_lease_from_elsewhere_is_told_no_at_once(gateway, client, address):
    client.remember(address)
    text = client.run("-1")
    assert "DHCPNAK" in text and bound(text) != address, text


def test_a_declined_address_is_given_to_nobody(gateway, client):
    first = bound(client.run("-1"))
    client.release()
    text = client.run("-1", NLTEST_CONFLICT=first)
    assert "DHCPDECLINE" in text, text
    second = bound(text) if re.search("bound to", text) else bound(client.run("-1"))
    assert second != first
    wait_for(lambda: re.search(rf"was declined\. .*{re.escape(first)}", gateway.log()), 4, "the conflict in the log")
    assert frames(gateway.guest, "acquire", "02:00:00:00:aa:01")["answer"][1] != first


def test_inform_is_answered_without_a_lease(gateway, client):
    address = bound(client.run("-1"))
    before = len(gateway.table("dhcp", "table"))
    answer = frames(gateway.guest, "inform", address)["answer"]
    assert answer == [5, "0.0.0.0"] and len(gateway.table("dhcp", "table")) == before


def test_init_reboot_by_hand(gateway):
    mac = "02:00:00:00:bb:01"
    kind, address = frames(gateway.guest, "acquire", mac)["answer"]
    assert kind == 5
    assert frames(gateway.guest, "init_reboot", mac, address)["answer"] == [5, address]
    assert frames(gateway.guest, "init_reboot", mac, "10.1.1.1")["answer"][0] == 6
    assert frames(gateway.guest, "init_reboot", "02:00:00:00:bb:02", address)["answer"][0] == 6, "somebody else's address"


def test_nobody_releases_for_another(gateway, client):
    address = bound(client.run("-1"))
    frames(gateway.guest, "release", "02:00:00:00:cc:01", address)
    frames(gateway.guest, "decline", "02:00:00:00:cc:01", address)
    assert frames(gateway.guest, "acquire", "02:00:00:00:cc:02")["answer"][1] != address
    assert act(gateway.guest, "up", 100000)["ok"]


# ---- a small pool ----
@pytest.fixture(scope="module")
def small(spawn):
    guest, other = spawn.guest("known"), spawn.guest("crowd")
    return spawn.gateway("pool", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}", "netns:{other.name}"]\n'
                         "    dhcp: {range: 192.168.30.10-192.168.30.25}\n"), other


def test_a_crowd_of_macs_takes_the_pool_but_not_the_known_clients_lease(small):
    gateway, crowd = small
    address = leased_address(gateway.guest)
    crowd.run("ip", "link", "set", "eth0", "up")
    got = frames(crowd, "acquire_many", 40)["addresses"]
    assert len(set(got)) == len(got) == 15 and address not in got, got
    assert leased_address(gateway.guest) == address
    assert act(gateway.guest, "up", 100000)["ok"]
    assert "dhcp range is exhausted: 16 of 16 leased. See: natlockctl dhcp table; or widen dhcp.range" in gateway.control("status").stdout
    assert sum(int(r["count"]) for r in gateway.table("drops") if r["reason"] == "DHCP_POOL") > 0


# ---- the journal ----
def test_leases_survive_kill_9_of_the_whole_gateway(spawn):
    guest = spawn.guest("jrnl")
    gateway = spawn.gateway("journal", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n')
    guest.run("ip", "link", "set", "eth0", "up", "address", "02:00:00:00:dd:ff")
    others = {f"02:00:00:00:dd:{i:02x}": frames(guest, "acquire", f"02:00:00:00:dd:{i:02x}")["answer"][1] for i in range(3)}
    address = leased_address(guest)
    pids = [row["pid"] for row in gateway.processes().values()]
    os.kill(gateway.processes()["supervisor"]["pid"], signal.SIGKILL)
    gateway.process.wait(5)
    wait_for(lambda: not [p for p in pids if alive(p)], 5, "the workers' end")
    gateway.start()
    assert {r["pid"] for r in gateway.processes().values()}.isdisjoint(pids)
    guest.run("ip", "link", "set", "eth0", "up", "address", "02:00:00:00:dd:ff")
    table = str(gateway.table("dhcp", "table"))
    assert address in table and all(a in table for a in others.values())
    for mac, had in others.items():
        assert frames(guest, "init_reboot", mac, had)["answer"] == [5, had]
    assert leased_address(guest) == address
    assert act(guest, "up", 100000)["ok"]
