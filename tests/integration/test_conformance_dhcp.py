"""DHCP as a server must do it: conformance D1 to D11, by frames from a guest's own interface (docs/conformance-dhcp.md)."""
import os, random, signal, struct, threading, time
import pytest
from conftest import HUB, alive, sh, wait_for
from dhcp_client import (
    ACK, ASKED, CLIENT, Clients, DECLINE, DISCOVER, DNS, DOMAIN, HOST, INFORM, LEASE, MASK, MESSAGE, NAK, OFFER, OVERLOAD, RELAY, RELEASE, REQUEST,
    ROUTER, ROUTES, SEARCH, SERVER, SIZE, T1, T2, WISH, mac)
from packets import BROADCAST, address, ip

CONFIG = """hubs:
  default:
    attach: [{attach}]
    dhcp:
      lease: {lease}
      range: {range}
      {more}
    limits: {{macs_per_port: 4096}}
"""


def config(*guests, lease="600s", range="192.168.30.10-192.168.30.200", more=""):
    return CONFIG.format(attach=", ".join(f'"netns:{g.name}"' for g in guests), lease=lease, range=range, more=more)


@pytest.fixture(scope="module")
def served(spawn):
    """Two guests of one hub, with a reservation."""
    guest, second = spawn.guest("d"), spawn.guest("d2")
    gateway = spawn.gateway("dconf", guest=guest, config=config(
        guest, second, more="reservations: [{name: nt4, mac: \"02:dd:00:00:00:01\", address: 192.168.30.77}]\n      domain: lab.example"))
    for one in (guest, second):
        one.run("ip", "link", "set", "eth0", "up")
    return gateway, second


@pytest.fixture(scope="module")
def gateway(served):
    return served[0]


@pytest.fixture(scope="module")
def clients(gateway):
    one = Clients(gateway.guest)
    yield one
    one.close()


@pytest.fixture(scope="module")
def second(served):
    one = Clients(served[1])
    yield one
    one.close()


def drops(gateway):
    return {row["reason"]: int(row["count"]) for row in gateway.table("drops") if row["process"] == "dhcpd"}


# ---- D1 ----
def test_d1_discover_offer_request_ack(clients):
    """D1 (RFC 2131 3.1, 4.3.1, 4.4.5): mandatory options, T1 < T2 < lease, the same client the same address"""
    offer = clients.discover(mac(1))
    assert offer.kind == OFFER and offer.options[SERVER] == address(HUB) and offer.number(LEASE) == 600
    ack = clients.request(mac(1), offer.yiaddr)
    assert (ack.kind, ack.yiaddr) == (ACK, offer.yiaddr) and ack.options[SERVER] == address(HUB)
    assert 0 < ack.number(T1) < ack.number(T2) < ack.number(LEASE) == 600
    assert clients.discover(mac(1)).yiaddr == offer.yiaddr


def test_d1_only_what_was_asked_comes(clients):
    """D1 (RFC 2131 4.3.1): and the netmask before the router (RFC 2132 3.3)"""
    ack = clients.lease(mac(2), (ASKED, bytes([ROUTER, MASK, 42])))
    assert set(ack.options) == {53, SERVER, LEASE, T1, T2, MASK, ROUTER}
    assert ack.order.index(MASK) < ack.order.index(ROUTER)
    assert ack.options[ROUTER] == address(HUB) and ack.options[MASK] == address("255.255.255.0")
    ack = clients.lease(mac(2), (ASKED, bytes([DNS, DOMAIN, SEARCH, ROUTES])))
    assert ack.options[DNS] == address(HUB) and ack.options[DOMAIN] == b"lab.example" and ack.options[SEARCH] == b"\3lab\7example\0"
    assert not {MASK, ROUTER, ROUTES} & set(ack.options)


# ---- D2 ----
def test_d2_outstanding_offers_differ(clients):
    """D2 (RFC 2131 4.3.1): forty clients ask at once"""
    asked = {clients.send(mac(i, 0xD2), clients.message(mac(i, 0xD2), DISCOVER)): i for i in range(40)}
    clients.others.clear()
    clients.wait(b"none", 0.5)
    offers = {a.xid: a.yiaddr for a in clients.others if a.xid in asked and a.kind == OFFER}
    assert len(offers) == len(set(offers.values())) == 40


