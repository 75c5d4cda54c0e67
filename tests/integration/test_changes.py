"""What an operator changes while natlock runs: values, whole files, what survives a restart, and what is refused."""
import errno, json, os, signal, time
import pytest
from conftest import PEER, SERVER, Gateway, Namespace, act, lease, leased_address, program, wait_for
from operator_client import Refused, ask, change, config, proto, reload

CONFIG = """\
hubs:
  default:
    attach: ["netns:{guest}"]
    nat: {{mtu: 1400}}
    options: {{no_securenat_enabledhcp: true}}
log: {{style: logfmt}}
"""


@pytest.fixture(scope="module")
def changed(world):
    """A gateway of its own with a guest."""
    guest = Namespace("chg")
    gateway = Gateway(world, "changes", CONFIG.format(guest=guest.name), guest=guest)
    lease(guest)
    yield gateway
    gateway.end()
    guest.remove()


def pids(gateway):
    return {name: row["pid"] for name, row in gateway.processes().items()}


def file_of(gateway):
    return gateway.folder / "natlock.yaml"


def test_a_value_is_changed_at_once_and_all_or_none(changed):
    before = pids(changed)
    assert change(changed, ("set", "nat.tcp_timeout", "100s"), ("set", "dhcp.dns", "[192.168.30.1, 192.168.30.2]")) == \
        "changed nat.tcp_timeout, dhcp.dns"
    assert config(changed, path="nat.tcp_timeout") == "tcp_timeout: 100s\n"
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "nat.udp_timeout", "60s"), ("set", "nat.mtu", "65521"))
    assert refused.value.code == 6 and "nat.mtu 65521 is out of range: 576 to 65520" in refused.value.message
    assert config(changed, hub="default", path="nat.udp_timeout") == "udp_timeout: 600s\n"
    assert change(changed, ("set", "nat.tcp_timeout", "100s")) == "nothing changed"
    assert pids(changed) == before
    assert "configuration was changed: nat.tcp_timeout, dhcp.dns" in changed.log()


def test_elements_of_lists_come_and_go(changed):
    change(changed, ("add", "dhcp.reservations", '{name: nt4, mac: "00:AC:85:40:B5:50", address: 192.168.30.20}'),
           ("add", "nat.publish", '{proto: tcp, listen: "127.0.0.1:8081", to: "192.168.30.10:80"}'))
    assert json.loads(config(changed, path="dhcp.reservations", json=True)) == \
        {"reservations": [{"name": "nt4", "mac": "00:AC:85:40:B5:50", "address": "192.168.30.20"}]}
    for refused_change, code in ((("add", "dhcp.reservations", '{name: nt4, mac: "00:AC:85:40:B5:51", address: 192.168.30.21}'), 6),
                                 (("remove", "nat.publish", "{proto: udp}"), 4), (("remove", "nat.mtu", "1400"), 6),
                                 (("set", "nat.mtuu", "1"), 6), (("set", "nat.publish.0", "1"), 6)):
        with pytest.raises(Refused) as refused:
            change(changed, refused_change)
        assert refused.value.code == code, refused.value
    change(changed, ("remove", "dhcp.reservations", "nt4"), ("remove", "nat.publish", '{listen: "127.0.0.1:8081"}'))
    assert config(changed, path="nat.publish") == "publish: []\n"


def test_names_follow_reservations_and_the_domain(changed):
    """natproxy's names are made of both; each is there at once, and gone at once."""
    def found(name):
        return changed.guest.run("dig", "+short", "+time=1", "+tries=1", "@192.168.30.1", name).stdout.strip()

    change(changed, ("add", "dhcp.reservations", '{name: printer, mac: "00:AC:85:40:B5:52", address: 192.168.30.77}'), ("set", "dhcp.domain", "one.internal"))
    assert found("printer") == found("printer.one.internal") == "192.168.30.77" and found("printer.two.internal") == ""
    change(changed, ("set", "dhcp.domain", "two.internal"))
    assert found("printer.two.internal") == "192.168.30.77" and found("printer.one.internal") == ""
    change(changed, ("remove", "dhcp.reservations", "printer"), ("set", "dhcp.domain", "host"))
    assert found("printer") == ""


