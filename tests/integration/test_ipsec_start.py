"""What IPsec that is not in UDP needs of root: opened at the start, given to natproxy and to each that is born again; what is said where it cannot be had.
That packets pass, and to whom: test_ipsec_esp.py, test_ipsec_port500.py."""
import json, os, signal, socket, struct
import pytest
from conftest import OUTSIDE, SERVER, program, sh, wait_for
from operator_client import change
from test_fence import STRANGER, own_socket, rules

ESP, IKE_PORT = 50, 500
SO_DETACH_FILTER, SO_LOCK_FILTER, IP_RETOPTS = 27, 44, 7
LISTS = "access_lists: [{number: 7, permit: [192.168.30.0/24]}]"
ALG = "alg: {ipsec: {esp: true, preserve_port_list: 7, spi_match_list: 7}}"
BOTH = f"hubs:\n  default:\n    attach: []\n    nat: {{{LISTS}}}\n    {ALG}\n"
NEITHER = f"hubs:\n  default:\n    attach: []\n    nat: {{{LISTS}}}\n"
NO_ESP, NO_IKE = "alg.ipsec: no ESP passes: ", "alg.ipsec: IKE does not keep its port: "


@pytest.fixture(scope="module")
def both(spawn):
    return spawn.gateway("ipsecboth", config=BOTH)


def owners(world, table, port):
    """The uids of sockets at this port of all addresses (raw: of this protocol) in the gateway's network."""
    rows = [line.split() for line in world.gateway.run("cat", f"/proc/net/{table}").stdout.splitlines()[1:]]
    return [row[7] for row in rows if row[1] == f"00000000:{port:04X}"]


def natproxy(gateway):
    return gateway.processes()["natproxy"]


def notes(gateway):
    return [note for note in gateway.table("status")[0]["notes"] if "alg.ipsec" in note]


def audited(gateway):
    result = gateway.control("policy", "audit", check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_both_are_there_and_natproxys(world, both):
    """One raw socket and one port, which packet filters and ss know as natproxy's uid's."""
    uid = natproxy(both)["user"]
    assert owners(world, "raw", ESP) == [uid] and owners(world, "udp", IKE_PORT) == [uid]
    assert "alg.ipsec" not in both.text() and not notes(both)


def test_the_filter_cannot_be_taken_off(both):
    with own_socket(both, ESP, socket.SOCK_RAW) as held:
        assert held.getsockopt(socket.SOL_SOCKET, SO_LOCK_FILTER) == 1
        with pytest.raises(PermissionError):
            held.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def test_the_audit_knows_both(both):
    audited(both)


def test_what_the_filter_lets_in(world, both):
    """natproxy stands still, so that a copy of its socket hears what comes."""
    send = f"""
import socket
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, {ESP})
for packet in (bytes(16), b"\\0\\0\\1\\0" + bytes(3), b"\\0\\0\\1\\0" + bytes(3) + b"1"):
    raw.sendto(packet, ("{OUTSIDE}", 0))
raw.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 1, 1, 0]))
raw.sendto(b"\\0\\0\\1\\0options!", ("{OUTSIDE}", 0))
raw.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, b"")
raw.sendto(b"\\xc0\\xff\\xee\\x01the last", ("{OUTSIDE}", 0))
"""
    with own_socket(both, ESP, socket.SOCK_RAW) as held:
        pid = natproxy(both)["pid"]
        os.kill(pid, signal.SIGSTOP)
        try:
            world.internet.run("/usr/bin/python3", "-c", send)
            heard = [wait_for(lambda: receive(held), 2, "ESP") for _ in range(2)]
            assert not receive(held)
        finally:
            os.kill(pid, signal.SIGCONT)
    assert [packet[20:] for packet in heard] == [b"\0\0\1\0" + bytes(3) + b"1", b"\xc0\xff\xee\x01the last"], heard


def receive(held):
    try:
        return held.recv(100)
    except BlockingIOError:
        return None


def test_the_fence_holds_both_as_what_natproxy_opens(both):
    packet = struct.pack("!II", 0xc0ffee01, 1) + bytes(24)
    with own_socket(both, ESP, socket.SOCK_RAW) as esp, own_socket(both, IKE_PORT) as ike:
        for address in ("127.0.0.1", OUTSIDE, "224.0.0.5"):
            with pytest.raises(PermissionError):
                esp.sendto(packet, (address, 0))
        for address in ("127.0.0.1", OUTSIDE):
            with pytest.raises(PermissionError):
                ike.sendto(packet, (address, IKE_PORT + 1))
        before = rules(both)["ESP that nobody has, or with IP options"]
        with pytest.raises(PermissionError):
            esp.sendmsg([packet], [(socket.IPPROTO_IP, IP_RETOPTS, bytes([1, 1, 1, 0]))], 0, (SERVER, 0))
        assert rules(both)["ESP that nobody has, or with IP options"] == before + 1
        # last, as an error that comes back for it would be the next call's
        assert esp.sendto(packet, (SERVER, 0)) == len(packet) and ike.sendto(packet, (SERVER, IKE_PORT)) == len(packet)


def test_a_natproxy_that_is_born_again_has_them_again(world, both):
    before = natproxy(both)["pid"]
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: natproxy(both)["pid"] not in (before, 0) and natproxy(both)["state"] == "ok", 8, "the new natproxy")
    for port, kind in ((ESP, socket.SOCK_RAW), (IKE_PORT, socket.SOCK_DGRAM)):
        own_socket(both, port, kind).close()
    test_both_are_there_and_natproxys(world, both)
    audited(both)


