"""Two softphones that we did not write, with a registrar and proxy that we did not write either: baresip inside and outside, kamailio outside.

The proxy knows nothing of NAT: it calls who registered where the registration says. Media go between the phones, beside it.
"""
import pytest, sites
from conftest import ROUTER, wait_for
from operator_client import change
from softphone import Softphone, proxy, understood
from talks import addressed

GUEST, BESIDE, REGISTRAR, FAR = "192.168.30.10", "192.168.30.11", "198.18.2.41", ROUTER  # baresip sends its media from its interface's first address
PROXY, STATIC = "192.168.30.12", "198.18.1.88"  # a proxy inside


class Site(sites.Site):
    def __init__(self, world, spawn):
        super().__init__(world)
        self.guest, self.beside, self.folder = spawn.guest("phone"), spawn.guest("phone2"), world.folder / "phones"
        self.folder.mkdir()
        self.own(world.internet, "lo", REGISTRAR)
        self.own(world.gateway, "w0", STATIC)
        self.gateway = spawn.gateway("alg-sip-phones", guest=self.guest, config=f"""
hubs:
  default:
    attach: ["netns:{self.guest.name}", "netns:{self.beside.name}"]
    nat:
      static: [{{inside: {PROXY}, outside: {STATIC}, ports: [5060]}}]
    alg: {{sip: {{ports: [5060, 5070, 5080]}}}}
""")
        addressed(self.guest, GUEST)
        addressed(self.beside, BESIDE, PROXY)
        self.proxies = [proxy(world.folder / "proxy-outside", world.internet, REGISTRAR), proxy(world.folder / "proxy-inside", self.beside, PROXY)]

    def close(self):
        for one in self.proxies:
            one.terminate()
            one.wait(5)
        super().close()


site, _ = sites.fixtures(Site)


@pytest.fixture
def phones(site, request):
    """Two of them, registered: (transport, who)."""
    transport, *names = request.param
    number = len(list(site.folder.iterdir()))  # longer names are too long for sndfile
    outside = site.world.internet, "i0", FAR
    places = {"inside": (site.guest, "eth0", GUEST, 5060, REGISTRAR, (26000, 26099)), "beside": (site.beside, "eth0", BESIDE, 5060, REGISTRAR, (28000, 28099)),
              "outside": (*outside, 5060, REGISTRAR, (27000, 27099)), "left": (*outside, 5070, STATIC, (27100, 27199)), "right": (*outside, 5080, STATIC, (27200, 27299))}
    made = []
    for name in names:
        *place, registrar, ports = places[name]
        made.append(Softphone(site.folder / f"{name}{number}", *place, name, registrar, transport, ports))
    for phone in made:
        phone.register()
    yield made
    for phone in made:
        phone.stop()


def call(one, other):
    """They hang up when all is said. Whether it came to a call."""
    one.say("dial", f"sip:{other.name}@{other.registrar}")
    if one.hears("CALL_ESTABLISHED", "CALL_CLOSED")["type"] == "CALL_CLOSED":
        return False
    for phone in (one, other):
        phone.hears("CALL_CLOSED")
    return True


def expect_both_to_hear(one, other):
    assert call(one, other)
    for phone, friend in ((one, other), (other, one)):
        share, ordered = understood(phone.heard(), friend.samples)
        assert share > 0.5 and ordered, (phone.name, share, ordered)  # who has said all hangs up, and may cut the other one short


@pytest.mark.parametrize("phones", [("udp", "inside", "outside"), ("tcp", "inside", "outside"), ("udp", "inside", "beside")], indirect=True, ids="-".join)
def test_phones_call_each_other_and_hear_what_is_said(site, phones):
    """Two that are both inside call by the proxy outside, too; each is told of the other by its outside port."""
    one, other = phones
    expect_both_to_hear(one, other)
    expect_both_to_hear(other, one)
    wait_for(lambda: not site.gateway.table("alg", "expectations"), 3, "the doors to close")


@pytest.mark.parametrize("phones", [("udp", "left", "right"), ("tcp", "left", "right")], indirect=True, ids="-".join)
def test_phones_outside_call_each_other_by_a_proxy_inside(site, phones):
    """It puts itself into Via and Record-Route by its inside address, and has to know itself again in Route."""
    expect_both_to_hear(*phones)
    for phone in phones:
        assert PROXY not in phone.trace(), phone.trace()


@pytest.fixture
def off(site):
    change(site.gateway, ("set", "alg.sip.mode", "off"))
    yield
    change(site.gateway, ("set", "alg.sip.mode", "fix"))


@pytest.mark.parametrize("phones", [("tcp", "inside", "outside")], indirect=True, ids="-".join)
def test_without_the_alg_nobody_can_call_the_phone_inside(site, off, phones):
    inside, outside = phones
    assert not call(outside, inside)
