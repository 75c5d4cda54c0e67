#!/usr/bin/env python3
"""What tshark finds in messages of H.323, for tests/unit/alg/h323_walk.c (h323_walk/README.md tells the format).

  h323_walk.py capture CAPTURE   prints the messages of a capture and their marks
  h323_walk.py marks FILE        prints FILE again with the marks that tshark finds now

tshark knows fields by their names in the standard; NAMES and address() say which of them natlock marks, by the names of all that they
are in. Nothing here knows h323.schema.
"""
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree

import sessions as recorded

DISSECTORS = {"RAS": "h225.ras", "UUIE": "h323ui", "H245": "h245dg"}
USER_USER, Q931, TPKT = 0x7E, 8, b"\x03\x00"
CONTROL = {"request": 0, "response": 1, "command": 2, "indication": 3}
ALTERNATES = {"alternateEndpoints", "srcAlternatives", "destAlternatives", "alternateGatekeeper", "assignedGatekeeper"}
BODIES = {"setup", "callProceeding", "connect", "alerting", "information", "releaseComplete", "facility", "progress", "status",
          "statusInquiry", "setupAcknowledge", "notify"}
# name of a field: the mark, and the name of what it must be right in, if that matters
NAMES = {
    "RAS": {
        "RasMessage": ("RAS_MESSAGE", None), "requestSeqNum": ("RAS_SEQUENCE", None), "timeToLive": ("RAS_TIME_TO_LIVE", None),
        "keepAlive": ("RAS_KEEP_ALIVE", None), "guid": ("RAS_CALL_ID", None),
    },
    "UUIE": {
        "h323_message_body": ("H225_BODY", None), "h245Tunnelling": ("H225_TUNNELING", None), "guid": ("H225_CALL_ID", None),
        "multipleCalls": ("H225_MULTIPLE_CALLS", None), "maintainConnection": ("H225_MAINTAIN", None),
        "fastConnectRefused": ("H225_FAST_REFUSED", None), "FastStart_item": ("H225_FAST_START", None),
        "conferenceID": ("H225_CONFERENCE_ID", {"setup", "connect", "facility"}), "reason": ("H225_FACILITY_REASON", {"facility"}),
        "H245Control_item": ("H225_TUNNEL", None), "ParallelH245Control_item": ("H225_PARALLEL", None),
    },
    "H245": {
        "OpenLogicalChannel": ("H245_CHANNEL", None), "openLogicalChannel": ("H245_CHANNEL", None),
        "openLogicalChannelAck": ("H245_ACK", None), "forwardLogicalChannelNumber": ("H245_CHANNEL_NUMBER", None),
        "reverseLogicalChannelParameters": ("H245_REVERSE", None), "sessionID": ("H245_SESSION", None),
    },
}
TOKENS = {"tokens": 0, "cryptoTokens": 1, "integrityCheckValue": 1}
# field that holds an address: whether it is one of a source route
ADDRESSES = {"ipV4": False, "h245Ip": False, "ip4_network": False, "src_route_ipV4": True, "ip": True, "network": True}
NO_VALUE = {"guid", "conferenceID"} | set(TOKENS)


def h225_address(ras, above, routed):
    if "pdu" in above and ras:
        return "RAS_OTHER_ADDRESS", 0
    if routed or "transportID" in above:
        return ("RAS" if ras else "H225") + ("_OTHER_ADDRESS" if routed else "_ALIAS_ADDRESS"), 0
    if not ras:
        field = {"h245Address": "H245_ADDRESS", "destCallSignalAddress": "DEST_SIGNAL", "sourceCallSignalAddress": "SRC_SIGNAL",
                 "alternativeAddress": "ALTERNATIVE"}.get(above[-1], "OTHER_ADDRESS")
        return f"H225_{field}", 0
    if ALTERNATES & set(above):
        return "RAS_ALTERNATE", 0
    if {"perCallInfo", "bandwidthDetails"} & set(above):
        return "RAS_IRR_CALL_ADDRESS", 0
    name = "destCallSignalAddress" if above[-2:] == ["locationConfirm", "callSignalAddress"] else above[-1]
    return {"rasAddress": "RAS_ADDRESS", "replyAddress": "RAS_ADDRESS", "destCallSignalAddress": "RAS_DEST_SIGNAL",
            "srcCallSignalAddress": "RAS_SRC_SIGNAL", "callSignalAddress": "RAS_SIGNAL_ADDRESS"}.get(name, "RAS_OTHER_ADDRESS"), 0


def h245_address(above, routed):
    if "functionNotUnderstood" in above or routed:
        return "H245_OTHER_ADDRESS", 0
    if "communicationModeTable" in above:
        return "H245_COMMUNICATION_MODE", int(above[-1] == "mediaControlChannel")
    if "separateStack" in above:
        return "H245_SEPARATE_STACK", 0
    reverse = "REVERSE_" if "reverseLogicalChannelParameters" in above else ""
    field = {"mediaChannel": "MEDIA", "mediaControlChannel": "MEDIA_CONTROL"}.get(above[-1])
    return (f"H245_{reverse}{field}" if field else "H245_OTHER_ADDRESS"), 0


def bare(name):
    return re.sub(r"_element$", "", name.split(".", 1)[1])