# ---- D3 ----
def test_d3_init_reboot_right_wrong_and_foreign(clients):
    """D3 (RFC 2131 4.3.2): a NAK is broadcast; of whom we know nothing we say nothing"""
    own = clients.lease(mac(30)).yiaddr
    other = clients.lease(mac(31)).yiaddr
    time.sleep(1.1)  # an ACK is repeated within a second
    assert clients.request(mac(30), own, server=None).kind == ACK
    for wrong in (other, "10.9.9.9", "192.168.30.250"):
        nak = clients.request(mac(30), wrong, server=None, flags=0)
        assert (nak.kind, nak.to, nak.to_mac, nak.yiaddr) == (NAK, "255.255.255.255", BROADCAST, "0.0.0.0"), wrong
        assert LEASE not in nak.options and nak.options[MESSAGE]
    assert clients.request(mac(39), "192.168.30.190", server=None, seconds=0.4) is None


def test_d3_renew_unicast_and_rebind_by_broadcast(clients):
    """D3 (RFC 2131 4.3.2, 4.1): the answer goes to ciaddr"""
    ack = clients.lease(mac(32))
    own = ack.yiaddr
    time.sleep(1.1)
    for target, to in ((HUB, ack.from_mac), ("255.255.255.255", BROADCAST)):
        renewed = clients.renew(mac(32), own, target=target, to=to, flags=0)
        assert (renewed.kind, renewed.yiaddr, renewed.ciaddr, renewed.to, renewed.to_mac) == (ACK, own, own, own, mac(32)) and renewed.number(LEASE) == 600
    assert clients.renew(mac(33), own).kind == NAK, "another station"


# ---- D4 ----
def test_d4_a_request_for_another_server_is_met_with_silence(clients):
    """D4a (RFC 2131 4.3.2): and what we offered is free again"""
    offered = clients.discover(mac(40)).yiaddr
    assert clients.request(mac(40), offered, server="192.168.30.2", seconds=0.4) is None
    assert clients.discover(mac(41), (WISH, address(offered))).yiaddr == offered


def test_d4_addresses_that_nobody_may_have(clients):
    """D4b-e (RFC 2131 4.3.1): the server's, the broadcast, a foreign and a leased one"""
    leased = clients.lease(mac(42)).yiaddr
    for wish in (HUB, "192.168.30.255", "192.168.30.0", "10.1.1.1", leased, "192.168.30.77"):
        assert clients.request(mac(43), wish).kind == NAK, wish
        assert clients.discover(mac(43), (WISH, address(wish))).yiaddr != wish


def test_d4_a_free_wish_is_granted(clients):
    """D4f (RFC 2131 4.3.1)"""
    offer = clients.discover(mac(45), (WISH, address("192.168.30.182")))
    assert offer.yiaddr == "192.168.30.182" and clients.request(mac(45), offer.yiaddr).kind == ACK


# ---- D5 ----
def test_d5_a_declined_address_is_quarantined(clients, gateway):
    """D5 (RFC 2131 4.3.3)"""
    bad = clients.lease(mac(50)).yiaddr
    clients.say(mac(50), DECLINE, bad)
    wait_for(lambda: [r for r in gateway.table("dhcp", "table") if r["address"].startswith(bad) and r["state"] == "declined"], 2, "the quarantine")
    assert clients.discover(mac(50), (WISH, address(bad))).yiaddr != bad
    assert clients.discover(mac(51), (WISH, address(bad))).yiaddr != bad


def test_d5_nobody_releases_or_declines_for_another(clients):
    """D5 (RFC 2131 4.3.4)"""
    own = clients.lease(mac(52)).yiaddr
    for kind in (RELEASE, DECLINE):
        clients.say(mac(53), kind, own)
    assert clients.discover(mac(54), (WISH, address(own))).yiaddr != own
    time.sleep(1.1)
    assert clients.renew(mac(52), own).kind == ACK


def test_d5_a_release_frees(clients):
    """D5 (RFC 2131 4.3.4): for its client first, then for anyone"""
    own = clients.lease(mac(55)).yiaddr
    clients.say(mac(55), RELEASE, own)
    assert clients.lease(mac(55)).yiaddr == own
    clients.say(mac(55), RELEASE, own)
    assert clients.discover(mac(56), (WISH, address(own))).yiaddr == own


# ---- D6 ----
def test_d6_inform(clients):
    """D6 (RFC 2131 4.3.5): no yiaddr, no lease time, unicast"""
    answer = clients.ask(mac(60), INFORM, ciaddr="192.168.30.240", source="192.168.30.240")
    assert (answer.kind, answer.yiaddr, answer.to, answer.to_mac) == (ACK, "0.0.0.0", "192.168.30.240", mac(60))
    assert not {LEASE, T1, T2} & set(answer.options) and answer.options[DNS] == address(HUB)


# ---- D7 ----
def test_d7_broadcast_flag_or_unicast_without_arp(clients):
    """D7a, D7b (RFC 2131 4.1)"""
    clients.arps.clear()
    offer = clients.discover(mac(70), flags=0x8000)
    assert (offer.to, offer.to_mac, offer.flags) == ("255.255.255.255", BROADCAST, 0x8000)
    offer = clients.discover(mac(70), flags=0)
    assert (offer.to, offer.to_mac) == (offer.yiaddr, mac(70))
    assert not [a for a in clients.arps if a[38:42] == address(offer.yiaddr)]


