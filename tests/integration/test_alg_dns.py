"""DNS through the ALG: bind9 beyond the gateway, dnsmasq on a guest with a static address, dig on either side.

    guests ~~~ natlock [a0 198.18.20.2 .50] ---- [ia 198.18.20.1] internet [bind9 on 198.18.21.1]
"""
import pathlib, shutil
import pytest
from conftest import Gateway, Namespace, sh, wait_for
from talks import addressed

HOST, STATIC, FAR, BIND = "198.18.20.2", "198.18.20.50", "198.18.20.1", "198.18.21.1"
PLAIN, FIXED, HUB = "192.168.30.10", "192.168.30.50", "192.168.30.1"
KEY = "hmac-sha256:k:c2VjcmV0c2VjcmV0c2VjcmV0"
OUTSIDE_NAME, INSIDE_NAME = "50.20.18.198.in-addr.arpa.", "50.30.168.192.in-addr.arpa."
CONFIG = """
hubs:
  default:
    attach: [{ports}]
    alg: {{dns_v6: true}}
    nat:
      static:
        - {{inside: {fixed}, outside: {static}, ports: [53]}}
"""
NAMED = """
options {{ directory "{folder}"; pid-file none; listen-on {{ {bind}; }}; listen-on-v6 {{ none; }}; recursion no;
  allow-transfer {{ any; }}; allow-update {{ any; }}; session-keyfile none; dnssec-validation no; }};
controls {{ }};
key "k" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "example" {{ type primary; file "example"; }};
zone "20.18.198.in-addr.arpa" {{ type primary; file "reverse"; }};
zone "signed" {{ type primary; file "signed"; dnssec-policy default; inline-signing yes; }};
"""
ZONES = {
    "example": f"""$TTL 600
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
@ NS other
ns A {STATIC}
www A {STATIC}
www A {BIND}
other A {BIND}
six AAAA ::ffff:{STATIC}
svc HTTPS 1 www alpn=h2 ipv4hint={BIND},{STATIC}
$GENERATE 1-20 host$ A {STATIC}
""",
    "signed": f"""$TTL 600
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
ns A {STATIC}
""",
    "reverse": f"""$TTL 600
@ SOA ns hostmaster 1 3600 900 86400 300
@ NS ns
@ NS other
ns A {STATIC}
other A {BIND}
50 PTR www.example.
"""}


class Site:
    def __init__(self, world):
        self.host, self.internet, self.plain, self.fixed = Namespace("dhost"), Namespace("dinet"), Namespace("d0"), Namespace("d1")
        self.resolv = pathlib.Path("/etc/netns") / self.host.name
        self.resolv.mkdir(parents=True)
        (self.resolv / "resolv.conf").write_text(f"nameserver {BIND}\n")
        sh("ip", "link", "add", "a0", "netns", self.host.name, "type", "veth", "peer", "name", "ia", "netns", self.internet.name)
        for where, device, addresses in ((self.host, "a0", (HOST, STATIC)), (self.internet, "ia", (FAR,))):
            for address in addresses:
                where.run("ip", "addr", "add", f"{address}/24", "dev", device)
            where.run("ip", "link", "set", device, "up")
        self.host.run("ip", "route", "add", "default", "via", FAR)
        self.host.run("sysctl", "-qw", "net.ipv4.ip_unprivileged_port_start=53")
        self.internet.run("ip", "addr", "add", f"{BIND}/32", "dev", "lo")
        self.bind9(world.folder / "named")
        ports = ", ".join(f'"netns:{guest.name}"' for guest in (self.plain, self.fixed))
        self.gateway = Gateway(world, "dns-alg", CONFIG.format(ports=ports, fixed=FIXED, static=STATIC), guest=self.plain, where=self.host)
        for guest, address in ((self.plain, PLAIN), (self.fixed, FIXED)):
            addressed(guest, address)
        self.fixed.start("dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts", "--conf-file=/dev/null", f"--listen-address={FIXED}", "--bind-interfaces",
                         f"--host-record=srv.inside.test,{FIXED}", "--user=root", "--pid-file=", "--local-ttl=60")
        for where, server in ((self.internet, BIND), (self.fixed, FIXED)):
            wait_for(lambda where=where, server=server: "status" in dig(where, server, "example"), 5, "the name server")

    def bind9(self, folder):
        folder.mkdir()
        for name, text in ZONES.items():
            (folder / name).write_text(text)
        (folder / "named.conf").write_text(NAMED.format(folder=folder, bind=BIND, secret=KEY.rsplit(":", 1)[1]))
        self.internet.start("named", "-g", "-c", folder / "named.conf", stdout=open(folder / "log", "w"))

    def switch(self, on):
        self.gateway.control("alg", "enable" if on else "disable", "dns")
        wait_for(lambda: [row["enabled"] for row in self.gateway.table("alg", "list") if row["alg"] == "dns"] == [on], 2, "the switch")

    def close(self):
        self.gateway.end()
        for namespace in (self.plain, self.fixed, self.host, self.internet):
            namespace.remove()
        shutil.rmtree(self.resolv, ignore_errors=True)


def dig(where, server, *words):
    return where.run("dig", "+time=2", "+tries=1", "+nocookie", f"@{server}", *words, check=False).stdout


