"""RTSP through the ALG: gst-rtsp-server beyond the gateway or behind it, ffmpeg and GStreamer as clients, what they got by its hash.

The host holds the ports that clients choose, so that none of them can keep its number outside: media that arrive were announced by
the rewritten Transport, not by luck. The streams last 0.5 s and carry what no codec changes: PCMU and raw frames.
"""
import hashlib, itertools, os, random
import pytest
from conftest import OUTSIDE, ROUTER, SERVER, TOP, wait_for

SERVICE = TOP / "tests/integration/rtsp_server.py"
INSIDE, PUBLISHED, STATIC = "192.168.30.50", "192.168.30.51", "198.18.1.7"
AUDIO, VIDEO = 4000, 12 * 1024
PORTS, EACH = (21000, 21127), 16  # each client has some of its own: a port that was used a moment ago has its place outside still
HOLD = ("import socket, select\nheld = []\n"
        f"for port in range({PORTS[0]}, {PORTS[1]} + 1):\n    held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))\n    held[-1].bind(('0.0.0.0', port))\n"
        "print('ready', flush=True)\nselect.select(held, [], [])\nprint('media', flush=True)\nselect.select([], [], [])\n")
# Prints what a server says of itself; the next answer must begin where Content-Length says that the body ends.
DESCRIBE = """
import socket, sys
talk = socket.create_connection((sys.argv[1], 8554), 5).makefile("rwb")
for number, verb in enumerate(("DESCRIBE", "OPTIONS")):
    talk.write(f"{verb} rtsp://{sys.argv[1]}:8554/t RTSP/1.0\\r\\nCSeq: {number}\\r\\nAccept: application/sdp\\r\\n\\r\\n".encode())
    talk.flush()
    lines = list(iter(talk.readline, b"\\r\\n"))
    assert lines[0] == b"RTSP/1.0 200 OK\\r\\n", lines
    length = sum(int(line.split(b":")[1]) for line in lines if line.lower().startswith(b"content-length"))
    print(b"".join(lines).decode(), talk.read(length).decode())
"""


@pytest.fixture(scope="module")
def media(world):
    """The two streams, and where clients leave what they got."""
    folder = world.folder / "rtsp"
    folder.mkdir()
    (folder / "audio").write_bytes(random.Random(554).randbytes(AUDIO))
    (folder / "video").write_bytes(random.Random(7826).randbytes(VIDEO))
    os.environ["GST_REGISTRY"] = str(folder / "registry")
    yield folder
    del os.environ["GST_REGISTRY"]


def serve(where, address, port, media):
    server = where.start(SERVICE, address, port, media)
    assert server.stdout.readline() == "ready\n"
    return server


@pytest.fixture(scope="module")
def server(world, media):
    serve(world.internet, ROUTER, 554, media)


@pytest.fixture
def held(world):
    """The ports of clients, on the host; it says so if media come to them."""
    holder = world.gateway.start("/usr/bin/python3", "-c", HOLD)
    assert holder.stdout.readline() == "ready\n"
    yield holder
    holder.kill()
    holder.wait()


first_ports = itertools.count(PORTS[0], EACH)


def ffmpeg(where, name, media, url, transport="udp"):
    """Starts it; both streams go to files of this name."""
    port = next(first_ports)
    return where.start("ffmpeg", "-nostdin", "-v", "error", "-y", "-rtsp_transport", transport, "-min_port", port, "-max_port", port + EACH - 1, "-i", url,
                       "-map", "0:a", "-c", "copy", "-f", "mulaw", media / f"{name}-audio", "-map", "0:v", "-c", "copy", "-f", "rawvideo", media / f"{name}-video")


def gstreamer(where, name, media, url):
    port = next(first_ports)
    return where.start("gst-launch-1.0", "-q", "rtspsrc", f"location={url}", "protocols=udp", f"port-range={port}-{port + EACH - 1}", "latency=50", "name=s",
                       "s.", "!", "application/x-rtp,media=audio", "!", "rtppcmudepay", "!", "filesink", f"location={media / name}-audio",
                       "s.", "!", "application/x-rtp,media=video", "!", "rtpvrawdepay", "!", "filesink", f"location={media / name}-video")


def expect_all(client, name, media):
    """A client may leave out what it was still holding back for order when the server said good-bye: a few frames."""
    output, _ = client.communicate(timeout=20)
    assert client.returncode == 0, output
    for stream in ("audio", "video"):
        sent, got = (media / stream).read_bytes(), (media / f"{name}-{stream}").read_bytes()
        assert len(got) > 0.75 * len(sent), (stream, len(got), output)
        assert hashlib.sha256(got).hexdigest() == hashlib.sha256(sent[: len(got)]).hexdigest(), stream


