"""baresip in a namespace, told what to do by its own control connection, and kamailio as registrar and proxy: for test_alg_sip_baresip.py."""
import hashlib, json, random, re, socket, struct, time, wave
from conftest import wait_for
from packets import open_socket

FRAME, FRAMES = 160, 40  # 20 ms, as many samples; what is said before a phone hangs up
ACCOUNT = "<sip:{name}@{registrar};transport={transport}>;auth_pass=none;regint=60;answermode=auto;audio_codecs=PCMU/8000/1;catchall=yes"
CONFIG = """
sip_listen {address}:{port}
ctrl_tcp_listen 127.0.0.1:{control}
module_path /usr/lib/baresip/modules
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module_app account.so
module_app menu.so
module_app ctrl_tcp.so
audio_source aufile,{folder}/voice.wav
audio_player aubridge,nobody
audio_alert aubridge,nobody
snd_path {folder}
rtp_ports {ports[0]}-{ports[1]}
jitter_buffer_delay 0-1
"""
PROXY = """
debug=0
log_stderror=yes
fork=no
children=1
auto_aliases=no
listen=udp:{address}:5060
listen=tcp:{address}:5060
disable_tcp=no
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "textops.so"
loadmodule "siputils.so"
request_route {{
	if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
	if (is_method("REGISTER")) {{ save("location"); exit; }}
	if (has_totag()) {{ loose_route(); t_relay(); exit; }}
	if (is_method("CANCEL")) {{ t_relay(); exit; }}
	record_route();
	if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
	t_relay();
}}
"""


def voice(seed):
    """Samples that PCMU carries unchanged (G.711 table 2), but for the loudest; no two frames alike."""
    codes = random.Random(seed).choices([code for code in range(256) if code & 127 not in (0, 127)], k=FRAMES * FRAME)
    magnitudes = [(((~code & 15) * 8 + 132) << (~code >> 4 & 7)) - 132 for code in codes]
    return struct.pack(f"<{FRAMES * FRAME}h", *(m if code & 128 else -m for m, code in zip(magnitudes, codes)))


def understood(heard, said):
    """Of what was said the frames that were heard, by their hashes: their share, and whether they came in their order."""
    told, came = [[hashlib.sha256(samples[at:at + 2 * FRAME]).digest() for at in range(0, len(samples), 2 * FRAME)] for samples in (said, heard)]
    order = [told.index(frame) for frame in came if frame in told]
    return len(order) / FRAMES, order == sorted(set(order))


class Softphone:
    def __init__(self, folder, where, interface, address, port, name, registrar, transport, ports):
        """interface: whose first address is the one that it says in descriptions."""
        folder.mkdir()
        self.folder, self.where, self.name, self.registrar, self.port, self.samples, self.text = folder, where, name, registrar, port, voice(name), b""
        with wave.open(str(folder / "voice.wav"), "wb") as file:
            file.setparams((1, 2, 8000, 0, "NONE", ""))
            file.writeframes(self.samples)
        (folder / "config").write_text(CONFIG.format(address=address, port=port, control=port + 1000, folder=folder, ports=ports))
        (folder / "accounts").touch()  # it registers when it is told, so that the answer is not missed
        self.account = ACCOUNT.format(name=name, registrar=registrar, transport=transport)
        self.output = open(folder / "output", "w+")
        self.process = where.start("baresip", "-4", "-s", "-n", interface, "-f", folder, stdout=self.output, stdin=-3)
        self.control = None

    def register(self):
        def tried():
            s = open_socket(self.where, socket.SOCK_STREAM)
            try:
                s.connect(("127.0.0.1", self.port + 1000))
                return s
            except ConnectionRefusedError:
                s.close()

        self.control = wait_for(tried, 5, "baresip")
        self.say("uanew", self.account)
        self.hears("REGISTER_OK")

    def say(self, command, parameters=""):
        text = json.dumps({"command": command, "params": parameters}).encode()
        self.control.sendall(b"%d:%b," % (len(text), text))

    def hears(self, *kinds, seconds=5):
        """Waits for an event of one of these kinds; it. They come as netstrings."""
        end = time.monotonic() + seconds
        while True:
            length, found, rest = self.text.partition(b":")
            if found and len(rest) > int(length):
                event, self.text = json.loads(rest[:int(length)]), rest[int(length) + 1:]
                if event.get("type") in kinds:
                    return event
                continue
            self.control.settimeout(max(0.01, end - time.monotonic()))
            self.text += self.control.recv(65536)

    def heard(self):
        """What it decoded, of its last call."""
        return max(self.folder.glob("dump-*-dec.wav")).read_bytes()[44:]

    def trace(self):
        """Every message that it sent and received."""
        return (self.folder / "output").read_bytes().decode()

    def is_gone(self):
        """It has ended, or the registrar has said yes to its leaving."""
        return self.process.poll() is not None or re.search(r"\nSIP/2.0 200 OK\r\n.*REGISTER\r\n", self.trace().partition("ua: stop all")[2], re.S)

    def stop(self):
        """It would wait for the answer to its last BYE as well, which nobody may be there to give."""
        if self.control:
            self.control.close()
        self.process.terminate()
        wait_for(self.is_gone, 5, "the registrar's answer")
        self.process.kill()
        self.process.wait(5)
        self.output.close()


def proxy(folder, where, address):
    folder.mkdir()
    (folder / "kamailio.cfg").write_text(PROXY.format(address=address))
    process = where.start("kamailio", "-f", folder / "kamailio.cfg", "-DD", "-E", "-Y", folder, "-P", folder / "pid", "-m", 16, "-M", 4, stdout=open(folder / "output", "w"))
    wait_for(lambda: where.run("ss", "-lunH", f"src {address}:5060").stdout or process.poll() is not None, 5, "kamailio")
    assert process.poll() is None, (folder / "output").read_text()
    return process
