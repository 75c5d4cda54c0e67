"""Rows T2 to T20 and the live rows S of docs/conformance-tcp-live.md: TCP of a real kernel on both sides of the gateway."""
import contextlib, json
import pytest
from conftest import OUTSIDE, PEER, SERVER, SERVER2, TOP, act, leased_address, sh, wait_for
from link import offloads_off

ROWS = TOP / "tests/integration/tcp_rows.py"
ECHO, QUICK = 7201, 7204
TIMESTAMPS, SACK, SCALE = 1, 2, 4  # tcpi_options
MIB = 1 << 20
RETRANSMISSIONS = ["TcpRetransSegs", "TcpExtTCPLostRetransmit", "TcpExtTCPTimeouts", "TcpExtTCPFastRetrans", "TcpExtTCPSlowStartRetrans", "TcpExtTCPLossProbes"]


@pytest.fixture(scope="module")
def rows(world, gateway):
    """The servers of tcp_rows.py on both outside addresses, and one client action in the guest."""
    servers = [world.internet.start(ROWS, "serve", address) for address in (SERVER, SERVER2)]
    for server in servers:
        assert server.stdout.readline() == "ready\n"

    def run(command, *arguments, address=SERVER, where=gateway.guest, timeout=60):
        return answer_of(where.start(ROWS, command, address, *arguments), timeout)

    yield run
    for server in servers:
        server.kill()
        server.wait()


@pytest.fixture(scope="module")
def plain(world, spawn):
    """A guest on a veth without offloads: it sees each segment by itself."""
    guest = spawn.guest("plain")
    sh("ip", "link", "add", "nlplain", "netns", world.gateway.name, "type", "veth", "peer", "name", "eth0", "netns", guest.name)
    offloads_off(world.gateway, "nlplain")
    offloads_off(guest, "eth0")
    world.gateway.run("ip", "link", "set", "nlplain", "up")
    guest.run("ip", "link", "set", "eth0", "up")
    spawn.gateway("plain", guest=guest, config='hubs:\n  default:\n    attach: ["veth:nlplain"]\n')
    leased_address(guest)
    return guest


def answer_of(process, timeout=60):
    text = process.communicate(timeout=timeout)[0]
    assert process.returncode == 0, text
    return json.loads(text.splitlines()[-1])


@contextlib.contextmanager
def dropped(namespace, rule):
    """Packets that match are lost on their way into the namespace."""
    namespace.run("nft", f"add table ip rows; add chain ip rows in {{ type filter hook input priority 0; }}; add rule ip rows in {rule} counter drop")
    try:
        yield
    finally:
        namespace.run("nft", "delete table ip rows")


def counters(namespace):
    text = namespace.run("nstat", "-asz", *RETRANSMISSIONS).stdout
    return {line.split()[0]: int(line.split()[1]) for line in text.splitlines()[1:]}


# ---- 1.2: NAT for TCP ----
def test_t2_one_endpoint_has_one_mapping(rows):
    """T2, RFC 5382 REQ-1: the same outside port towards three far endpoints while all three connections are open."""
    seen = rows("mapping", SERVER2, 41002)["seen"]
    assert len(seen) == 3 and set(seen) == {f"{OUTSIDE}:41002"}, seen


def test_t3a_no_syn_ack_before_the_far_end_has_answered(world, rows):
    """T3a, RFC 5382 REQ-1, RFC 9293 3.10.7: a host that does not answer is not answered for."""
    with dropped(world.internet, "tcp dport 7999"):
        answer = rows("silent", 7999, 1.2)
    assert answer["end"] == "TimeoutError" and answer["seconds"] > 1.1, answer


def test_t3b_a_refusal_is_an_exact_reset(rows):
    """T3b, RFC 9293 3.10.7.1: sequence number 0, the SYN acknowledged, RST and ACK set."""
    assert rows("refusal", 9) == {"flags": 0x14, "seq": 0, "exact": True}


def test_t5_the_guest_finishes_first_and_gets_a_mebibyte(rows):
    """T5, RFC 9293 3.6: half-close by the guest."""
    assert rows("late")["ok"]


def test_t8b_the_urgent_mark_keeps_its_place_both_ways(rows):
    """T8b, RFC 9293 3.8.5, RFC 6093 2: the byte before which both receivers see the mark is the one that was sent as urgent."""
    answer = rows("marked")
    for end in ("guest", "server"):
        assert answer[end] == {"bytes": 1505, "mark": 1004, "right": True}, answer


def test_t9_syns_that_cross_make_one_connection(world, gateway, rows):
    """T9, RFC 5382 REQ-2, RFC 9293 3.5 figure 7: the guest's SYN is lost at the far host, which calls the mapping itself."""
    with dropped(world.internet, "tcp dport 7777 tcp flags & (syn|ack) == syn"):
        ours = gateway.guest.start(ROWS, "meet", SERVER, 7777, 41009)
        wait_for(lambda: "counter packets 0 " not in world.internet.run("nft", "list", "table", "ip", "rows").stdout, 5, "the SYN outside")
        theirs = rows("meet", 41009, 7777, SERVER, address=OUTSIDE, where=world.internet)
        mine = answer_of(ours)
    assert mine["heard"] == theirs["heard"] == "hello"


