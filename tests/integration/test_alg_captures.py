"""Recorded traffic of every protocol that has an ALG (tests/vectors/captures), rewritten by `natlockctl alg test --write`, read by tshark.

tshark starts slowly, so all captures become one file before and one after: a frame is known by its place.
"""
import json, subprocess
import pytest
from conftest import TOP, program, sh

CAPTURES = TOP / "tests/vectors/captures"
OUTSIDE = "203.0.113.7"
# ALG, capture, options; how many edits and wishes; a field of tshark's, a value that it had and the one that it has then
CASES = [
    ("ftp", "own-vsftpd-curl-epsv-pasv-eprt-port.pcap", (), 2, 2, "ftp.active.cip", "10.77.1.10", OUTSIDE),
    ("ftp", "own-vsftpd-curl-epsv-pasv-eprt-port.pcap", ("--guest", "10.77.1.20"), 2, 2, "ftp.passive.ip", "10.77.1.20", OUTSIDE),
    ("ftp", "ftp-active-mode.pcap", (), 1, 1),
    ("ftp", "ftp-auth-tls.pcap", (), 0, 0),
    ("ftp", "ipv4.pcap", (), 2, 2, "ftp.active.cip", "141.142.220.235", OUTSIDE),
    ("ftp", "ipv4.pcap", ("--guest", "199.233.217.249"), 2, 2, "ftp.passive.ip", "199.233.217.249", OUTSIDE),
    ("ftp", "suricata-ftp-bounce.pcap", (), 1, 1),
    ("ftp", "suricata-ftp-epsv.pcap", (), 0, 0),
    ("tftp", "own-tftpd-hpa-get-put-blksize.pcap", (), 0, 4),
    ("tftp", "tcpdump-tftp.pcap", (), 0, 1),
    ("dns", "dns-edns-bad-length.pcap", (), 0, 0),
    ("dns", "dns-https.pcap", (), 0, 0),
    ("dns", "dns-svcb.pcap", (), 0, 0),
    ("dns", "dns-tcp-multirequest-buffer.pcap", (), 0, 0),
    ("dns", "dns-zlip-3.pcap", (), 0, 0),
    ("dns", "dns_tcp.pcap", ("--map", "192.168.30.9=209.87.249.18"), 1, 0, "dns.a", "209.87.249.18", "192.168.30.9"),
    ("dns", "dynamic-update.pcap", (), 0, 0),
    ("dns", "edns-opts.pcap", ("--map", "192.168.30.9=93.184.216.34"), 14, 0),  # DO is set in the other answers
    ("rcmd", "own-rsh-rexec-stderr.pcap", (), 3, 3, "tcp.payload", b"1022\0".hex(), b"40000\0".hex()),
    ("netbios", "netbios-split-session-msg.pcap", (), 0, 0),
    ("netbios", "netbios-truncated-session-msg.pcap", (), 0, 0),
    ("netbios", "own-samba-nbns-nbdgm-nbss.pcap", (), 22, 0, "nbns.addr", "10.77.1.20", OUTSIDE),
    ("netbios", "own-samba-nbns-nbdgm-nbss.pcap", ("--guest", "10.77.1.20", "--outside", "198.51.100.9"), 22, 0, "nbdgm.src.ip", "10.77.1.20", "198.51.100.9"),
    ("rtsp", "_tun_rtsp_0_fixed.pcap", (), 4, 2),
    ("rtsp", "own-gst-rtsp-server-ffmpeg-udp-tcp.pcap", (), 8, 4),
    ("rtsp", "own-gst-rtsp-server-ffmpeg-udp-tcp.pcap", ("--guest", "10.77.1.20"), 23, 4, "sdp.owner.address", "10.77.1.20", OUTSIDE),
    ("rtsp", "rtsp_0.pcap", (), 4, 2),
    ("ldap", "asn1-max-recursion.pcap", (), 0, 0),
    ("ldap", "ldap-add.pcap", (), 0, 0),
    ("ldap", "ldap-starttls.pcap", (), 0, 0),
    ("ldap", "ldap_star_single.pcapng", (), 0, 0),
    ("ldap", "own-ils-slapd.pcap", (), 29, 0, "ldap.assertionValue", "10.77.3.10", OUTSIDE),
    ("ldap", "own-ils-slapd.pcap", ("--guest", "10.77.3.20", "--map", "192.168.30.9=10.77.3.10"), 29, 0, "ldap.assertionValue", "167988490", "153004224"),
    ("ldap", "own-slapd-389-1002.pcap", (), 0, 0),
    ("ldap", "suricata-ldap-modify.pcap", (), 0, 0),
    ("ldap", "suricata-ldap-search.pcap", (), 0, 0),
    ("sip", "http_on_sip_port.pcap", (), 0, 0),
    ("sip", "invalid-content-length.pcap", (), 0, 0),
    ("sip", "own-sipp-udp-multipart-prack-update-t38-refer.pcap", (), 39, 4, "sdp.connection_info.address", "10.77.1.10", OUTSIDE),
    ("sip", "own-sipp-udp-multipart-prack-update-t38-refer.pcap", ("--guest", "10.77.1.20"), 31, 4, "sip.contact.host", "10.77.1.20", OUTSIDE),
    ("sip", "sip-body-large.pcap", (), 0, 0),  # longer than a message may be
    ("sip", "sip-junk-before-request.pcap", (), 2, 0),
    ("sip", "sip-long-request-response-paths.pcap", (), 0, 0),
    ("sip", "sip-tcp.pcap", (), 0, 0),
    ("sip", "sip.pcap", (), 109, 4, "sdp.owner.address", "192.168.1.2", OUTSIDE),
    ("sip", "sip_compact_form.pcap", (), 0, 0),
    ("sip", "sip_header_multi_val.pcap", (), 0, 0),
    ("sip", "sip_resp.pcap", (), 3, 0),
    ("sip", "suricata-sip-options.pcap", (), 2, 0),
    ("sip", "suricata-sip-sdp.pcap", (), 0, 0),
    ("h323", "h323-overflow.pcap", ("--port", "80"), 0, 0),
    ("h323", "h323.pcap", ("--guest", "10.1.3.143"), 4, 2, "h245.ip4_network", "10.1.3.143", OUTSIDE),
    ("h323", "h323.pcap", ("--guest", "10.1.6.18", "--outside", "10.1.6.18:1232"), 3, 2, "h245.tsapIdentifier", "2007", "1235"),  # tshark knows H.245 by the port that was named
    ("h323", "h323.pcap", ("--guest", "10.47.208.204"), 6, 1, "h225.ipV4", "10.47.208.204", OUTSIDE),
    ("h323", "h323.pcap", ("--guest", "17.2.0.124"), 3, 1),  # its Setup is none that anybody can read
    ("h323", "h323.pcap", ("--guest", "192.168.0.208"), 0, 0),
    ("h323", "own-h323plus-gnugk-ras-fast-tunnel.pcap", (), 13, 4, "h245.ip4_network", "10.77.1.10", OUTSIDE),
    ("h323", "own-h323plus-gnugk-ras-fast-tunnel.pcap", ("--guest", "10.77.1.20"), 2, 0),  # nobody told of its port 1820
    ("h323", "own-h323plus-gnugk-routed-separate-h245.pcap", (), 7, 3, "h245.ip4_network", "10.77.1.10", OUTSIDE),
    ("h323", "own-ooh323c-fastconnect.pcap", (), 7, 3, "h245.ip4_network", "10.77.1.10", OUTSIDE),
    ("h323", "own-ooh323c-fastconnect.pcap", ("--guest", "10.77.1.20"), 12, 3, "h245.ip4_network", "10.77.1.20", OUTSIDE),
    ("h323", "own-ooh323c-forwarded.pcap", (), 4, 1, "h245.ip4_network", "10.77.1.10", OUTSIDE),
    ("h323", "own-ooh323c-forwarded.pcap", ("--guest", "10.77.1.20"), 3, 2, "h245.ip4_network", "10.77.1.20", OUTSIDE),
    ("h323", "own-ooh323c-h245tunnel.pcap", (), 4, 1, "h225.ipV4", "10.77.1.10", OUTSIDE),
    ("h323", "own-ooh323c-h245tunnel.pcap", ("--guest", "10.77.1.20"), 3, 1, "h245.ip4_network", "10.77.1.20", OUTSIDE),
    ("h323", "own-ooh323c-separate-h245.pcap", (), 4, 2, "h225.ipV4", "10.77.1.10", OUTSIDE),
    ("h323", "own-ooh323c-separate-h245.pcap", ("--guest", "10.77.1.20", "--outside", "10.77.1.20:12030"), 3, 2),
    ("skinny", "own-sccp-v11-asterisk.pcap", (), 4, 1, "skinny.ipAddr.ipv4", "10.77.1.10", OUTSIDE),
    ("skinny", "own-sccp-v11-asterisk.pcap", ("--guest", "10.77.1.20"), 2, 1, "skinny.remoteIpAddr.ipv4", "10.77.1.20", OUTSIDE),
    ("skinny", "own-sccp-v17-asterisk.pcap", (), 6, 2, "skinny.stationIpAddr", "10.77.1.10", OUTSIDE),  # tshark takes its other messages for version 0
    ("skinny", "own-sccp-v17-asterisk.pcap", ("--guest", "10.77.1.20"), 4, 2),
    ("skinny", "skinny.pcap", (), 0, 0),  # begins in the middle
]
SUMS = ["ip.checksum.status", "tcp.checksum.status", "udp.checksum.status"]
FIELDS = sorted({case[5] for case in CASES if len(case) > 5})


