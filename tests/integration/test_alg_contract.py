"""What all ALGs promise, whatever their protocol: lists, observing, strictness, an alg that dies or hangs, the longest message, idle cost.

    guest .11 to .14, and .11 of the hub small ~~~ natlock ---- internet [vsftpd on 198.18.2.31, both ends of talks.py on .32]

What test_alg_modes.py shows by one guest is not shown again.
"""
import hashlib, os, random, signal, socket
import pytest, sites
from conftest import wait_for
from packets import open_socket
from talks import Ftp, Talk, addressed, alg_row, alg_stats, arrives, listen, registration, vsftpd

OFF, WATCHED, FIXED, MORE = (f"192.168.30.{n}" for n in range(11, 15))
VSFTPD, THERE, OUTSIDE = "198.18.2.31", "198.18.2.32", "198.18.1.2"
DATA = random.Random(7).randbytes(8 << 20)
CONFIG = """
hubs:
  default:
    attach: ["netns:{0}"]
    nat:
      publish: [{{proto: tcp, listen: "0.0.0.0:2121", to: "192.168.30.14:21"}}]
      access_lists:
        - {{number: 40, permit: [192.168.30.11/32, 192.168.30.12/32]}}
        - {{number: 41, permit: [192.168.30.11/32]}}
        - {{number: 43, permit: [192.168.30.13/32]}}
  small:
    attach: ["netns:{1}"]
    alg: {{segment_max: 1024}}
policy: {{restart_backoff_min: 20ms, restart_backoff_max: 100ms}}
"""
LISTS = "[{guests: 41, mode: off}, {guests: 40, mode: observe}]"


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest, self.other = spawn.guest("ct"), spawn.guest("cs")
        self.own(world.internet, "lo", VSFTPD, THERE)
        self.gateway = spawn.gateway("contract", guest=self.guest, config=CONFIG.format(self.guest.name, self.other.name))
        addressed(self.guest, OFF, WATCHED, FIXED, MORE)
        addressed(self.other, OFF)
        self.listening = {port: listen(world.internet, THERE, port) for port in (21, 389, 5000)}
        self.vsftpd = vsftpd(world.internet, VSFTPD, world.folder / "contract-ftp", DATA)

    def ftp(self, source):
        return Ftp(self.guest, source, self.listening[21])

    def lists(self, text):
        self.gateway.control("hub", "set", f"alg.ftp.lists={text}")

    def expectations(self):
        return self.gateway.table("alg", "expectations")

    def open_ports(self):
        """Of the whole host side."""
        return self.world.gateway.run("ss", "-Hltun").stdout.count("\n")

    def alg(self):
        return next(row for row in self.gateway.table("process", "list") if row["process"] == "alg" and row["hub"] == "default")

    def close(self):
        self.vsftpd.terminate()
        self.vsftpd.wait(5)
        for server in self.listening.values():
            server.close()
        super().close()


site, _ = sites.fixtures(Site)


@pytest.fixture
def talks(site):
    """Begins control connections that end with the test."""
    made = []

    def begin(source):
        made.append(site.ftp(source))
        return made[-1]

    yield begin
    for talk in made:
        talk.close()


@pytest.fixture
def lists(site):
    yield site.lists
    site.lists("[]")


@pytest.fixture
def setting(site):
    """Sets keys of alg for one test, and puts them back."""
    before = []

    def change(key, value, then):
        site.gateway.control("hub", "set", f"alg.{key}={value}")
        before.append((key, then))

    yield change
    for key, value in before:
        site.gateway.control("hub", "set", f"alg.{key}={value}")


def test_each_guest_has_its_mode_by_the_first_list_that_has_it(talks, lists, site):
    lists(LISTS)
    before = alg_row(site.gateway, "ftp")["flows"]
    assert not talks(OFF).is_fixed() and alg_row(site.gateway, "ftp")["flows"] == before, "off by the first list, though the second has it too"
    assert not talks(WATCHED).is_fixed()
    wait_for(lambda: alg_row(site.gateway, "ftp")["flows"] == before + 1, 2, "alg to have looked on, which nobody waits for")
    assert talks(FIXED).is_fixed()


def test_lists_that_change_hold_for_what_begins_then(talks, lists, site):
    old = talks(FIXED)
    lists("[{guests: 43, mode: off}]")
    assert not talks(FIXED).is_fixed() and talks(MORE).is_fixed() and old.is_fixed()
    lists("[]")
    assert talks(FIXED).is_fixed()