def test_d7_a_client_id_is_echoed_and_names_the_client(clients):
    """D7d, D7e (RFC 6842 3, RFC 4361 6.1): one MAC with two ids is two clients; an id that comes back with a new MAC has its address"""
    one, two = (CLIENT, b"\xff\0\0\0\1first"), (CLIENT, b"\xff\0\0\0\1second")
    first, other = clients.lease(mac(71), one), clients.lease(mac(71), two)
    assert first.options[CLIENT] == one[1] and other.options[CLIENT] == two[1] and first.yiaddr != other.yiaddr
    clients.ask(mac(71), RELEASE, [(SERVER, address(HUB)), one], ciaddr=first.yiaddr, seconds=0.1)
    assert clients.lease(mac(72), one).yiaddr == first.yiaddr


def test_d7_the_relays_option_comes_back_last(clients):
    """D7f (RFC 3046 2.2)"""
    offer = clients.discover(mac(73), (RELAY, b"\1\3abc"), giaddr="192.168.30.9", source="192.168.30.9")
    assert offer.options[RELAY] == b"\1\3abc" and offer.order[-1] == RELAY and (offer.to, offer.port, offer.giaddr) == ("192.168.30.9", 67, "192.168.30.9")


def test_d7_overloaded_and_split_options_are_read(clients):
    """D7g, D7h (RFC 2132 9.3, RFC 3396 5): a client id in two pieces, one of them in `file`; the wish in `sname`"""
    wish = bytes([WISH, 4]) + address("192.168.30.171") + b"\xff"
    piece = bytes([CLIENT, 3]) + b"def" + b"\xff"
    offer = clients.discover(mac(74), (CLIENT, b"\0abc"), (OVERLOAD, b"\3"), file=piece, sname=wish)
    assert offer.options[CLIENT] == b"\0abcdef" and offer.yiaddr == "192.168.30.171"


def test_d7_answers_keep_to_the_clients_size(clients):
    """D7i (RFC 2131 2, RFC 2132 9.10): 576 bytes unless it takes more; then options overflow into `file` and `sname`"""
    big = (CLIENT, b"\0" + b"i" * 170), (RELAY, b"\1\x50" + b"r" * 80)
    small = clients.discover(mac(75), *big)
    assert small.bytes <= 576 and small.overload and small.options[DOMAIN] == b"lab.example" and small.options[RELAY] == big[1][1]
    large = clients.discover(mac(75), *big, (SIZE, struct.pack(">H", 1400)))
    assert large.bytes > 576 and not large.overload and large.options[DOMAIN] == b"lab.example"


def test_d7_odd_lengths_that_only_inform_do_no_harm(clients):
    """D7j: an empty host name, a size of one byte, a client id of one"""
    for option in ((HOST, b""), (SIZE, b"\5"), (CLIENT, b"\1"), (ASKED, b"")):
        assert clients.discover(mac(76), option).kind == OFFER, option


# ---- D8 ----
def malformed(c):
    """Seventeen ways; each a DHCP message that is not to be answered."""
    m = mac(80)
    good = c.message(m, DISCOVER)
    yield good[:100]
    yield good[:239]
    yield good[:236] + b"\0\0\0\0" + good[240:]
    yield b"\2" + good[1:]
    yield b"\7" + good[1:]
    yield good[:1] + b"\6" + good[2:]
    yield good[:2] + b"\0" + good[3:]
    yield good[:2] + b"\x10" + good[3:]
    yield good[:240] + b"\xff"
    yield c.message(m, DISCOVER, [(53, b"\1")])
    yield good[:240] + b"\x35\xff\1"
    yield good[:240] + b"\x35\1\1\x32\xc8abc"
    yield c.message(m, DISCOVER, [(WISH, b"abc")])
    yield c.message(m, DISCOVER, [(SERVER, b"abcde")])
    yield c.message(m, DISCOVER, [(OVERLOAD, b"\7")])
    yield c.message(m, 0)
    yield c.message(m, 99)


