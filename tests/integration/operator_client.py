"""Speaks ipc/operator.proto to a running natlock, for requests that natlockctl has no verb for. Messages come from the .proto files by protoc."""
import array, os, pathlib, socket, subprocess, sys, tempfile

IPC = pathlib.Path(__file__).resolve().parents[2] / "ipc"
_folder = tempfile.TemporaryDirectory(prefix="natlock-proto-")
subprocess.run(["protoc", f"--proto_path={IPC}", f"--python_out={_folder.name}", "config.proto", "operator.proto"], check=True)
sys.path.insert(0, _folder.name)
import operator_pb2 as proto  # noqa: E402


class Refused(Exception):
    def __init__(self, failure):
        super().__init__(f"{failure.message}: {failure.cause}. {failure.fix}")
        self.code, self.message, self.cause, self.fix = failure.exit_code, failure.message, failure.cause, failure.fix


def ask(gateway, fd=None, admin=True, **request):
    """One request; the text of Done or of all TextParts."""
    path = gateway.api.with_name("admin-" + gateway.api.name) if admin else gateway.api
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(15)
        s.connect(str(path))
        bytes_ = proto.OperatorRequest(**request).SerializeToString()
        s.sendmsg([bytes_], [] if fd is None else [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        text = ""
        while True:
            record = s.recv(1 << 17)
            assert record, "natlock closed the connection"
            answer = proto.OperatorAnswer.FromString(record)
            kind = answer.WhichOneof("msg")
            if kind == "failure":
                raise Refused(answer.failure)
            if kind == "done":
                return answer.done.text
            text += answer.text.text
            if answer.text.last:
                return text


def change(gateway, *changes, hub=None, save=False):
    """("set", path, value), ... as a ChangeRequest."""
    how = {"set": 0, "add": 1, "remove": 2}
    return ask(gateway, change=proto.ChangeRequest(hub=hub, save=save, changes=[
        proto.Change(how=how[word], path=path, value=value) for word, path, value in changes]))


def config(gateway, what="RUNNING", fd=None, admin=False, **options):
    return ask(gateway, fd=fd, admin=admin, config=proto.ConfigRequest(what=proto.ConfigRequest.What.Value(what), **options))


def reload(gateway):
    return ask(gateway, reload=proto.ReloadRequest())