def test_a_file_that_is_loaded_again_holds_for_what_begins_then(talks, site):
    file = site.gateway.folder / "natlock.yaml"
    text = file.read_text()
    file.write_text(text.replace('"]\n    nat:', '"]\n    alg: {ftp: {lists: [{guests: 43, mode: off}]}}\n    nat:', 1))
    try:
        site.gateway.control("reload")
        assert not talks(FIXED).is_fixed() and talks(MORE).is_fixed()
    finally:
        file.write_text(text)
        site.gateway.control("reload")
    assert talks(FIXED).is_fixed()


class Download:
    """A passive transfer from vsftpd, of more than waits in sockets: it goes on when its rest is asked for."""

    def __init__(self, site):
        self.control, self.data = (open_socket(site.guest, socket.SOCK_STREAM, at=(FIXED, 0), timeout=5) for _ in range(2))
        self.control.connect((VSFTPD, 21))
        self.replies = self.control.makefile("rb")
        self.replies.readline()
        for command in (b"USER anonymous", b"PASS x@y", b"TYPE I", b"PASV"):
            reply = self.ask(command)
        numbers = reply.decode().split("(")[1].split(")")[0].split(",")
        self.data.connect((VSFTPD, int(numbers[4]) * 256 + int(numbers[5])))
        assert self.ask(b"RETR file").startswith(b"150")

    def ask(self, command):
        self.control.sendall(command + b"\r\n")
        return self.replies.readline()

    def rest(self):
        """Hash of the file, and how the server ends it."""
        hashed = hashlib.sha256()
        while piece := self.data.recv(1 << 20):
            hashed.update(piece)
        self.data.close()
        reply = self.replies.readline()[:3]
        self.replies.close()
        self.control.close()
        return hashed.digest(), reply


def test_switching_off_lets_go_of_flows_and_a_transfer_goes_on(site, talks):
    held = talks(FIXED)
    _, at = held.port()
    held.line(1, "200 good")
    assert [row["outside"] for row in site.expectations()] == ["{}:{}".format(*at)]
    download = Download(site)
    assert alg_row(site.gateway, "ftp")["open"] == 2
    site.gateway.control("alg", "disable", "ftp")
    try:
        wait_for(lambda: alg_row(site.gateway, "ftp")["open"] == 0, 2, "the flows to be let go")
        assert not site.expectations() and not arrives(site.world.internet, THERE, at)
        assert held.goes_on() and not held.is_fixed()
        assert download.rest() == (hashlib.sha256(DATA).digest(), b"226")
    finally:
        site.gateway.control("alg", "enable", "ftp")
    assert talks(FIXED).is_fixed()


def curl(site):
    """Exit code of an active transfer from vsftpd."""
    target = site.world.folder / "contract-active"
    target.unlink(missing_ok=True)
    code = site.guest.run("curl", "-sS", "-m", 5, "-P", FIXED, "--disable-eprt", "--interface", FIXED, f"ftp://{VSFTPD}/file", "-r", "0-999", "-o", target, check=False).returncode
    return code, target.exists() and target.read_bytes() == DATA[:1000]


def test_observing_leaves_every_byte_and_opens_nothing(site, talks, setting):
    assert curl(site) == (0, True)
    setting("ftp.mode", "off", "fix")
    without = curl(site)
    setting("ftp.mode", "observe", "fix")
    assert without[1] is False and curl(site) == without, "as without the ALG"
    ports, before = site.open_ports(), alg_row(site.gateway, "ftp")
    talk = talks(FIXED)
    assert talk.port(40000)[1] == (FIXED, 40000)
    talk.line(1, "200 good")
    assert site.open_ports() == ports and not site.expectations() and not arrives(site.world.internet, THERE, (OUTSIDE, 40000))
    talk.line(0, f"EPRT |1|{FIXED}|40001|")
    talk.line(1, "200 good")
    assert site.open_ports() == ports and talk.goes_on()
    for end in (0, 1):
        sent, got = talk.hashes(end)
        assert sent == got
    wait_for(lambda: alg_row(site.gateway, "ftp")["edits"] >= before["edits"] + 2, 3, "what would have been changed")
    wait_for(lambda: site.gateway.log().count("An ALG expectation would have been created. Protocol ftp, TCP session") >= 2, 3, "what would have been opened")
    assert f"guest {FIXED}:40000, peer {THERE}" in site.gateway.log() and f"guest {FIXED}:40001, peer {THERE}" in site.gateway.log()
    assert "The ALG ftp would have changed the TCP session" in site.gateway.log()


