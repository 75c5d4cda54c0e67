#!/usr/bin/env python3
"""gen_check.py IPC CC...: gen.py on spoilt copies of ipc/, and a dispatch with a missing handler at the linker."""

import pathlib
import shutil
import subprocess
import sys
import tempfile

IPC, CC = pathlib.Path(sys.argv[1]), sys.argv[2:]


def generate(folder):
    """Runs protoc and gen.py over a copy of ipc/; the finished gen.py."""
    protos = [p.name for p in sorted(folder.glob("*.proto"))]
    subprocess.run(["protoc", "-I.", "--include_source_info", "--include_imports", "--descriptor_set_out=set", *protos], cwd=folder, check=True)
    (folder / "out").mkdir(exist_ok=True)
    return subprocess.run([sys.executable, "gen.py", "--descriptors", "set", "--out", "out", "--messages", "out/messages.md"],
                          cwd=folder, capture_output=True, text=True)


def copy(parent):
    folder = pathlib.Path(tempfile.mkdtemp(dir=parent))
    for pattern in ("*.proto", "*.def", "*.h", "gen.py"):
        for file in IPC.glob(pattern):
            shutil.copy(file, folder)
    return folder


def spoilt(parent, name, before, after):
    """Whether gen.py refuses when `before` in the file was replaced."""
    folder = copy(parent)
    text = (folder / name).read_text()
    assert before in text, f"{name} has no {before!r} to spoil"
    (folder / name).write_text(text.replace(before, after, 1))
    return generate(folder).returncode != 0


def undefined_without_handlers(parent):
    """What the linker misses when no handler was written."""
    folder = copy(parent)
    assert generate(folder).returncode == 0
    protos = [p.name for p in sorted(folder.glob("*.proto"))]
    subprocess.run(["protoc-c", "-I.", "--c_out=out", *protos], cwd=folder, check=True)
    (folder / "out/main.c").write_text("int netstack_dispatch_broker(void *, void *), netstack_ring_natproxy(void *, void *, void *);\n"
                                       "int main(void) { return netstack_dispatch_broker(0, 0) + netstack_ring_natproxy(0, 0, 0); }\n")
    done = subprocess.run([*CC, "-D_GNU_SOURCE", "-I.", "-Iout", "-o", "out/a", "out/main.c", "out/netstack_dispatch.c"], cwd=folder,
                          capture_output=True, text=True)
    assert done.returncode != 0
    return done.stderr


def main():
    with tempfile.TemporaryDirectory() as parent:
        assert spoilt(parent, "super.proto", "message SuperToAlg {\n  oneof msg {\n    ActorBoot boot = 1;",
                      "message SuperToAlg {\n  oneof msg {\n    ActorBoot boot = 9;"), "a common message under another number"
        assert spoilt(parent, "super.proto", "    ActorAnswer answer = 7;\n    PortClosed", "    PortClosed"), "a common message left out"
        assert spoilt(parent, "ring_ops.def", "TCP_FIN, NONE,", "TCP_FIN, NOTHING,"), "an unknown kind"
        assert spoilt(parent, "ring_ops.def", "OP(BROKER, NETSTACK, FRAME", "OP(BROKER, NATPROXY, FRAME"), "a direction without a ring"
        errors = undefined_without_handlers(parent)
        for handler in ("netstack_on_station_gone", "netstack_op_tcp_data", "netstack_op_dgram_closed"):
            assert f"undefined reference to `{handler}'" in errors, handler
    print("gen.py: ok")


main()
