"""SCCP through the ALG, between a telephone and a manager of our own (skinny_peer.py) that use every address which they are told.

    guest .10 and .11, and .50 (nat.static 198.18.1.91) ~~~ natlock ---- internet [manager 198.18.2.51, somebody else's telephone 198.18.2.52]

The host holds the numbers of all ports of the guests, so that none keeps its own: what arrives was named by a rewritten message.
"""
import struct
import pytest, sites
from conftest import OUTSIDE, SERVER2, sh, wait_for
from h323_peer import Ports
from operator_client import change
from packets import TCP, ip, tcp
from skinny_peer import AUDIO, FAILED, MSS, TYPED, VIDEO, Line, Pair, arrive, manager_at, words
from talks import addressed

GUEST, OTHER, SERVER, STATIC, THERE, FAR = "192.168.30.10", "192.168.30.11", "192.168.30.50", "198.18.1.91", "198.18.2.51", "198.18.2.52"
HOW = [(11, 0), (17, 0), (17, 17), (22, 17), (22, 22)]  # protocol version, and what headers say of it
KINDS = {"audio": AUDIO, "video": VIDEO}


class Site(sites.Site):
    alg = "skinny"

    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest, self.journal = spawn.guest("skinny"), []
        self.own(world.gateway, "w0", STATIC)
        self.own(world.internet, "lo", THERE, FAR)
        self.ports = Ports(world.gateway, (OUTSIDE, STATIC), 20000)
        self.gateway = spawn.gateway("alg-skinny", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}"]
    nat: {{static: [{{inside: {SERVER}, outside: {STATIC}, ports: [2000]}}]}}
    alg: {{skinny: {{ports: [2000, 2500]}}}}
""")
        addressed(self.guest, GUEST, OTHER, SERVER)

    def doors(self):
        return self.gateway.table("alg", "expectations")

    def calls(self):
        return [row for row in self.gateway.table("alg", "calls") if row["alg"] == "skinny"]


site, switched_off = sites.fixtures(Site)


class Stage(sites.Stage):
    def __init__(self, site):
        super().__init__(site)
        self.next = 40000

    def inside(self, address=GUEST):
        return self.keep(Pair(self.site.guest, address, self.site.ports.pair()))

    def outside(self, address=FAR):
        self.next += 2
        return self.keep(Pair(self.site.world.internet, address, self.next))

    def line(self, phone=GUEST, port=2000, **how):
        """To a manager outside."""
        with manager_at(self.site.world.internet, THERE, port, how.get("mss")) as manager:
            return self.keep(Line((self.site.guest, phone), manager, journal=self.site.journal, **how))

    def served(self, **how):
        """To the manager inside."""
        with manager_at(self.site.guest, SERVER, 2000, how.get("mss")) as manager:
            return self.keep(Line((self.site.world.internet, FAR), manager, at=(STATIC, 2000), journal=self.site.journal, **how))


@pytest.fixture
def stage(site):
    stage = Stage(site)
    yield stage
    stage.close()
    wait_for(lambda: not site.doors(), 3, "all doors to close")


def call(line, kind, number, phone, far, source="0.0.0.0"):
    """Where each end was told that the other one's media are."""
    line.ask(kind, number, source)
    told = line.receiving(kind, number, phone.address, phone.port)
    heard = line.start(kind, number, far.address, far.port)
    line.sending(kind, number, phone.address, phone.port)
    return told, heard


def both_ways(phone, far, told, heard):
    """The far end speaks first: nothing that the guest sent has made way for it."""
    return arrive(far, told, phone, (far.address, far.port)), arrive(phone, heard, far, told)


@pytest.mark.parametrize("mss", [None, MSS])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version,header", HOW)
def test_a_call_of_a_telephone_inside(site, stage, version, header, kind, mss):
    line = stage.line(version=version, header=header, mss=mss)
    assert line.register(GUEST) == OUTSIDE
    phone, far = stage.inside(), stage.outside()
    told, heard = call(line, KINDS[kind], 1, phone, far)
    assert told[0] == OUTSIDE and told[1] != phone.port and heard == (FAR, far.port)
    assert both_ways(phone, far, told, heard) == (True, True)
    row, = site.calls()
    assert row["state"] == "answered" and row["media"] == f"{phone.port}-{phone.port + 1}>{told[1]}-{told[1] + 1} open"
    line.over(KINDS[kind], 1)
    wait_for(lambda: not site.doors(), 3, "the doors to close")
    assert not site.calls()