class Datagrams:
    """A guest's socket and one beyond the gateway, at TFTP's port."""

    def __init__(self, site):
        self.ends = [open_socket(site.guest, at=(FIXED, 0), timeout=3), open_socket(site.world.internet, at=(THERE, 69), timeout=3)]

    def there(self, data, timeout=3):
        """What of this comes there, with its source; None: nothing."""
        self.ends[1].settimeout(timeout)
        self.ends[0].sendto(data, (THERE, 69))
        try:
            return self.ends[1].recvfrom(9000)
        except TimeoutError:
            return None, None

    def back(self, data, source):
        self.ends[1].sendto(data, source)
        return self.ends[0].recv(9000)

    def close(self):
        for end in self.ends:
            end.close()


@pytest.fixture
def datagrams(site):
    ends = Datagrams(site)
    yield ends
    ends.close()


REQUEST, GARBAGE = b"\0\1file\0octet\0", b"POST / HTTP/1.1\r\nHost: x\r\n\r\n"


def test_strict_drops_datagrams_that_are_not_the_protocol(site, datagrams, setting):
    got, source = datagrams.there(GARBAGE)
    assert got == GARBAGE and datagrams.back(GARBAGE, source) == GARBAGE, "as a rule they pass"
    setting("tftp.strict", "true", "false")
    second = Datagrams.__new__(Datagrams)
    second.ends = [open_socket(site.guest, at=(FIXED, 0), timeout=3), datagrams.ends[1]]
    assert second.there(b"x" * 40000 + GARBAGE, 0.1) == (None, None), "nor is what alg cannot be shown a way past it"
    assert second.there(GARBAGE, 0.2) == (None, None)
    assert second.there(REQUEST)[0] == REQUEST, "TFTP itself goes on"
    assert [row for row in site.gateway.table("drops") if row["reason"] == "ALG_STRICT"]
    second.ends[0].close()


def test_observing_lets_datagrams_pass_and_opens_nothing(site, datagrams, setting):
    setting("tftp.mode", "observe", "fix")
    opened, false = len(site.expectations()), open_socket(site.world.internet, at=(THERE, 0))
    got, source = datagrams.there(REQUEST)
    assert got == REQUEST
    wait_for(lambda: "Protocol tftp, UDP port, UDP session" in site.gateway.log().split("would have been created")[-1], 3, "what would have been opened")
    false.sendto(b"\0\3\0\1from a new port", source)
    assert datagrams.back(b"\0\5\0\0no\0", source) == b"\0\5\0\0no\0" and len(site.expectations()) == opened
    false.close()


def test_an_alg_that_dies_leaves_nothing_open_and_is_replaced(site, talks, datagrams):
    talk = talks(FIXED)
    _, at = talk.port()
    talk.line(1, "200 good")
    request, source = datagrams.there(REQUEST)
    assert request == REQUEST and {row["alg"] for row in site.expectations()} == {"ftp", "tftp"}
    stranger = open_socket(site.world.internet, at=(THERE, 0))
    pid, ports = site.alg()["pid"], site.open_ports()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not site.expectations(), 3, "the expectations' end")
    assert site.open_ports() == ports - 1 and not arrives(site.world.internet, THERE, at)
    stranger.sendto(b"\0\3\0\1from a new port", source)
    assert talk.goes_on() and not talk.is_fixed(), "it goes on as it is"
    assert datagrams.back(b"\0\5\0\0no\0", source) == b"\0\5\0\0no\0", "and nothing else came before"
    stranger.close()
    wait_for(lambda: (row := site.alg())["pid"] not in (0, None, pid) and row["state"] == "ok", 5, "a new alg")
    again = wait_for(lambda: (one := talks(FIXED)).is_fixed() and one, 3, "an inspected flow")
    assert len(site.expectations()) == 1 and again.line(1, "200 good")
    assert not talk.is_fixed(), "nobody saw its beginning"