def records(where, server, *words):
    """Of an answer the lines: name, TTL, IN, type, data."""
    text = dig(where, server, "+noall", "+answer", *words)
    assert "mismatch" not in text and ";;" not in text, text
    return sorted(line.split() for line in text.splitlines() if line and not line.startswith(";"))


@pytest.fixture(scope="module")
def site(world):
    site = Site(world)
    yield site
    print(site.gateway.text())
    site.close()


@pytest.fixture
def off(site):
    site.switch(False)
    yield site
    site.switch(True)


SERVERS = {"direct": [BIND], "tcp": [BIND, "+tcp"], "redirect": [HUB], "redirect-tcp": [HUB, "+tcp"]}
CHANGED, UNCHANGED = ["www.example.", "0", "IN", "A", FIXED], ["www.example.", "600", "IN", "A", BIND]


@pytest.mark.parametrize("way", SERVERS)
def test_a_guest_hears_the_inside_address(site, way):
    assert records(site.plain, *SERVERS[way], "www.example") == sorted([CHANGED, UNCHANGED])


@pytest.mark.parametrize("way", SERVERS)
def test_off_it_hears_the_outside_address(off, way):
    assert [row[4] for row in records(off.plain, *SERVERS[way], "www.example")] == sorted([BIND, STATIC])


def test_hints_and_mapped_addresses_too(site):
    assert records(site.plain, BIND, "six.example", "AAAA") == [["six.example.", "0", "IN", "AAAA", f"::ffff:{FIXED}"]]
    assert records(site.plain, BIND, "svc.example", "HTTPS")[0][-1] == f"ipv4hint={BIND},{FIXED}"


@pytest.mark.parametrize("way", SERVERS)
def test_a_reverse_question_is_asked_outside_and_answered_inside(site, way):
    assert records(site.plain, *SERVERS[way], "-x", FIXED) == [[INSIDE_NAME, "0", "IN", "PTR", "www.example."]]


def test_a_reverse_answer_with_all_its_sections(site):
    """bind9 points from the zone's name into the question's: dig must read every name as before."""
    text = dig(site.plain, BIND, "+norec", "+noall", "+comments", "+answer", "+authority", "+additional", "-x", FIXED)
    rows = [line.split() for line in text.splitlines() if line and not line.startswith(";")]
    assert "NOERROR" in text and "mismatch" not in text and "malformed" not in text, text
    zone = OUTSIDE_NAME.partition(".")[2]
    assert sorted(rows) == sorted([[INSIDE_NAME, "0", "IN", "PTR", "www.example."], [zone, "600", "IN", "NS", f"ns.{zone}"], [zone, "600", "IN", "NS", f"other.{zone}"],
                                   [f"ns.{zone}", "0", "IN", "A", FIXED], [f"other.{zone}", "600", "IN", "A", BIND]]), text
    assert records(site.plain, BIND, "-x", STATIC) == [[OUTSIDE_NAME, "600", "IN", "PTR", "www.example."]], "a question that was not exchanged"


def test_off_a_reverse_question_has_no_answer(off):
    assert not records(off.plain, BIND, "-x", FIXED)


def test_a_zone_transfer(site):
    rows = records(site.plain, BIND, "example", "AXFR")
    addresses = [row[4] for row in rows if row[3] == "A"]
    assert addresses.count(FIXED) == 22 and addresses.count(BIND) == 2 and STATIC not in addresses


def test_signed_messages_keep_their_bytes(site):
    """dig verifies; a changed byte would be `Couldn't verify signature`."""
    for words in (["www.example"], ["+tcp", "www.example"], ["example", "AXFR"]):
        text = dig(site.plain, BIND, "-y", KEY, *words)
        assert STATIC in text and FIXED not in text and "NOERROR" in text and "verify" not in text, text


def test_signed_records_stay_for_those_who_ask_for_signatures(site):
    wait_for(lambda: "RRSIG" in dig(site.internet, BIND, "+dnssec", "ns.signed"), 5, "the signatures")
    rows = records(site.plain, BIND, "+dnssec", "ns.signed")
    assert [row[3] for row in rows] == ["A", "RRSIG"] and rows[0][4] == STATIC and rows[0][1] == rows[1][1] == "600", rows
    assert records(site.plain, BIND, "ns.signed") == [["ns.signed.", "0", "IN", "A", FIXED]]


def test_an_update_names_the_outside_address(site):
    """nsupdate in the guest, which knows itself as the inside address only."""
    site.fixed.run("nsupdate", input=f"server {BIND}\nzone example\nupdate add new.example 60 A {FIXED}\nsend\n")
    assert records(site.internet, BIND, "new.example") == [["new.example.", "60", "IN", "A", STATIC]]


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_a_server_inside_tells_the_outside_address(site, transport):
    assert records(site.internet, STATIC, transport, "srv.inside.test") == [["srv.inside.test.", "0", "IN", "A", STATIC]]
    assert records(site.internet, STATIC, transport, "-x", STATIC) == [[OUTSIDE_NAME, "0", "IN", "PTR", "srv.inside.test."]]


def test_off_a_server_inside_tells_the_inside_address(off):
    assert records(off.internet, STATIC, "srv.inside.test")[0][4] == FIXED
    assert not records(off.internet, STATIC, "-x", STATIC)
