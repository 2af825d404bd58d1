"""local/download_ismir04.sh, from a server that drops connections."""

import hashlib
import io
import json
import shutil
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

pytestmark = pytest.mark.skipif(shutil.which("wget") is None, reason="there is no wget")
NAME = "corpus.tar.gz"
TREE = {
    "corpus/metadata/training/tracklist.csv": b'"classical"\n',
    "corpus/audio/training/a.mp3": bytes(range(256)) * 400,
}


class Handler(BaseHTTPRequestHandler):
    """Serves a record of one file; requests for it are written down, and faults committed one a request."""

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802 - the name http.server wants
        world, data = self.server, self.server.data
        if self.path == "/record":
            link = {"self": f"http://127.0.0.1:{world.server_port}/{NAME}"}
            file = {"key": NAME, "size": len(data), "checksum": world.checksum, "links": link}
            return self.answer(200, json.dumps({"files": [file]}).encode())
        asked = self.headers.get("Range")
        world.asked.append(asked)
        fault = world.faults.pop(0) if world.faults else ""
        if fault.isdigit():
            return self.answer(int(fault), b"no")
        start = int((asked or "0").removeprefix("bytes=").rstrip("-"))
        if asked and start >= len(data):
            return self.answer(416, b"")
        return self.answer(206 if asked else 200, data[start:], half=fault == "drop", start=start)

    def answer(self, status: int, data: bytes, *, half: bool = False, start: int = 0):
        self.send_response(status)
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{start + len(data) - 1}/{start + len(data)}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = True


@pytest.fixture
def server():
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, data in TREE.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.data, server.faults, server.asked = packed.getvalue(), [], []
        server.checksum = f"md5:{hashlib.md5(server.data).hexdigest()}"  # noqa: S324 - what Zenodo gives
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def download(server, tmp_path, run_cli):
    (tmp_path / "wgetrc").write_text("waitretry = 0\n")
    words = ("--record-url", f"http://127.0.0.1:{server.server_port}/record", tmp_path / "root")
    return lambda: run_cli("local/download_ismir04.sh", *words, env={"WGETRC": str(tmp_path / "wgetrc")})


def test_download_goes_on_where_it_broke_off_and_is_unpacked_once(server, download, tmp_path):
    server.faults = ["drop", "503", "drop"]
    assert f"./run.sh --corpus ismir04 --corpus-root {tmp_path}/root/corpus" in download().stderr
    for name, content in TREE.items():
        assert (tmp_path / "root" / name).read_bytes() == content
    assert (tmp_path / "root/archives" / NAME).read_bytes() == server.data
    starts = [int(asked[6:-1]) for asked in server.asked if asked]
    assert starts[0] == len(server.data) // 2 and starts == sorted(starts)
    asked = len(server.asked)
    download()
    assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("checksum", "faults", "says"),
    [
        ("md5:" + "0" * 32, [], f"{NAME}: not what the record says"),
        ("", ["404"], "check the network and run it again"),
    ],
)
def test_what_is_wrong_is_said(server, download, tmp_path, checksum, faults, says):
    server.checksum, server.faults = checksum or server.checksum, faults
    done = download()
    assert done.returncode == 1 and says in done.stderr
    assert not (tmp_path / "root/archives" / NAME).exists()