@pytest.mark.parametrize("mss", [None, MSS])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version,header", HOW)
def test_a_call_that_a_manager_inside_serves(site, stage, version, header, kind, mss):
    line = stage.served(version=version, header=header, mss=mss)
    assert line.register(FAR) == FAR
    phone, own = stage.outside(), stage.inside(SERVER)
    told, heard = call(line, KINDS[kind], 1, phone, own, SERVER)
    assert told == (FAR, phone.port) and heard[0] == STATIC and heard[1] != own.port
    assert both_ways(own, phone, heard, told) == (True, True)
    failed = line.say(0, FAILED, words(1, 1) + line.address(heard[0]) + words(heard[1], 1))
    assert line.endpoint(failed, 8) == (SERVER, own.port), "what the telephone heard is what the manager said"
    line.over(KINDS[kind], 1)
    wait_for(lambda: not site.doors(), 3, "the doors to close")


def test_another_port_of_the_list(stage):
    line = stage.line(port=2500)
    assert line.register(GUEST) == OUTSIDE
    phone, far = stage.inside(), stage.outside()
    assert both_ways(phone, far, *call(line, AUDIO, 1, phone, far)) == (True, True)


def test_without_the_alg_messages_are_as_they_were_and_media_do_not_arrive(stage, switched_off):
    line = stage.line()
    assert line.register(GUEST) == GUEST
    phone, far = stage.inside(), stage.outside()
    told, heard = call(line, AUDIO, 1, phone, far)
    assert told == (GUEST, phone.port)
    assert both_ways(phone, far, (OUTSIDE, phone.port), heard) == (False, False)


def test_without_the_alg_nobody_reaches_the_media_of_a_manager_inside(stage, switched_off):
    line = stage.served()
    line.register(FAR)
    phone, own = stage.outside(), stage.inside(SERVER)
    told, heard = call(line, AUDIO, 1, phone, own)
    assert heard == (SERVER, own.port)
    assert not arrive(phone, (STATIC, own.port), own, told)


def test_observing_changes_nothing_and_says_what_it_would_have(site, stage):
    change(site.gateway, ("set", "alg.skinny.mode", "observe"))
    try:
        line = stage.line()
        assert line.register(GUEST) == GUEST
        told, _ = call(line, AUDIO, 1, stage.inside(), stage.outside())
        assert told[0] == GUEST and not site.doors()
        wait_for(lambda: "SecureNAT: The ALG skinny would have changed the TCP session" in site.gateway.log(), 3, "what it would have changed")
    finally:
        change(site.gateway, ("set", "alg.skinny.mode", "fix"))


def test_audio_and_video_of_two_calls_at_once(site, stage):
    """One on hold: its media are taken back, the other's go on."""
    line = stage.line(version=22, header=22)
    line.register(GUEST)
    calls = [(kind, number, stage.inside(), stage.outside()) for number in (1, 2) for kind in (AUDIO, VIDEO)]
    told = [call(line, *one) for one in calls]
    assert len({ends[0] for ends in told}) == 4 and len(site.calls()) == 2
    assert all(both_ways(*one[2:], *ends) == (True, True) for one, ends in zip(calls, told))
    for kind in (AUDIO, VIDEO):
        line.over(kind, 1)
    wait_for(lambda: len(site.doors()) == 2, 3, "two doors to close")
    assert both_ways(*calls[2][2:], *told[2]) == (True, True)


@pytest.mark.parametrize("named", [(), (FAR,), (FAR, THERE), (THERE, FAR)], ids=lambda named: "-".join(named) or "nobody")
def test_only_who_was_named_last_comes_in(stage, named):
    """Until the manager has named somebody it is the manager itself."""
    line = stage.line(version=17)
    line.register(GUEST)
    phone, ends = stage.inside(), {who: stage.outside(who) for who in (FAR, THERE, SERVER2)}
    line.ask(AUDIO, 1)
    told = line.receiving(AUDIO, 1, GUEST, phone.port)
    for who in named:
        line.start(AUDIO, 1, who, ends[who].port)
    last = named[-1] if named else THERE
    for who in sorted(ends, key=lambda who: who == last):  # a conversation that began goes on
        assert arrive(ends[who], told, phone, (who, ends[who].port)) == (who == last), who