@pytest.mark.parametrize("side", ["internet", "guest"])
def test_t10_forged_icmp_errors_do_not_end_a_connection(world, gateway, rows, side):
    """T10, RFC 5382 REQ-10, RFC 5927 4: every kind of error with right and wrong sequence numbers, from either side."""
    flow = gateway.guest.start(PEER, "hold", SERVER, 2)
    forged = rows("forge", "i0", address=OUTSIDE, where=world.internet) if side == "internet" else rows("forge", "eth0")
    assert forged["sent"] == 24
    answer = answer_of(flow)
    assert answer["ok"] and answer["worst"] < 1, answer


def test_t12_a_far_end_that_stops_reading_loses_nothing(rows):
    """T12, RFC 9293 3.8.6: 32 MiB towards a reader that pauses."""
    assert rows("stall", 32 * MIB, 1.5)["ok"]


@pytest.mark.parametrize("command", ["quick", "quick_up"])
def test_t13_closing_right_after_the_last_byte_loses_nothing(rows, command):
    """T13, RFC 9293 3.6: 200 kB and a close at once, ten times, from either side."""
    assert rows(command, 10)["good"] == 10


def test_t16_the_same_four_numbers_at_once_after_the_far_end_closed(rows):
    """T16, RFC 9293 3.6.1, RFC 6191: our TIME-WAIT towards the guest gives way to its new SYN, twenty times in a row."""
    assert rows("tuple_again", QUICK, 41016, 20)["good"] == 20


def test_t16_the_same_four_numbers_after_the_guest_closed(gateway, rows):
    """T16: the host's TIME-WAIT outside holds the old port pair; the guest, which may use its own again after a second, still gets through."""
    gateway.guest.run("sysctl", "-qw", "net.ipv4.tcp_tw_reuse=1")
    assert rows("tuple_again", ECHO, 41017, 3, 1)["good"] == 3


def test_t17_keepalives_are_answered(rows):
    """T17, RFC 5382 REQ-5, RFC 1122 4.2.3.6: the guest's kernel would end the idle connection after three seconds."""
    answer = rows("quiet", 4)
    assert answer["ok"] and answer["answered"] >= 3, answer


def test_t20_a_stuck_flow_holds_up_nobody(gateway, rows):
    """T20: two uploads whose far end does not read, while others go on."""
    stuck = [gateway.guest.start(ROWS, "stall", SERVER, 32 * MIB, 2) for _ in range(2)]
    assert act(gateway.guest, "hold", 1.5)["worst"] < 0.5
    assert act(gateway.guest, "up", 32 * MIB)["ok"]
    assert all(answer_of(flow)["ok"] for flow in stuck)


# ---- 1.3: what a real guest sees of the stack ----
def test_s1_window_scale_timestamps_and_sack_are_offered(rows):
    """S1b to S1d, RFC 7323 2 and 3, RFC 2018 2: as the guest's kernel reports them."""
    answer = rows("shape")
    assert answer["ok"] and answer["options"] & 7 == TIMESTAMPS | SACK | SCALE and answer["scale"], answer
    assert answer["snd_mss"] == 1448


@pytest.mark.parametrize("sysctl,missing", [("tcp_timestamps", TIMESTAMPS), ("tcp_sack", SACK), ("tcp_window_scaling", SCALE)])
def test_s2_nothing_is_offered_that_was_not_asked_for(gateway, rows, sysctl, missing):
    """S2a, RFC 7323 1.3 and 2.2, RFC 2018 2: a guest without one option gets none, and its bytes by hash."""
    gateway.guest.run("sysctl", "-qw", f"net.ipv4.{sysctl}=0")
    try:
        answer = rows("shape")
        assert answer["ok"] and answer["options"] & 7 == 7 - missing, answer
        for direction in ("up", "down"):
            assert act(gateway.guest, direction, 4 * MIB)["ok"]
    finally:
        gateway.guest.run("sysctl", "-qw", f"net.ipv4.{sysctl}=1")


def test_s2_a_bare_syn_gets_an_mss_and_segments_of_536(plain, rows):
    """S2b, RFC 9293 MUST-14 and MUST-15: without an MSS option no payload exceeds 536; nothing but the MSS comes back."""
    answer = rows("offers", 0, where=plain)
    assert answer["options"].startswith("0204") and len(answer["options"]) == 8, answer
    assert answer["longest"] == 536, answer