def test_d8_malformed_and_mutated_messages_then_a_lease(clients, gateway):
    """D8: seventeen malformed and 3,000 mutated messages; the same process still gives leases"""
    dhcpd = gateway.processes()["dhcpd"]
    for body in malformed(clients):
        assert clients.wait(clients.send(mac(80), body), 0.02) is None
    before, chance = drops(gateway), random.Random(8)
    assert before["DHCP_BAD"] >= 17
    good = bytearray(clients.message(mac(81), REQUEST, [(WISH, address("192.168.30.99")), (CLIENT, b"\1abcdef"), (ASKED, b"\1\3\6"), (OVERLOAD, b"\1")]))
    for i in range(3000):
        bent = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            bent[chance.randrange(len(bent))] = chance.getrandbits(8)
        clients.send(mac(81), bytes(bent[: chance.randrange(200, len(bent) + 1)]))
        if i % 64 == 0:
            time.sleep(0.004)
    wait_for(lambda: clients.lease(mac(82)), 5, "a lease")
    after = gateway.processes()["dhcpd"]
    assert (after["pid"], after["restarts"]) == (dhcpd["pid"], dhcpd["restarts"])


# ---- D9 ----
def test_d9_invented_hardware_addresses_take_nothing(clients, gateway):
    """D9: one station with 400 invented chaddrs: each is ignored and counted; a new honest client is served, an old lease renews"""
    old = clients.lease(mac(90)).yiaddr
    before, leased = drops(gateway).get("DHCP_SPOOF", 0), len(gateway.table("dhcp", "table"))
    for i in range(400):
        clients.send(mac(91), clients.message(mac(91), DISCOVER, chaddr=mac(i, 0xEE)))
    assert clients.lease(mac(92)).kind == ACK
    assert drops(gateway)["DHCP_SPOOF"] == before + 400
    assert len(gateway.table("dhcp", "table")) == leased + 1
    time.sleep(1.1)
    assert clients.renew(mac(90), old).kind == ACK


def test_d9_invented_stations_leave_room_for_others(spawn):
    """D9: 400 stations, as far as the switch learns them, with four client ids each: the port has its quota, offers are reclaimed, another port is served"""
    guest, honest = spawn.guest("crowd9"), spawn.guest("honest9")
    gateway = spawn.gateway("starve", guest=guest, config=config(guest, honest, range="192.168.30.10-192.168.30.109").replace("4096", "32"))
    for one in (guest, honest):
        one.run("ip", "link", "set", "eth0", "up")
    crowd, other = Clients(guest), Clients(honest)
    old = other.lease(mac(1)).yiaddr
    got = set()
    for i in range(400):
        for name in range(4):
            crowd.send(mac(i, 0xEE), crowd.message(mac(i, 0xEE), DISCOVER, [(CLIENT, b"\0x" + bytes([name]))]))
    crowd.wait(b"none", 0.3)
    for offer in [a for a in crowd.others if a.kind == OFFER]:
        ack = crowd.request(offer.frame[70:76], offer.yiaddr, (CLIENT, offer.options[CLIENT]), seconds=0.2)
        got |= {ack.yiaddr} if ack and ack.kind == ACK else set()
    assert 0 < len(got) <= 64
    for i in range(300, 310):
        assert other.lease(mac(i)).kind == ACK
    time.sleep(1.1)
    assert other.renew(mac(1), old).kind == ACK
    counted = drops(gateway)
    assert counted.get("DHCP_RATE", 0) + counted.get("DHCP_QUOTA", 0) > 0
    for one in (crowd, other):
        one.close()


# ---- D10 ----
def test_d10_leases_survive_kill_9_in_a_storm(spawn):
    """D10: kill -9 of the whole gateway while leases are given: each that was acknowledged is there afterwards, none given twice, half a line at the journal's end hurts nothing"""
    guest = spawn.guest("d10")
    gateway = spawn.gateway("storm", guest=guest, config=config(guest, range="192.168.30.10-192.168.30.250"))
    guest.run("ip", "link", "set", "eth0", "up")
    clients, had = Clients(guest), {}
    supervisor = gateway.processes()["supervisor"]["pid"]
    pids = [row["pid"] for row in gateway.processes().values()]

    def strike():
        wait_for(lambda: len(had) >= 20, 10, "the storm")
        os.kill(supervisor, signal.SIGKILL)
    blow = threading.Thread(target=strike)
    blow.start()
    for i in range(200):
        try:
            ack = clients.lease(mac(i), seconds=0.3)
        except OSError:
            break
        if not ack:
            break
        had[mac(i)] = ack.yiaddr
    blow.join()
    clients.close()
    gateway.process.wait(5)
    wait_for(lambda: not [p for p in pids if alive(p)], 5, "the workers' end")
    assert 20 <= len(had) < 200 and len(set(had.values())) == len(had)
    journal = next((gateway.folder / "state").glob("leases-*"))
    with open(journal, "ab") as file:
        file.write(b"L1 0123456789abcdef 0a1e")
    gateway.start()
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    table = {r["mac"]: r["address"].split(":")[0] for r in gateway.table("dhcp", "table") if r["state"] == "leased"}
    for station, own in had.items():
        assert table[station.hex(":")] == own
    new = [clients.lease(mac(i, 0xDE), seconds=3).yiaddr for i in range(20)]
    assert not set(new) & set(had.values()) and len(set(new)) == 20
    for station, own in list(had.items())[:5]:
        assert clients.request(station, own, server=None).yiaddr == own
    clients.close()


