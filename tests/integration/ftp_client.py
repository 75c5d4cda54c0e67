#!/usr/bin/python3
"""An FTP client that sends what it is told, as it is told: ftp_client.py ADDRESS PIECES LINE...

PIECES: bytes a send, 0 = a line at once. In a line, PORT! and EPRT! become the command for a port that listens here, and PAD! so much that what
follows begins a piece; the JSON answer has each line's reply and what arrived on that port.
"""
import json, socket, sys

address, pieces, lines = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
control = socket.create_connection((address, 21), 5)
control.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
control.settimeout(6)
listener = socket.create_server(("0.0.0.0", 0))
listener.settimeout(0.3)
own, port = control.getsockname()[0], listener.getsockname()[1]
words = {"PORT!": "PORT {},{},{}".format(own.replace(".", ","), port >> 8, port & 255), "EPRT!": f"EPRT |1|{own}|{port}|"}
replies = control.makefile("r", newline="\r\n", encoding="latin-1")
said, arrived = [replies.readline().strip()], None
for line in lines:
    for word, text in words.items():
        line = line.replace(word, text)
    before, pad, behind = line.partition("PAD!")
    line = before + ("A" * (-len(before) % pieces) if pad else "") + behind
    data = (line + "\r\n").encode("latin-1")
    for at in range(0, len(data), pieces or len(data)):
        control.sendall(data[at:at + (pieces or len(data))])
    for _ in range(line.count("\n") + 1):
        said.append(replies.readline().strip())
    if line.startswith("SITE "):
        try:
            arrived = listener.accept()[0].recv(100).decode()
        except TimeoutError:
            pass
print(json.dumps({"said": said, "arrived": arrived, "own": own, "port": port}))