def rewrite(after, alg, name, options):
    """The capture as it would leave, and what natlockctl says of it."""
    ports = () if "--outside" in options else ("--outside", f"{OUTSIDE}:40000")  # other ones, so that they are edits
    with open(after, "wb") as out:
        done = subprocess.run([program("natlockctl"), "alg", "test", alg, CAPTURES / alg / name, "--write", "-o", "json", *options, *ports],
                              stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, (name, done.stderr)
    return json.JSONDecoder().raw_decode(done.stderr)[0]


def frames(paths):
    """How many frames each has."""
    told = sh("capinfos", "-TrMc", *paths).stdout
    return [int(line.rpartition("\t")[2]) for line in told.splitlines()]


def read(paths, whole):
    """Of each capture tshark's rows: {field: set of values}, how many are malformed, how many check sums are wrong."""
    sh("mergecap", "-a", "-F", "pcapng", "-w", whole, *paths)
    options = [word for name in ("ip", "tcp", "udp") for word in ("-o", f"{name}.check_checksum:TRUE")]
    columns = ["_ws.malformed", *SUMS, *FIELDS]
    table = sh("tshark", "-r", whole, *options, "-T", "fields", *[word for name in columns for word in ("-e", name)]).stdout.split("\n")
    for count in frames(paths):
        rows, table = [line.split("\t") for line in table[:count]], table[count:]
        assert len(rows) == count and all(len(row) == len(columns) for row in rows)
        found = {name: {value for row in rows for value in row[columns.index(name)].split(",")} for name in FIELDS}
        yield found, sum(row[0] != "" for row in rows), sum("0" in row[1:4] for row in rows)
    assert table == [""]


@pytest.fixture(scope="module")
def captures(tmp_path_factory):
    """{case: (report, what tshark reads before, and after)}"""
    folder = tmp_path_factory.mktemp("captures")
    after = [folder / f"{i}.pcapng" for i in range(len(CASES))]
    before = [CAPTURES / alg / name for alg, name, *_ in CASES]
    reports = [rewrite(path, *case[:3]) for path, case in zip(after, CASES)]
    once = [CASES.index(next(case for case in CASES if case[:2] == this[:2])) == i for i, this in enumerate(CASES)]
    found = {}
    for first in (True, False):  # the same connection twice would be taken for repetitions
        some = [i for i in range(len(CASES)) if once[i] == first]
        found |= {CASES[i]: (reports[i], *rows) for i, *rows in zip(some, read([before[i] for i in some], folder / "before"), read([after[i] for i in some], folder / "after"))}
    return found


def test_every_capture_is_played():
    there = {(path.parent.name, path.name) for path in CAPTURES.glob("*/*.pcap*") if path.parent.name != "ipsec"}  # which no ALG reads
    assert there == {case[:2] for case in CASES} and {alg for alg, _ in there} == {"ftp", "tftp", "dns", "rcmd", "netbios", "rtsp", "ldap", "sip", "h323", "skinny"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join([*case[:2], *case[2]]))
def test_tshark_reads_what_leaves_as_well_as_what_came(captures, case):
    alg, name, options, edits, wishes, *seen = case
    report, (before, malformed, wrong), (after, malformed_after, wrong_after) = captures[case]
    assert malformed_after <= malformed and wrong_after <= wrong
    totals = report["totals"][0]
    assert (totals["edits"], totals["granted"]) == (edits, wishes)
    assert sum(row["event"] == "edit" for row in report["items"]) == edits and sum(row["event"] == "wish" for row in report["items"]) == wishes
    if seen:
        field, old, new = seen
        assert old in before[field] and new not in before[field]
        assert new in after[field] and old not in after[field]
