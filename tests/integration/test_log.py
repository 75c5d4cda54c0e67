"""The security log: the seed's lines to the byte, the same as fields, to the journal, to syslog and to those who follow; nothing a guest sends breaks it."""
import datetime, json, os, re, shutil, socket, subprocess, threading
import pytest
from conftest import HUB, SERVER, TOP, act, lease, sh, wait_for

STAMP = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} "
IP = r"\d+\.\d+\.\d+\.\d+"
ENDPOINT = rf"{IP}:\d+"
LEASE = rf"MAC address: ([0-9A-F]{{2}}-){{5}}[0-9A-F]{{2}}, IP address: {IP}, host name: [ -~]*"
# Seed 3.7.8, and what it does not have in the same voice. Every line of a log is one of these.
LINES = [STAMP + line for line in (
    rf"SecureNAT: The DHCP entry \d+ was (created|renewed)\. {LEASE}, expiration date: \d+ seconds",
    rf"SecureNAT: The DHCP entry \d+ was (released|declined|expired)\. {LEASE}",
    rf"SecureNAT: The (TCP|UDP|ICMP) session \d+ was created\. Connection source {ENDPOINT}, Connection destination {ENDPOINT}",
    rf'SecureNAT: The connection to TCP session \d+: Host "[!-~]+ \({IP}\)", Port \d+ was successful\.',
    rf'SecureNAT: The connection to TCP session \d+: Host "{IP}", Port \d+ failed\.',
    r"SecureNAT: The (TCP|UDP|ICMP) session \d+ was deleted\.",
    r"SecureNAT: The (TCP|UDP|ICMP) session \d+ ended: [a-z' ]+, \d+ bytes from the guest, \d+ bytes to the guest, duration \d+\.\d{3} seconds\.",
    rf"SecureNAT: The (TCP|UDP|ICMP) session was refused: [ -~]+\. Connection source {ENDPOINT}, Connection destination {ENDPOINT}",
    r'SecureNAT has started\. The SecureNAT session "SID-SECURENAT-1" was created\.',
    r"SecureNAT stopped\.",
    r"SecureNAT: The process [a-z.0-9]+ was (killed by its policy|ended by signal \d+) and will be restarted\.( Reason: [ -~]+)?",
    r"SecureNAT: The process [a-z.0-9]+ was restarted\.",
    rf"SecureNAT: The published (TCP|UDP) port {ENDPOINT} was (opened|closed)\. Connection destination {ENDPOINT}",
    r"SecureNAT: \d+ log lines were lost: [ -~]+\.",
)]
HOSTILE = b'x"\n2012-12-06 15:44:52.557 SecureNAT: y\x1b[2J\xc0\xaf='


def config(guest, **log):
    log = ", ".join(f"{key}: {value}" for key, value in log.items())
    return f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat: {{udp_timeout: 1s, publish: [{{proto: tcp, listen: "198.18.1.2:8080", to: "192.168.30.10:80"}}]}}\nlog: {{{log}}}\n'


def lease_as(guest, name):
    """DHCP with a host name of any bytes."""
    guest.run("udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", TOP / "tests/integration/udhcpc.sh", "-x", f"0x0c:{name.hex()}",
              env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))


def refused(guest):
    return guest.run("curl", "-sm", 3, f"http://{SERVER}:9/", check=False)


def ask_by_udp(guest):
    guest.run("dig", "+short", "+time=2", f"@{HUB}", "www.example.test")


class Receivers:
    """What listens where a computer's journald and syslogd do, in a mount namespace of the gateway's own."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        self.journal, self.syslog = self.listen("journal"), self.listen("syslog")
        (folder / "run/systemd/journal").mkdir(parents=True)
        (folder / "run/netns").mkdir()
        (folder / "run/systemd/journal/socket").symlink_to(folder / "journal")

    def listen(self, name):
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(str(self.folder / name))
        (self.folder / name).chmod(0o666)
        heard = []

        def read():
            while text := listener.recv(65536).decode("ascii"):
                heard.append(text)
            listener.close()

        threading.Thread(target=read, daemon=True).start()
        return heard

    def leave(self, name):
        """An empty datagram ends the thread, and with it the socket."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as end:
            end.sendto(b"", str(self.folder / name))
        (self.folder / name).unlink()

    def prefix(self):
        f = self.folder
        return ["sh", "-c", f"mount --rbind /run/netns {f}/run/netns && mount --rbind {f}/run /run && mount -t tmpfs dev /dev && mkdir /dev/net && "
                f"mknod /dev/null c 1 3 && mknod /dev/urandom c 1 9 && mknod /dev/net/tun c 10 200 && ln -s {f}/syslog /dev/log && exec \"$@\"", "sh"]

    @staticmethod
    def first(heard, part):
        return wait_for(lambda: next((text for text in heard if part in text), None), 5, f"a datagram with {part}")