def test_off_and_on_again_needs_no_restart(both):
    change(both, ("set", "alg.ipsec", "{esp: false, preserve_port_list: 0, spi_match_list: 0}"))
    said = change(both, ("set", "alg.ipsec", "{esp: true, preserve_port_list: 7, spi_match_list: 7}"))
    assert "restart" not in said and not notes(both), said
    audited(both)


def test_what_was_not_there_at_the_start_needs_a_restart(world, spawn, both):
    gateway = spawn.gateway("ipseclate", config=NEITHER)
    said = change(gateway, ("set", "alg.ipsec.esp", "true"), ("set", "alg.ipsec.preserve_port_list", "7"))
    assert "no ESP passes: it was not in the configuration when natlock started" in said and "IKE does not keep its port: it was not" in said and "restart natlock" in said, said
    assert [NO_ESP in note or NO_IKE in note for note in notes(gateway)] == [True, True], notes(gateway)
    assert f"hub default: {NO_ESP}it was not in the configuration" in gateway.text()
    change(gateway, ("set", "alg.ipsec", "{esp: false, preserve_port_list: 0}"))
    assert notes(gateway) == []
    said = gateway.control("alg", "enable", "ipsec").stdout
    assert "alg.ipsec.esp" in said and "restart natlock" in said, said
    gateway.control("alg", "disable", "ipsec")
    assert len(owners(world, "raw", ESP)) == 1 == len(owners(world, "udp", IKE_PORT)), "of the other gateway"
    audited(gateway)


def test_a_port_in_use_is_said_and_natlock_goes_on(both, spawn):
    """Two gateways of one computer, or an IKE daemon of its own. ESP is heard by both."""
    gateway = spawn.gateway("ipsectaken", config=BOTH)
    assert f"hub default: {NO_IKE}UDP port 500 was in use when natlock started. See who has it: ss -ulnp" in gateway.text()
    assert NO_ESP not in gateway.text() and len(notes(gateway)) == 1
    assert natproxy(gateway)["state"] == "ok"
    audited(gateway)


def test_root_without_the_capabilities_hears_of_it(spawn):
    gateway = spawn.gateway("ipsecnocap", config=BOTH, prefix=("setpriv", "--bounding-set", "-net_raw,-net_bind_service"))
    assert f"{NO_ESP}a raw socket of protocol 50 is for root with CAP_NET_RAW. Start natlock with that capability, or say esp: false" in gateway.text()
    assert f"{NO_IKE}port 500 is for root with CAP_NET_BIND_SERVICE. Start natlock with that capability" in gateway.text()
    assert len(notes(gateway)) == 2 and natproxy(gateway)["state"] == "ok"