def test_what_may_not_be_changed_is_refused(changed):
    for path, value in (("options.no_securenat", "false"), ("shards", "2"), ("data_path", "strict"), ("alg.segment_max", "2048"), ("alg", "{segment_max: 2048}")):
        with pytest.raises(Refused) as refused:
            change(changed, ("set", path, value))
        assert refused.value.code == 5, path
    change(changed, ("set", "dhcp.enable", "false"))
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "dhcp.enable", "true"))
    assert refused.value.code == 5 and "options.no_securenat_enabledhcp" in refused.value.cause
    with pytest.raises(Refused) as refused:
        change(changed, ("set", "nat.mtu", "1300"), hub="nowhere")
    assert refused.value.code == 4
    assert reload(changed).endswith("changed hubs.default.nat.tcp_timeout, hubs.default.dhcp.enable, hubs.default.dhcp.dns")


def test_a_reload_says_what_changed_and_no_flow_is_lost(changed):
    text = file_of(changed).read_text()
    flow = changed.guest.start(PEER, "hold", SERVER, 3, 0.01)
    before = pids(changed)
    assert reload(changed) == f"{file_of(changed)} was read: nothing changed"
    file_of(changed).write_text(text.replace("mtu: 1400", "mtu: 1400, tcp_timeout: 300s").replace("{style: logfmt}", "{style: json, file: none}")
                                + "api: {group: nobody}\n")
    changed.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reload: " in changed.text() and "api.group" in changed.text(), 3, "the reload")
    assert (f"{file_of(changed)} was read: changed log.style, hubs.default.nat.tcp_timeout; "
            "only a restart of natlock changes log.file, api.group") in changed.text()
    assert config(changed, path="nat.tcp_timeout") == "tcp_timeout: 300s\n" and config(changed, path="log.file") == "file: auto\n"
    file_of(changed).write_text(text + "hubs: 1\n")
    with pytest.raises(Refused) as refused:
        reload(changed)
    assert refused.value.code == 6 and f"{file_of(changed)}:7:" in refused.value.message
    file_of(changed).write_text(text)
    assert "changed log.style, hubs.default.nat.tcp_timeout" in reload(changed)
    assert flow.communicate(timeout=20)[0].strip() and flow.returncode == 0
    assert pids(changed) == before


def test_each_reload_is_said_and_the_last_one_shown(changed):
    reload(changed)
    said = f"reload: {file_of(changed)} was read: nothing changed"
    before = changed.text().count(said)
    for times in (1, 2):
        changed.process.send_signal(signal.SIGHUP)
        wait_for(lambda: changed.text().count(said) == before + times, 3, "the reload")
    notes = changed.table("status")[0]["notes"]
    assert [note for note in notes if note.startswith("reload: ")] == [said]
    text = file_of(changed).read_text()
    file_of(changed).write_text(text + "logs: {" + "x" * 100 + ": 1}\n")
    with pytest.raises(Refused):
        reload(changed)
    file_of(changed).write_text(text)
    note = next(note for note in changed.table("status")[0]["notes"] if note.startswith("reload: "))
    assert note.endswith('unknown key "logs". Did you mean "log"?')
    assert note in changed.control("status").stdout and note in changed.control("health").stdout
    assert reload(changed) == said.removeprefix("reload: ")


def test_a_file_that_cannot_be_read_any_more_says_for_whom(changed):
    file_of(changed).chmod(0o600)
    try:
        with pytest.raises(Refused) as refused:
            reload(changed)
    finally:
        file_of(changed).chmod(0o644)
    assert "Permission denied" in refused.value.message and "natlock runs as" in refused.value.fix


