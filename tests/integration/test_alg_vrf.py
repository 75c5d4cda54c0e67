"""Hubs and devices in every table: the same inside address twice, the same server's address twice, and mappings of several VRFs in one hub.

    .50 of the hub red  ~~~~ natlock [a0 198.18.30.2 .7 .8] ---- [198.18.30.1] red outside  [vsftpd, dnsmasq, talks.py on 198.18.32.1]
    .50 of the hub blue ~~~~         [b0 198.18.31.2 .7 .8] ---- [198.18.31.1] blue outside [the same address]
    .50 .51 .10 of the hub both: static by red, static by blue, by the host's routes, which lead to red
"""
import hashlib, random
import pytest
from conftest import HUB, Gateway, Namespace, sh, wait_for
from packets import open_socket
from talks import Ftp, Talk, addressed, arrives, listen, vsftpd

SERVER, TALKS = "198.18.32.1", "198.18.32.2"
NETS = {"red": "198.18.30", "blue": "198.18.31"}
INSIDE, BY_BLUE, PLAIN = "192.168.30.50", "192.168.30.51", "192.168.30.10"
DATA = {name: random.Random(name).randbytes(200000) for name in NETS}
CONFIG = """
hubs:
  red:
    attach: ["netns:{red}"]
    nat:
      vrfs: {{red: {{device: a0}}, blue: {{device: b0}}}}
      vrf: red
      publish:
        - {{proto: tcp, listen: "0.0.0.0:21", to: "192.168.30.10:21", vrf: blue}}
        - {{proto: tcp, listen: "0.0.0.0:554", to: "192.168.30.10:554", vrf: blue}}
      static: [{{inside: 192.168.30.50, outside: 198.18.30.7}}]
  blue:
    attach: ["netns:{blue}"]
    nat:
      vrfs: {{blue: {{device: b0}}}}
      vrf: blue
      static: [{{inside: 192.168.30.50, outside: 198.18.31.7}}]
  both:
    attach: ["netns:{both}"]
    dns: {{upstreams: [198.18.32.1]}}
    nat:
      vrfs: {{red: {{device: a0}}, blue: {{device: b0}}}}
      static:
        - {{inside: 192.168.30.50, outside: 198.18.30.8, vrf: red}}
        - {{inside: 192.168.30.51, outside: 198.18.31.8, vrf: blue}}
"""


class Site:
    def __init__(self, world):
        self.host = Namespace("vhost")
        self.guests = {name: Namespace(f"v{name}") for name in ("red", "blue", "both")}
        self.outside = {name: Namespace(f"vo{name}") for name in NETS}
        for metric, (name, device) in enumerate((("red", "a0"), ("blue", "b0")), 100):
            sh("ip", "link", "add", device, "netns", self.host.name, "type", "veth", "peer", "name", "i0", "netns", self.outside[name].name)
            for where, what, numbers in ((self.host, device, (2, 7, 8)), (self.outside[name], "i0", (1,))):
                for number in numbers:
                    where.run("ip", "addr", "add", f"{NETS[name]}.{number}/24", "dev", what)
                where.run("ip", "link", "set", what, "up")
            self.host.run("ip", "route", "add", "default", "via", f"{NETS[name]}.1", "dev", device, "metric", metric)
            for address in (SERVER, TALKS):
                self.outside[name].run("ip", "addr", "add", f"{address}/32", "dev", "lo")
        self.gateway = Gateway(world, "vrfs", CONFIG.format(**{name: guest.name for name, guest in self.guests.items()}), guest=self.guests["red"], where=self.host)
        for name, guest in self.guests.items():
            addressed(guest, *((INSIDE,) if name == "blue" else (INSIDE, BY_BLUE, PLAIN)))
        self.servers = {name: listen(self.outside[name], TALKS, 21) for name in NETS}
        for name, where in self.outside.items():
            vsftpd(where, SERVER, world.folder / f"vrf-{name}", DATA[name])
            names = [f"--host-record={net}{last}.test,{NETS[net]}.{last}" for net in NETS for last in (7, 8)]
            where.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", f"--listen-address={SERVER}", "--bind-interfaces",
                        "--user=root", "--pid-file=", "--local-ttl=60", *names)
            wait_for(lambda where=where: "status" in where.run("dig", "+time=1", "+tries=1", f"@{SERVER}", "red7.test", check=False).stdout, 5, "the name server")

    def ftp(self, name):
        return Ftp(self.guests[name], INSIDE, self.servers[name])

    def expectations(self, name):
        return [row["outside"] for row in self.gateway.table("--hub", name, "alg", "expectations")]

    def asked(self, guest, name, source=INSIDE, server=SERVER):
        """The address that a name has for a guest."""
        return self.guests[guest].run("dig", "+short", "+time=2", "+tries=1", "-b", source, f"@{server}", name).stdout.strip()

    def close(self):
        for server in self.servers.values():
            server.close()
        self.gateway.stop()
        for namespace in (*self.guests.values(), *self.outside.values(), self.host):
            namespace.remove()


