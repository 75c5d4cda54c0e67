"""Calls as sipp's scenarios: what the one who calls says and hears, and the one who is called, written in Python and told to sipp as XML.

A scenario is a function of the two sides that gives (caller's steps, callee's steps). A caller waits at each tell(), so that the test can
look at what is agreed then, see sipp.py. Each role has sockets for media at ports of its own.
"""
import re
from xml.sax.saxutils import quoteattr

MEDIA = {"caller": (20000, 20010), "callee": (20100, 20110)}  # even: RTCP is at the next one
FAX = {"caller": 20021, "callee": 20121}  # odd, and alone
TAG = "[pid]t[call_number]"
REST = "[^ \r\n].*"


def xml(steps):
    text = "".join(steps)
    saved = ",".join(sorted(set(re.findall('assign_to="(.*?)"', text))))  # each has to be used, or sipp refuses the scenario
    return f'<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="own">\n{text}{saved and f"""<Reference variables="{saved}"/>"""}\n</scenario>\n'


def say(text):
    """Once: nothing is lost on these links, and what is slow is not to be asked again."""
    return f"<send><![CDATA[\n\n{text}\n]]></send>\n"


def hear(what, *saved, optional=False, challenged=False):
    """A response by its number or a request by its method. saved: (variable, header, regular expression)."""
    actions = "".join(f'<ereg regexp={quoteattr(pattern)} search_in="hdr" header="{header}:" assign_to="{name}"/>' for name, header, pattern in saved)
    return (f'<recv {"response" if isinstance(what, int) else "request"}="{what}"{" optional=" + quoteattr("true") if optional else ""}'
            f'{" auth=" + quoteattr("true") if challenged else ""}>{actions and f"<action>{actions}</action>"}</recv>\n')


def tell(name):
    """Says so to the test and waits until it answers."""
    return f"<sendCmd><![CDATA[\nCall-ID: [call_id]\nAt: {name}\n\n]]></sendCmd>\n<recvCmd></recvCmd>\n"


def filled(headers, body, kind):
    return f"{headers}Content-Type: {kind}\nContent-Length: [len]\n\n{body}" if body else f"{headers}Content-Length: 0\n"


class Side:
    """One end of a dialog. id: its Call-ID; not the one of a registration before it."""

    def __init__(self, role, id="[call_id]", dialled="sip:callee@[remote_ip]:[remote_port]"):
        self.role, self.id, self.number, self.dialled = role, id, 0, dialled
        self.me = f"<sip:{role}@[local_ip]:[local_port]>"

    def ask(self, method, body="", headers="", uri="[$uri]", to="[$their]", number=None, kind="application/sdp", branch="[branch]", begins=False):
        """A request of the dialog. begins: the first one, where the callee has a name only."""
        if number is None:
            self.number += 1
        if begins:
            uri, to = self.dialled, f"<{self.dialled}>"
        own = f'"Caller" {self.me};tag={TAG}' if self.role == "caller" else f"[$mine];tag={TAG}"
        return say(filled(f"{method} {uri} SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch={branch}\nMax-Forwards: 70\nFrom: {own}\nTo: {to}\n"
                          f"Call-ID: {self.id}\nCSeq: {number or self.number} {method}\nContact: {self.me}\n{headers}", body, kind))

    def acknowledge(self):
        return self.ask("ACK", number=self.number)

    def answer(self, status, reason="OK", body="", headers="", first=False, kind="application/sdp"):
        """first: the request has no tag for us yet."""
        to = f"To: [$mine];tag={TAG}" if first else "[last_To:]"
        return say(filled(f"SIP/2.0 {status} {reason}\n[last_Via:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\nContact: {self.me}\n{headers}", body, kind))

    def called(self, method="INVITE"):
        return hear(method, ("their", "From", REST), ("mine", "To", REST), ("uri", "Contact", "sip:[^>]*"), ("via", "Via", REST))

    def accepted(self, status=200):
        """The answer that makes the dialog."""
        return hear(status, ("their", "To", REST), ("uri", "Contact", "sip:[^>]*"))


def sdp(line, version=1, address="[local_ip]", more=""):
    return f"v=0\no=- 7 {version} IN IP4 [local_ip]\ns=-\nc=IN IP4 {address}\nt=0 0\n{line}\n{more}"


def audio(side, which=0, **more):
    return sdp(f"m=audio {MEDIA[side.role][which]} RTP/AVP 0", **more)


