"""Addresses in directories: NetMeeting's numbers and dotted text, through natlock in both directions.

    caller .10, directory .50 (nat.static 198.18.1.81) ~~~ natlock ---- internet [slapd on 198.18.2.1]

nat.static says of .51, where nobody is, that it is 198.18.1.82. What is stored is asked on the spot, past the gateway.
"""
import hashlib
import pytest
import sites
from conftest import OUTSIDE, SERVER, wait_for
from directory import BASE, Client, Directory, number
from operator_client import change
from talks import addressed

CALLER, INSIDE, ABSENT, UNKNOWN = "192.168.30.10", "192.168.30.50", "192.168.30.51", "192.168.30.77"
STATIC, ABSENT_STATIC, ELSEWHERE = "198.18.1.81", "198.18.1.82", "192.0.2.9"
PORTS = [389, 1002]


class Site(sites.Site):
    alg, counters = "ldap", ("edits", "violations", "gave_up")

    def __init__(self, world, spawn):
        super().__init__(world)
        self.caller, self.server = spawn.guest("lc"), spawn.guest("ls")
        self.own(world.gateway, "w0", STATIC, ABSENT_STATIC)
        self.gateway = spawn.gateway("ldap", guest=self.caller, config=f"""
hubs:
  default:
    attach: ["netns:{self.caller.name}", "netns:{self.server.name}"]
    nat:
      static:
        - {{inside: {INSIDE}, outside: {STATIC}, ports: {PORTS}}}
        - {{inside: {ABSENT}, outside: {ABSENT_STATIC}}}
""")
        for guest, address in ((self.caller, CALLER), (self.server, INSIDE)):
            addressed(guest, address)
        self.there = Directory(world.internet, SERVER, world.folder / "ldap-there")
        self.here = Directory(self.server, INSIDE, world.folder / "ldap-here")
        self.servers = [self.there, self.here]


site, switched_off = sites.fixtures(Site)


def out(site, port=389, *options):
    """The caller inside at the directory outside."""
    return Client(site.caller, SERVER, port, *options)


def into(site, port=389, *options):
    """Somebody outside at the directory inside."""
    return Client(site.world.internet, STATIC, port, *options)


def person(name, *addresses):
    return (f"cn={name},{BASE}", {"objectClass": "rtPerson", "cn": name, "sipaddress": [number(a) for a in addresses],
                                  "ipAddress": list(addresses), "msTAPI-IpAddress": list(addresses), "comment": list(addresses)})


def addresses(entry):
    """As the entry has them in each of its forms, which say the same."""
    dotted = sorted(entry["msTAPI-IpAddress"])
    assert sorted(entry["ipAddress"]) == dotted and sorted(entry["sipaddress"]) == sorted(map(number, dotted)), entry
    return dotted


@pytest.mark.parametrize("port", PORTS)
def test_a_caller_registers_under_its_outside_address(site, port):
    name = f"caller{port}"
    before = site.stats()
    out(site, port).add([person(name, CALLER, ABSENT, UNKNOWN, ELSEWHERE)])
    stored = site.there()[name]
    assert addresses(stored) == sorted([OUTSIDE, ABSENT_STATIC, UNKNOWN, ELSEWHERE])
    assert sorted(stored["comment"]) == sorted([CALLER, ABSENT, UNKNOWN, ELSEWHERE]), "an attribute that is none of ours"
    after = site.stats()
    assert after["edits"] > before["edits"] and after == {**before, "edits": after["edits"]}


@pytest.mark.parametrize("port", PORTS)
def test_it_finds_itself_and_others_by_filters(site, port):
    name = f"found{port}"
    site_there = Client(site.world.internet, SERVER, 389)
    site_there.add([person(name, OUTSIDE), person(f"mapped{port}", ABSENT_STATIC), person(f"other{port}", ELSEWHERE)])
    client = out(site, port)
    assert addresses(client.search(f"(&(cn={name})(sipaddress={number(CALLER)}))")[name]) == [CALLER]
    assert addresses(client.search(f"(&(cn=mapped{port})(|(ipAddress={ABSENT})(cn=none)))")[f"mapped{port}"]) == [ABSENT]
    assert client.search(f"(&(cn={name})(!(msTAPI-IpAddress={CALLER})))") == {}
    assert addresses(client.search(f"(ipAddress~={ELSEWHERE})")[f"other{port}"]) == [ELSEWHERE]


def test_it_modifies_and_compares(site):
    client, dn = out(site), f"cn=modified,{BASE}"
    client.add([person("modified", ELSEWHERE)])
    client.replace(dn, "msTAPI-IpAddress", CALLER)
    client.replace(dn, "sipaddress", number(CALLER))
    client.replace(dn, "comment", CALLER)
    stored = site.there()["modified"]
    assert stored["msTAPI-IpAddress"] == [OUTSIDE] and stored["sipaddress"] == [number(OUTSIDE)] and stored["comment"] == [CALLER]
    assert client.compare(dn, "msTAPI-IpAddress", CALLER) == "TRUE" and client.compare(dn, "msTAPI-IpAddress", ELSEWHERE) == "FALSE"


def test_without_the_alg_a_directory_outside_learns_inside_addresses(site, switched_off):
    client = out(site, 1002)
    client.add([person("plain", CALLER)])
    assert addresses(site.there()["plain"]) == [CALLER] and client.compare(f"cn=plain,{BASE}", "ipAddress", CALLER) == "TRUE"


