"""What natlock says of a configuration before anything runs, and of a host it does not fit."""
import os, pathlib
import pytest
from conftest import HUB, OUTSIDE, TOP, Gateway, Namespace, act, program, sh, wait_for

WRONG = {
    "unknown key": ("hubs:\n  default:\n    nat:\n      mtuu: 1400\n", '4:7: unknown key "mtuu" in nat. Did you mean "mtu"?'),
    "unknown section": ("hubs:\n  default:\n    dhpc: {}\n", '3:5: unknown key "dhpc"'),
    "range": ("hubs:\n  default:\n    nat: {mtu: 65521}\n", "3:16: nat.mtu 65521 is out of range: 576 to 65520"),
    "not a number": ("hubs:\n  default:\n    nat: {mtu: many}\n", "3:16: "),
    "pool outside": ("hubs:\n  default:\n    dhcp:\n      range: 192.168.30.10-192.168.31.9\n",
                     "4:14: dhcp.range 192.168.30.10-192.168.31.9 is not inside 192.168.30.0/24 (host.address, default)"),
    "pool backwards": ("hubs:\n  default:\n    dhcp: {range: 192.168.30.99-192.168.30.10}\n", "runs backwards: swap from: and to:"),
    "publish twice": ('hubs:\n  default:\n    nat:\n      publish:\n        - {proto: tcp, listen: "127.0.0.1:80", to: "192.168.30.10:80"}\n'
                      '        - {proto: tcp, listen: "0.0.0.0:80", to: "192.168.30.11:80"}\n', "6:11: nat.publish: 0.0.0.0:80/tcp is already published (line 5)"),
    "boolean": ("hubs:\n  default:\n    nat: {enable: yes}\n", "3:19: "),
    "duration": ("hubs:\n  default:\n    dhcp: {lease: 7200}\n", "3:19: "),
    "multicast mac": ('hubs:\n  default:\n    host: {mac: "01:00:5e:00:00:01"}\n', "host.mac is a multicast address: its first octet must be even"),
    "open quote": ('hubs:\n  default:\n    host: {mac: "00:AC\n', ":"),
    "static outside the subnet": ("hubs:\n  default:\n    nat:\n      static:\n        - {inside: 10.0.0.5, outside: 203.0.113.7}\n",
                                  "5:20: nat.static: inside 10.0.0.5 is not inside 192.168.30.0/24"),
    "static twice": ("hubs:\n  default:\n    nat:\n      static:\n        - {inside: 192.168.30.5, outside: 203.0.113.7}\n"
                     "        - {inside: 192.168.30.6, outside: 203.0.113.7}\n", "6:43: nat.static: 203.0.113.7 has a static address already (line 5)"),
    "no such vrf": ("hubs:\n  default:\n    nat:\n      vrf: bleu\n      vrfs: {blue: {device: eth1}}\n", '4:12: vrf "bleu" is not in nat.vrfs. Did you mean "blue"?'),
    "device name": ("hubs:\n  default:\n    nat:\n      vrfs: {blue: {device: eth0/1}}\n", '4:29: nat.vrfs: "eth0/1" is no device\'s name'),
    "access list number": ("hubs:\n  default:\n    nat:\n      access_lists:\n        - {number: 100, permit: [10.0.0.0/8]}\n",
                           "5:20: nat.access_lists: number 100 is out of range: 1 to 99"),
    "access list missing": ("hubs:\n  default:\n    nat: {source_list: 10}\n", "3:24: nat.source_list: there is no list 10 in nat.access_lists"),
    "route's router": ("hubs:\n  default:\n    dhcp:\n      push_routes:\n        - {to: 10.0.0.0/8, via: 10.0.0.1}\n",
                       "5:33: dhcp.push_routes: via 10.0.0.1 is not inside 192.168.30.0/24"),
    "host bits": ("hubs:\n  default:\n    dhcp:\n      push_routes:\n        - {to: 10.0.0.9/8, via: 192.168.30.2}\n", "Write the subnet: 10.0.0.0/8"),
    "resolver is the gateway": ("hubs:\n  default:\n    dns: {upstreams: [192.168.30.1]}\n", "3:23: dns.upstreams: 192.168.30.1 is the gateway itself"),
    "cache": ("hubs:\n  default:\n    dns: {cache: 1000000}\n", "3:18: dns.cache 1000000 is out of range: 0 to 16384"),
    "journal": ("log: {journal: yes}\n", '1:16: log.journal: unknown word "yes". It is one of auto, true, false.'),
    "attach word": ("hubs:\n  default:\n    attach: [tpa:nl0]\n", '3:14: attach: "tpa:nl0" names no kind of port. Did you mean "tap"?'),
    "one port, two hubs": ("hubs:\n  one: {attach: [tap:nl0]}\n  two: {attach: [tap:nl0]}\n", '3:18: attach: "tap:nl0" is a port of hub one already (line 2)'),
    "one listener, two hubs": ('hubs:\n  one:\n    nat: {publish: [{proto: udp, listen: "127.0.0.1:80", to: "192.168.30.9:80"}]}\n'
                               '  two:\n    attach: []\n    nat: {publish: [{proto: udp, listen: "0.0.0.0:80", to: "192.168.30.9:80"}]}\n',
                               "6:21: nat.publish: 0.0.0.0:80 is already published by hub one (line 3). Choose another port"),
    "hub's name": ("hubs: {../etc: {}}\n", '1:16: hubs: "../etc" is no name for a hub'),
    "hub twice": ("hubs:\n  a: {}\n  a: {}\n", '3:3: '),
    "socket's path": ("api: {socket: /" + 120 * "x" + "}\n", "1:15: api.socket is too long"),
    "limit": ("hubs:\n  default:\n    limits: {dns_sessions_per_host: 0}\n", "3:37: limits.dns_sessions_per_host 0 is out of range: 1 to 65536"),
    "word": ("hubs:\n  default:\n    nat: {filtering: endpoint-independent}\n", '3:22: nat.filtering: unknown word "endpoint-independent". Did you mean "endpoint_independent"?'),
    "reserved twice": ("hubs:\n  default:\n    dhcp:\n      reservations:\n        a: {mac: 00:AC:00:00:00:01, address: 192.168.30.9}\n"
                       "        b: {mac: 00:AC:00:00:00:02, address: 192.168.30.9}\n", "6:12: dhcp.reservations: 192.168.30.9 is already reserved (line 5)"),
    "domain": ("hubs:\n  default:\n    dhcp: {domain: lab_1.example}\n", '3:20: dhcp.domain: "lab_1.example" is not a domain such as lab.example'),
    "netmask": ("hubs:\n  default:\n    host: {netmask: 255.0.255.0}\n", "3:21: host.netmask 255.0.255.0 is not a netmask"),
    "no hub": ("hubs: {}\n", "hubs is empty: name at least one hub"),
}


