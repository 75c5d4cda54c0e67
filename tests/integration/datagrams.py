#!/usr/bin/python3
"""Numbered datagrams in both directions, one window at a time: each says its number, its length and its TOS, and the
receiver wants every one of them, in order, with the right bytes.

datagrams.py serve ADDRESS             until killed
datagrams.py up|down ADDRESS JSON      windows [{"each": run, 0 = one by one, "bytes": [..], "tos": n}, ...], "whole": take runs whole
datagrams.py error ADDRESS             a closed port between open ones
datagrams.py flood ADDRESS SECONDS     as fast as it goes, then how old the first answer is

Prints one JSON object.
"""
import json, random, socket, struct, sys, time

PORT, CLOSED, SOL_UDP, UDP_SEGMENT, UDP_GRO, IP_RECVERR, IP_RECVTOS = 7020, 7021, 17, 103, 104, 11, 13
HEADER, LAST = struct.Struct(">IHBB"), 1
BLOCK = random.Random(11).randbytes(1 << 17)


def endpoint(whole):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, 33, 4 << 20)  # SO_RCVBUFFORCE: what is lost here proves nothing
    s.setsockopt(SOL_UDP, UDP_GRO, whole)
    s.setsockopt(socket.IPPROTO_IP, IP_RECVTOS, 1)
    s.settimeout(5)
    return s


def datagram(number, length, tos, last):
    return HEADER.pack(number, length, tos, last) + BLOCK[number % 4096 :][: length - HEADER.size]


def send_window(s, to, window, number):
    """Sends a window's datagrams from `number` on; how many there were."""
    lengths, each, tos = window["bytes"], window["each"], window.get("tos", 0)
    s.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, tos)
    data = [datagram(number + i, n, tos, LAST if i + 1 == len(lengths) else 0) for i, n in enumerate(lengths)]
    if each:
        s.sendmsg([b"".join(data)], [(SOL_UDP, UDP_SEGMENT, struct.pack("H", each))], 0, to)
    else:
        for d in data:
            s.sendto(d, to)
    return len(lengths)


def receive_window(s, number):
    """Everything up to the last of a window: (what is wrong or "", how many came, in how many messages)."""
    first, messages = number, 0
    while True:
        try:
            data, control, flags, sender = s.recvmsg(1 << 17, 256)
        except TimeoutError:
            return f"silence before {number - first}", number - first, messages
        each, seen_tos = len(data), 0
        for level, kind, value in control:
            if (level, kind) == (SOL_UDP, UDP_GRO):
                each = struct.unpack("i", value[:4])[0]
            if (level, kind) == (socket.IPPROTO_IP, socket.IP_TOS):
                seen_tos = value[0]
        messages += 1
        for at in range(0, len(data), each):
            d = data[at : at + each]
            got, length, tos, last = HEADER.unpack_from(d)
            if got != number or length != len(d) or tos != seen_tos or d != datagram(got, length, tos, last):
                return f"{number - first}: number {got}, length {len(d)} for {length}, tos {seen_tos} for {tos}", number - first, messages
            number += 1
            if last:
                return "", number - first, messages


def serve(address):
    plain = endpoint(0)
    plain.bind((address, PORT))
    print("ready", flush=True)
    while True:
        plain.settimeout(None)
        request, sender = plain.recvfrom(1 << 16)
        plain.settimeout(2)
        if request[:1] == b"U":
            ask = json.loads(request[1:])
            plain.setsockopt(SOL_UDP, UDP_GRO, ask["whole"])
            plain.sendto(b"go", sender)
            plain.sendto(json.dumps(receive_window(plain, ask["number"])).encode(), sender)
            plain.setsockopt(SOL_UDP, UDP_GRO, 0)
        elif request[:1] == b"D":
            ask = json.loads(request[1:])
            send_window(plain, sender, ask["window"], ask["number"])
        elif request[:1] == b"E":
            plain.sendto(request, sender)


def transfer(direction, address, order):
    s, to, number, report = endpoint(order.get("whole", 0)), (address, PORT), 1, {"error": "", "datagrams": 0, "messages": 0}
    for window in order["windows"]:
        if direction == "up":
            s.sendto(b"U" + json.dumps({"number": number, "whole": order.get("whole", 0)}).encode(), to)
            assert s.recv(10) == b"go"
            send_window(s, to, window, number)
            error, count, messages = json.loads(s.recv(1000))
        else:
            s.sendto(b"D" + json.dumps({"number": number, "window": window}).encode(), to)
            error, count, messages = receive_window(s, number)
        report["datagrams"] += count
        report["messages"] += messages
        number += len(window["bytes"])
        if error:
            report["error"] = f"window {window}: {error}"[:300]
            break
    return report


def insist(s, data, to):
    """A socket reports an error that came back by failing the next call, which then did nothing."""
    try:
        s.sendto(data, to)
    except ConnectionRefusedError:
        s.sendto(data, to)


def errors(address):
    s, to, seen, answer = endpoint(0), (address, PORT), [], None
    s.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    s.sendto(b"U" + json.dumps({"number": 1, "whole": 0}).encode(), to)
    assert s.recv(10) == b"go"
    for i in range(40):
        insist(s, datagram(1 + i, 200, 0, LAST if i == 39 else 0), to)
        if i == 19:
            insist(s, b"nobody hears this", (address, CLOSED))
    s.settimeout(0.2)
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        try:
            seen.append(s.recvmsg(1000, 500, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)[3][1])
        except (BlockingIOError, TimeoutError):
            pass
        try:
            answer = json.loads(s.recv(1000))
        except (TimeoutError, ConnectionRefusedError):
            pass
    return {"answer": answer, "errors": seen}


def flood(address, seconds):
    s, to, end, sent = endpoint(0), (address, PORT), time.monotonic() + seconds, 0
    while time.monotonic() < end:
        s.sendto(b"x" * 64, to)
        sent += 1
    begin, tries = time.monotonic(), 0
    s.settimeout(0.05)
    while time.monotonic() < begin + 5:
        tries += 1
        s.sendto(b"E%d" % tries, to)
        try:
            if s.recv(100):
                break
        except TimeoutError:
            pass
    return {"sent": sent, "answer_after": time.monotonic() - begin}


if __name__ == "__main__":
    command, address, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if command == "serve":
        serve(address)
    elif command in ("up", "down"):
        print(json.dumps(transfer(command, address, json.loads(rest[0]))))
    elif command == "error":
        print(json.dumps(errors(address)))
    elif command == "flood":
        print(json.dumps(flood(address, float(rest[0]))))