def test_saved_changes_hold_after_a_restart(changed):
    assert change(changed, ("set", "nat.udp_timeout", "77s"), ("set", "nat.log", "false"), save=True) == "changed nat.udp_timeout, nat.log; saved"
    change(changed, ("set", "nat.tcp_timeout", "88s"))
    assert config(changed, "UNSAVED") == "hubs:\n  default:\n    nat:\n      tcp_timeout: 88s\n"
    layer = changed.folder / "state/saved.yaml"
    assert layer.read_text().endswith("hubs:\n  default:\n    nat:\n      udp_timeout: 77s\n      log: false\n")
    assert str(layer) in changed.table("status")[0]["config"]
    mac = changed.table("hub", "list")[0]["mac"]
    changed.end()
    changed.start()
    assert changed.table("hub", "list")[0]["mac"] == mac and mac.lower().startswith("00:ac:")
    assert config(changed, path="nat.udp_timeout") == "udp_timeout: 77s\n" and config(changed, path="nat.tcp_timeout") == "tcp_timeout: 7440s\n"
    check = changed.where.run(program("natlock"), "check", "-c", file_of(changed), env=changed.environment)
    assert "udp_timeout: 77s" in check.stdout and f"changes saved in {layer} are laid over it" in check.stderr
    changed.end()
    layer.write_text("hubs:\n  default:\n    options: {no_securenat_enabledhcp: false}\n")
    refused = changed.where.run(program("natlock"), "up", "-c", file_of(changed), env=changed.environment, check=False, timeout=10)
    assert refused.returncode == 6 and f"rm {layer}" in refused.stderr and "options.no_securenat_enabledhcp cannot be a saved change" in refused.stderr
    layer.unlink()
    changed.start()
    change(changed, ("set", "nat.udp_timeout", "77s"), save=True)
    change(changed, ("set", "nat.udp_timeout", "600s"), save=True)
    assert not layer.exists() and config(changed, "UNSAVED") == ""


def test_a_file_is_tested_before_it_is_used(changed, tmp_path):
    new = tmp_path / "new.yaml"
    new.write_text(file_of(changed).read_text().replace("mtu: 1400", "mtu: 1300, tcp_timeout: 5m").replace("hubs:\n", "hubs:\n  lab: {host: {address: 192.168.30.1}}\n"))
    with open(new) as file:
        text = config(changed, "TEST", admin=True, fd=file.fileno())
    assert "  default:\n    nat:\n      mtu: 1300\n      tcp_timeout: 300s\n" in text and text.startswith("hubs:\n  ") and "  lab:\n" in text, text
    assert config(changed, path="nat.mtu") == "mtu: 1400\n"
    new.write_text("hubs:\n  default: {nat: {mtu: 1}}\n")
    with open(new) as file, pytest.raises(Refused) as refused:
        config(changed, "TEST", admin=True, fd=file.fileno())
    assert "2:24: nat.mtu 1 is out of range" in refused.value.message
    reader, writer = os.pipe()
    with pytest.raises(Refused) as refused:
        config(changed, "TEST", admin=True, fd=reader)
    os.close(reader), os.close(writer)
    assert refused.value.code == 2


def test_leases_are_kept_when_asked_to(changed):
    journal = changed.folder / "state/leases-default"
    change(changed, ("set", "dhcp.persist", "false"))
    kept = journal.read_text()
    journal.unlink()
    lease(changed.guest)
    assert not journal.exists()
    change(changed, ("set", "dhcp.persist", "true"))
    wait_for(journal.exists, 2, "the journal")
    wait_for(lambda: journal.read_text().split()[2:4] == kept.split()[2:4], 2, "the lease that was given meanwhile")


def test_a_long_text_comes_in_pieces(changed):
    entries = ", ".join(f'{{name: h{i}, mac: "00:AC:00:00:{i // 256:02X}:{i % 256:02X}", address: 192.168.30.{11 + i % 180}}}' for i in range(180))
    change(changed, ("set", "dhcp.reservations", f"[{entries}]"))
    names = [row["name"] for row in json.loads(config(changed, path="dhcp.reservations", json=True))["reservations"]]
    assert names == [f"h{i}" for i in range(180)]
    change(changed, ("set", "dhcp.reservations", "[]"))


def test_the_functions_of_a_hub_are_switched(changed):
    for path, off, on in (("enable", "SecureNAT stopped.", "SecureNAT has started."),
                          ("nat.enable", "The virtual NAT function was disabled.", "The virtual NAT function was enabled.")):
        change(changed, ("set", path, "false"))
        hub = changed.table("hub", "list")[0]
        assert (hub["enable"], hub["nat"]) == (path != "enable", path != "nat.enable"), hub
        before = changed.log()
        assert off in before
        change(changed, ("set", path, "true"))
        assert on in changed.log()[len(before):]