def test_an_ordinary_user_is_told_and_served(world, tmp_path):
    folder = world.folder / "ipsecuser"
    folder.mkdir()
    os.chown(folder, STRANGER, STRANGER)
    (folder / "natlock.yaml").write_text(BOTH + "    dhcp: {persist: false}\nlog: {file: none}\n")
    environment = {"PATH": os.environ["PATH"], "RUNTIME_DIRECTORY": str(folder / "natlock"), "STATE_DIRECTORY": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder),
                   "NATLOCK_API": str(folder / "natlock/api")}
    prefix = ("setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups")
    process = world.gateway.start(*prefix, program("natlock"), "up", "-c", folder / "natlock.yaml", env=environment)
    said = ""
    while " up; " not in said and (line := process.stdout.readline()):
        said += line
    try:
        assert f"hub default: {NO_ESP}a raw socket of protocol 50 is for root with CAP_NET_RAW. Start natlock as root, or say esp: false" in said, said
        assert f"hub default: {NO_IKE}port 500 is for root with CAP_NET_BIND_SERVICE. Start natlock as root" in said, said
        status = json.loads(sh(*prefix, program("natlockctl"), "-o", "json", "status", env=environment).stdout)["items"][0]
        assert len([note for note in status["notes"] if "alg.ipsec" in note]) == 2
        rows = json.loads(sh(*prefix, program("natlockctl"), "-o", "json", "process", "list", env=environment).stdout)["items"]
        assert {row["state"] for row in rows} == {"ok"}, rows
    finally:
        process.terminate()
        process.wait(5)


FAULTS = {
    "shards": (f"    shards: 2\n    {ALG.replace('7', '0')}", "alg.ipsec.esp needs shards: 1, as what comes for all guests is heard at one place; shards is 2 (line 3). Set hubs.default.shards to 1"),
    "port and shards": (f"    shards: 3\n    nat: {{{LISTS}}}\n    alg: {{ipsec: {{preserve_port_list: 7}}}}", "alg.ipsec.preserve_port_list needs shards: 1"),
    "list of the port": ("    alg: {ipsec: {preserve_port_list: 7}}", "3:39: alg.ipsec.preserve_port_list: there is no list 7 in nat.access_lists"),
    "list of SPIs": ("    alg: {ipsec: {esp: true, spi_match_list: 9}}", "3:46: alg.ipsec.spi_match_list: there is no list 9 in nat.access_lists"),
    "match without ESP": (f"    nat: {{{LISTS}}}\n    alg: {{ipsec: {{spi_match_list: 7}}}}", "4:35: alg.ipsec.spi_match_list is about ESP, and alg.ipsec.esp is false (default)"),
    "published": (f'    nat: {{{LISTS}, publish: [{{proto: udp, listen: "0.0.0.0:500", to: "192.168.30.9:500"}}]}}\n    alg: {{ipsec: {{preserve_port_list: 7}}}}',
                  "4:39: alg.ipsec.preserve_port_list takes UDP port 500, which nat.publish has already (line 3)"),
    "static": (f"    nat: {{{LISTS}, static: [{{inside: 192.168.30.9, outside: {OUTSIDE}, ports: [500]}}]}}\n    alg: {{ipsec: {{preserve_port_list: 7}}}}",
               "4:39: alg.ipsec.preserve_port_list takes UDP port 500, which nat.static has already (line 3)"),
    "unknown": ("    alg: {ipsec: {eps: true}}", 'unknown key "eps"'),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_configuration_with_a_fault_is_refused(both, tmp_path, name):
    text, says = FAULTS[name]
    file = tmp_path / "wrong.yaml"
    file.write_text(f"hubs:\n  default:\n{text}\n")
    result = both.control("config", "test", file, check=False)
    assert result.returncode != 0 and says in result.stdout + result.stderr, result.stdout + result.stderr
    assert says in sh(program("natlock"), "check", "-c", file, check=False).stderr


@pytest.mark.parametrize("path, value, says", [("shards", "2", "shards cannot be changed"), ("alg.ipsec.preserve_port_list", "8", "there is no list 8"),
                                                ("alg.ipsec.esp", "false", "alg.ipsec.spi_match_list is about ESP")])
def test_a_change_is_checked_as_a_file_is(both, path, value, says):
    result = both.control("hub", "set", f"{path}={value}", check=False)
    assert result.returncode != 0 and says in result.stderr, result.stderr


def test_settings_and_their_words(both):
    assert "preserve_port_list: 7" in both.control("config", "show", "alg.ipsec").stdout
    assert "ESP (alg.ipsec.esp)" in both.where.run(program("natlock"), "doctor", env=both.environment, check=False).stdout
