"""What a page can make a browser send to the ports of gateways that open something: no opening, ever, and every byte as it was (test_ftp_hostile.py has FTP's).

The server repeats what comes, so bytes that a gateway changed would come back changed, and the far end "agrees" to whatever it is told.
"""
import json
import pytest
from conftest import SERVER2, wait_for

PORTS = {554: "rtsp", 512: "rcmd", 514: "rcmd", 2000: "skinny"}
ECHO = """
import socket, sys, threading
def serve(c):
    while data := c.recv(65536):
        c.sendall(data)
def accept(s):
    while True:
        threading.Thread(target=serve, args=s.accept()[:1]).start()
for port in sys.argv[2:]:
    threading.Thread(target=accept, args=[socket.create_server((sys.argv[1], int(port)))]).start()
print("ready", flush=True)
"""
# Each piece is a send of its own, and so begins a segment. Ends with what came back, as it was sent.
SAY = """
import json, socket, sys
c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
own = c.getsockname()[0]
back = []
for piece in json.load(sys.stdin):
    piece = piece.replace("OWN", own).encode("latin-1")
    c.sendall(piece)
    got = b""
    while len(got) < len(piece) and (data := c.recv(65536)):
        got += data
    back.append(got == piece)
print(json.dumps(back))
"""
SETUP = "SETUP rtsp://198.18.2.2/t RTSP/1.0\r\nCSeq: {}\r\nTransport: RTP/AVP;unicast;{}\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: 198.18.2.2\r\nContent-Type: text/plain\r\nContent-Length: 99999\r\n\r\n"
STEP = [SETUP.format(2, "client_port=5000-5001"), "1022\0me\0me\0ls\0", "RTSP/1.0 200 OK\r\nCSeq: 2\r\n\r\n"]


@pytest.fixture(scope="module")
def echo(world):
    server = world.internet.start("/usr/bin/python3", "-c", ECHO, SERVER2, *PORTS)
    assert server.stdout.readline() == "ready\n"
    yield
    server.kill()
    server.wait()


def said(gateway, port, pieces):
    """How the ALG's counters moved, when the pieces were said and all were repeated as they were."""
    def stats():
        row = gateway.table("alg", "stats", PORTS[port])[0]
        return {key: int(row[key] or 0) for key in ("flows", "edits", "granted", "refused", "violations")}

    before, lines = stats(), gateway.log().count("ALG expectation")
    done = gateway.guest.run("/usr/bin/python3", "-c", SAY, SERVER2, port, input=json.dumps(pieces))
    assert json.loads(done.stdout) == [True] * len(pieces), done.stdout
    wait_for(lambda: stats()["flows"] > before["flows"], 5, "the flow to be counted")
    assert gateway.log().count("ALG expectation") == lines, "ALG expectation"
    assert not [row for row in gateway.table("alg", "expectations") if row["alg"] == PORTS[port]], "others may be left of other tests"
    counted = {key: value - before[key] for key, value in stats().items()}
    assert counted["flows"] == 1 and counted["edits"] == counted["granted"] == counted["refused"] == 0, counted
    return counted


def test_the_same_setup_said_first_is_believed(gateway, echo):
    with pytest.raises(AssertionError, match="ALG expectation"):
        said(gateway, 554, STEP[:1])


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("body", [[POST, *STEP], [POST + "".join(STEP), *STEP], [POST + "x" * 1400, *STEP], ["\r\n" + POST, *STEP]], ids=["segments", "one", "padded", "line"])
def test_a_post_opens_nothing_whatever_its_segments_begin_with(gateway, echo, port, body):
    assert said(gateway, port, body)["violations"] == 1


def test_tls_opens_nothing(gateway, echo):
    for port in PORTS:
        assert said(gateway, port, ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "r" * 40, *STEP])["violations"] == 1


@pytest.mark.parametrize("transport", ["destination=192.168.30.77;client_port=5000-5001", "destination=198.18.2.1;client_port=5000-5001",
                                       "client_port=22-23", "client_port=1023-1024", "dest_addr=\"192.168.30.77:5000\"", "client_port=5000-5001;client_port=22-23"])
def test_a_setup_for_somebody_else_or_a_low_port_asks_for_nothing(gateway, echo, transport):
    """The second slipstreaming, which named another host inside."""
    assert said(gateway, 554, ["OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", SETUP.format(2, transport)])["violations"] == 0


def test_a_number_below_that_of_any_client_asks_for_nothing(gateway, echo):
    for number in ("22", "511", "80"):
        said(gateway, 514, [f"{number}\0", "me\0me\0ls\0"])