def started(world, folder):
    """What a start leaves behind: files below the folder, and processes of natlock in the gateway's namespace."""
    mine = [pid for pid in world.gateway.pids() if f"{folder}/natlock.yaml" in pathlib.Path(f"/proc/{pid}/cmdline").read_text()]
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*")), mine


@pytest.mark.parametrize("name", WRONG)
def test_errors_name_the_place_and_the_remedy_and_nothing_starts(world, tmp_path, name):
    text, message = WRONG[name]
    file = tmp_path / "natlock.yaml"
    file.write_text(text)
    places = {variable: str(tmp_path / folder) for variable, folder in (("RUNTIME_DIRECTORY", "run"), ("STATE_DIRECTORY", "state"), ("LOGS_DIRECTORY", "log"))}
    said = []
    for command in ("check", "up"):
        result = world.gateway.run(program("natlock"), command, "-c", file, check=False, timeout=10, env=dict(os.environ, **places))
        assert result.returncode == 6 and message in result.stderr and not result.stdout, (command, result.returncode, result.stdout, result.stderr)
        assert f"{file}:" in result.stderr
        assert started(world, tmp_path) == (["natlock.yaml"], [])
        said.append(result.stderr)
    assert len(set(said)) == 1, "check and up must say the same"


def test_check_prints_what_differs(tmp_path):
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  lab:\n    nat: {mtu: 9000}\n")
    result = sh(program("natlock"), "check", "-c", file)
    assert "9000" in result.stdout and "lease" not in result.stdout


