"""Programs of Debian packages that cannot be installed beside others: unpacked below the build folder, once."""
import os, pathlib, subprocess
from conftest import TOP

BUILD = pathlib.Path(os.environ.get("NATLOCK_BUILD", TOP / "build"))


def unpacked(package):
    """Where its files are, as they would lie below /."""
    folder = BUILD / "debian" / package
    if not (folder / "root").exists():
        folder.mkdir(parents=True, exist_ok=True)
        fetch = ["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package]
        if subprocess.run(fetch, cwd=folder, check=False).returncode:
            subprocess.run(["apt-get", "update", "-q"], check=True)
            subprocess.run(fetch, cwd=folder, check=True)
        subprocess.run(["dpkg", "-x", *folder.glob("*.deb"), folder / "unfinished"], check=True)
        (folder / "unfinished").rename(folder / "root")
    return folder / "root"