class Found:
    """The marks of one message."""

    def __init__(self, root, packet):
        self.root, self.marks = root, []
        self.malformed = any(field.get("name", "").startswith("_ws.malformed") for field in packet.iter())
        for proto in packet.findall("proto"):
            if proto.get("name") in ("h225", "h245"):
                self.walk(proto, [])

    def walk(self, parent, above):
        fields = list(parent)
        for i, field in enumerate(fields):
            name = field.get("name", "")
            if field.get("hide") == "yes":
                continue
            if name.startswith(("h225.", "h245.")):
                self.field(field, bare(name), name[:4], above, fields[i + 1:])
                self.walk(field, above + [bare(name)])
            else:
                self.walk(field, above)

    def field(self, field, name, proto, above, rest):
        at, show = int(field.get("pos")), field.get("show")
        at += name == "timeToLive"  # its length comes first
        inside = [n for n in above if n not in ("ipAddress", "ipSourceRoute", "unicastAddress", "iPAddress", "TransportAddress",
                                                "iPSourceRouteAddress")]
        if name in ADDRESSES and above[-1] not in ("ip6Address", "ipxAddress") and "multicastAddress" not in above:
            port = next(f for f in rest if re.search("port|tsap", f.get("name"), re.I))
            assert int(port.get("pos")) == at + 4
            dotted = ".".join(str(octet) for octet in bytes.fromhex(field.get("value")))
            self.address(at, f"{dotted}:{port.get('show')}", proto, inside, ADDRESSES[name])
            return
        if name in TOKENS:
            self.marks.append((at, "TOKENS", TOKENS[name]))
        if "pdu" in above and self.root == "RAS" or {"functionNotUnderstood", "functionNotSupported"} & set(above):
            return
        if name in CONTROL and proto == "h245" and above[-1] == "pdu_type":
            self.marks.append((at, "H245_MESSAGE", CONTROL[name] << 16 | int(show)))
        elif name == "dataType" and proto == "h245" and above[-1] == "forwardLogicalChannelParameters":
            self.marks.append((at, "H245_DATA_TYPE", int(show)))
        elif name == "dataType" and proto == "h245" and above[-1] == "reverseLogicalChannelParameters":
            self.marks.append((at, "H245_REVERSE_DATA_TYPE", int(show)))
        mark, right = NAMES["H245" if proto == "h245" else self.root].get(name, (None, None))
        if mark and (not right or above[-1] in right):
            number = 0 if name in NO_VALUE or "_item" in name or not re.fullmatch(r"\d+", show) else int(show)
            self.marks.append((at, mark, number))

    def address(self, at, text, proto, inside, routed):
        if proto == "h245" and not ("pdu" in inside and self.root == "RAS"):
            name, number = h245_address(inside, routed)
        else:
            name, number = h225_address(self.root == "RAS", inside, routed)
        self.marks.append((at, name, f"{number} {text}"))


def dissected(root, messages):
    """What tshark finds in each of them."""
    with tempfile.NamedTemporaryFile(suffix=".pcap") as capture:
        capture.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 147))
        for message in messages:
            capture.write(struct.pack("<IIII", 0, 0, len(message), len(message)) + message)
        capture.flush()
        link = f'uat:user_dlts:"User 0 (DLT=147)","{DISSECTORS[root]}","0","","0",""'
        shown = subprocess.run(["tshark", "-r", capture.name, "-o", link, "-T", "pdml"], capture_output=True, check=True)
    plain = re.sub(rb"[^\n\x20-\x7e]", b"?", shown.stdout)  # tshark writes characters of messages that XML does not know
    return [Found(root, packet) for packet in ElementTree.fromstring(plain).findall("packet")]


def user_user(message):
    """What the user-user element of a message of Q.931 holds."""
    at = 3 + message[1]
    while at < len(message):
        if message[at] & 0x80:
            at += 1
        elif message[at] == USER_USER:
            size = int.from_bytes(message[at + 1:at + 3], "big")
            return message[at + 4:at + 3 + size]
        else:
            at += 2 + message[at + 1]
    return None


def messages(capture):
    """Everything in a capture that is one, as (root, octets)."""
    packets = recorded.read(capture)
    for session in recorded.sessions(packets, "udp", {1718, 1719}):
        yield from (("RAS", data) for _, data in session.records)
    ports = {packet[recorded.TCP].dport for packet in packets if recorded.TCP in packet and int(packet[recorded.TCP].flags) & 0x12 == 2}
    for session in recorded.sessions(packets, "tcp", ports or set(range(1024, 65536))):
        for way in (True, False):
            stream = b"".join(data for client, data in session.records if client == way)
            while stream[:2] == TPKT and len(stream) >= int.from_bytes(stream[2:4], "big") > 4:
                size = int.from_bytes(stream[2:4], "big")
                body, stream = stream[4:size], stream[size:]
                held = user_user(body) if body[0] == Q931 else body
                if held is not None:
                    yield ("UUIE" if body[0] == Q931 else "H245"), held


def show(listed):
    """(comment lines, root, octets) as a file holds them; the same octets once."""
    seen, of = set(), {}
    listed = [one for one in listed if (one[1], one[2]) not in seen and not seen.add((one[1], one[2]))]
    for root in DISSECTORS:
        mine = [octets for _, kind, octets in listed if kind == root]
        of.update({(root, octets): found for octets, found in zip(mine, dissected(root, mine))})
    for comment, root, octets in listed:
        found = of[root, octets]
        sys.stdout.write(comment)
        print(root, octets.hex())
        for at, name, rest in sorted(found.marks, key=lambda mark: mark[0]):
            print(f"  {name} {at} {rest}")
        if found.malformed:
            print("  malformed")


def main():
    if sys.argv[1] == "capture":
        show([("", root, octets) for root, octets in messages(sys.argv[2])])
        return
    listed, comment = [], ""
    for line in pathlib.Path(sys.argv[2]).read_text().splitlines(True):
        words = line.split()
        if line.startswith("#"):
            comment += line
        elif words and words[0] in DISSECTORS and len(words) == 2:
            listed.append((comment, words[0], bytes.fromhex(words[1])))
            comment = ""
    show(listed)


main()
