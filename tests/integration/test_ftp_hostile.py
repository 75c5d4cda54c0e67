"""What must not open a port, and what must although it comes in crumbs; told apart by a server that repeats what reached it."""
import json
import pytest
from conftest import SERVER2, TOP, act, wait_for

CLIENT, SERVICE = TOP / "tests/integration/ftp_client.py", TOP / "tests/integration/ftp_server.py"
LOGIN = ["USER anonymous", "PASS x@y"]


@pytest.fixture(scope="module")
def ftp(world, gateway):
    server = world.internet.start(SERVICE, SERVER2)
    assert server.stdout.readline() == "ready\n"

    def talk(*lines, pieces=0):
        result = gateway.guest.run(CLIENT, SERVER2, pieces, *lines, check=False, timeout=40)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    yield talk
    server.kill()
    server.wait()


@pytest.fixture
def stats(gateway):
    """How alg's counters moved since the test began."""

    def read():
        row = [r for r in gateway.table("alg", "stats") if r["alg"] == "ftp"][0]
        return {key: int(row[key] or 0) for key in ("flows", "messages", "edits", "granted", "refused", "gave_up", "violations")}

    before = read()
    return lambda: {key: value - before[key] for key, value in read().items()}


@pytest.mark.parametrize("command", ["PORT!", "EPRT!"])
@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_a_command_is_rewritten_however_it_is_cut(ftp, stats, command, pieces):
    got = ftp(*LOGIN, command, "SITE TRY", "QUIT", pieces=pieces)
    assert "198.18.1.2" in got["said"][3].replace(",", ".") and got["own"] not in got["said"][3].replace(",", "."), got
    assert got["said"][4] == "200 connected" and got["arrived"] == "hello from the server"
    counted = stats()
    assert counted["flows"] == 1 and counted["granted"] == 1 and counted["edits"] == 1 and counted["violations"] == counted["gave_up"] == 0, counted


def test_a_stranger_does_not_get_through_the_opening(ftp, gateway):
    got = ftp(*LOGIN, "PORT!", "SITE STRANGER")
    assert "198,18,1,2" in got["said"][3] and got["arrived"] is None
    got = ftp(*LOGIN, "PORT!", "SITE TRY")
    assert got["arrived"] == "hello from the server"


def doors(gateway):
    """Those of FTP: what others used is listed for as long as it serves."""
    return [row for row in gateway.table("alg", "expectations") if row["alg"] == "ftp"]


@pytest.fixture
def logged(gateway):
    """What the security log says of openings since the test began."""
    before = gateway.log().count("ALG expectation")
    return lambda: gateway.log().count("ALG expectation") - before


def nothing_was_opened(got, reply, stats, gateway):
    assert got["arrived"] is None and not doors(gateway)
    counted = stats()
    assert counted["granted"] == 0 and counted["edits"] == 0, counted
    assert got["own"].replace(".", ",") in got["said"][reply] or got["own"] in got["said"][reply] or "192,168,30,77" in got["said"][reply], got
    return counted


def test_port_before_login_opens_nothing(ftp, stats, gateway):
    nothing_was_opened(ftp("USER anonymous", "PORT!"), 2, stats, gateway)


def test_port_after_a_refused_login_opens_nothing(ftp, stats, gateway):
    nothing_was_opened(ftp("USER anonymous", "PASS wrong", "PORT!"), 3, stats, gateway)


def test_bounce_to_another_guest_opens_nothing(ftp, stats, gateway):
    nothing_was_opened(ftp(*LOGIN, "PORT 192,168,30,77,31,64", "SITE TRY"), 3, stats, gateway)


@pytest.mark.parametrize("line", ["PORT {},0,22", "PORT {},31,64,1", "PORT {},31", "PORT {},31,300", "xPORT {},31,64", "PORT {},31,64 x"])
def test_a_port_that_is_not_quite_one_goes_on_as_it_is(ftp, stats, line):
    own = ftp("NOOP")["own"].replace(".", ",")
    got = ftp(*LOGIN, line.format(own), "NOOP")
    assert own in got["said"][3] or got["said"][3] == "", got
    counted = stats()
    assert counted["granted"] == 0 and counted["edits"] == 0, counted


