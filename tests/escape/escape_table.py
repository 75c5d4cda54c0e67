"""The table of docs/escape.md: what became of each injected call, kinds of one subject with the same fate in one row."""
import errno

PROCESSES = ["broker", "netstack", "natproxy", "dhcpd", "alg", "supervisor"]
BEGIN, END = "<!-- made by test_escape_inject.py: from here -->\n", "<!-- to here -->\n"


def fate(kind, role, end, value):
    """One cell. What the supervisor's job comes to depends on what its descriptors and files are; that it may try is the statement."""
    if end == "killed":
        return "killed"
    if end != "returned" or role not in kind.jobs:
        return f"NOT CONTAINED: {end} {value}"
    refused = value < 0 and value != -errno.EINPROGRESS and role != "supervisor"
    return "its job: " + errno.errorcode.get(-value, str(value)) if refused else "its job"


def rows(kinds, cells):
    grouped = {}
    for name, kind in kinds.items():
        fates = tuple(cells[name, role] for role in PROCESSES)
        grouped.setdefault((kind.subject, fates), []).append(name)
    for (subject, fates), names in grouped.items():
        yield f"| {subject} | {', '.join(names)} | {' | '.join(fates)} |"


def render(kinds, cells):
    yield f"| subject | kinds | {' | '.join(PROCESSES)} |"
    yield "|---" * (2 + len(PROCESSES)) + "|"
    yield from rows(kinds, cells)
    yield ""
    without = {}
    for name, kind in kinds.items():
        if kind.without:
            without.setdefault(kind.without, []).append(name)
    yield "| kinds that count only where their control works | because it |"
    yield "|---|---|"
    for reason, names in without.items():
        yield f"| {', '.join(names)} | {reason} |"


def replace(text, table):
    """The document with this table in place of the one that it has."""
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n".join(table) + "\n" + END + rest.split(END)[1]