def fill(clients, group, most):
    """Leases until there is no answer; what was given."""
    had = {}
    for i in range(most):
        ack = clients.lease(mac(i, group), seconds=0.4)
        if not ack:
            break
        had[mac(i, group)] = ack.yiaddr
    return had


@pytest.fixture
def small_disk(world):
    folder = world.folder / "small"
    folder.mkdir()
    sh("mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", folder)
    yield folder
    sh("umount", "-l", folder)


def test_d10_a_full_disk_promises_nothing_and_heals(spawn, small_disk):
    """D10: no ACK that is not on disk; who has a lease is told what is left of it; the operator is told, and again when it is over; nothing acknowledged is lost"""
    guest = spawn.guest("full")
    gateway = spawn.gateway("full", guest=guest, config=config(guest), environment={"STATE_DIRECTORY": str(small_disk)})
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    first = clients.lease(mac(0, 0xF0)).yiaddr
    try:
        with open(small_disk / "filler", "wb", buffering=0) as filler:
            while filler.write(bytes(4096)):
                pass
    except OSError:
        pass
    had = fill(clients, 0xF1, 100)
    assert len(had) < 60, "the journal's last block takes some"
    assert "No space left on device. Make room on that disk" in gateway.text()
    assert "cannot be stored" in gateway.control("status").stdout
    time.sleep(1.1)
    left = clients.renew(mac(0, 0xF0), first)
    assert left.kind == ACK and left.yiaddr == first and 500 < left.number(LEASE) < 600
    (small_disk / "filler").unlink()
    more = fill(clients, 0xF2, 10)
    assert len(more) == 10 and not set(more.values()) & set(had.values())
    assert "leases are stored again in" in gateway.text()
    os.kill(gateway.processes()["supervisor"]["pid"], signal.SIGKILL)
    gateway.process.wait(5)
    clients.close()
    gateway.start()
    table = {r["mac"]: r["address"].split(":")[0] for r in gateway.table("dhcp", "table") if r["state"] == "leased"}
    assert table == {station.hex(":"): own for station, own in {**had, **more, mac(0, 0xF0): first}.items()}
    gateway.stop()


def test_d10_a_limit_of_file_size_is_an_error_not_the_end(spawn):
    """D10: RLIMIT_FSIZE"""
    guest = spawn.guest("fsize")
    gateway = spawn.gateway("fsize", guest=guest, config=config(guest) + "log: {file: none}\n")
    sh("prlimit", "--pid", gateway.processes()["supervisor"]["pid"], "--fsize=2000")
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    had = fill(clients, 0xF3, 60)
    assert 5 < len(had) < 40 and "File too large" in gateway.control("status").stdout
    assert clients.request(next(iter(had)), had[next(iter(had))], server=None).kind == ACK, "who has one keeps it"
    clients.close()


def test_d10_a_journal_that_cannot_be_opened_is_told_with_its_cause(spawn, world):
    """D10: no lease is given that would not be kept; once the cause is gone leases are given, without a restart"""
    guest, state = spawn.guest("taken"), world.folder / "state-taken"
    taken = state / "leases-default"
    taken.mkdir(parents=True)
    gateway = spawn.gateway("taken", guest=guest, config=config(guest), environment={"STATE_DIRECTORY": str(state)})
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    assert "Is a directory" in gateway.text() and "Take away" in gateway.text() and "cannot be stored" in gateway.control("status").stdout
    assert clients.lease(mac(1), seconds=0.3) is None
    taken.rmdir()
    assert clients.lease(mac(1)).kind == ACK
    assert "leases are stored again" in gateway.control("status").stdout
    clients.close()


# ---- D11 ----
def test_d11_a_hundred_exchanges_all_served(clients):
    """D11: as fast as they go; every one has an address of its own"""
    got = [clients.lease(mac(i, 0xDB)) for i in range(60)]
    assert all(a and a.kind == ACK for a in got) and len({a.yiaddr for a in got}) == 60
    for i, ack in enumerate(got):
        clients.say(mac(i, 0xDB), RELEASE, ack.yiaddr)
    again = [clients.lease(mac(i, 0xDC)) for i in range(40)]
    assert all(a and a.kind == ACK for a in again) and len({a.yiaddr for a in again}) == 40
    for i, ack in enumerate(again):
        clients.say(mac(i, 0xDC), RELEASE, ack.yiaddr)


