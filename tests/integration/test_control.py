"""What the operator sees: natlockctl against a running gateway."""
import json, os, re
import pytest
from conftest import HUB, SERVER, PEER, lease, wait_for


def test_nat_table_shows_a_live_session(gateway):
    flow = gateway.guest.start(PEER, "hold", SERVER, 3)
    def ours():
        return [r for r in gateway.table("nat", "table") if f"{SERVER}:7001" in str(r) and r["proto"] == "tcp" and r["source"].startswith("192.168.30.1")]

    rows = wait_for(ours, 3, "the session")
    assert rows[-1]["outside"].startswith("198.18.1.2:")
    assert f"{SERVER}:7001" in gateway.control("nat", "table").stdout
    assert json.loads(flow.communicate(timeout=20)[0])["ok"]


def test_hub_list_counts_ports_sessions_and_leases(gateway):
    def row():
        return gateway.table("hub", "list")[0]

    lease(gateway.guest)
    flow = gateway.guest.start(PEER, "hold", SERVER, 3)
    wait_for(lambda: row()["tcp"] == sum(r["proto"] == "tcp" for r in gateway.table("nat", "table")) > 0, 3, "as many sessions as in the table")
    hub = row()
    assert hub["ports"] >= 1 and 1 <= hub["leases"] <= hub["pool"], hub
    assert hub["udp"] is not None and hub["icmp"] is not None, hub
    wait_for(lambda: f"tcp {row()['tcp']}  udp" in gateway.control("status").stdout, 3, "as many in the status; sessions of earlier tests end meanwhile")
    assert json.loads(flow.communicate(timeout=20)[0])["ok"]


def test_dhcp_table_shows_the_guest(gateway):
    address = lease(gateway.guest).split("ip=")[1].split()[0]
    assert address in gateway.control("dhcp", "table").stdout


def test_session_list_has_the_port_and_securenat(gateway):
    text = gateway.control("session", "list").stdout
    assert "SECURENAT" in text.upper() and len(text.splitlines()) >= 3


@pytest.mark.parametrize("name", ["broker", "netstack", "natproxy", "dhcpd", "alg", "supervisor", "ctl"])
def test_policy_show_gives_every_rule_its_stage_and_a_reason(gateway, name):
    first, counts, stages, *rules = gateway.control("policy", "show", name).stdout.splitlines()
    assert first.startswith(f"{name}: ") and stages.startswith("boot: ")
    calls, total, run, rare = map(int, re.match(r"(\d+) system calls in (\d+) rules \((\d+) run, (\d+) rare\), \d+ instructions", counts).groups())
    parts = [re.fullmatch(r"(boot|run |rare)  ?([a-z0-9_]+) +(\*|[a-z_0-9]+ (?:=|in) .+ \[.+\])  # ([\w, ]+): (.{4,})", rule) for rule in rules]
    assert all(parts), [rule for rule, part in zip(rules, parts) if not part]
    counted = [part[1].strip() for part in parts]
    assert (counted.count("run"), counted.count("rare"), counted.count("run") + counted.count("rare")) == (run, rare, total)
    assert len({part[2] for part in parts if part[1] != "boot"}) == calls and (name == "supervisor" or "boot" in counted)


@pytest.mark.parametrize("words", [["status"], ["process", "list"], ["session", "list"], ["nat", "table"], ["dhcp", "table"], ["alg", "expectations"], ["drops"], ["hub", "list"]])
def test_every_table_has_json(gateway, words):
    answer = json.loads(gateway.control("-o", "json", *words).stdout)
    assert answer["schema"].startswith("natlock.") and answer["count"] == len(answer["items"])


def test_words_of_vpncmd_and_cisco_are_accepted(gateway):
    assert gateway.control("NatTable").returncode == 0
    assert gateway.control("show", "ip", "nat", "translations").returncode == 0


def test_no_gateway_is_exit_code_3(gateway):
    from conftest import sh, program
    result = sh(program("natlockctl"), "--api", "/nonexistent/api", "status", check=False)
    assert result.returncode == 3 and "natlock up" in result.stderr


def test_who_may_do_what(spawn):
    """The group of api.group reads, the owner and root change, strangers find no door; and readers cannot take all places."""
    from conftest import program
    gateway = spawn.gateway("door", config="hubs:\n  default: {attach: []}\napi: {group: nogroup}\n")

    def user(group):
        return ["setpriv", "--reuid", 54321, "--regid", 54321, *(("--groups", group) if group else ("--clear-groups",))]

    def as_user(group, *words, api=gateway.api):
        return gateway.where.run(*user(group), program("natlockctl"), "--api", api, *words, check=False)

    assert as_user("nogroup", "status").returncode == 0 and "mtu: 1500" in as_user("nogroup", "config", "show").stdout
    for words in (("nat", "set", "mtu=1400"), ("nat", "flush"), ("dhcp", "release", "192.168.30.10"), ("session", "kick", "SID-A-1"), ("process", "restart", "alg"),
                  ("reload",), ("drain",), ("shutdown",), ("config", "test", "/dev/null")):
        refused = as_user("nogroup", *words)
        assert refused.returncode == 5 and "this needs the user that natlock runs as, or root" in refused.stderr, (words, refused)
    hand_over = ("import array, socket\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
                 f"s.connect({str(gateway.api)!r})\ns.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [0]))])")
    handed = gateway.where.run(*user("nogroup"), "/usr/bin/python3", "-c", hand_over, check=False)
    # The close of a descriptor may wait for whom its sender likes (SO_LINGER). Kernels before 6.16 cannot refuse one.
    assert "PermissionError" in handed.stderr or tuple(map(int, os.uname().release.split(".")[:2])) < (6, 16), handed
    stranger = as_user(None, "status")
    assert stranger.returncode == 5 and "join the group api.group names" in stranger.stderr
    assert as_user("nogroup", "status", api=gateway.api.with_name("admin-api")).returncode == 5
    assert gateway.control("nat", "set", "mtu=1400").returncode == 0
    crowd = gateway.where.start(*user("nogroup"), "/usr/bin/python3", "-c", "import socket, time\n"
                                f"s = [socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(40)]\n[x.connect({str(gateway.api)!r}) for x in s]\n"
                                "print('in', flush=True)\ntime.sleep(60)")
    assert crowd.stdout.readline() == "in\n"
    assert as_user("nogroup", "status").returncode != 0
    assert gateway.control("nat", "set", "mtu=1500").returncode == 0 and gateway.table("process", "list")
    crowd.terminate()
    wait_for(lambda: as_user("nogroup", "status").returncode == 0, 3, "the readers' places")


def test_security_log_has_the_words_of_the_seed(gateway, peer):
    lease(gateway.guest)
    peer("up", 1000)
    text = wait_for(lambda: "TCP session" in gateway.log() and gateway.log(), 5, "the security log")
    for line in ("SecureNAT: The DHCP entry 1 was created. MAC address: ", ", host name: ", ", expiration date: 7200 seconds",
                 f"was created. Connection source 192.168.30.10:", f"Connection destination {SERVER}:7002", f'Host "{SERVER} ({SERVER})", Port 7002 was successful.', "was deleted."):
        assert line in text, line


def test_own_addresses_of_the_host_are_denied(gateway, peer):
    assert peer("refused", 22, address="198.18.1.2")["error"] != "connected"
    assert peer("refused", 22, address="127.0.0.1")["error"] != "connected"
