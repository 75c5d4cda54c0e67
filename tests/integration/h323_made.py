"""Messages of H.323 that no recording has, put together by hand in aligned PER, one part a field in the order of the standard.

They name recorded endpoints, so they are said like recorded ones (h323_recordings.py). That they are what they should be is for tshark
to say, which reads each of them at the far end (test_alg_h323_h245.py, _ras.py, _sealed.py).
"""
import re, struct
from h323_recordings import A, ADDRESSES, B, FACILITY, IRQ, IRR, RCF, octets, recordings

VERSION = bytes.fromhex("060008914a0004")  # protocolIdentifier
TERMINAL = "0 000001 0 0 0 0"  # EndpointType with nothing but an empty TerminalInfo
ENDPOINT = "4125900600_endp"  # endpointIdentifier, as GnuGk makes them
CHARACTERS = "utf-16-be"


def per(*parts):
    """Text: bits. Octets: they begin where an octet does. A list: its parts. An endpoint, as recorded: four octets and two."""
    bits = ""
    for part in flat(parts):
        if isinstance(part, str):
            bits += part.replace(" ", "")
        else:
            bits += "0" * (-len(bits) % 8) + "".join(f"{octet:08b}" for octet in part)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def flat(parts):
    for part in parts:
        if isinstance(part, list):
            yield from flat(part)
        else:
            yield octets(ADDRESSES[part[0]], part[1]) if isinstance(part, tuple) else part


def sized(data):
    """An octet string, or an open type."""
    return (bytes([len(data)]) if len(data) < 128 else struct.pack(">H", 0x8000 | len(data))) + data


def added(*those):
    """What later versions added; None: it is not there."""
    return [f"0{len(those) - 1:06b}", "".join("01"[one is not None] for one in those), *(sized(one) for one in those if one is not None)]


def u16(number):
    return struct.pack(">H", number)


# ---- H.245 ----

def unicast(endpoint):
    """TransportAddress: unicastAddress, iPAddress."""
    return ["0 0", "0 000", "0", endpoint]


T120 = ["0 100", "0", "0 0001", "1 0000011", sized(b"\0"), "01", u16(6217)]  # DataType: data, t120, separateLANStack, 621.7 kbit/s
DATA_CHANNEL = ["1 0000000", sized(per("0 0000000000", b"\3"))]  # h2250LogicalChannelParameters of session 3


def stack(endpoint):
    """separateStack: localAreaAddress. None: it is not there."""
    return added(per("0 0 0", "0 10", unicast(endpoint), "0")) if endpoint else []


def open_data(number, endpoint=None):
    """OpenLogicalChannel; whose listener it names, if any."""
    return per("0 00 0 0011", "10" if endpoint else "00", u16(number - 1), "0 0", T120, DATA_CHANNEL, stack(endpoint))


def accept_data(number, endpoint=None):
    """OpenLogicalChannelAck, likewise."""
    return per("0 01 0 00101", "10" if endpoint else "00", u16(number - 1), stack(endpoint))


def refuse(number):
    """OpenLogicalChannelReject: unspecified."""
    return per("0 01 0 00110", "0", u16(number - 1), "0 000")


def modes(*pairs):
    """A communicationModeTable: PCM of session 1 at each of these pairs."""
    entries = [["0 0001010", "00000000", "0000100", "audio".encode(CHARACTERS), "0 01", "0 0011", b"\x1d", unicast((who, port)), unicast((who, port + 1))]
               for who, port in pairs]
    return sized(per("0", bytes([len(entries) - 1]), entries))


def mode_command(*pairs):
    return per("0 10", "1 0000000", modes(*pairs))


def mode_request():
    return per("0 00", "1 0000000", sized(per("0")))


def mode_response(*pairs):
    return per("0 01", "1 0000000", modes(*pairs))


def control(recording, who, message):
    """By the connection for H.245."""
    return recording.message(who, "h245", b"\3\0" + u16(len(message) + 4) + message)


# ---- what carries H.245, or has more than was recorded ----

def wrapped(data):
    """With the right lengths of TPKT and of the user-user element, which is the last one."""
    at = data.index(b"\x7e", 9)
    return b"\3\0" + u16(len(data)) + data[4:at + 1] + u16(len(data) - at - 3) + data[at + 3:]


def replaced(data, old, new):
    assert data.count(old) == 1, (data.hex(), old.hex())
    return data.replace(old, new)


TUNNELLING = bytes.fromhex("10800180")  # behind the body: h245Tunnelling, TRUE
TUNNEL = bytes.fromhex("10c00180")  # and h245Control