@pytest.fixture(scope="module")
def site(world):
    site = Site(world)
    yield site
    print(site.gateway.text())
    site.close()


@pytest.mark.parametrize("command", [["-P", "-"], ["-P", "-", "--disable-eprt"]])
def test_the_same_guest_of_two_hubs_gets_its_own_server_s_file_at_once(site, world, command):
    targets = {name: world.folder / f"vrf-got-{name}" for name in NETS}
    clients = {name: site.guests[name].start("curl", "-sS", "-m", 10, *command, f"ftp://{SERVER}/file", "-o", targets[name]) for name in NETS}
    for name, client in clients.items():
        assert client.wait(15) == 0, client.stdout.read()
        assert hashlib.sha256(targets[name].read_bytes()).digest() == hashlib.sha256(DATA[name]).digest()
    for name in NETS:
        log = "".join(file.read_text() for file in (site.gateway.folder / "log").rglob(f"security_log/{name}/sec_*.log"))
        assert f", outside {NETS[name]}.7:" in log and [net for net in NETS.values() if f"outside {net}." in log] == [NETS[name]]


def test_an_expectation_is_listed_by_its_hub_only_and_leads_nowhere_else(site):
    talks = {name: site.ftp(name) for name in NETS}
    at = {}
    for name, talk in talks.items():
        at[name] = talk.port(40000)[1]
        talk.line(1, "200 good")
        assert at[name][0] == f"{NETS[name]}.7"
    for name, talk in talks.items():
        assert site.expectations(name) == ["{}:{}".format(*at[name])]
    talks["red"].close()
    wait_for(lambda: not site.expectations("red"), 3, "its end")
    assert len(site.expectations("blue")) == 1, "the other hub's flow of the same number and guest stays"
    guest = listen(site.guests["blue"], INSIDE, 40000)
    data = Talk(site.outside["blue"], TALKS, guest, at["blue"])
    data.say(0, b"x" * 1000)
    assert data.hear(1, lambda data: len(data) == 1000) == b"x" * 1000
    for one in (talks["blue"], data, guest):
        one.close()


@pytest.fixture
def shortcut(site):
    """Red's outside reaches the outside addresses of blue by the host, from the address that blue's server has too."""
    red, host = site.outside["red"], site.host
    red.run("ip", "route", "add", f"{NETS['blue']}.0/24", "via", f"{NETS['red']}.2", "src", TALKS)
    host.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.a0.rp_filter=0")
    yield red
    red.run("ip", "route", "del", f"{NETS['blue']}.0/24")


@pytest.mark.parametrize("hub,source,last", [("blue", INSIDE, 7), ("both", BY_BLUE, 8)])
def test_an_opening_is_not_for_the_peer_s_address_at_another_device(site, shortcut, hub, source, last):
    talk = Ftp(site.guests[hub], source, site.servers["blue"])
    _, at = talk.port(40000)
    talk.line(1, "200 good")
    assert at[0] == f"198.18.31.{last}"
    plain = listen(site.host, "", 7777)
    assert arrives(shortcut, TALKS, (at[0], 7777)), "it reaches the host"
    plain.close()
    assert not arrives(shortcut, TALKS, at) and len(site.expectations(hub)) == 1
    guest = listen(site.guests[hub], source, 40000)
    Talk(site.outside["blue"], TALKS, guest, at).close()
    guest.close()
    talk.close()


