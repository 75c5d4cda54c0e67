"""The host's resolvers: they change while natlock runs, are silent, or are none."""
import shutil, time
import pytest
from conftest import HUB, SERVER, SERVER2, lease, wait_for

REFUSING, SILENT = SERVER2, "198.18.1.77"


def dig(guest, name="www.example.test", *options):
    return guest.run("dig", "+time=5", "+tries=1", *options, f"@{HUB}", name, check=False).stdout


def resolves(guest):
    return SERVER in dig(guest, "www.example.test", "+short")


class Host:
    """A gateway in a mount namespace of its own, whose /etc this test may write."""

    def __init__(self, spawn, world, name, script):
        self.etc = world.folder / f"etc-{name}"
        self.etc.mkdir()
        for file in ("passwd", "group", "nsswitch.conf"):
            shutil.copy(f"/etc/{file}", self.etc)
        self.file = self.etc / "resolv.conf"
        self.file.write_text(f"nameserver {SERVER}\n")
        self.guest = spawn.guest(name)
        self.gateway = spawn.gateway(name, guest=self.guest, config=f'hubs:\n  default:\n    attach: ["netns:{self.guest.name}"]\n',
                                     prefix=["unshare", "-m", "sh", "-c", f"{script} && exec \"$@\"", self.etc])
        lease(self.guest)


@pytest.fixture(scope="module")
def host(spawn, world):
    return Host(spawn, world, "dns", 'mount --bind "$0" /etc')


@pytest.fixture(scope="module")
def bound(spawn, world):
    """As in a container: resolv.conf alone is a mount."""
    return Host(spawn, world, "dnsb", 'mount --bind "$0/resolv.conf" /etc/resolv.conf')


def replace(host, text):
    new = host.etc / "resolv.conf.new"
    new.write_text(text)
    new.rename(host.file)


def test_none_is_servfail_at_once_until_one_appears(host):
    assert resolves(host.guest)
    replace(host, "# nobody\n")
    wait_for(lambda: "SERVFAIL" in dig(host.guest), 4, "SERVFAIL")
    begin = time.monotonic()
    assert "SERVFAIL" in dig(host.guest) and time.monotonic() - begin < 1
    assert "connection refused" in dig(host.guest, "www.example.test", "+tcp")
    text = "no DNS upstream: resolv.conf has no usable nameserver. Guests' DNS gets SERVFAIL until one appears (watching)."
    assert text in host.gateway.text()
    host.file.write_text(f"nameserver {SERVER}\n")
    wait_for(lambda: resolves(host.guest), 4, "the resolver that came back")


def test_a_file_that_vanishes_and_comes_back(host):
    host.file.unlink()
    wait_for(lambda: "SERVFAIL" in dig(host.guest), 4, "SERVFAIL")
    replace(host, f"search example.test\nnameserver {SERVER}\n")
    wait_for(lambda: resolves(host.guest), 4, "the resolver that came back")


@pytest.mark.parametrize("dead,longest", [(REFUSING, 1), (SILENT, 4)], ids=["refusing", "silent"])
def test_the_second_resolver_answers_for_the_first(host, dead, longest):
    replace(host, f"nameserver {dead}\nnameserver {SERVER}\n")
    time.sleep(0.8)  # the change settles; while the old file holds, the test would prove nothing
    begin = time.monotonic()
    assert resolves(host.guest)
    assert time.monotonic() - begin < longest
    begin = time.monotonic()
    assert resolves(host.guest) and time.monotonic() - begin < 0.5, "every question waits for the dead one"
    assert SERVER in dig(host.guest, "www.example.test", "+short", "+tcp")
    replace(host, f"nameserver {SERVER}\n")


def test_a_mounted_file_is_watched_too(bound):
    assert resolves(bound.guest)
    bound.file.write_text("# nobody\n")
    wait_for(lambda: "SERVFAIL" in dig(bound.guest), 4, "SERVFAIL")
    bound.file.write_text(f"nameserver {SERVER}\n")
    wait_for(lambda: resolves(bound.guest), 4, "the resolver that came back")
