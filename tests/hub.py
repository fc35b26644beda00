"""A small hub on this machine: an HTTP server with the files of one repository.

It notes every request. It can break connections and damage files, as a bad network does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from huggingface_hub import constants

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LARGE = (".onnx", ".safetensors")
"""Files that are kept with LFS: the hub names their sha256."""


class Hub(ThreadingHTTPServer):
    """Serves one repository, and remembers what it was asked.

    Attributes:
        most: bytes of a file after which the connection is closed; None for all.
        left: bytes of files that are sent yet, in all; None for any number.
        damaged: the name of a file that comes with its last byte changed.
        ranges: whether a part of a file can be asked for.
        says: of the repository, instead of what is true.
    """

    repository: Path
    asked: list[str]
    most: int | None = None
    left: int | None = None
    damaged: str = ""
    ranges: bool = True
    says: dict[str, str | None] | None = None


class Answer(BaseHTTPRequestHandler):
    """The part of the hub's protocol that fetches a file."""

    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        content = self._content()
        found = content is not None
        content = content or b""
        start = self._start(len(content))
        asked = f" from {start}" if start else ""
        self.server.asked.append(f"{self.command} {self.path}{asked}")
        self.send_response((206 if start else 200) if found else 404)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(content) - start))
        if not found:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(self._cut(content[start:]))

    def _cut(self, content: bytes) -> bytes:
        """As much of an answer as gets through."""
        if "/resolve/" not in self.path:
            return content
        content = content[: self.server.most]
        if self.server.left is not None:
            content = content[: self.server.left]
            self.server.left -= len(content)
        return content

    def _start(self, size: int) -> int:
        """The first byte that is asked for."""
        said = self.headers.get("Range", "")
        start = int(said.removeprefix("bytes=").partition("-")[0] or 0) if said else 0
        return start if self.server.ranges and start < size else 0

    def _content(self) -> bytes | None:
        """A file, what the repository is, or which files it has."""
        path, _, query = self.path.partition("?")
        if "/resolve/" in path:
            name = path.partition("/resolve/")[2].partition("/")[2]
            file = self.server.repository / name
            content = file.read_bytes() if file.is_file() else None
            if content and name == self.server.damaged:
                return content[:-1] + bytes([content[-1] ^ 1])
            return content
        if "/tree/" in path:
            rows = [{"type": "file", "path": n, "size": f.stat().st_size} for n, f in self._files()]
            return json.dumps([{**row, "oid": "0" * 40} for row in rows]).encode()
        if path.startswith("/api/models/nobody/"):
            return None
        if path.startswith("/api/models/") and not path.endswith("/xet-read-token"):
            said: dict[str, object] = {"id": "someone/model", "sha": COMMIT}
            if "blobs=" in query:
                said["siblings"] = [_described(name, file) for name, file in self._files()]
            return json.dumps(said | (self.server.says or {})).encode()
        return None

    def _files(self) -> list[tuple[str, Path]]:
        """The files of the repository and their paths in it."""
        root = self.server.repository
        found = sorted(path for path in root.rglob("*") if path.is_file())
        return [(path.relative_to(root).as_posix(), path) for path in found]

    def log_message(self, format: str, *args: object) -> None: ...


def _described(name: str, file: Path) -> dict[str, object]:
    """What the hub says of a file: its size, git's id of it, and the sha256 of a large one."""
    content = file.read_bytes()
    oid = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    said: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": oid}
    if file.suffix in LARGE:
        digest = hashlib.sha256(content).hexdigest()
        said["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return said


@contextmanager
def serving(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve a repository under any name, and set this process to use it."""
    server = Hub(("127.0.0.1", 0), Answer)
    server.repository, server.asked = repository, []
    endpoint = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