def test_a_datagram_from_the_peer_s_address_at_another_device_stays_outside(site, shortcut):
    guest = open_socket(site.guests["blue"], at=(INSIDE, 0))
    server, new, false = (open_socket(where, at=(TALKS, port)) for where, port in ((site.outside["blue"], 69), (site.outside["blue"], 1069), (shortcut, 1070)))
    guest.sendto(b"\0\1file\0octet\0", (TALKS, 69))
    at = server.recvfrom(99)[1]
    assert at[0] == f"{NETS['blue']}.7" and site.expectations("blue") == ["{}:{}".format(*at)]
    false.sendto(b"\0\3\0\1red", at)
    new.sendto(b"\0\3\0\1blue", at)
    assert guest.recvfrom(99) == (b"\0\3\0\1blue", (TALKS, 1069))
    guest.settimeout(0.1)
    with pytest.raises(TimeoutError):
        guest.recv(99)
    for one in (guest, server, new, false):
        one.close()


def test_a_server_that_is_published_by_another_device_is_passive_there(site):
    """Its guest leaves by red, its port is blue's, and so is what it opens for a client of that port."""
    guest = listen(site.guests["red"], PLAIN, 21)
    talk = Talk(site.outside["blue"], TALKS, guest, (f"{NETS['blue']}.2", 21))
    talk.line(1, "220 ready")
    for command, reply in (("USER anonymous", "331 password"), ("PASS x@y", "230 in")):
        talk.line(0, command)
        talk.line(1, reply)
    talk.line(0, "PASV")
    numbers = talk.line(1, f"227 Entering Passive Mode ({PLAIN.replace('.', ',')},156,64)").split("(")[1].rstrip(")").split(",")
    at = ".".join(numbers[:4]), int(numbers[4]) * 256 + int(numbers[5])
    assert at[0] == f"{NETS['blue']}.2" and site.expectations("red") == ["{}:{}".format(*at)]
    data = listen(site.guests["red"], PLAIN, 40000)
    transfer = Talk(site.outside["blue"], TALKS, data, at)
    transfer.say(1, DATA["red"][:20000])
    assert transfer.hear(0, lambda data: len(data) == 20000) == DATA["red"][:20000]
    for one in (transfer, talk, data, guest):
        one.close()


def test_its_datagrams_would_leave_by_their_own_device_and_nothing_is_promised(site):
    guest = listen(site.guests["red"], PLAIN, 554)
    talk = Talk(site.outside["blue"], TALKS, guest, (f"{NETS['blue']}.2", 554))
    talk.say(0, b"SETUP rtsp://x/t RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;unicast;client_port=6970-6971\r\n\r\n")
    assert talk.hear(1, lambda data: data.endswith(b"\r\n\r\n")) == talk.sent[0]
    answer = b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nSession: 1\r\nTransport: RTP/AVP;unicast;client_port=6970-6971;server_port=41000-41001\r\n\r\n"
    talk.say(1, answer)
    assert talk.hear(0, lambda data: data.endswith(b"\r\n\r\n")) == answer and not site.expectations("red")
    wait_for(lambda: "expectation was refused: no outside port to be had. Protocol rtsp" in site.gateway.log(), 3, "why")
    for one in (talk, guest):
        one.close()


@pytest.mark.parametrize("hub", NETS)
def test_an_answer_is_changed_by_its_hub_s_own_mapping(site, hub):
    other = "red" if hub == "blue" else "blue"
    assert site.asked(hub, f"{hub}7.test") == INSIDE
    assert site.asked(hub, f"{other}7.test") == f"{NETS[other]}.7" and site.asked(hub, f"{hub}8.test") == f"{NETS[hub]}.8"


SEEN = {INSIDE: ("red8.test", INSIDE), BY_BLUE: ("blue8.test", BY_BLUE), PLAIN: (None, None)}


@pytest.mark.parametrize("server", [SERVER, HUB], ids=["direct", "redirected"])
@pytest.mark.parametrize("source", SEEN)
def test_a_flow_sees_the_mappings_of_its_own_vrf(site, source, server):
    """Through the gateway's own address too, which keeps answers: they are changed for each guest anew."""
    own, address = SEEN[source]
    for name, outside in (("red8.test", "198.18.30.8"), ("blue8.test", "198.18.31.8")):
        assert site.asked("both", name, source, server) == (address if name == own else outside)
