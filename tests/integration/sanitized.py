"""A pytest plugin for a gateway under sanitizers (tests/check live): -p sanitized. A test fails when any process of natlock
printed a report meanwhile, or a worker ended in a way that no test asks for.

A worker reports into a pipe that the sanitized supervisor gives it (tests/sanitize/supervisor.c); what a test starts and waits
for is asked by its standard error and its exit status. Addresses become functions and lines here: a locked worker cannot.
"""
import os, pathlib, re, subprocess, tempfile, threading, time
import pytest

REPORT = re.compile(r"ERROR: \w*Sanitizer|runtime error:|DEADLYSIGNAL|Sanitizer: CHECK failed|Sanitizer: nested bug")
FRAME = re.compile(r"\((/\S*?/)?([\w.-]+)\+(0x[0-9a-f]+)\)")
END = re.compile(r".*(was killed by its policy|was ended by signal (?!9\b)\d+|ended with status 99).*")
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
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        while True:
            piece = os.read(self.fd, 65536).decode(errors="replace")
            with self.lock:
                self.text += piece

    def add(self, text):
        with self.lock:
            self.text += text

    def take(self):
        """What was reported since the last time."""
        with self.lock:
            text, self.text = self.text, ""
        return text

    def ends(self, folder):
        """Ends of workers that the logs below a folder tell of, since the last time."""
        found = []
        for path in sorted(folder.rglob("*.log")):
            text = path.read_text(errors="replace")
            found += [m.group(0) for m in END.finditer(text[self.seen.get(path, 0):])]
            self.seen[path] = len(text)
        return found


reports = Reports()


def with_names(text):
    def name(frame):
        binary = pathlib.Path(os.environ["NATLOCK_BIN"]) / frame[2]
        if not binary.exists():
            return frame[0]
        return subprocess.check_output(["addr2line", "-pfe", binary, frame[3]], text=True).strip()

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
    text = reports.take()
    if "world" in item.funcargs:
        text += "".join(end + "\n" for end in reports.ends(item.funcargs["world"].folder))
    if REPORT.search(text) or END.search(text):
        pytest.fail("reported meanwhile:\n" + with_names(text), pytrace=False)
    elif text:
        print(text)
