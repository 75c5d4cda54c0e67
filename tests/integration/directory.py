"""slapd with the attributes of an ILS ([MS-TAIL] 2.2.3), and OpenLDAP's clients: for test_alg_ldap.py."""
from conftest import wait_for

ADMIN, SECRET, BASE = "cn=admin,o=Intranet", "secret", "o=Intranet"
SYNTAX = {"text": "EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15", "number": "EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27"}
SCHEMA = f"""
attributetype ( 1.3.6.1.4.1.4203.666.1.1001 NAME 'sipaddress' {SYNTAX["number"]} )
attributetype ( 1.3.6.1.4.1.4203.666.1.1002 NAME 'ipAddress' {SYNTAX["text"]} )
attributetype ( 1.2.840.113556.1.4.1701 NAME 'msTAPI-IpAddress' {SYNTAX["text"]} )
attributetype ( 1.3.6.1.4.1.4203.666.1.1003 NAME 'comment' {SYNTAX["text"]} )
objectclass ( 1.3.6.1.4.1.4203.666.3.1001 NAME 'rtPerson' SUP top STRUCTURAL MUST cn MAY ( sipaddress $ ipAddress $ msTAPI-IpAddress $ comment $ userPassword ) )
"""
CONFIG = """
include /etc/ldap/schema/core.schema
include {folder}/ils.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/pid
TLSCertificateFile {folder}/certificate
TLSCertificateKeyFile {folder}/key
password-hash {{CLEARTEXT}}
sasl-host directory
authz-regexp "uid=([^,]*),.*cn=digest-md5,cn=auth" "cn=$1,o=Intranet"
database mdb
maxsize 33554432
directory {folder}/db
suffix "o=Intranet"
rootdn "cn=admin,o=Intranet"
rootpw secret
"""


def number(address):
    """[MS-TAIL] 2.2.3: the first octet counts least."""
    a, b, c, d = map(int, address.split("."))
    return str(a + 256 * (b + 256 * (c + 256 * d)))


class Directory:
    """A server in a namespace, on both ports."""

    def __init__(self, where, address, folder):
        self.where, self.address = where, address
        (folder / "db").mkdir(parents=True)
        (folder / "ils.schema").write_text(SCHEMA)
        (folder / "slapd.conf").write_text(CONFIG.format(folder=folder))
        where.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=directory", "-keyout", folder / "key", "-out", folder / "certificate")
        self.process = where.start("slapd", "-d", "0", "-f", folder / "slapd.conf", "-h", f"ldap://{address}:389 ldap://{address}:1002")
        wait_for(lambda: where.run("ss", "-ltnH", "( sport = :389 or sport = :1002 )").stdout.count("LISTEN") == 2, 10, "slapd")
        Client(where, address, 389).add([(BASE, {"objectClass": "organization", "o": "Intranet"})])

    def __call__(self, *filter):
        """What is stored, asked on the spot."""
        return Client(self.where, self.address, 389).search(*filter)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


def ldif(entries):
    lines = []
    for dn, attributes in entries:
        lines.append(f"dn: {dn}")
        lines += [f"{name}: {value}" for name, values in attributes.items() for value in (values if isinstance(values, list) else [values])]
        lines.append("")
    return "\n".join(lines)


class Client:
    def __init__(self, where, address, port, *options):
        self.where, self.uri, self.options = where, f"ldap://{address}:{port}", options

    def run(self, command, *arguments, login=True, **options):
        who = ["-x", "-D", ADMIN, "-w", SECRET] if login else []
        return self.where.run("env", "LDAPTLS_REQCERT=never", "LDAPRC=/dev/null", command, "-H", self.uri, *who, *self.options, *arguments, timeout=20, **options)

    def add(self, entries):
        self.run("ldapadd", input=ldif(entries))

    def replace(self, dn, name, value):
        self.run("ldapmodify", input=f"dn: {dn}\nchangetype: modify\nreplace: {name}\n{name}: {value}\n")

    def compare(self, dn, name, value):
        return self.run("ldapcompare", dn, f"{name}:{value}", check=False).stdout.strip()

    def text(self, filter="(objectClass=rtPerson)", *arguments, **options):
        return self.run("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", BASE, *arguments, filter, **options).stdout

    def search(self, filter="(objectClass=rtPerson)"):
        """{cn: {attribute: [value]}}"""
        found = {}
        for block in self.text(filter).strip().split("\n\n"):
            entry = {}
            for line in block.splitlines():
                name, _, value = line.partition(": ")
                entry.setdefault(name, []).append(value)
            if entry:
                found[entry["cn"][0]] = entry
        return found