def test_who_is_named_as_the_source_comes_in_at_once(stage):
    line = stage.line(version=22, header=22)
    line.register(GUEST)
    phone, far = stage.inside(), stage.outside()
    line.ask(AUDIO, 1, FAR)
    told = line.receiving(AUDIO, 1, GUEST, phone.port)
    assert arrive(far, told, phone, (FAR, far.port)), "music on hold: the telephone is not to send"


def test_two_telephones_behind_the_gateway(stage):
    """Each is told the other's outside address, as the manager knows no other."""
    lines = [stage.line(address, version=17) for address in (GUEST, OTHER)]
    media = [stage.inside(address) for address in (GUEST, OTHER)]
    told = []
    for line, one in zip(lines, media):
        assert line.register(one.address) == OUTSIDE
        line.ask(AUDIO, 1)
        told.append(line.receiving(AUDIO, 1, one.address, one.port))
    for line, other in zip(lines, reversed(told)):
        assert line.start(AUDIO, 1, *other) == other
    for one, at in zip(media, reversed(told)):  # the fence lets in who has been spoken to
        one.sends(*at)
    for one in media:
        one.hears()
    assert arrive(media[0], told[1], media[1], told[0]) and arrive(media[1], told[0], media[0], told[1])


def test_a_connection_that_ends_leaves_no_door(site, stage):
    line = stage.line()
    line.register(GUEST)
    call(line, AUDIO, 1, stage.inside(), stage.outside())
    assert site.doors()
    line.close()
    wait_for(lambda: not site.doors(), 3, "the doors to close")


def test_nothing_opens_for_others_or_before_the_manager_asked(site, stage):
    before = site.stats()
    line = stage.line()
    line.register(GUEST)
    assert line.receiving(AUDIO, 1, GUEST, 40000) == (GUEST, 40000)
    line.ask(AUDIO, 1)
    for endpoint in (("192.168.30.77", 40000), (OTHER, 40000), (GUEST, 1023), (GUEST, 22)):
        assert line.receiving(AUDIO, 1, *endpoint) == endpoint
    assert not site.doors()
    assert {key: site.stats()[key] - before[key] for key in ("granted", "edits")} == {"granted": 0, "edits": 1}


ADDRESSES = ("skinny.stationIpAddr", "skinny.ipAddr.ipv4", "skinny.remoteIpAddr.ipv4", "skinny.sourceIpAddr.ipv4", "skinny.transmitIpAddr.ipv4")
FIELDS = ("_ws.malformed", "skinny.messageId", *ADDRESSES)


def test_tshark_reads_what_came_as_well_as_what_was_sent(site, tmp_path):
    """Of all messages of this file's tests, each once; it takes the version from the header, so those are left out that Asterisk would write."""
    journal = list(dict.fromkeys((sent, came) for _, version, sent, came in site.journal if version is not None))
    whole, raw_ip = tmp_path / "all.pcap", 101
    with open(whole, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, raw_ip))
        for number, data in enumerate(data for both in journal for data in both):
            ends = (f"100.64.{number >> 8}.{number & 255}", "192.0.2.2")
            frame = ip(*ends, TCP, tcp(*ends, 50000, 2000, flags=0x18, data=data))
            out.write(struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame)
    rows = [line.split("\t") for line in sh("tshark", "-r", whole, "-T", "fields", *[word for name in FIELDS for word in ("-e", name)]).stdout.splitlines()]
    assert len(rows) == 2 * len(journal) > 100
    changed = 0
    for (sent, came), before, after in zip(journal, rows[::2], rows[1::2]):
        assert before[0] == after[0] == "" and before[1] == after[1] != "", (sent.hex(), came.hex())
        inside = [{GUEST, SERVER} & set(row[2:]) for row in (before, after)]
        assert sent == came or not all(inside), (sent.hex(), came.hex())
        changed += sent != came
    assert changed > 40