@pytest.fixture(scope="module")
def plain(spawn, world):
    """The seed's style, in a time zone half an hour beside the rest of the world, with an old day in the folder."""
    guest, receivers = spawn.guest("log"), Receivers(world.folder / "receivers")
    gateway = spawn.gateway("log", guest=guest, config=config(guest, journal="auto", syslog="true", keep_days=2),
                            environment={"TZ": "IST-5:30", "JOURNAL_STREAM": "8:1"}, prefix=receivers.prefix())
    gateway.receivers = receivers
    lease_as(guest, b"NT4")
    act(guest, "up", 1000)
    return gateway


@pytest.fixture(scope="module")
def fields(spawn):
    guest = spawn.guest("logj")
    gateway = spawn.gateway("logj", guest=guest, config=config(guest, style="json"))
    lease_as(guest, HOSTILE)
    return gateway


def events(gateway):
    return [json.loads(line) for line in gateway.log().splitlines()]


def event(gateway, name, **parts):
    def find():
        for one in events(gateway):
            if one["event"] == name and all(one.get(key) == value for key, value in parts.items()):
                return one
    return wait_for(find, 5, f"the event {name} {parts}")


def test_every_line_has_the_words_of_the_seed(plain):
    refused(plain.guest)
    ask_by_udp(plain.guest)
    wait_for(lambda: re.search(r"UDP session \d+ was deleted", plain.log()), 5, "the end of a UDP session")
    text = plain.log()
    for line in text.splitlines():
        assert any(re.fullmatch(one, line) for one in LINES), line
    mac = plain.guest.run("cat", "/sys/class/net/eth0/address").stdout.strip().upper().replace(":", "-")
    for line in (rf"SecureNAT: The DHCP entry 1 was created\. MAC address: {mac}, IP address: 192\.168\.30\.10, host name: NT4, expiration date: 7200 seconds",
                 r"SecureNAT: The TCP session 1 was created\. Connection source 192\.168\.30\.10:\d+, Connection destination 198\.18\.2\.1:7002",
                 r'SecureNAT: The connection to TCP session 1: Host "198\.18\.2\.1 \(198\.18\.2\.1\)", Port 7002 was successful\.',
                 r"SecureNAT: The TCP session 1 was deleted\.",
                 r'SecureNAT: The connection to TCP session 2: Host "198\.18\.2\.1", Port 9 failed\.',
                 r"SecureNAT: The UDP session 3 was created\. Connection source 192\.168\.30\.10:\d+, Connection destination 192\.168\.30\.1:53",
                 r"SecureNAT: The UDP session 3 was deleted\.",
                 r"SecureNAT: The published TCP port 198\.18\.1\.2:8080 was opened\. Connection destination 192\.168\.30\.10:80"):
        assert re.search(f"^{STAMP}{line}$", text, re.M), line + "\n" + text


