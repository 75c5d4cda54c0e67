"""A pytest plugin for a gateway under sanitizers (tests/check live): -p sanitized. A test fails when any process of natlock
printed a report meanwhile, or a worker ended in a way that no test asks for.

A worker reports into a pipe that the sanitized supervisor gives it (tests/sanitize/supervisor.c); what a test starts and waits
for is asked by its standard error and its exit status. Addresses become functions and lines here: a locked worker cannot.
"""
import os, pathlib, re, subprocess, tempfile, threading, time
import pytest

REPORT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|DEADLYSIGNAL|Sanitizer: CHECK failed|Sanitizer: nested bug")
FRAME = re.compile(r"\((/\S+)\+(0x[0-9a-f]+)\)")
END = re.compile(r"^.*(was killed by its policy|was ended by signal (?!9\b)\d+|ended with status 99).*", re.M)  # from a line's begin: logs may have 64 MiB
EXIT_REPORTED = 99  # tests/sanitize/options.c


class Reports:
    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="natlock-reports-")
        os.chmod(self.folder.name, 0o755)
        self.path = pathlib.Path(self.folder.name) / "pipe"
        os.mkfifo(self.path)
        os.chmod(self.path, 0o666)
        self.fd = os.open(self.path, os.O_RDWR)
        self.text, self.lock = "", threading.Lock()
        self.seen = {}
        self.failed = False
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            piece = os.read(self.fd, 65536).decode(errors="replace")
            with self.lock:
                self.text += piece

    def add(self, text):
        with self.lock:
            self.text += text

    def new(self, folder, pattern):
        """What was appended to the files below a folder since the last time."""
        new = ""
        for path in sorted(folder.rglob(pattern)):
            text = path.read_text(errors="replace")
            new += text[self.seen.get(path, 0):]
            self.seen[path] = len(text)
        return new

    def take(self, folder=None):
        """What came since the last time: reports, and ends of workers that logs and outputs below a folder tell of."""
        with self.lock:
            text, self.text = self.text, ""
        if folder:
            text += "".join(m.group(0) + "\n" for m in END.finditer(self.new(folder, "*.log")))
            output = self.new(folder, "output")
            text += output if REPORT.search(output) or END.search(output) else ""
        return text


reports = Reports()


def with_names(text):
    """A worker sees its own path from outside its root, so it can be found."""
    def name(frame):
        if not os.path.exists(frame[1]):
            return frame[0]
        return subprocess.check_output(["addr2line", "-pfe", frame[1], frame[2]], text=True).strip()

    return FRAME.sub(name, text)


def pytest_configure(config):
    os.environ["NATLOCK_SANITIZE_REPORTS"] = str(reports.path)
    really_run = subprocess.run

    def run(*arguments, **options):
        result = really_run(*arguments, **options)
        for text in (result.stdout, result.stderr):
            if isinstance(text, str) and REPORT.search(text) or result.returncode == EXIT_REPORTED:
                reports.add(f"{arguments[0]}: {text}\n")
        return result

    subprocess.run = run


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown(item):
    yield
    time.sleep(0.02)
    text = reports.take(item.funcargs["world"].folder if "world" in item.funcargs else None)
    if REPORT.search(text) or END.search(text):
        reports.failed = True
        pytest.fail("reported meanwhile:\n" + with_names(text), pytrace=False)
    elif text:
        print(text)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    """A report may not come twice: no second run clears it."""
    if reports.failed:
        session.exitstatus = EXIT_REPORTED