def test_d11_perfdhcp_at_fifty_a_second_loses_none(gateway):
    """D11: Kea's own load generator, which speaks as a relay; a hundred clients"""
    guest = gateway.guest
    guest.run("ip", "addr", "add", "192.168.30.250/24", "dev", "eth0")
    run = guest.run("perfdhcp", "-4", "-l", "eth0", "-r", "50", "-R", "60", "-p", "3", "-W", "500000", HUB, check=False, env=dict(os.environ, PATH="/usr/sbin:/usr/bin:/sbin:/bin"))
    guest.run("ip", "addr", "flush", "dev", "eth0")
    drops_ = [int(line.split(":")[1].split()[0]) for line in run.stdout.splitlines() if line.startswith("drops:")]
    received = [int(line.split(":")[1]) for line in run.stdout.splitlines() if line.startswith("received packets:")]
    assert drops_ == [0, 0] and min(received) >= 140, run.stdout + run.stderr


# ---- beyond the rows ----
def test_a_reservation_is_kept_for_its_station(clients):
    """seed 3.7.5 and reservations: the address, and the name if it is asked for"""
    ack = clients.lease(bytes.fromhex("02dd00000001"), (ASKED, bytes([HOST])))
    assert ack.yiaddr == "192.168.30.77" and ack.options[HOST] == b"nt4"


def test_a_client_that_gets_another_address_takes_its_name_along_and_the_old_lease_is_over(spawn):
    """a reservation made at run time: the name leads to the new address at once, and so it is after kill -9"""
    guest, m = spawn.guest("moved"), mac(1, 0xE0)
    gateway = spawn.gateway("moved", guest=guest, config=config(guest, more="domain: lab.example"))
    guest.run("ip", "link", "set", "eth0", "up")
    guest.run("ip", "addr", "add", "192.168.30.240/24", "dev", "eth0")
    clients = Clients(guest)
    named = lambda: guest.run("dig", "+short", "+time=2", "+tries=1", f"@{HUB}", "web.lab.example", check=False).stdout.strip()
    leased = lambda: [row["address"] for row in gateway.table("dhcp", "table") if row["mac"] == m.hex(":") and row["state"] == "leased"]
    first = clients.lease(m, (HOST, b"web")).yiaddr
    assert named() == first
    gateway.control("dhcp", "reserve", "add", m.hex(":"), "192.168.30.150")
    time.sleep(1.1)
    assert clients.renew(m, first).kind == NAK
    assert clients.lease(m, (HOST, b"web")).yiaddr == "192.168.30.150" and named() == "192.168.30.150"
    assert f"was released. MAC address: {m.hex('-').upper()}, IP address: {first}" in gateway.log()
    gateway.control("dhcp", "reserve", "del", m.hex(":"))
    os.kill(gateway.processes()["supervisor"]["pid"], signal.SIGKILL)
    gateway.process.wait(5)
    clients.close()
    gateway.start()
    assert leased() == ["192.168.30.150"]


def test_what_a_guest_says_as_a_server_reaches_nobody_and_stops_its_own_port_only(served, clients, second):
    """seed 3.7.6: the note names the port; the other port is served as before"""
    gateway, other = served
    m = mac(1, 0x5E)
    asked = second.message(mac(2, 0x5E), DISCOVER)
    rogue = b"\2" + asked[1:240] + bytes([53, 1, OFFER, SERVER, 4]) + address("192.168.30.66") + b"\xff"
    clients.others.clear()
    second.socket.send(BROADCAST + m + b"\x08\0" + ip("192.168.30.66", "255.255.255.255", 17, struct.pack(">HHHH", 67, 68, 8 + len(rogue), 0) + rogue))
    wait_for(lambda: "another DHCP server 192.168.30.66 answers on" in gateway.text(), 2, "the note")
    assert f"answers on netns:{other.name}. Not serving DHCP there." in gateway.text()
    assert second.discover(mac(3, 0x5E), seconds=0.3) is None
    assert clients.discover(mac(4, 0x5E)).kind == OFFER
    assert not [a for a in clients.others if a.options.get(SERVER) == address("192.168.30.66")]


