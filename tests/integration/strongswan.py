"""strongSwan's charon in a namespace, with ESP of its own (kernel-libipsec, which needs a TUN only), told what to do by swanctl: for test_ipsec_strongswan.py.

Its packages are unpacked, not installed: each process sees them laid over /usr/lib, and has a /run of its own, where it leaves its pid.
"""
import os, re, subprocess
from conftest import unpacked, wait_for

PACKAGES = ["libcharon-extra-plugins", "libstrongswan", "strongswan-charon", "strongswan-libcharon", "strongswan-swanctl"]
# $1 is where they are; ip netns exec has made the mounts private
LAID_OVER = 'cd "$1"; shift; mount -t overlay overlay -o lowerdir={}:/usr/lib /usr/lib && mount -t tmpfs tmpfs /run && exec "$@"'.format(":".join(f"{name}/usr/lib" for name in PACKAGES))
CONFIG = """
charon {{
	load = random nonce aes sha1 sha2 hmac kdf gmp kernel-libipsec kernel-netlink socket-default vici
	filelog {{
		charon {{
			path = {folder}/log
			default = 1
			flush_line = yes
		}}
	}}
	syslog {{
		identifier = charon
	}}
	plugins {{
		socket-default {{
			use_ipv6 = no
		}}
		vici {{
			socket = unix://{folder}/vici
		}}
	}}
}}
swanctl {{
	load = random nonce
}}
"""


class Strongswan:
    def __init__(self, folder, where, connections):
        """connections: swanctl.conf"""
        folder.mkdir()
        (folder / "strongswan.conf").write_text(CONFIG.format(folder=folder))
        (folder / "swanctl.conf").write_text(connections)
        self.folder, self.where = folder, where
        self.packages = unpacked(PACKAGES[-1], "usr/sbin/swanctl").parents[3]
        self.environment = {**os.environ, "STRONGSWAN_CONF": str(folder / "strongswan.conf"), "SWANCTL_DIR": str(folder)}
        self.process = where.start(*self.laid_over("/usr/lib/ipsec/charon"), env=self.environment, stdout=subprocess.DEVNULL, stderr=None)  # what mount has to say is seen
        wait_for(lambda: (folder / "vici").exists() or self.process.poll() is not None, 5, "charon")
        assert self.process.poll() is None, "charon ended"
        self.say("--load-all")

    def laid_over(self, *command):
        return "sh", "-c", LAID_OVER, "sh", self.packages, *command

    def say(self, command, *arguments):
        done = self.where.run(*self.laid_over(self.packages / PACKAGES[-1] / "usr/sbin/swanctl", command, *arguments, "--uri", f"unix://{self.folder}/vici"), env=self.environment, check=False, timeout=30)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done.stdout

    def initiate(self, connection):
        self.say("--initiate", "--child", connection, "--timeout", 10)

    def terminate(self, connection):
        self.say("--terminate", "--ike", connection, "--timeout", 10)

    def tunnels(self, *keys):
        """Of all its tunnels' IKE and ESP in use, the values of each of these keys as swanctl says them raw, such as spi-in."""
        parts = re.split("[{}]", self.say("--list-sas", "--raw"))  # what was replaced is listed for some seconds more
        used = [dict(re.findall(r"(\S+)=(\S+)", part)) for part in parts if re.search(r"\bstate=(ESTABLISHED|INSTALLED)\b", part)]
        return [{values[key] for values in used if key in values} for key in keys]

    def log(self):
        return (self.folder / "log").read_text()

    def stop(self):
        self.process.terminate()
        self.process.wait(10)
