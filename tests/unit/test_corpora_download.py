"""Downloads from a server that drops connections, against size and checksum."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from local import download_ismir04
from local.corpus import download
from utils import cli


def tree() -> dict[str, bytes]:
    return {
        "corpus/metadata/training/tracklist.csv": b'"classical"\n',
        "corpus/audio/training/a.mp3": bytes(range(256)) * 400,
    }


def tar_of(files: dict[str, bytes], kind: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=kind) as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            packed.addfile(member, io.BytesIO(data))
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return out.getvalue()


class Server:
    """Serves one record; every request is written down, and ``faults`` are committed one a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.checksums: dict[str, str] = {}
        self.faults: list[str] = []
        self.requests: list[tuple[str, str | None]] = []
        self.ranges = True
        handler = type("Handler", (_Handler,), {"world": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/records/1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def add(self, name: str, data: bytes) -> None:
        self.files[name] = data
        self.checksums[name] = f"md5:{hashlib.md5(data).hexdigest()}"  # noqa: S324 - what Zenodo gives

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    world: Server

    def log_message(self, *_):
        pass

    def do_GET(self):  # noqa: N802 - the name http.server wants
        world = self.world
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
        data, start = world.files[name], 0
        if asked and world.ranges:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(data) and asked and world.ranges:
            return self.answer(416, b"")
        return self.answer(206 if asked and world.ranges else 200, data[start:], half=fault == "drop")

    def answer(self, status: int, data: bytes, *, half: bool = False):
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if half else data)
        self.close_connection = True


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download.time, "sleep", lambda _: None)
    server = Server()
    yield server
    server.close()


def run(server, root, *options) -> int:
    return download_ismir04.main(["--record-url", server.url, "--retries", "3", *options, str(root)])


def test_download_and_unpack(server, tmp_path, capsys):
    server.add("corpus.tar.gz", tar_of(tree()))
    server.add("readme.txt", b"hello")
    assert run(server, tmp_path) == 0
    for name, data in tree().items():
        assert (tmp_path / name).read_bytes() == data
    assert f"local/prepare_ismir04.py {tmp_path / 'corpus'} " in capsys.readouterr().err
    asked = len(server.requests)
    assert run(server, tmp_path) == 0
    assert len(server.requests) == asked


def test_dropped_connections_are_resumed(server, tmp_path):
    data = tar_of(tree())
    server.add("corpus.tar.gz", data)
    server.faults = ["drop", "drop", "503", "drop", "drop", "drop", "drop"]
    run(server, tmp_path)
    assert (tmp_path / "archives/corpus.tar.gz").read_bytes() == data
    starts = [int(asked[6:-1]) for _, asked in server.requests if asked]
    assert starts == sorted(starts) and starts[0] == len(data) // 2
    assert len(server.requests) == 8


def test_later_run_goes_on_where_an_earlier_one_gave_up(server, tmp_path):
    data = tar_of(tree())
    server.add("corpus.tar.gz", data)
    server.faults = ["drop", "500", "500", "500", "500"]
    with pytest.raises(cli.UserError, match="status 500; check the network and run it again"):
        run(server, tmp_path)
    assert (tmp_path / "archives/corpus.tar.gz.part").stat().st_size == len(data) // 2
    server.requests.clear()
    run(server, tmp_path)
    assert server.requests == [("corpus.tar.gz", f"bytes={len(data) // 2}-")]


def test_server_without_ranges_starts_anew(server, tmp_path):
    server.add("corpus.zip", zip_of(tree()))
    server.ranges = False
    server.faults = ["drop"]
    run(server, tmp_path)
    assert (tmp_path / "archives/corpus.zip").read_bytes() == server.files["corpus.zip"]


def test_wrong_content_is_removed_and_named(server, tmp_path):
    server.add("corpus.tar.gz", tar_of(tree()))
    server.checksums["corpus.tar.gz"] = "md5:" + "0" * 32
    with pytest.raises(cli.UserError, match="corpus.tar.gz.part: md5 .*, the record says 000"):
        run(server, tmp_path)
    assert not list(tmp_path.glob("archives/corpus*"))


def test_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    server.add("corpus.tar.gz", tar_of(tree()))
    (tmp_path / "archives").mkdir()
    (tmp_path / "archives/corpus.tar.gz.part").write_bytes(bytes(10**6))
    run(server, tmp_path)
    assert (tmp_path / "archives/corpus.tar.gz").read_bytes() == server.files["corpus.tar.gz"]


def test_file_that_is_not_there_is_not_asked_for_again(server, tmp_path):
    server.add("corpus.tar.gz", tar_of(tree()))
    server.faults = ["404"] * 9
    with pytest.raises(cli.UserError, match="status 404"):
        run(server, tmp_path)
    assert len(server.requests) == 1


def test_full_queue_is_waited_for(server, tmp_path):
    server.add("a.tar.gz", tar_of(tree()))
    server.faults = ["429", "408"]
    assert run(server, tmp_path / "corpus") == 0


def test_record_that_is_none(server, tmp_path):
    with pytest.raises(cli.UserError, match="the record has no files"):
        run(server, tmp_path)
    with pytest.raises(cli.UserError, match="expected an http or https address"):
        download_ismir04.main(["--record-url", f"file://{tmp_path}", str(tmp_path)])


def test_archives_can_go_once_they_are_unpacked(server, tmp_path):
    server.add("corpus.tar.gz", tar_of(tree()))
    run(server, tmp_path, "--keep-archives", "false")
    run(server, tmp_path)
    assert len(server.requests) == 1
    assert not (tmp_path / "archives/corpus.tar.gz").exists()


@pytest.mark.parametrize("name", ["../evil", "/var/evil", "a/../../evil"])
@pytest.mark.parametrize("pack", [tar_of, zip_of])
def test_members_outside_the_folder_are_refused(tmp_path, name, pack):
    (tmp_path / "bad").write_bytes(pack({name: b"x"}))
    with pytest.raises(cli.UserError, match="would lie outside"):
        download.unpack(tmp_path / "bad", tmp_path / "in")
    assert not (tmp_path / "evil").exists()


def test_links_are_refused(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc"
        packed.addfile(member)
    (tmp_path / "bad.tar").write_bytes(out.getvalue())
    with pytest.raises(cli.UserError, match="neither a file nor a folder"):
        download.unpack(tmp_path / "bad.tar", tmp_path / "in")


def test_damaged_archive_is_named(tmp_path):
    (tmp_path / "bad.tgz").write_bytes(tar_of(tree())[:300])
    with pytest.raises(cli.UserError, match="bad.tgz: damaged"):
        download.unpack(tmp_path / "bad.tgz", tmp_path / "in")
