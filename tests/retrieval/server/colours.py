"""A server over drawn colours: real connections, real libraries, and a model that costs nothing."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from retrieval.api import PhotoLibrary
from retrieval.runtime.model_choice import ModelChoice
from retrieval.search.library_search import ModelPool, SearchModels
from retrieval.server.serving import LibraryServer
from retrieval.server.settings import ServeSettings
from tests.fakes import COLOURS, ColourEncoder, draw


class ColourModels(SearchModels):
    """Models of a library of colours."""

    def __init__(self, fingerprint: str) -> None:
        super().__init__(ModelChoice(), "colours", fingerprint)
        self._encoder = ColourEncoder(fingerprint=fingerprint)

    def quick(self) -> ColourEncoder:
        """Return the encoder."""
        return self._encoder


class ColourPool(ModelPool):
    """Counts the models that were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def models(self, choice: ModelChoice, model: str, fingerprint: str) -> SearchModels:
        """Return models of colours, whatever the library's model is called."""
        self.asked.append(fingerprint)
        return ColourModels(fingerprint)


def index(library: Path, photos: Path, encoder: ColourEncoder | None = None) -> None:
    """Index drawn photos."""
    encoder = encoder or ColourEncoder()
    with Library.open_or_create(library, encoder) as opened:
        index_folders(opened, encoder, [photos])


@dataclass(frozen=True)
class Answer:
    """What a server answers."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self.headers
        told = self.json
        assert told["status"] == self.status
        assert told["request_id"] == self.headers["x-request-id"]
        assert told["detail"]
        return str(told["code"])


class Running:
    """A server that runs, and a client of it."""

    def __init__(self, server: LibraryServer) -> None:
        self.server = server
        self.port = urlsplit(server.address).port or 0

    def ask(
        self, method: str, path: str, body: bytes | Iterator[bytes] | None = None, **headers: str
    ) -> Answer:
        """Ask, with headers by their names with underscores.

        A server that refuses a body may close its side before all of it is sent.
        """
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            with suppress(BrokenPipeError):
                connection.request(method, path, body=body, headers=named)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, told, response.read())

    def get(self, path: str, **headers: str) -> Answer:
        """Ask by GET."""
        return self.ask("GET", path, **headers)

    def post(self, path: str, told: object, **headers: str) -> Answer:
        """Send JSON."""
        body = json.dumps(told).encode()
        return self.ask("POST", path, body, content_type="application/json", **headers)

    def raw(self, sent: bytes) -> bytes:
        """Send some bytes, and return all that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as connection:
            connection.sendall(sent)
            parts = iter(lambda: connection.recv(65_536), b"")
            return b"".join(parts)


@contextmanager
def running(
    *folders: Path, pool: ModelPool | None = None, settings: ServeSettings | None = None
) -> Iterator[Running]:
    """Run a server over libraries of colours on a free port."""
    pool = pool or ColourPool()
    server = LibraryServer(
        folders,
        settings or ServeSettings(port=0),
        lambda folder: PhotoLibrary.open(folder, create=False, models=pool),
    )
    up = threading.Event()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(server.run(lambda _: up.set())))
    thread.start()
    try:
        assert up.wait(30)
        yield Running(server)
    finally:
        server.stop()
        thread.join(30)
    assert ended == [True], "the server did not end"


def paths(answer: Answer) -> list[str]:
    """The names of the hits of an answer."""
    assert answer.status == 200, answer.body
    return [hit["name"] for hit in answer.json["hits"]]


def drawn(folder: Path, names: Iterable[str]) -> None:
    """Draw photos of the colours in their names: "red-blue" is half red, half blue."""
    for name in names:
        colours = [part for part in name.split("-") if part in COLOURS]
        draw(folder / f"{name}.png", *colours, size=(64, 48))