def fax(side):
    return sdp(f"m=image {FAX[side.role]} udptl t38", version=3, more="a=T38FaxVersion:0\na=T38FaxUdpEC:t38UDPRedundancy\n")


def fax_stream(side, listens):
    """By TCP (RFC 4145): who does not listen connects, and names no port."""
    port, setup = (FAX[side.role], "passive") if listens else (9, "active")
    return sdp(f"m=image {port} TCP t38", version=3, more=f"a=setup:{setup}\na=connection:new\na=T38FaxVersion:0\n")


def joined(*parts):
    return [sum((list(part[side]) for part in parts), []) for side in (0, 1)]


def began(a, b, offer=None, **more):
    """INVITE, 180, 200, ACK."""
    return ([a.ask("INVITE", offer or audio(a), begins=True, **more), hear(180), a.accepted(), a.acknowledge()],
            [b.called(), b.answer(180, "Ringing", first=True), b.answer(200, body=audio(b), first=True), hear("ACK")])


def changed(asking, asked, offer, answer):
    """A re-INVITE, for the joined() steps of whoever asks first."""
    return [asking.ask("INVITE", offer), hear(200), asking.acknowledge()], [hear("INVITE"), asked.answer(200, body=answer), hear("ACK")]


def at(name):
    return [tell(name)], []


def registered(a, b):
    """Before a call: the callee registers with the caller, which calls it then where it was told that it is."""
    a.id = b.id = "call///[call_id]"  # sipp takes what is behind the slashes for its own Call-ID
    a.dialled = "[$uri]"
    return ([hear("REGISTER", ("mine", "To", REST), ("uri", "Contact", "sip:[^>]*")), a.answer(200, headers="Expires: 600\n", first=True)],
            [say(f"REGISTER sip:[remote_ip] SIP/2.0\nVia: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport\nMax-Forwards: 70\nFrom: {b.me};tag={TAG}\nTo: {b.me}\n"
                 f"Call-ID: [call_id]\nCSeq: 1 REGISTER\nContact: {b.me};expires=600\nContent-Length: 0\n"), hear(200)])


def ended(a, b):
    return [a.ask("BYE"), hear(200)], [hear("BYE"), b.answer(200)]


def basic(a, b):
    return joined(began(a, b), at("media"), ended(a, b))


def early(a, b):
    """Media before the answer, a reliable provisional one (RFC 3262), and media that move by UPDATE (RFC 3311)."""
    return joined(([a.ask("INVITE", audio(a), "Supported: 100rel\n", begins=True), a.accepted(183), a.ask("PRACK", headers="RAck: 1 1 INVITE\n"), hear(200), tell("media")],
                   [b.called(), b.answer(183, "Session Progress", audio(b), "Require: 100rel\nRSeq: 1\n", first=True), hear("PRACK"), b.answer(200)]),
                  ([a.ask("UPDATE", audio(a, 1, version=2)), hear(200)],
                   [hear("UPDATE"), b.answer(200, body=audio(b, 1, version=2)),
                    say(f"SIP/2.0 200 OK\nVia: [$via]\nFrom: [$their]\nTo: [$mine];tag={TAG}\n[last_Call-ID:]\nCSeq: 1 INVITE\nContact: {b.me}\nContent-Length: 0\n")]),
                  ([hear(200), a.ask("ACK", number=1)], [hear("ACK")]), at("media"), ended(a, b))


def offered_late(a, b):
    """No offer in the INVITE: the 200 has it, and the ACK the answer."""
    return joined(([a.ask("INVITE", begins=True), hear(180), a.accepted(), a.ask("ACK", audio(a), number=a.number)],
                   [b.called(), b.answer(180, "Ringing", first=True), b.answer(200, body=audio(b), first=True), hear("ACK")]), at("media"), ended(a, b))


def prack_offer(a, b):
    """The 183 has the offer and the PRACK the answer (RFC 3262 5)."""
    return joined(([a.ask("INVITE", headers="Supported: 100rel\n", begins=True), a.accepted(183), a.ask("PRACK", audio(a), "RAck: 1 1 INVITE\n"), hear(200), hear(200), a.ask("ACK", number=1), tell("media")],
                   [b.called(), b.answer(183, "Session Progress", audio(b), "Require: 100rel\nRSeq: 1\n", first=True), hear("PRACK"), b.answer(200),
                    say(f"SIP/2.0 200 OK\nVia: [$via]\nFrom: [$their]\nTo: [$mine];tag={TAG}\n[last_Call-ID:]\nCSeq: 1 INVITE\nContact: {b.me}\nContent-Length: 0\n"), hear("ACK")]), ended(a, b))