def test_check_warns_of_what_is_probably_not_meant(world, tmp_path):
    """Seed 3.7.6: without NAT the defaults for gateway and DNS mean nothing. And what this host cannot give."""
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  lab:\n    host: {address: 198.18.1.9}\n    nat: {enable: false, vrfs: {blue: {device: nl-nothing}}}\n"
                    "    dhcp: {range: 198.18.1.100-198.18.1.120, gateway: 198.18.1.9, dns: [198.18.1.9]}\n")
    result = world.gateway.run(program("natlock"), "check", "-c", file)
    for words in ("guests are told that 198.18.1.9 is their gateway. Set dhcp.gateway: none", "their nameserver, but nat.enable is false",
                  "there is no device nl-nothing here now", "overlaps the host's route 198.18.1.0/24 dev w0"):
        assert words in result.stderr, (words, result.stderr)


def test_a_missing_file_is_named(world):
    result = sh(program("natlock"), "up", "-c", "/nonexistent/natlock.yaml", check=False)
    assert result.returncode == 6 and "/nonexistent/natlock.yaml" in result.stderr


def test_a_subnet_that_the_host_uses_is_refused_with_another(world, tmp_path):
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  default:\n    host: {address: 198.18.1.9}\n    dhcp: {range: 198.18.1.100-198.18.1.120, gateway: 198.18.1.9}\n")
    result = world.gateway.run(program("natlock"), "up", "-c", file, check=False, timeout=10, env=dict(os.environ, RUNTIME_DIRECTORY=str(tmp_path / "run")))
    assert result.returncode == 6
    assert "subnet 198.18.1.0/24 overlaps the host's route 198.18.1.0/24 dev w0" in result.stderr and "Choose host.address, e.g. 192.168.130.1." in result.stderr


def test_a_second_natlock_says_that_one_runs(gateway):
    result = gateway.world.gateway.run(program("natlock"), "up", "-c", gateway.folder / "natlock.yaml", check=False, timeout=10, env=gateway.environment)
    assert result.returncode == 1 and f"a natlock runs already at {gateway.api}" in result.stderr and "natlockctl shutdown" in result.stderr
    assert gateway.control("status").returncode == 0, "the first one lost its socket"
    assert act(gateway.guest, "up", 100000)["ok"]


def test_loop_guard_refuses_sessions(world, spawn):
    """Seed 3.7.4: this computer's own default gateway is the hub, so what goes out would come in again."""
    host = spawn.guest("loop")
    gateway = spawn.gateway("loop", where=host, guest=host, config='hubs:\n  default:\n    attach: ["tap:eth0"]\n')
    host.run("ip", "addr", "add", "192.168.30.50/24", "dev", "eth0")
    assert " 0% packet loss" in host.run("ping", "-c", 1, "-W", 2, HUB).stdout
    host.run("ip", "route", "add", "default", "via", HUB)
    text = f"loop: this hub's gateway {HUB} is also this host's default gateway (seed 3.7.4). Refusing sessions."
    wait_for(lambda: text in gateway.text(), 5, "the loop guard")
    answer = act(host, "unreachable", 80, address="198.18.2.1")
    assert answer["errno"] is not None and answer["seconds"] < 2, answer
    wait_for(lambda: [r for r in gateway.table("drops") if r["reason"] == "DENIED" and int(r["count"])], 2, "the refusal in natlockctl drops")
    host.run("ip", "route", "del", "default")


def test_softethers_configuration_is_imported(tmp_path):
    """A real vpn_server.config: what comes out is accepted, what has no counterpart is told, and a file that is none is refused."""
    result = sh(program("natlockctl"), "import", "softether", TOP / "tests/vectors/import/vpn_server.config")
    (tmp_path / "natlock.yaml").write_text(result.stdout)
    checked = sh(program("natlock"), "check", "-c", tmp_path / "natlock.yaml").stdout
    for key in ("10.30.0.1", "00:AC:85:40:B5:50", "mtu: 1400", "udp_timeout: 120s", "lab.example", "{to: 203.0.113.0/24, via: 10.30.0.253}"):
        assert key in result.stdout and key.split()[-1].strip("}") in checked, (key, checked)
    assert "1 users: no counterpart" in result.stderr and "SecureNAT_RandomizeAssignIp" in result.stderr
    wrong = sh(program("natlockctl"), "import", "softether", tmp_path / "natlock.yaml", check=False)
    assert wrong.returncode == 6 and f"{tmp_path}/natlock.yaml:2: not a configuration of SoftEther VPN" in wrong.stderr and not wrong.stdout
    missing = sh(program("natlockctl"), "import", "softether", "/nonexistent", check=False)
    assert missing.returncode == 1 and "No such file" in missing.stderr