def test_time_is_local_to_the_millisecond(plain):
    zone = datetime.timezone(datetime.timedelta(hours=5, minutes=30))
    now = datetime.datetime.now(zone)
    stamps = [datetime.datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S.%f").replace(tzinfo=zone) for line in plain.log().splitlines()]
    assert all(datetime.timedelta(0) <= now - stamp < datetime.timedelta(seconds=60) for stamp in stamps)
    assert stamps == sorted(stamps)
    assert any(stamp.microsecond for stamp in stamps)
    names = {file.name for file in plain.folder.rglob("sec_*.log")}
    assert names <= {f"sec_{day:%Y%m%d}.log" for day in (now, now - datetime.timedelta(hours=1))}


def test_the_journal_gets_fields(plain):
    text = Receivers.first(plain.receivers.journal, "NATLOCK_EVENT=session_connected\n")
    lines = dict(line.split("=", 1) for line in text.splitlines())
    assert lines["MESSAGE"] == 'SecureNAT: The connection to TCP session 1: Host "198.18.2.1 (198.18.2.1)", Port 7002 was successful.'
    assert (lines["PRIORITY"], lines["SYSLOG_IDENTIFIER"], lines["NATLOCK_HUB"], lines["NATLOCK_PROCESS"]) == ("6", "natlock", "default", "natproxy")
    assert lines["NATLOCK_DST"] == f"{SERVER}:7002" and lines["NATLOCK_SESSION"] == "1"


def test_syslog_gets_a_line(plain):
    text = Receivers.first(plain.receivers.syslog, "was successful")
    assert re.fullmatch(r"<30>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d natlock\[\d+\]: default: SecureNAT: The connection to TCP session 1: "
                        r'Host "198\.18\.2\.1 \(198\.18\.2\.1\)", Port 7002 was successful\.', text), text


def test_a_receiver_that_is_away_costs_lines_only(plain):
    """Nobody reads: the queue of the socket fills, then it is gone, then back. The hub goes on, and the loss is told."""
    plain.receivers.leave("syslog")
    assert act(plain.guest, "up", 1000)
    wait_for(lambda: "do not reach /dev/log" in plain.text(), 5, "the note")
    plain.receivers.syslog = plain.receivers.listen("syslog")

    def told():
        act(plain.guest, "up", 1000)
        return any(re.search(r"SecureNAT: \d+ log lines were lost: /dev/log: No such file or directory\.$", text) for text in plain.receivers.syslog)
    wait_for(told, 5, "the line about what was lost")


def test_a_reload_changes_where_events_go(plain):
    """log.style, log.journal and log.syslog at once; the file goes on."""
    file, journal, syslog = plain.folder / "natlock.yaml", plain.receivers.journal, plain.receivers.syslog
    text = file.read_text()
    file.write_text(text.replace("journal: auto, syslog: true", "journal: false, syslog: false, style: json"))
    assert "changed log.style, log.syslog, log.journal" in plain.control("reload").stdout
    before = len(plain.log()), len(journal), len(syslog)
    act(plain.guest, "up", 1000)
    wait_for(lambda: '"event":"session_deleted"' in plain.log()[before[0]:], 5, "the event as JSON")
    assert all(json.loads(line) for line in plain.log()[before[0]:].splitlines())
    assert (len(journal), len(syslog)) == before[1:]
    file.write_text(text)
    assert "changed log.style, log.syslog, log.journal" in plain.control("reload").stdout
    act(plain.guest, "up", 1000)
    wait_for(lambda: len(journal) > before[1] and len(syslog) > before[2], 5, "both again")
    assert re.fullmatch(STAMP + ".*", plain.log().splitlines()[-1])


def test_old_days_go_and_nothing_else(plain):
    folder = next(plain.folder.rglob("sec_*.log")).parent
    for name in ("sec_19990101.log", "sec_19990101.log.gz", "other"):
        (folder / name).write_text("x\n")
    plain.end()
    assert plain.log().rstrip().endswith("SecureNAT stopped.")
    plain.start()
    assert not (folder / "sec_19990101.log").exists()
    assert (folder / "sec_19990101.log.gz").exists() and (folder / "other").exists()


def test_a_day_begins_behind_the_supervisors_filter(plain):
    """As at midnight: a file is opened and an old one deleted while natlock runs. At its start a link stood in the file's place."""
    plain.end()
    today = max(plain.folder.rglob("sec_*.log"))
    today.rename(today.with_name("kept"))
    today.symlink_to("kept")
    plain.start()
    assert "Too many levels of symbolic links" in plain.text()
    (today.parent / "sec_19990102.log").write_text("x\n")
    today.unlink()

    def begun():
        lease(plain.guest)
        return today.exists() and "log lines were lost: security log: Too many levels of symbolic links." in today.read_text()
    wait_for(begun, 5, "the new file")
    assert not (today.parent / "sec_19990102.log").exists()
    assert "SecureNAT has started." not in today.read_text() and plain.process.poll() is None


def test_a_guest_cannot_forge_a_line(fields):
    one = event(fields, "dhcp_created")
    assert one["host_name"] == r"x\x22\x0a2012-12-06 15:44:52.557 SecureNAT: y\x1b[2J\xc0\xaf="
    raw = next(fields.folder.rglob("sec_*.log")).read_bytes()
    assert all(byte == 10 or 32 <= byte < 127 for byte in raw)
    assert all(line.startswith(b'{"time":"') for line in raw.splitlines())


def test_fields_agree_with_the_table(fields):
    holder = fields.guest.start("socat", "-u", f"TCP:{SERVER}:7001", "STDOUT", stdin=subprocess.DEVNULL)
    row = wait_for(lambda: next((r for r in fields.table("nat", "table") if r["destination"] == f"{SERVER}:7001" and r["state"] == "RUNNING"), None), 5, "the session")
    created, connected = (event(fields, name, session=row["id"]) for name in ("session_created", "session_connected"))
    for one in (created, connected):
        assert (one["src"], one["dst"], one["proto"], one["hub"], one["process"]) == (row["source"], row["destination"], "tcp", "default", "natproxy")
    assert connected["outside"] == row["outside"]
    moment = datetime.datetime.fromisoformat(created["time"]).timestamp() * 1000
    assert abs(moment - row["created_ms"]) < 1000
    holder.terminate()
    holder.wait()
    assert event(fields, "session_deleted", session=row["id"])["reason"]


def test_bytes_and_duration_are_told_at_the_end(fields):
    act(fields.guest, "up", 100000)
    created = event(fields, "session_created", dst=f"{SERVER}:7002")
    deleted = event(fields, "session_deleted", session=created["session"])
    assert deleted["tx_bytes"] >= 100000 and deleted["rx_bytes"] < 1000 and 0 <= deleted["duration_ms"] < 10000
    assert deleted["text"] == f"SecureNAT: The TCP session {created['session']} was deleted."


def test_refusals_have_a_reason(fields):
    fields.guest.run("curl", "-sm", 3, "http://198.18.1.2:80/", check=False)
    assert event(fields, "session_refused", dst="198.18.1.2:80")["reason"] == "denied by policy"
    refused(fields.guest)
    assert event(fields, "session_failed", dst=f"{SERVER}:9")["reason"] == "refused"


class Follower:
    """A client of the operator's door that asks for EventsRequest."""

    def __init__(self, gateway, folder):
        sh("protoc", f"--proto_path={TOP}/ipc", f"--python_out={folder}", "config.proto", "operator.proto")
        namespace = {}
        exec(f"import sys; sys.path.insert(0, {str(folder)!r}); import operator_pb2 as p; sys.path.pop(0)", namespace)
        self.p = namespace["p"]
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(gateway.api))
        request = self.p.OperatorRequest()
        request.events.SetInParent()
        self.socket.send(request.SerializeToString())
        assert not self.rows(), "the first record says that it begins"

    def rows(self):
        answer = self.p.OperatorAnswer.FromString(self.socket.recv(65536))
        return [self.p.EventRow.FromString(row) for row in answer.rows.rows]


