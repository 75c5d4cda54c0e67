#!/usr/bin/env python3
"""What `natlockctl policy export` writes is what the filters are: read back by those who would use it.

    export.py NATLOCK_AUDIT                 checks
    export.py NATLOCK_AUDIT --self-check    takes an entry out of each profile and expects to be told of it

json: its rules and its program agree.  oci: libseccomp makes a filter of it (python3-seccomp) that answers as ours does, on every
boundary of every rule.  systemd: systemd-analyze finds nothing wrong. A consumer that is not installed is named, not passed over.
"""
import json, platform, random, shutil, struct, subprocess, sys, tempfile

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[platform.machine()]
ROUNDS = 4000


def export(*arguments):
    return subprocess.run([sys.argv[1], "export", *arguments], check=True, text=True, capture_output=True).stdout


def run(program, number, arguments):
    """The classic BPF that seccomp uses, on one call."""
    data = struct.pack("=iIQ6Q", number, ARCH, 0, *arguments)
    a, at = 0, 0
    while True:
        code, jt, jf, k = program[at]
        at += 1
        if code == 0x20:
            (a,) = struct.unpack_from("=I", data, k)
        elif code == 0x54:
            a &= k
        elif code == 0x06:
            return k
        elif code == 0x05:
            at += k
        else:
            holds = {0x15: a == k, 0x25: a > k, 0x35: a >= k, 0x45: bool(a & k)}[code]
            at += jt if holds else jf


def by_rules(item, name, arguments):
    """Whether the exported rules allow a call."""
    return any(rule["call"] == name and rule["stage"] != "boot" and
               all(any(arguments[a["index"]] & int(b["mask"], 16) == int(b["equals"], 16) for b in a["any_of"]) for a in rule["arguments"])
               for rule in item["rules"])


def samples(item, draw):
    """Calls at and beside the boundaries of the rules, and some of which there is no rule."""
    dirt = [0, 1, -1, 1 << 31, 1 << 32, 0xFFFFFFFF]
    rules = [rule for rule in item["rules"] if rule["stage"] != "boot"]
    for _ in range(ROUNDS):
        rule = draw.choice(rules)
        arguments = [draw.choice([0, 3, 16, draw.getrandbits(64)]) for _ in range(6)]
        for a in rule["arguments"]:
            block = draw.choice(a["any_of"])
            mask, datum = int(block["mask"], 16), int(block["equals"], 16)
            arguments[a["index"]] = datum | draw.getrandbits(64) & ~mask & (2 ** 64 - 1)
        if arguments and draw.random() < 0.6:
            i = draw.randrange(6)
            arguments[i] = (arguments[i] + draw.choice(dirt)) % 2 ** 64
        yield rule["call"], arguments
    for name in ("ptrace", "execve", "socket", "mmap", "bpf", "openat", "setns"):
        yield name, [draw.getrandbits(32) for _ in range(6)]


def from_libseccomp(seccomp, profile):
    assert profile["defaultAction"] == "SCMP_ACT_KILL_PROCESS"
    made = seccomp.SyscallFilter(seccomp.KILL_PROCESS)
    made.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
    for entry in profile["syscalls"]:
        assert entry["action"] == "SCMP_ACT_ALLOW" and all(a["op"] == "SCMP_CMP_MASKED_EQ" for a in entry.get("args", []))
        tests = [seccomp.Arg(a["index"], seccomp.MASKED_EQ, a["value"], a["valueTwo"]) for a in entry.get("args", [])]
        for name in entry["names"]:
            made.add_rule_exactly(seccomp.ALLOW, name, *tests)
    with tempfile.TemporaryFile() as out:
        made.export_bpf(out)
        out.seek(0)
        return [list(i) for i in struct.iter_unpack("=HBBI", out.read())]


def check_filters(seccomp, spoil=False):
    wrong = compared = 0
    draw = random.Random(5)
    profiles = json.loads(export("oci"))
    for item in json.loads(export("json"))["items"]:
        assert json.loads(export("oci", item["process"])) == profiles[item["process"]]
        ours = item["program"]["instructions"]
        calls = list(samples(item, draw))
        if spoil:
            item["rules"] = item["rules"][1:]
            del profiles[item["process"]]["syscalls"][0]
        theirs = from_libseccomp(seccomp, profiles[item["process"]]) if seccomp else ours
        allowed = 0
        for name, arguments in calls:
            number = seccomp.resolve_syscall(seccomp.Arch(), name) if seccomp else None
            if number is None:
                continue
            answers = (run(ours, number, arguments) == ALLOW, run(theirs, number, arguments) == ALLOW, by_rules(item, name, arguments))
            compared, allowed = compared + 1, allowed + answers[0]
            if len(set(answers)) > 1:
                wrong += 1
                spoil or print(f"{item['process']}: {name} {arguments}: compiled, oci, json allow it: {answers}")
        assert not seccomp or 0 < allowed < ROUNDS, "the samples must hit both answers"
    print(f"{compared} calls compared, {wrong} answered differently")
    return wrong == 0


def check_units():
    fine = True
    for name in (item["process"] for item in json.loads(export("json"))["items"]):
        with tempfile.NamedTemporaryFile("w", suffix=".service") as unit:
            unit.write(export("systemd", name) + "ExecStart=/bin/true\n")
            unit.flush()
            answer = subprocess.run(["systemd-analyze", "verify", "--man=no", unit.name], text=True, capture_output=True)
        complaints = [line for line in answer.stderr.splitlines() if unit.name.rsplit("/", 1)[1] in line]
        if answer.returncode or complaints:
            fine = False
            print(f"{name}: {answer.stderr}")
    return fine


def main():
    try:
        import seccomp
    except ImportError:
        seccomp = None
        print("python3-seccomp is not installed: the OCI profile was read, not compiled")
    if "--self-check" in sys.argv:
        return 1 if check_filters(seccomp, spoil=True) else 0
    fine = check_filters(seccomp)
    if shutil.which("systemd-analyze"):
        fine &= check_units()
    else:
        print("systemd-analyze is not installed: the units were not verified")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