def tunnelled(recording, who, message):
    """By a Facility, like those of ooh323c."""
    model = recordings()["tunnelled"]
    data = next(m.data for m in model.messages if m.who == who and m.kind == FACILITY).replace(model.guid, recording.guid)
    return recording.message(who, "signal", wrapped(data[:data.index(TUNNEL)] + TUNNEL + sized(b"\1" + sized(message))))


def with_parallel(recording, *messages):
    """The recorded Setup with fastStart, and with parallelH245Control, behind which there is only h245Tunnelling."""
    data = replaced(recording.messages[0].data, bytes.fromhex("d51d980007"), bytes.fromhex("d51d980407"))
    assert data.endswith(TUNNELLING)
    parallel = sized(bytes([len(messages)]) + b"".join(map(sized, messages)))
    return recording.message(A, "signal", wrapped(data[:-len(TUNNELLING)] + parallel + TUNNELLING))


# ---- H.235 ----

MD5 = bytes.fromhex("2a864886f70d0205")
HASH = bytes(range(16))


def password_hash():
    """cryptoTokens: one cryptoEPPwdHash."""
    alias = ["0 1", bytes([len("alice") - 1]), "alice".encode(CHARACTERS)]
    return per(b"\1", "0 000", alias, "11", struct.pack(">I", 0x5E000000), sized(MD5), "0 0 0", u16(0x8000 | 8 * len(HASH)), HASH)


def integrity():
    """integrityCheckValue."""
    return per(sized(MD5), u16(0x8000 | 8 * len(HASH)), HASH)


def sealed(recording, message):
    """A recorded Setup, or Connect, with cryptoTokens. Their bit is the one before fastStart's, their place behind the call identifier."""
    what = re.compile(rb"(\xd5|\x1d)([\x0d\x1d])(?=(?:\x98\0.{8}|\xc0)\x11\0" + re.escape(recording.guid) + b")", re.S)
    data, count = what.subn(lambda found: found[1] + bytes([found[2][0] | 0x20]), message.data)
    assert count == 1
    at = data.rindex(recording.guid) + len(recording.guid)
    return recording.message(message.who, "signal", wrapped(data[:at] + sized(password_hash()) + data[at:]))


REQUEST_ADDED = bytes.fromhex("8b190202003b")  # what was added to H323Plus's RegistrationRequest, up to timeToLive


def sealed_request(recording, message, what):
    """A recorded RegistrationRequest with cryptoTokens or integrityCheckValue, which come behind timeToLive."""
    bit, value = {"cryptoTokens": (0x20, password_hash()), "integrityCheckValue": (0x10, integrity())}[what]
    return recording.message(A, "ras", replaced(message.data, REQUEST_ADDED, bytes([REQUEST_ADDED[0] | bit]) + REQUEST_ADDED[1:] + sized(value)))


# ---- RAS ----

def transport(endpoint):
    """TransportAddress: ipAddress."""
    return ["0 000", endpoint]


def between(to, at):
    """TransportChannelInfo: sendAddress, recvAddress, as endpoints."""
    return ["0 1 1", transport(to), transport(at)]


def identifier(text):
    return [f"{len(text) - 1:07b}", text.encode(CHARACTERS)]


def info_request(recording, who, sequence, reply):
    """InfoRequest with replyAddress, about the recorded call."""
    return recording.message(who, "ras", per(f"0 {IRQ:05b}", "1 01", u16(sequence - 1), u16(recording.ref), transport(reply), added(per("0", recording.guid))))


def next_to(endpoint):
    return endpoint[0], endpoint[1] + 1


def call_info(recording, media, signalling):
    """perCallInfo: of the recorded call; its RTP, its signalling."""
    session = ["0", between(*media), between(*map(next_to, media)), sized(b"alice"), "11", struct.pack(">I", 0x12345678), "00000000", b"\0"]
    return [b"\1", "1 01100", u16(recording.ref), recording.guid, "1", b"\1", session, "0 0 0", between(*signalling), "0 00", "10", b"\1\x86\xa0", "0 0",
            added(per("0", recording.guid))]


def info_response(recording, who, sequence, ras, signal, call=None):
    """InfoRequestResponse of an endpoint, of which this is rasAddress and callSignalAddress. call: what call_info() takes."""
    return recording.message(who, "ras", per(f"0 {IRR:05b}", f"0 0 0 {call is not None:b}", u16(sequence - 1), TERMINAL, identifier(ENDPOINT),
                                             transport(ras), b"\1", transport(signal), call_info(recording, *call) if call else []))


def sealed_confirm(recording, request):
    """RegistrationConfirm with cryptoTokens, of this one's number."""
    return recording.message(B, "ras", per(f"0 {RCF:05b}", "1 000", request.data[2:4], VERSION, b"\0", identifier(ENDPOINT),
                                             added(None, None, None, password_hash())))
