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


TREE = {
    "corpus/metadata/training/tracklist.csv": b'"classical"\n',
    "corpus/audio/training/a.mp3": bytes(range(256)) * 400,
}


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return out.getvalue()


class Server(ThreadingHTTPServer):
    """Serves one record; every request is written down, and ``faults`` are committed one a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.checksums: dict[str, str] = {}
        self.faults: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/api/records/1"

    def add(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.checksums[name] = f"md5:{hashlib.md5(data).hexdigest()}"  # noqa: S324 - what Zenodo gives


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802 - the name http.server wants
        world = self.server
        name = self.path.rpartition("/")[2]
        if self.path == "/api/records/1":
            base = world.url.rpartition("/api")[0]
            files = [
                {"key": n, "size": len(d), "checksum": world.checksums[n], "links": {"self": f"{base}/f/{n}"}}
                for n, d in world.files.items()
            ]
            return self.answer(200, json.dumps({"files": files}).encode())
        asked = self.headers.get("Range")
        world.requests.append((name, asked))
        fault = world.faults.pop(0) if world.faults else ""
        if fault.isdigit():
            return self.answer(int(fault), b"no")
        data, start = world.files[name], int((asked or "0").removeprefix("bytes=").rstrip("-"))
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
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def run(run_cli, server, root, *options):
    wgetrc = root.parent / "wgetrc"
    wgetrc.write_text("waitretry = 0\n")
    words = ("local/download_ismir04.sh", "--record-url", server.url, *options, root)
    return run_cli(*words, env={"WGETRC": str(wgetrc)})


def test_download_goes_on_where_it_broke_off_and_is_unpacked_once(server, tmp_path, run_cli):
    data = tar_of(TREE)
    server.add("corpus.tar.gz", data)
    server.add("readme.txt", b"hello")
    server.faults = ["drop", "503", "drop"]
    done = run(run_cli, server, tmp_path)
    assert f"./run.sh --corpus ismir04 --corpus-root {tmp_path}/corpus" in done.stderr
    for name, content in TREE.items():
        assert (tmp_path / name).read_bytes() == content
    assert (tmp_path / "archives/corpus.tar.gz").read_bytes() == data
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert starts[0] == len(data) // 2 and starts == sorted(starts)
    asked = len(server.requests)
    run(run_cli, server, tmp_path)
    assert len(server.requests) == asked


@pytest.mark.parametrize(
    ("checksum", "faults", "says"),
    [
        ("md5:" + "0" * 32, [], "corpus.tar.gz: not what the record says"),
        ("", ["404"], "check the network and run it again"),
    ],
)
def test_what_is_wrong_is_said(server, tmp_path, run_cli, checksum, faults, says):
    server.add("corpus.tar.gz", tar_of(TREE))
    server.checksums["corpus.tar.gz"] = checksum or server.checksums["corpus.tar.gz"]
    server.faults = faults
    done = run(run_cli, server, tmp_path)
    assert done.returncode == 1 and says in done.stderr
    assert not (tmp_path / "archives/corpus.tar.gz").exists()