@pytest.fixture(scope="module")
def lan(world, spawn):
    """A LAN with a real DHCP server and a client, and what plugs it into a hub: makes veth pairs into it."""
    lan = spawn.guest("lan")
    lan.run("ip", "link", "add", "br0", "type", "bridge")
    lan.run("ip", "addr", "add", "192.168.30.2/24", "dev", "br0")
    lan.run("ip", "link", "set", "br0", "up")
    lan.run("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1")
    lan.run("ip", "link", "set", "c1", "master", "br0", "up")
    lan.run("ip", "link", "set", "c0", "up")
    lan.start("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=br0", "--bind-interfaces", "--no-ping", "--user=root", "--pid-file=",
              "--dhcp-range=192.168.30.100,192.168.30.150,1h", "--dhcp-authoritative", f"--dhcp-leasefile={world.folder}/lan.leases")

    def plug(name):
        sh("ip", "link", "add", name, "netns", world.gateway.name, "type", "veth", "peer", "name", f"{name}b", "netns", lan.name)
        world.gateway.run("ip", "link", "set", name, "up")
        lan.run("ip", "link", "set", f"{name}b", "master", "br0", "up")
        return f"veth:{name}"

    return lan, plug


def test_another_server_on_a_lan_is_found_and_not_competed_with(spawn, lan):
    """seed 3.7.6: dnsmasq behind a port; that LAN is left to it, other guests of the hub are served"""
    there, plug = lan
    guest = spawn.guest("beside")
    gateway = spawn.gateway("rival", guest=guest, config=config(guest))
    guest.run("ip", "link", "set", "eth0", "up")
    gateway.attach(plug("plug0"))
    wait_for(lambda: "another DHCP server 192.168.30.2 answers on veth:plug0. Not serving DHCP there." in gateway.text(), 3, "the note")
    assert "SecureNAT: Another DHCP server answers on veth:plug0. MAC address: " in gateway.log()
    inside_lan, beside = Clients(there, "c0"), Clients(guest)
    offers = [inside_lan.discover(mac(i, 0x1A), seconds=0.5) for i in range(3)]
    inside_lan.wait(b"none", 0.3)
    assert {o.options[SERVER] for o in [*offers, *inside_lan.others]} == {address("192.168.30.2")}
    assert beside.lease(mac(9, 0x1A)).options[SERVER] == address(HUB)
    assert drops(gateway)["DHCP_RIVAL"] >= 3
    for one in (inside_lan, beside):
        one.close()
    gateway.stop()


def test_a_bridged_lan_is_not_served_before_its_server_had_time_to_answer(world, spawn):
    """seed 3.7.6: `bridge:`, and a dnsmasq that pings each address for three seconds before it offers it"""
    there = spawn.guest("slow")
    world.gateway.run("ip", "link", "add", "slow0", "type", "bridge")
    sh("ip", "link", "add", "s0", "netns", there.name, "type", "veth", "peer", "name", "s1", "netns", world.gateway.name)
    world.gateway.run("ip", "link", "set", "s1", "master", "slow0", "up")
    world.gateway.run("ip", "link", "set", "slow0", "up")
    there.run("ip", "link", "add", "br0", "type", "bridge")
    there.run("ip", "addr", "add", "192.168.30.2/24", "dev", "br0")
    there.run("ip", "link", "add", "c0", "type", "veth", "peer", "name", "c1")
    for name in ("s0", "c1"):
        there.run("ip", "link", "set", name, "master", "br0", "up")
    for name in ("br0", "c0"):
        there.run("ip", "link", "set", name, "up")
    there.start("dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=br0", "--bind-interfaces", "--user=root", "--pid-file=",
                "--dhcp-range=192.168.30.100,192.168.30.150,1h", "--dhcp-authoritative", f"--dhcp-leasefile={world.folder}/slow.leases")
    gateway, client = spawn.gateway("slow", config='hubs:\n  default:\n    attach: ["bridge:slow0"]\n'), Clients(there, "c0")
    heard = [client.discover(mac(1, 0x1C), seconds=0.5) for _ in range(10)]
    assert {o.options[SERVER] for o in [*filter(None, heard), *client.others]} == {address("192.168.30.2")}
    assert "another DHCP server 192.168.30.2 answers on bridge:slow0. Not serving DHCP there." in gateway.text()
    client.close()
    gateway.stop()


def test_force_serves_although_another_server_answers(spawn, lan):
    """seed 3.7.6: dhcp.force"""
    there, plug = lan
    guest = spawn.guest("forced")
    gateway = spawn.gateway("force", guest=guest, config=config(guest, more="force: true"))
    gateway.attach(plug("plug1"))
    inside_lan = Clients(there, "c0")
    for station in (mac(1, 0x1B), mac(2, 0x1B)):
        inside_lan.send(station, inside_lan.message(station, DISCOVER))
        inside_lan.wait(b"none")  # whoever answers first
    assert address(HUB) in {o.options[SERVER] for o in inside_lan.others}
    assert "another DHCP server" not in gateway.text()
    inside_lan.close()
    gateway.stop()