def multipart(a, b):
    """The description is the second part; what the first one says of the same address is none of SIP's."""
    body = f"--one\nContent-Type: text/plain\n\nc=IN IP4 [local_ip]\n--one\nContent-Type: application/sdp\nContent-Disposition: session\n\n{audio(a)}--one--\n"
    return joined(began(a, b, body, kind='multipart/mixed;boundary="one"'), at("media"), ended(a, b))


def t38(a, b):
    """The one who was called has heard a fax. It waits for a sign, as the caller is busy with the test."""
    return joined(began(a, b), at("media"), ([a.ask("INFO"), hear(200)], [hear("INFO"), b.answer(200)]), changed(b, a, fax(b), fax(a))[::-1], at("media"), ended(a, b))


def t38_listening(a, b):
    """The same by TCP. The caller listens: a guest that calls, or who calls the guest, which then connects."""
    return joined(began(a, b), at("media"), changed(a, b, fax_stream(a, True), fax_stream(b, False)), at("media"), ended(a, b))


def t38_connecting(a, b):
    """The caller connects to where the answer says."""
    return joined(began(a, b), at("media"), changed(a, b, fax_stream(a, False), fax_stream(b, True)), at("media"), ended(a, b))


def info(a, b):
    """A description in INFO, by which old telephones move their media."""
    return joined(began(a, b), at("media"), ([a.ask("INFO", audio(a, 1, version=2)), hear(200)], [hear("INFO"), b.answer(200, body=audio(b, 1, version=2))]), at("media"), ended(a, b))


def held(a, b):
    """Held and taken back, in the way of now and in the way of RFC 2543."""
    return joined(began(a, b), at("media"),
                  changed(a, b, audio(a, version=2, more="a=sendonly\n"), audio(b, version=2, more="a=recvonly\n")), changed(a, b, audio(a, version=3), audio(b, version=3)), at("media"),
                  changed(a, b, audio(a, version=4, address="0.0.0.0"), audio(b, version=4)), changed(a, b, audio(a, version=5), audio(b, version=5)), at("media"), ended(a, b))


def forked(a, b):
    """Two phones answer, each with media of its own; the second one takes the call."""
    other = f"To: [$mine];tag=other{TAG}"

    def answer(status, reason, which, to):
        return say(f"SIP/2.0 {status} {reason}\nVia: [$via]\nFrom: [$their]\n{to}\n[last_Call-ID:]\nCSeq: 1 INVITE\nContact: {b.me}\nContent-Type: application/sdp\nContent-Length: [len]\n\n{audio(b, which)}")

    first = f"To: [$mine];tag={TAG}"
    return joined(([a.ask("INVITE", audio(a), begins=True), a.accepted(183), a.accepted(183), tell("media"), a.ask("INFO"), hear(200)],
                   [b.called(), answer(183, "Session Progress", 1, other), answer(183, "Session Progress", 0, first), hear("INFO"), b.answer(200)]),
                  ([a.accepted(), a.ask("ACK", number=1)], [answer(200, "OK", 0, first), hear("ACK")]), at("media"), ended(a, b))


def moved(a, b):
    """A re-INVITE names another port."""
    return joined(began(a, b), at("media"), changed(a, b, audio(a, 1, version=2), audio(b, 1, version=2)), at("media"), ended(a, b))


def replaces(side):
    return "<sip:third@[local_ip]:[local_port]?Replaces=other%40[local_ip]%3Bto-tag%3D1%3Bfrom-tag%3D2>"


def referred(a, b):
    """An attended transfer (RFC 3515, 3891, 3892), and how it goes (RFC 3420)."""
    def notified(state, fragment):
        return ([hear("NOTIFY"), a.answer(200)], [b.ask("NOTIFY", fragment, f"Event: refer\nSubscription-State: {state}\n", kind="message/sipfrag;version=2.0"), hear(200)])

    return joined(began(a, b), at("media"),
                  ([a.ask("REFER", headers=f"Refer-To: {replaces(a)}\nReferred-By: {a.me}\n"), hear(202)], [hear("REFER"), b.answer(202, "Accepted")]),
                  notified("active;expires=60", "SIP/2.0 100 Trying\n"), notified("terminated;reason=noresource", f"SIP/2.0 200 OK\nContact: {b.me}\n"), ended(a, b))


