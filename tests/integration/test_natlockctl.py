"""natlockctl end to end: what an operator types, against a gateway of its own that may be changed."""
import json, subprocess, time
import pytest
from conftest import PEER, SERVER, Gateway, Namespace, act, lease, program, wait_for

CONFIG = """\
hubs:
  default:
    attach: ["netns:{guest}"]
"""


@pytest.fixture(scope="module")
def own(world):
    guest = Namespace("ctl")
    gateway = Gateway(world, "natlockctl", CONFIG.format(guest=guest.name), guest=guest)
    lease(guest)
    yield gateway
    gateway.end()
    guest.remove()


def hold(gateway, seconds=20):
    """A TCP session that stays: the only one to its port, once those of earlier tests are gone."""
    wait_for(lambda: not sessions(gateway, "dport=7001"), 5, "the end of earlier sessions")
    flow = gateway.guest.start(PEER, "hold", SERVER, seconds)
    wait_for(lambda: sessions(gateway, "dport=7001"), 3, "the session")
    return flow


def sessions(gateway, *words):
    answer = gateway.control("-o", "json", "nat", "table", *words, check=False)
    return json.loads(answer.stdout)["items"] if answer.returncode in (0, 4) else []


def setting(gateway, path):
    return gateway.control("config", "show", path).stdout


def test_filters_choose_rows_and_say_when_nothing_matched(own):
    flow = hold(own)
    assert [r["proto"] for r in sessions(own, "proto=tcp", f"dst={SERVER}", "state=est", "!alg=ftp")] == ["tcp"]
    nothing = own.control("nat", "table", "dport=1", check=False)
    assert nothing.returncode == 4 and "no session matches" in nothing.stderr
    wrong = own.control("nat", "table", "prot=tcp", check=False)
    assert wrong.returncode == 2 and 'Did you mean "proto"?' in wrong.stderr
    line = own.control("nat", "table", "-o", "conntrack", "dport=7001").stdout
    assert line.startswith("tcp      6 RUNNING src=192.168.30.") and f" dst={SERVER} " in line and line.count("\n") == 1
    flow.kill()


def test_flush_ends_what_matches_and_nothing_else(own):
    flow = hold(own)
    assert own.control("nat", "flush", "dport=9999", check=False).returncode == 4
    assert sessions(own, "dport=7001")
    assert own.control("nat", "flush", "dport=7001", "proto=tcp").stdout == "1 session ended\n"
    wait_for(lambda: not sessions(own, "dport=7001"), 2, "the end of the session")
    flow.kill()
    assert act(own.guest, "up", 1000)["ok"], "new sessions must go on"


def test_several_settings_are_one_change(own):
    assert own.control("nat", "set", "tcp_timeout=3h", "udp_timeout=5m").returncode == 0
    assert setting(own, "nat.udp_timeout") == "udp_timeout: 300s\n"
    refused = own.control("nat", "set", "udp_timeout=6m", "mtu=70000", check=False)
    assert refused.returncode == 6 and "70000" in refused.stderr
    assert setting(own, "nat.udp_timeout") == "udp_timeout: 300s\n", "half a change was taken"
    assert "udp_timeout: 300s" in own.control("config", "unsaved").stdout
    own.control("nat", "set", "tcp_timeout=7440s", "udp_timeout=600s")
    assert own.control("config", "unsaved").stdout == ""


def test_what_is_typed_cannot_become_another_key(own):
    """Whether such a value is taken or refused: the key beside it stays."""
    for value in ('none", enable: "false', "none\nenable: false", "none}, enable: false", "[], enable: false"):
        own.control("nat", "set", f"vrf={value}", check=False)
        own.control("nat", "static", "add", "192.168.30.50", "203.0.113.7", "--vrf", value, check=False)
        own.control("dhcp", "reserve", "add", "00:AC:85:40:B5:50", "192.168.30.50", value, check=False)
    assert setting(own, "nat.enable") == "enable: true\n" and setting(own, "dhcp.enable") == "enable: true\n"
    own.control("config", "reload")
    assert setting(own, "nat.vrf") == "vrf: none\n" and setting(own, "nat.static") == "static: []\n"


def test_ports_are_published_while_it_runs(own):
    own.control("nat", "publish", "add", "tcp", "127.0.0.1:18080", "192.168.30.10:80")
    row = own.table("nat", "publish", "list")
    assert [(r["kind"], r["listen"], r["to"]) for r in row] == [("publish", "127.0.0.1:18080", "192.168.30.10:80")]
    own.control("nat", "publish", "del", "tcp", "18080")
    assert own.table("nat", "publish", "list") == []
    assert own.control("nat", "publish", "del", "tcp", "18080", check=False).returncode == 4