def test_two_clients_of_a_guest_get_both_streams_by_udp(gateway, server, media, held):
    url = f"rtsp://{ROUTER}/t"
    clients = {"ffmpeg": ffmpeg(gateway.guest, "ffmpeg", media, url), "gstreamer": gstreamer(gateway.guest, "gstreamer", media, url)}
    for name, client in clients.items():
        expect_all(client, name, media)


def test_interleaved_media_pass_by_the_parser(gateway, server, media):
    expect_all(ffmpeg(gateway.guest, "tcp", media, f"rtsp://{ROUTER}/t", "tcp"), "tcp", media)


def test_without_the_alg_media_end_at_the_host(gateway, server, media, held):
    gateway.control("alg", "disable", "rtsp")
    try:
        client = ffmpeg(gateway.guest, "off", media, f"rtsp://{ROUTER}/t")
        assert held.stdout.readline() == "media\n"
        client.kill()
        client.wait()
        assert not (media / "off-audio").exists() or (media / "off-audio").stat().st_size == 0
    finally:
        gateway.control("alg", "enable", "rtsp")


def test_media_from_elsewhere_stay_outside_unless_the_nat_lets_anybody_in(gateway, world, media):
    """This server speaks from SERVER, but its media come from the first address of its interface. ffmpeg sends by its ports first."""
    def refused():
        return sum(int(row["count"]) for row in gateway.table("drops") if row["reason"] == "FILTERED")

    serve(world.internet, SERVER, 554, media)
    before = refused()
    client = ffmpeg(gateway.guest, "elsewhere", media, f"rtsp://{SERVER}/t")
    wait_for(lambda: refused() - before >= 10, 5, "media to be refused")
    client.kill()
    client.wait()
    assert not (media / "elsewhere-audio").exists() or (media / "elsewhere-audio").stat().st_size == 0
    gateway.control("nat", "set", "filtering=endpoint_independent")
    try:
        expect_all(ffmpeg(gateway.guest, "elsewhere", media, f"rtsp://{SERVER}/t"), "elsewhere", media)
    finally:
        gateway.control("nat", "set", "filtering=address_and_port_dependent")


@pytest.fixture(scope="module")
def inside(world, media, spawn):
    """A gateway with two servers: at a static address of its own, of which one port leads to it, and behind a published port."""
    guests = [spawn.guest(f"rtsp{n}") for n in range(2)]
    world.gateway.run("ip", "addr", "add", f"{STATIC}/24", "dev", "w0")
    attach = ", ".join(f'"netns:{guest.name}"' for guest in guests)
    gateway = spawn.gateway("rtsp", guest=guests[0], config=f"hubs:\n  default:\n    attach: [{attach}]\n    nat:\n"
                            f"      static:\n        - {{inside: {INSIDE}, outside: {STATIC}, ports: [8554]}}\n"
                            f"      publish:\n        - {{proto: tcp, listen: \"{OUTSIDE}:8555\", to: \"{PUBLISHED}:8554\"}}\n")
    for guest, address in zip(guests, (INSIDE, PUBLISHED)):
        wait_for(lambda guest=guest: "eth0" in guest.run("ip", "-br", "link").stdout, 5, "the guest's interface")
        guest.run("ip", "addr", "add", f"{address}/24", "dev", "eth0")
        guest.run("ip", "route", "replace", "default", "via", "192.168.30.1")
        serve(guest, address, 8554, media)
    yield gateway
    world.gateway.run("ip", "addr", "del", f"{STATIC}/24", "dev", "w0")


def test_a_server_inside_is_seen_by_its_outside_address_only(world, inside):
    def describe():
        return world.internet.run("/usr/bin/python3", "-c", DESCRIBE, STATIC).stdout

    answer = describe()
    assert f"IN IP4 {STATIC}\n" in answer and "a=control:stream=1" in answer and INSIDE not in answer, answer
    inside.control("alg", "disable", "rtsp")
    try:
        assert INSIDE in describe(), "then nobody puts it right"
    finally:
        inside.control("alg", "enable", "rtsp")


def test_servers_inside_and_clients_outside_reach_each_other_by_udp(world, inside, media):
    """Media go out; what ffmpeg says to the servers' ports comes in by their pinholes."""
    clients = {"static": ffmpeg(world.internet, "static", media, f"rtsp://{STATIC}:8554/t"),
               "published": ffmpeg(world.internet, "published", media, f"rtsp://{OUTSIDE}:8555/t")}
    for name, client in clients.items():
        expect_all(client, name, media)
    row = next(row for row in inside.table("alg", "stats") if row["alg"] == "rtsp")
    assert int(row["granted"]) == int(row["used"]) == 4, row
