"""A small hub on this machine: an HTTP server with the files of one repository.

It notes every request.
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


class Hub(ThreadingHTTPServer):
    """Serves one repository, and remembers what it was asked."""

    repository: Path
    asked: list[str]


class Answer(BaseHTTPRequestHandler):
    """The part of the hub's protocol that fetches a file."""

    server: Hub

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        content = self._content()
        found = content is not None
        content = content or b""
        self.send_response(200 if found else 404)
        self.send_header("Content-Length", str(len(content)))
        if not found:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha1(content).hexdigest()}"')
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _content(self) -> bytes | None:
        """A file, what the repository is, or which files it has."""
        path = self.path.partition("?")[0]
        file = self.server.repository / path.rpartition("/")[2]
        if "/resolve/" in path:
            return file.read_bytes() if file.is_file() else None
        if "/tree/" in path:
            files = sorted(self.server.repository.iterdir())
            rows = [{"type": "file", "path": f.name, "size": f.stat().st_size} for f in files]
            return json.dumps([{**row, "oid": "0" * 40} for row in rows]).encode()
        if path.startswith("/api/models/") and not path.endswith("/xet-read-token"):
            return json.dumps({"id": "someone/model", "sha": COMMIT}).encode()
        return None

    def log_message(self, format: str, *args: object) -> None: ...


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