def test_no_new_sessions_where_none_are_wanted(changed):
    knock = f"import socket\ns = socket.socket()\ns.settimeout(3)\nprint(s.connect_ex(({SERVER!r}, 7001)))"
    assert int(changed.guest.run("python3", "-c", knock).stdout) == 0
    change(changed, ("set", "nat.new_sessions", "false"))
    ask(changed, restart=proto.RestartRequest(process="natproxy"))  # its successor boots with what was changed
    wait_for(lambda: all(row["state"] == "ok" for row in changed.table("process", "list")) and
             changed.processes()["natproxy"]["restarts"], 5, "the new natproxy")
    assert int(changed.guest.run("python3", "-c", knock).stdout) != 0
    change(changed, ("set", "nat.new_sessions", "true"))


def test_a_session_is_kicked_but_not_the_gateways_own(changed):
    session = next(row["session"] for row in changed.table("session", "list") if row["kind"] != "securenat")
    for name, code in (("SID-SECURENAT-1", 5), ("SID-NOBODY-1", 4)):
        with pytest.raises(Refused) as refused:
            ask(changed, kick=proto.KickRequest(session=name))
        assert refused.value.code == code
    assert ask(changed, kick=proto.KickRequest(session=session)) == f"session {session} was kicked"
    wait_for(lambda: [row["kind"] for row in changed.table("session", "list")] == ["securenat"], 2, "the session's end")


def test_an_order_that_reaches_nothing_says_so(changed):
    with pytest.raises(Refused) as refused:
        ask(changed, order=proto.OrderRequest(order=proto.Order(lease_release=proto.LeaseRelease())))
    assert refused.value.code == 2
    with pytest.raises(Refused) as refused:
        ask(changed, order=proto.OrderRequest(order=proto.Order(lease_release=proto.LeaseRelease(ip_be=1))))
    assert refused.value.code == 4


def test_it_ends_when_no_session_is_left(changed):
    change(changed, ("set", "nat.tcp_timeout", "1s"))
    text = ask(changed, drain=proto.DrainRequest(for_ms=5000))
    assert text.startswith("no new sessions")
    changed.process.wait(8)
    assert changed.process.returncode == 0 and "No new sessions are taken" in changed.log()


THREE = """\
hubs:
  red: {{attach: ["netns:{red}"]}}
  blue: {{attach: ["netns:{blue}"]}}
  lab:
    host: {{address: 10.77.0.1}}
    dhcp: {{range: 10.77.0.10-10.77.0.20, gateway: 10.77.0.1, dns: [10.77.0.1]}}
    shards: 2
    attach: ["netns:{lab}"]
"""


@pytest.fixture(scope="module")
def three(world):
    guests = {name: Namespace(f"h{name}") for name in ("red", "blue", "lab")}
    gateway = Gateway(world, "three", THREE.format(**{name: guest.name for name, guest in guests.items()}), guest=guests["red"])
    gateway.guests = guests
    gateway.addresses = {name: leased_address(guest) for name, guest in guests.items()}
    yield gateway
    gateway.end()
    for guest in guests.values():
        guest.remove()


def test_three_hubs_serve_at_once_two_of_them_one_subnet(three):
    assert {name: address.rsplit(".", 1)[0] for name, address in three.addresses.items()} == {"red": "192.168.30", "blue": "192.168.30", "lab": "10.77.0"}
    flows = {name: guest.start(PEER, "hold", SERVER, 2, 0.01) for name, guest in three.guests.items()}
    rows = three.table("process", "list")
    assert {hub: len([row for row in rows if row["hub"] == hub]) for hub in three.guests} == {"red": 5, "blue": 5, "lab": 8}
    workers = [row for row in rows if row["hub"]]
    assert len({row["user"] for row in workers}) == len(workers) and all(row["seccomp"] == "filter" for row in workers)
    assert [hub["name"] for hub in three.table("hub", "list")] == ["red", "blue", "lab"]
    change(three, ("set", "nat.tcp_timeout", "99s"), hub="blue")
    assert config(three, hub="red", path="nat.tcp_timeout") == "tcp_timeout: 7440s\n"
    assert config(three, hub="blue", path="nat.tcp_timeout") == "tcp_timeout: 99s\n"
    for name, flow in flows.items():
        assert json.loads(flow.communicate(timeout=20)[0])["ok"], name
        log = "".join(f.read_text() for f in (three.folder / "log/security_log" / name).glob("sec_*.log"))
        assert f"IP address: {three.addresses[name]}" in log and f"Connection source {three.addresses[name]}" in log
        assert ("nat.tcp_timeout" in log) == (name == "blue")