def transferred(a, b):
    """A blind transfer (RFC 5589 6): who is sent elsewhere has left when it calls there. That is the other one itself by another name, so that it needs no third sipp."""
    to, third = Side("caller", "third///[call_id]", "[$target]"), Side("callee")
    return joined(began(a, b), at("media"), ([a.ask("INFO"), hear(200)], [hear("INFO"), b.answer(200)]),
                  ([hear("REFER", ("target", "Refer-To", "sip:[^>]*")), a.answer(202, "Accepted"), a.ask("NOTIFY", "SIP/2.0 100 Trying\n", "Event: refer\nSubscription-State: active;expires=60\n",
                                                                                                      kind="message/sipfrag;version=2.0"), hear(200)],
                   [b.ask("REFER", headers="Refer-To: <sip:third@[local_ip]:[local_port]>\nReferred-By: [$mine]\n"), hear(202), hear("NOTIFY"), b.answer(200)]),
                  ended(b, a)[::-1],
                  ([to.ask("INVITE", audio(a, 1), "Referred-By: <sip:callee@[remote_ip]>\n", begins=True), hear(180), to.accepted(), to.acknowledge()],
                   [third.called(), third.answer(180, "Ringing", first=True), third.answer(200, body=audio(b, 1), first=True), hear("ACK")]), at("media"), ended(to, third))


def replaced(a, b):
    """A call that takes another's place (RFC 3891), with the names that proxies add (RFC 3325, 3327, 5806)."""
    headers = (f"Replaces: other@[local_ip];to-tag=1;from-tag=2\nP-Asserted-Identity: {a.me}\nP-Preferred-Identity: {a.me}\nRemote-Party-ID: {a.me};party=calling\n"
               f"Diversion: {a.me};reason=unconditional\nRecord-Route: <sip:[local_ip]:[local_port];lr>\nX-Other: [local_ip]\nUser-Agent: one/[local_ip]\n")
    return joined(began(a, b, headers=headers), at("media"), ended(a, b))


def messages(a, b):
    """SUBSCRIBE, NOTIFY, MESSAGE, PUBLISH, OPTIONS, INFO: no media."""
    steps = [([a.ask("SUBSCRIBE", headers="Event: presence\nExpires: 60\n", begins=True), a.accepted()], [b.called("SUBSCRIBE"), b.answer(200, headers="Expires: 60\n", first=True)]),
             ([hear("NOTIFY"), a.answer(200)], [b.ask("NOTIFY", "one\n", "Event: presence\nSubscription-State: active\n", kind="text/plain"), hear(200)])]
    for method, kind, headers in (("MESSAGE", "text/plain", ""), ("PUBLISH", "application/pidf+xml", "Event: presence\nExpires: 60\n"), ("OPTIONS", "", ""), ("INFO", "text/plain", "Info-Package: x\n")):
        steps.append(([a.ask(method, kind and "at [local_ip]\n", headers, kind=kind), hear(200)], [hear(method), b.answer(200)]))
    return joined(*steps[:2], at("subscribed"), *steps[2:])


def cancelled(a, b):
    return joined(([a.ask("INVITE", audio(a), begins=True), hear(180), tell("ringing"), a.ask("CANCEL", number=1, begins=True, branch="[branch-3]"), hear(200), hear(487, ("their", "To", REST)),
                    a.ask("ACK", number=1, uri=a.dialled, branch="[branch-6]")],
                   [b.called(), b.answer(180, "Ringing", first=True), hear("CANCEL"), b.answer(200),
                    say(f"SIP/2.0 487 Request Terminated\nVia: [$via]\nFrom: [$their]\nTo: [$mine];tag={TAG}\n[last_Call-ID:]\nCSeq: 1 INVITE\nContent-Length: 0\n"), hear("ACK")]))


def challenged(a, b):
    """407, then the same offer once more."""
    return joined(([a.ask("INVITE", audio(a), begins=True), hear(407, ("their", "To", REST), challenged=True),
                    a.ask("ACK", number=1, uri=a.dialled, branch="[branch-2]")],
                   [b.called(), b.answer(407, "Proxy Authentication Required", headers='Proxy-Authenticate: Digest realm="r",nonce="n",qop="auth",algorithm=MD5\n', first=True), hear("ACK")]),
                  began(a, b, headers="[authentication username=u password=p]\n"), at("media"), ended(a, b))


SCENARIOS = {function.__name__: function for function in
             (basic, early, offered_late, prack_offer, multipart, t38, t38_listening, t38_connecting, info, held, moved, referred, transferred, replaced, messages, cancelled, challenged,
              forked)}