def test_every_setting_that_clients_are_told(spawn):
    """seed 3.7.5: none for gateway and DNS; two DNS servers; routes (RFC 3442) with and without a router"""
    asked = (ASKED, bytes([MASK, ROUTER, DNS, DOMAIN, SEARCH, ROUTES, 249]))
    guest = spawn.guest("none")
    gateway = spawn.gateway("none", guest=guest, config=config(guest, more="gateway: none\n      dns: []\n      domain: none"))
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    ack = clients.lease(mac(1), asked)
    assert set(ack.options) == {53, SERVER, LEASE, T1, T2, MASK}
    clients.close()
    gateway.stop()
    guest = spawn.guest("all")
    gateway = spawn.gateway("all", guest=guest, config=config(guest, lease="90s", more="gateway: 192.168.30.7\n      dns: [192.168.30.1, 9.9.9.9]\n"
                            "      domain: a.example\n      push_routes: [{to: 10.0.0.0/8, via: 192.168.30.2}]"))
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    ack = clients.lease(mac(1), asked)
    routes = bytes([8, 10]) + address("192.168.30.2") + b"\0" + address("192.168.30.7")
    assert ack.options[ROUTER] == address("192.168.30.7") and ack.options[DNS] == address("192.168.30.1") + address("9.9.9.9")
    assert ack.options[ROUTES] == ack.options[249] == routes and ack.options[DOMAIN] == b"a.example" and ack.number(LEASE) == 90
    clients.close()
    gateway.stop()


def test_the_domain_follows_this_computers_resolv_conf(spawn, world):
    """Seed 3.7.5: the host's own domain by default; clients and local names hear of another within a second"""
    guest, resolv = spawn.guest("resolv"), world.resolv / "resolv.conf"
    gateway, before = spawn.gateway("resolv", guest=guest, config=config(guest)), resolv.read_text()
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    try:
        for domain in ("one.example", "two.example"):
            resolv.write_text(f"{before}search {domain}\n")
            wait_for(lambda: clients.discover(mac(1)).options.get(15) == domain.encode(), 1.5, domain)
        own = clients.lease(mac(1)).yiaddr
        guest.run("ip", "addr", "add", f"{own}/24", "dev", "eth0")
        asked = guest.run("dig", "+short", "+time=1", "+tries=1", f"@{HUB}", "gateway.two.example").stdout
        assert asked == f"{HUB}\n" and gateway.processes()["natproxy"]["restarts"] == 0
    finally:
        resolv.write_text(before)
        clients.close()


def test_a_folder_that_is_closed_while_it_runs_is_told_and_heals(spawn, world):
    """no lease is given that would not be kept; at the start such a folder is refused (test_changes.py)"""
    guest, folder = spawn.guest("shut"), world.folder / "state-shut"
    (folder / "state").mkdir(parents=True)
    gateway = spawn.gateway("shut", guest=guest, config=config(guest), environment={"STATE_DIRECTORY": str(folder / "state")})
    gateway.control("dhcp", "set", "persist=false")
    folder.chmod(0o700)
    gateway.control("dhcp", "set", "persist=true")
    guest.run("ip", "link", "set", "eth0", "up")
    clients = Clients(guest)
    assert "Permission denied" in gateway.text() and "may enter and write" in gateway.text() and "cannot be stored" in gateway.control("status").stdout
    assert clients.lease(mac(1), seconds=0.3) is None
    folder.chmod(0o755)
    assert clients.lease(mac(1)).kind == ACK
    assert "leases are stored again" in gateway.control("status").stdout
    clients.close()


def test_what_the_log_says_of_leases(clients, gateway):
    """seed 3.7.8: the line of a lease as it is there; renewed, released, declined and refused in the same voice"""
    m, dashed = mac(0x4E54, 0x85), "02-85-00-00-4E-54"
    own = clients.lease(m, (HOST, b"NT4")).yiaddr
    other = clients.discover(mac(0x4E55, 0x85)).yiaddr
    time.sleep(1.1)
    clients.renew(m, own)
    clients.request(m, "10.1.1.1", server=None)
    clients.say(m, RELEASE, own)
    wait_for(lambda: f"was released. MAC address: {dashed}" in gateway.log(), 2, "the lines")
    lines = [line.split(" ", 2)[2] for line in gateway.log().splitlines() if dashed in line]
    entry = lines[0].split()[4]
    about = f"MAC address: {dashed}, IP address: {own}, host name: NT4"
    assert lines == [f"SecureNAT: The DHCP entry {entry} was created. {about}, expiration date: 600 seconds",
                     f"SecureNAT: The DHCP entry {entry} was renewed. {about}, expiration date: 600 seconds",
                     f"SecureNAT: A DHCP request was refused. MAC address: {dashed}, IP address: 10.1.1.1, host name: , reason: the address is not in the range",
                     f"SecureNAT: The DHCP entry {entry} was released. {about}"]
    assert other != own