def test_events_can_be_followed(fields, tmp_path):
    follower = Follower(fields, tmp_path)
    act(fields.guest, "up", 1000)
    seen = []
    while not seen or seen[-1].event != "session_deleted":
        seen += follower.rows()
    names = [e.event for e in seen]
    assert names[-3:] == ["session_created", "session_connected", "session_deleted"]
    assert {e.hub for e in seen} == {"default"} and seen[-1].tx_bytes >= 1000 and seen[-1].more.startswith("SecureNAT: The TCP session ")


def test_each_death_is_told_with_its_reason(fields):
    fields.control("process", "restart", "dhcpd")
    one = event(fields, "process_ended", process="dhcpd")
    assert "signal 9" in one["reason"] and one["text"].startswith("SecureNAT: The process dhcpd was ended by signal 9 and will be restarted.")
    assert event(fields, "process_started", process="dhcpd")["text"] == "SecureNAT: The process dhcpd was restarted."


def test_every_event_is_in_the_manual(plain, fields):
    manual = (TOP / "docs/operator.md").read_text()
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| .* \|(.*)\|$", manual[manual.index("| event | when |"):], re.M)
    known = {name: set(re.findall(r"[a-z_]+", parts)) for names, parts in rows for name in re.findall(r"[a-z_]+", names)}
    sources = "".join(path.read_text() for folder in ("natproxy", "dhcpd", "policy/supervisor") for path in (TOP / folder).glob("*.c"))
    assert len(known) > 15 and [name for name in known if f'"{name}"' not in sources] == []
    for one in events(fields):
        extra = set(one) - {"time", "hub", "process", "event", "text"}
        assert extra <= known[one["event"]], one


def test_a_log_that_was_deleted_is_made_again(fields):
    """Behind the supervisor's filter, and by the user that it is then."""
    shutil.rmtree(fields.folder / "log/security_log")

    def made():
        act(fields.guest, "up", 1000)
        return fields.log()
    wait_for(made, 5, "a new file")
    assert all(json.loads(line) for line in fields.log().splitlines()) and fields.process.poll() is None


def test_a_full_disk_is_said_and_survived(spawn, world):
    disk = world.folder / "disk"
    disk.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=4k,mode=1777", "none", disk)
    try:
        guest = spawn.guest("logd")
        gateway = spawn.gateway("logd", guest=guest, config=config(guest, file=disk))
        lease(guest)

        def full():
            act(guest, "up", 1000)
            return "No space left on device" in gateway.text()
        wait_for(full, 10, "the note")
        assert "Make room there or set log.keep_days" in gateway.text()
        sh("mount", "-o", "remount,size=64k", disk)
        log = next(disk.rglob("sec_*.log"))

        def mended():
            act(guest, "up", 1000)
            return "No space left on device." in log.read_text()
        wait_for(mended, 5, "the line about what was lost")
        assert re.search(rf"^{STAMP}SecureNAT: \d+ log lines were lost: security log: No space left on device\.$", log.read_text(), re.M)
        gateway.stop()
    finally:
        sh("umount", "-l", disk, check=False)