def test_an_alg_that_hangs_has_its_time_and_is_replaced(site, talks, datagrams):
    held = [talks(FIXED) for _ in range(2)]
    _, at = held[0].port()
    held[0].line(1, "200 good")
    pid = site.alg()["pid"]
    os.kill(pid, signal.SIGSTOP)
    for talk in held:
        talk.say(0, b"NOOP\r\n")
    assert datagrams.there(REQUEST)[0] == REQUEST
    for talk in held:
        assert talk.hear(1, lambda data: data.endswith(b"\r\n")) == b"NOOP\r\n"
        assert talk.line(1, "200 so it is") == "200 so it is"
    assert not site.expectations() and not arrives(site.world.internet, THERE, at)
    assert sum(int(row["count"]) for row in site.gateway.table("drops") if row["reason"] == "ALG_SILENT") >= 3
    wait_for(lambda: (row := site.alg())["pid"] not in (0, None, pid) and row["state"] == "ok", 5, "a new alg")
    wait_for(lambda: talks(FIXED).is_fixed(), 3, "an inspected flow")
    assert all(talk.goes_on() for talk in held)


@pytest.mark.parametrize("hub,filling,changes", [("default", 60000, True), ("default", 70000, False), ("small", 600, True), ("small", 2000, False)])
@pytest.mark.parametrize("end", [0, 1], ids=["outward", "inward"])
def test_the_longest_message(site, hub, filling, changes, end):
    theirs, other = (OFF, OUTSIDE) if end == 0 else (OUTSIDE, OFF)
    message, becomes = (registration(address, filling, answer=end == 1) for address in (theirs, other if changes else theirs))
    talk = Talk(site.guest if hub == "default" else site.other, OFF, site.listening[389])
    if end == 1:
        talk.say(0, registration("nobody", 10))
        talk.hear(1, lambda data: len(data) == len(registration("nobody", 10)))
    before = alg_row(site.gateway, "ldap", hub)
    talk.say(end, message)
    assert talk.hear(1 - end, lambda data: len(data) >= len(becomes)) == becomes
    talk.say(end, message)
    talk.ends[end].shutdown(socket.SHUT_WR)
    assert talk.rest(1 - end) == becomes
    after = alg_row(site.gateway, "ldap", hub)
    assert (after["edits"] > before["edits"], after["violations"] - before["violations"]) == (changes, not changes), "a long one ends inspection"
    talk.close()


def test_what_no_alg_wants_never_comes_to_alg(site):
    before = alg_stats(site.gateway)
    talk = Talk(site.guest, FIXED, site.listening[5000])
    for _ in range(20):
        assert talk.line(0, "PORT 192,168,30,13,156,64") == "PORT 192,168,30,13,156,64"
    talk.close()
    ends = [open_socket(site.guest, at=(FIXED, 0)), open_socket(site.world.internet, at=(THERE, 5000))]
    ends[0].sendto(REQUEST, (THERE, 5000))
    assert ends[1].recv(99) == REQUEST
    for end in ends:
        end.close()
    assert alg_stats(site.gateway) == before


@pytest.fixture
def served(site):
    """A guest's FTP server at a published port: what a client gets by a passive transfer, from where it says."""
    guest = listen(site.guest, MORE, 21)

    def fetch(where, source, at):
        talk = Talk(where, source, guest, at)
        talk.line(1, "220 ready")
        for command, reply in (("USER anonymous", "331 password"), ("PASS x@y", "230 in")):
            talk.line(0, command)
            talk.line(1, reply)
        talk.line(0, "PASV")
        numbers = talk.line(1, f"227 Entering Passive Mode ({MORE.replace('.', ',')},156,64)").split("(")[1].rstrip(")").split(",")
        to = ".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])
        assert to[0] == at[0]
        with listen(site.guest, MORE, 40000) as data:
            transfer = Talk(where, source, data, to)
            transfer.say(1, DATA[:20000])
            assert transfer.hear(0, lambda got: len(got) == 20000) == DATA[:20000]
            transfer.close()
        talk.close()

    yield fetch
    guest.close()


@pytest.mark.parametrize("client", [THERE, OUTSIDE, "127.0.0.1"])
def test_a_server_inside_is_passive_for_clients_outside_and_of_the_host(site, served, client):
    """Of the latter its guest sees the gateway's address where it would see loopback's."""
    served(site.world.internet if client == THERE else site.world.gateway, client, ("127.0.0.1" if client == "127.0.0.1" else OUTSIDE, 2121))