@pytest.mark.parametrize("port", PORTS)
def test_a_directory_inside_names_outside_addresses(site, port):
    name = f"inside{port}"
    Client(site.server, INSIDE, 389).add([person(name, INSIDE, ABSENT, UNKNOWN, ELSEWHERE)])
    client = into(site, port)
    entry = client.search(f"(&(cn={name})(sipaddress={number(ABSENT_STATIC)}))")[name]
    assert addresses(entry) == sorted([STATIC, ABSENT_STATIC, UNKNOWN, ELSEWHERE])
    assert sorted(entry["comment"]) == sorted([INSIDE, ABSENT, UNKNOWN, ELSEWHERE])
    assert client.compare(f"cn={name},{BASE}", "ipAddress", STATIC) == "TRUE"


def test_who_registers_inside_from_outside_is_stored_as_inside_knows_it(site):
    client = into(site, 1002)
    client.add([person("visitor", ABSENT_STATIC, ELSEWHERE)])
    client.replace(f"cn=visitor,{BASE}", "comment", ABSENT_STATIC)
    stored = site.here()["visitor"]
    assert addresses(stored) == sorted([ABSENT, ELSEWHERE]) and stored["comment"] == [ABSENT_STATIC]
    assert addresses(client.search("(cn=visitor)")["visitor"]) == sorted([ABSENT_STATIC, ELSEWHERE])


def test_without_the_alg_a_directory_inside_names_inside_addresses(site, switched_off):
    Client(site.server, INSIDE, 389).add([person("bare", INSIDE)])
    assert addresses(into(site).search("(cn=bare)")["bare"]) == [INSIDE]


def test_a_large_answer_is_what_it_was_by_hash(site):
    """Hundreds of entries in one stream, only their addresses differ: put back, the text is the very same."""
    names = [f"many{n:03}" for n in range(300)]
    Client(site.server, INSIDE, 389).add([(f"cn={name},{BASE}", {"objectClass": "rtPerson", "cn": name, "msTAPI-IpAddress": [INSIDE, ELSEWHERE],
                                                               "comment": hashlib.sha256(name.encode()).hexdigest() * 20}) for name in names])
    on_the_spot = Client(site.server, INSIDE, 389).text("(cn=many*)")
    through = into(site).text("(cn=many*)")
    assert on_the_spot.count(INSIDE) == 300 == through.count(STATIC) and INSIDE not in through
    assert hashlib.sha256(through.replace(STATIC, INSIDE).encode()).digest() == hashlib.sha256(on_the_spot.encode()).digest()


def test_starttls_is_left_alone(site):
    before = site.stats()
    client = out(site, 389, "-ZZ")
    client.add([person("secret", CALLER)])
    assert addresses(site.there()["secret"]) == [CALLER]
    assert addresses(client.search("(cn=secret)")["secret"]) == [CALLER]
    assert site.stats() == {**before, "gave_up": before["gave_up"] + 2}, "TLS was looked into"


def test_a_sasl_security_layer_is_left_alone(site):
    """DIGEST-MD5 with encryption: what follows the bind is no LDAP on the wire, and what it says stays as it is."""
    Client(site.world.internet, SERVER, 389).add([(f"cn=alice,{BASE}", {"objectClass": "rtPerson", "cn": "alice", "userPassword": "wonderland", "ipAddress": [OUTSIDE]})])
    sasl = ["-Y", "DIGEST-MD5", "-U", "alice", "-w", "wonderland", "-N", "-Q"]
    client = out(site)
    plain = client.text("(cn=alice)", *sasl, "-O", "maxssf=0", "ipAddress", login=False)
    before = site.stats()
    layered = client.text("(cn=alice)", *sasl, "-O", "minssf=56", "ipAddress", login=False)
    assert f"ipAddress: {CALLER}" in plain, plain
    assert f"ipAddress: {OUTSIDE}" in layered, layered
    assert site.stats() == {**before, "gave_up": before["gave_up"] + 1}


@pytest.fixture
def switched(site):
    """Sets keys of alg.ldap, and puts them back."""
    before = {"mode": "fix", "strict": "false"}
    yield lambda **keys: change(site.gateway, *(("set", f"alg.ldap.{key}", value) for key, value in keys.items()))
    change(site.gateway, *(("set", f"alg.ldap.{key}", value) for key, value in before.items()))


def test_observe_says_what_it_would_change(site, switched):
    switched(mode="observe")
    before = site.stats()
    out(site).add([person("watched", CALLER)])
    assert addresses(site.there()["watched"]) == [CALLER]
    wait_for(lambda: site.stats()["edits"] > before["edits"], 3, "what would have been changed")
    wait_for(lambda: "The ALG ldap would have changed the TCP session" in site.gateway.log(), 3, "the line in the security log")


def http(site, seconds):
    """What becomes of a connection on which HTTP is spoken; slapd waits for more of it."""
    code = f"import socket\nc = socket.create_connection(('{SERVER}', 389), 5)\nc.settimeout({seconds})\nc.sendall(b'POST / HTTP/1.1\\r\\n\\r\\n')\nc.recv(100)"
    return site.caller.run("/usr/bin/python3", "-c", code, check=False).stderr


def test_strict_ends_what_is_not_ldap(site, switched):
    before = site.stats()
    assert "TimeoutError" in http(site, 0.1)
    switched(strict="true")
    assert "ConnectionResetError" in http(site, 5)
    assert site.stats()["violations"] == before["violations"] + 2
    assert out(site).search("(cn=none)") == {}