def test_words_of_vpncmd_and_ios_change_the_same_things(own):
    own.control("NatSet", "/UDPTIMEOUT:400", "/LOG:no")
    assert setting(own, "nat.udp_timeout") == "udp_timeout: 400s\n" and setting(own, "nat.log") == "log: false\n"
    own.control("natset", "/UDPTIMEOUT:600", "/LOG:yes")
    own.control("DhcpSet", "/START:192.168.30.20", "/END:192.168.30.99", "/DNS:9.9.9.9", "/DNS2:1.1.1.1", "/GW:none", "/EXPIRE:3600",
                "/PUSHROUTE:10.0.0.0/255.0.0.0/192.168.30.2")
    text = own.control("DHCPGET").stdout
    for line in ("range: 192.168.30.20-192.168.30.99", "dns: [9.9.9.9, 1.1.1.1]", "gateway: none", "lease: 3600s", "{to: 10.0.0.0/8, via: 192.168.30.2}"):
        assert line in text, text
    own.control("ip", "nat", "inside", "source", "static", "192.168.30.50", "203.0.113.7")
    assert "203.0.113.7  192.168.30.50 " in own.control("nat", "static", "list").stdout
    assert "\n---  203.0.113.7           192.168.30.50         ---" in own.control("show", "ip", "nat", "translations").stdout
    own.control("no", "ip", "nat", "inside", "source", "static", "192.168.30.50", "203.0.113.7")
    assert own.table("nat", "static", "list") == []
    assert own.control("show", "ip", "nat", "statistics").stdout.startswith("Total active translations: ")
    assert own.control("show", "ip", "dhcp", "binding").returncode == 0
    own.control("NatDisable")
    assert "nat          no" in own.control("SecureNatStatusGet").stdout
    own.control("NatEnable")
    own.control("config", "reload")
    assert own.control("config", "unsaved").stdout == ""


def test_a_file_is_tested_with_the_rights_of_who_typed_it(own):
    file = own.folder / "new.yaml"
    file.write_text(CONFIG.format(guest=own.guest.name) + "    nat: {mtu: 1400}\n")
    file.chmod(0o600)
    assert "mtu: 1400" in own.control("config", "test", file).stdout
    file.write_text("hubs:\n  default:\n    nat: {mtuu: 1400}\n")
    wrong = own.control("config", "test", file, check=False)
    assert wrong.returncode == 6 and f'{file}:3:11: unknown key "mtuu" in nat. Did you mean "mtu"?' in wrong.stderr
    assert setting(own, "nat.mtu") == "mtu: 1500\n"


def test_metrics_are_prometheus(own):
    text = own.control("metrics").stdout
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    names = [line.rsplit(" ", 1)[0] for line in samples]
    assert len(names) == len(set(names)), "a sample stands twice"
    assert all(float(line.rsplit(" ", 1)[1]) >= 0 for line in samples)
    assert 'natlock_leases{hub="default"} ' in text and 'process="natproxy"' in text and "natlock_port_bytes_total{" in text


def test_leases_in_the_words_of_others(own):
    line = own.control("dhcp", "export", "dnsmasq").stdout.split()
    assert len(line) >= 5 and int(line[0]) > time.time() and line[2].startswith("192.168.30.")
    assert line[2] in own.control("dhcp", "export", "kea").stdout


def test_health_and_watch(own):
    assert own.control("health").stdout.startswith("OK")
    watch = subprocess.Popen([program("natlockctl"), "hub", "list", "--watch", "100ms"], env=own.environment, stdout=subprocess.PIPE, text=True)
    lines = [watch.stdout.readline() for _ in range(6)]
    watch.kill()
    watch.communicate()
    assert sum(line.startswith("HUB ") for line in lines) == 3 and not any("\x1b" in line for line in lines)


def test_events_are_followed(own):
    follow = subprocess.Popen([program("natlockctl"), "nat", "events", "proto=tcp", f"dst={SERVER}"], env=own.environment, stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    act(own.guest, "up", 1000)
    line = follow.stdout.readline()
    follow.kill()
    follow.communicate()
    assert "SecureNAT: The TCP session " in line and f"Connection destination {SERVER}:7002" in line
    assert line in own.log(), "the words of the log"


@pytest.mark.parametrize("words", [["help"], ["completion", "bash"], ["status"], ["import", "softether", "FILE"]])
def test_output_that_cannot_be_written_is_a_failure(own, words):
    file = own.folder / "vpn_server.config"
    file.write_text("declare root\n{\n\tdeclare VirtualHUB\n\t{\n\t\tdeclare LAB\n\t\t{\n\t\t}\n\t}\n}\n")
    words = [str(file) if word == "FILE" else word for word in words]
    with open("/dev/full", "w") as full:
        result = subprocess.run([program("natlockctl"), *words], env=own.environment, stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1 and "cannot write the output\n  cause: No space left on device" in result.stderr