def test_slipstream_a_post_with_a_port_in_its_body(ftp, stats, gateway):
    """A browser that is told to POST to port 21: its first line is not FTP, and that is the end of it."""
    got = ftp("POST / HTTP/1.1", "Host: x", *LOGIN, "PORT!", "SITE TRY")
    counted = nothing_was_opened(got, 5, stats, gateway)
    assert counted["violations"] == 1, counted


def test_slipstream_in_one_segment(ftp, stats, gateway):
    got = ftp("POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\nUSER anonymous\r\nPASS x@y", "PORT!", "SITE TRY")
    assert got["arrived"] is None and stats()["granted"] == 0 and stats()["violations"] == 1


POST = "POST / HTTP/1.1\r\nHost: 198.18.2.2:21\r\nContent-Type: text/plain\r\nContent-Length: 9999\r\n\r\nUSER anonymous\r\nPASS x@y\r\n"


@pytest.mark.parametrize("piece", [96, 1400])
@pytest.mark.parametrize("body", [POST + "PAD!PORT!", POST + "PAD!\r\nPORT!", "SITE PAD!PORT!", "USER anonymous\r\nPASS x@y\r\nSITE PAD!EPRT!"])
def test_slipstream_a_segment_that_begins_with_a_command(ftp, stats, gateway, logged, piece, body):
    """NAT slipstreaming: the body is padded until a segment begins with PORT. Each piece is a send of its own, and so a segment."""
    got = ftp(body, "SITE TRY", pieces=piece)
    assert got["arrived"] is None and not doors(gateway)
    assert any("200" in said and ("PORT" in said or "EPRT" in said) for said in got["said"]), "it never came to the server"
    counted = stats()
    assert counted["granted"] == counted["refused"] == counted["edits"] == 0 and logged() == 0, counted


def test_bounce_is_not_even_asked_for(ftp, stats, gateway, logged):
    got = ftp(*LOGIN, "PORT 192,168,30,1,31,64", "PORT 198,18,2,1,31,64", "EPRT |1|127.0.0.1|8000|", "SITE TRY")
    counted = stats()
    assert got["arrived"] is None and not doors(gateway)
    assert counted["granted"] == counted["refused"] == counted["edits"] == 0 and logged() == 0, counted


def test_auth_tls_refused_goes_on_in_the_clear(ftp, stats):
    got = ftp("AUTH TLS", *LOGIN, "PORT!", "SITE TRY")
    assert got["said"][1] == "502 not here" and got["said"][5] == "200 connected" and got["arrived"]
    assert stats()["granted"] == 1


def test_auth_accepted_ends_inspection(ftp, stats, gateway):
    counted = nothing_was_opened(ftp("AUTH SSL", *LOGIN, "PORT!"), 4, stats, gateway)
    assert counted["gave_up"] == 1 and counted["violations"] == 0, counted


def test_expectation_is_listed_while_it_waits_and_gone_with_its_session(gateway, ftp):
    waiting = gateway.guest.start("/usr/bin/python3", "-c", f"import socket\nc = socket.create_connection(('{SERVER2}', 21))\nown = c.getsockname()[0].replace('.', ',')\n"
                                  "for line in ('USER a', 'PASS b', f'PORT {own},156,64'):\n    c.recv(200); c.sendall((line + '\\r\\n').encode())\nprint(c.recv(200), flush=True)\nimport time; time.sleep(2)")
    row = wait_for(lambda: doors(gateway), 5, "the expectation")[0]
    assert row["alg"] == "ftp" and row["guest"].endswith(":40000") and row["outside"].startswith("198.18.1.2:") and row["peer"].startswith(SERVER2)
    assert "198.18.1.2" in gateway.control("alg", "expectations").stdout
    waiting.wait(10)
    wait_for(lambda: not doors(gateway), 5, "its end")
    assert "was deleted" in gateway.log().split("ALG expectation")[-1]
