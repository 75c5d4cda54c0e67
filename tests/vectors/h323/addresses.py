#!/usr/bin/env python3
"""addresses.py CAPTURE SESSION...: beside each *.session of a capture of H.323 a list of the addresses that tshark finds in it.

NAME.addresses has a line for each transport address (IPv4) of a conversation, in order: "> ADDRESS PORT" where the client says it, "<"
where the server does. Those in a frame that tshark cannot read to its end have "=" instead.
"""
import ipaddress
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ET

ADDRESS = {"h225.ipV4", "h225.h245Ip", "h245.ip4_network"}
PORT = {"h225.ipV4_port", "h225.h245IpPort", "h245.tsapIdentifier"}


def shown(packet, *names):
    return next((field.get("show") for field in packet.iter("field") if field.get("name") in names), None)


def addresses(packet):
    """Of one packet."""
    address = None
    for field in packet.iter("field"):
        if field.get("name") in ADDRESS:
            address = ipaddress.IPv4Address(bytes.fromhex(field.get("value")))
        elif field.get("name") in PORT and address:
            yield address, int(field.get("value"), 16)
            address = None


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    pdml = subprocess.run(["tshark", "-r", sys.argv[1], "-T", "pdml"], check=True, capture_output=True).stdout
    found = {}
    for packet in ET.fromstring(pdml).iter("packet"):
        malformed = any(proto.get("name") == "_ws.malformed" for proto in packet.iter("proto"))
        ends = ((shown(packet, "ip.src"), shown(packet, "udp.srcport", "tcp.srcport")),
                (shown(packet, "ip.dst"), shown(packet, "udp.dstport", "tcp.dstport")))
        found.setdefault(frozenset(ends), []).extend(
            (None if malformed else ends[0], *address) for address in addresses(packet))
    for path in map(pathlib.Path, sys.argv[2:]):
        words = path.read_bytes().split(b"\n", 1)[0].decode().split()
        client, server = tuple(words[:2]), tuple(words[2:])
        path.with_suffix(".addresses").write_text("".join(
            f"{'=' if source is None else '>' if source == client else '<'} {address} {port}\n"
            for source, address, port in found.get(frozenset((client, server)), [])))


if __name__ == "__main__":
    main()