def test_one_hub_of_several_is_told_by_its_name(three):
    with pytest.raises(Refused) as refused:
        ask(three, order=proto.OrderRequest(hub="lab", order=proto.Order(sessions_end=proto.SessionsEnd(id=[1]))))
    assert refused.value.code == 2 and "name the process" in refused.value.message
    assert ask(three, restart=proto.RestartRequest(hub="blue", process="alg")) == "restarting"
    wait_for(lambda: [row["restarts"] for row in three.table("process", "list") if row["process"] == "alg"] == [0, 1], 5, "blue's alg")


def test_a_hub_is_added_by_reload_and_served(three):
    file, guest = file_of(three), Namespace("hnew")
    try:
        before = {row["pid"] for row in three.table("process", "list")}
        reload(three)  # what other tests have changed
        file.write_text(file.read_text() + "  late:\n    nat: {mtu: 1400}\n")
        assert reload(three) == f"{file} was read: changed hubs.late (new)"
        wait_for(lambda: [row["state"] for row in three.table("process", "list") if row["hub"] == "late"] == ["ok"] * 5, 5, "the new hub")
        three.where.run(program("natlock"), "attach", f"netns:{guest.name}", "--hub", "late", env=three.environment)
        assert leased_address(guest).startswith("192.168.30.")
        assert act(guest, "hold", 0.1)["ok"]
        assert before - {0} <= {row["pid"] for row in three.table("process", "list")}
        assert "SecureNAT has started." in "".join(f.read_text() for f in (three.folder / "log/security_log/late").glob("sec_*.log"))
        file.write_text(file.read_text().split("  late:")[0])
        assert reload(three) == f"{file} was read: only a restart of natlock changes hubs.late (removed)"
    finally:
        guest.remove()


def test_changes_of_the_host_are_known_within_a_second(three, world):
    guest, resolv = three.guests["red"], world.resolv / "resolv.conf"
    before = resolv.read_text()
    ask_name = ("dig", "+short", "+time=1", "+tries=1", "@192.168.30.1")
    try:
        resolv.write_text("nameserver 198.18.1.77\n")
        time.sleep(0.7)
        assert SERVER not in guest.run(*ask_name, "www.example.test", check=False).stdout
        resolv.write_text(before)
        time.sleep(0.7)
        assert SERVER in guest.run(*ask_name, "www.example.test", check=False).stdout
    finally:
        resolv.write_text(before)
    knock = "import socket\ns = socket.socket()\ns.settimeout(5)\nprint(s.connect_ex(('198.18.1.9', 9)))"
    world.gateway.run("ip", "addr", "add", "198.18.1.9/32", "dev", "w0")
    try:
        time.sleep(0.7)
        refused = int(guest.run("python3", "-c", knock).stdout)
    finally:
        world.gateway.run("ip", "addr", "del", "198.18.1.9/32", "dev", "w0")
    assert refused in (errno.EHOSTUNREACH, errno.EACCES), errno.errorcode[refused]  # this host would say ECONNREFUSED


def test_a_state_folder_that_cannot_be_entered_is_said_at_the_start(world, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    file = tmp_path / "natlock.yaml"
    file.write_text("hubs:\n  default: {attach: []}\n")
    environment = dict(os.environ, RUNTIME_DIRECTORY=str(tmp_path / "run"), STATE_DIRECTORY=str(closed / "state"), LOGS_DIRECTORY=str(tmp_path / "log"))
    refused = world.gateway.run(program("natlock"), "up", "-c", file, env=environment, check=False, timeout=10)
    assert refused.returncode == 1 and f"leases cannot be stored in {closed}/state/leases-default: Permission denied" in refused.stderr
    assert "natlock runs as" in refused.stderr and "Bad file descriptor" not in refused.stderr