@pytest.mark.parametrize("mss", [1460, 900, 536, 88])
def test_s3_the_mss_is_honoured_with_options_counted(plain, rows, mss):
    """S3, RFC 9293 3.7.1, RFC 6691: payload and options of each segment together are no longer than what the guest's kernel asked for."""
    answer = rows("shape", mss, where=plain)
    assert answer["ok"], answer
    payload = answer["bytes_in"] / answer["data_segs_in"]
    assert 0.9 * (mss - 12) < payload <= mss - 12, (payload, answer)


@pytest.mark.parametrize("mtu", [576, 65520])
def test_s3_bulk_at_other_mtus(spawn, mtu):
    """S3, RFC 9293 3.7.2: the smallest and the greatest MTU, both ways by hash."""
    guest = spawn.guest(f"m{mtu}")
    spawn.gateway(f"mtu{mtu}", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat: {{mtu: {mtu}}}\n')
    leased_address(guest)
    assert f"mtu {mtu} " in guest.run("ip", "link", "show", "eth0").stdout
    for direction in ("up", "down"):
        assert act(guest, direction, 64 * MIB)["ok"]


def test_s20_a_flood_of_20000_syns_leaves_flows_moving(world, gateway, rows):
    """S20, RFC 4987 3: to a host that does not answer; the old flow moves, a new connection takes less than 8 s."""
    own = json.loads(gateway.guest.run("ip", "-j", "-4", "addr", "show", "eth0").stdout)[0]["addr_info"][0]["local"]
    with dropped(world.internet, "tcp dport 7998"):
        flow = gateway.guest.start(PEER, "hold", SERVER, 4)
        flood = gateway.guest.start(ROWS, "flood", SERVER, 7998, 20000, own)
        new = rows("opens")
        assert answer_of(flood)["sent"] == 20000
        again = rows("opens")
    held = answer_of(flow)
    assert held["ok"] and held["worst"] < 2, held
    assert new["ok"] and new["seconds"] < 8 and again["ok"] and again["seconds"] < 8, (new, again)


def test_s21_keepalive_probes_of_both_kinds_are_answered(rows):
    """S21a, S21b, RFC 1122 4.2.3.6: without a byte and with one garbage byte."""
    assert rows("probes")["answers"] == [True, True]


def test_a_clean_path_has_no_retransmissions_of_the_guest(gateway):
    """RFC 9293 3.8: a gibibyte each way without a loss, a timeout or anything sent again because of either.

    A guest's tail loss probe (RFC 8985 7) is not one: its kernel sends it when no acknowledgement came for two round trips and two ticks, which on
    busy processors is the scheduler's doing (kernel NAT in natlock's place gets more of them). So probes may be all that was sent again, and few.
    """
    before = counters(gateway.guest)
    for direction in ("up", "down"):
        assert act(gateway.guest, direction, 1024 * MIB)["ok"]
    after = counters(gateway.guest)
    rise = {name: after[name] - before[name] for name in RETRANSMISSIONS}
    print(rise)
    for name in ("TcpExtTCPLostRetransmit", "TcpExtTCPTimeouts", "TcpExtTCPFastRetrans", "TcpExtTCPSlowStartRetrans"):
        assert rise[name] == 0, rise
    assert rise["TcpRetransSegs"] <= rise["TcpExtTCPLossProbes"] <= 100, rise


# ---- many flows, limits ----
@pytest.fixture(scope="module")
def roomy(spawn, rows):
    guest = spawn.guest("many")
    spawn.gateway("many", guest=guest, config=f'hubs:\n  default:\n    attach: ["netns:{guest.name}"]\n    nat: {{log: false}}\n    limits: {{tcp_sessions_per_host: 12000, syn_sent_per_host: 1024}}\n')
    leased_address(guest)
    return guest


def test_two_thousand_idle_flows_all_answer(roomy, rows):
    """RFC 5382 REQ-5: opened, left alone, asked again (tests/bench/flows does it with ten thousand)."""
    answer = rows("hold_idle", 2000, 2, where=roomy)
    assert answer == {"opened": 2000, "refused": 0, "first": 2000, "again": 2000}


def test_a_guests_share_is_its_own(spawn, rows):
    """RFC 7857 section 9, RFC 6888 REQ-4: one guest's limit refuses at once what is beyond it, and leaves the other guest alone."""
    greedy, modest = spawn.guest("greedy"), spawn.guest("modest")
    spawn.gateway("quota", config=f'hubs:\n  default:\n    attach: ["netns:{greedy.name}", "netns:{modest.name}"]\n    limits: {{tcp_sessions_per_host: 50}}\n')
    for guest in (greedy, modest):
        leased_address(guest)
    flows = greedy.start(ROWS, "hold_idle", SERVER, 70, 3)
    assert json.loads(flows.stdout.readline()) == {"opened": 50, "refused": 20, "first": 50}
    assert rows("hold_idle", 40, 0, where=modest) == {"opened": 40, "refused": 0, "first": 40, "again": 40}
    assert answer_of(flows)["again"] == 50
    assert rows("hold_idle", 40, 0, where=greedy)["opened"] == 40, "what ended must free its place"
