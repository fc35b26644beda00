"""`twinlens serve` in a process of its own: start, addresses, signals, what it refuses."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import skimage

from retrieval import PhotoLibrary

DATA = Path(skimage.__file__).parent / "data"
COMMAND = (sys.executable, "-m", "retrieval.cli", "serve", "--port", "0")
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of three real photos with the built-in model."""
    folder = tmp_path_factory.mktemp("served") / "photos.lib"
    with PhotoLibrary.open(folder) as library:
        done = library.index(*(DATA / name for name in ("chelsea.png", "coffee.png", "rocket.jpg")))
        assert done.photos == 3
        library.search("a cat")  # it prepares the model for this computer
    return folder


@contextmanager
def started(*options: object, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the command; yield it and the line that it prints."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stderr is not None
    try:
        yield process, process.stderr.readline().strip()
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(line: str, path: str, **headers: str) -> tuple[int, bytes]:
    """Ask the server at the address that its line names."""
    address = urlsplit(line.split()[2].rstrip(";"))
    opened = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    with closing(opened) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_it_is_and_ends_at_a_signal(photos: Path, number: int) -> None:
    with started("--library", photos) as (process, line):
        assert line.startswith("serving at http://127.0.0.1:")
        assert line.endswith("/; stop with Ctrl-C")
        status, page = ask(line, "/")
        assert (status, page[:15]) == (200, b"<!doctype html>")
        status, body = ask(line, "/api/v1/search?q=a+cat&limit=1")
        assert (status, json.loads(body)["hits"][0]["name"]) == (200, "chelsea.png")
        process.send_signal(number)
        out, told = process.communicate(timeout=60)
        assert (process.returncode, out, told) == (0, "", "stopped serving\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_while_it_begins(photos: Path, number: int) -> None:
    with started("--library", photos) as (process, _):
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
        assert (process.returncode, told) == (0, "stopped serving\n")


def test_many_clients_get_the_answers_of_one(photos: Path) -> None:
    queries = ["a cat", "a cup of coffee", "a rocket", "- a cat", "a cat - coffee", "type:png"]
    with PhotoLibrary.open(photos, create=False) as library:
        alone = [[hit.path.name for hit in library.search(each)] for each in queries]
    with started("--library", photos) as (_, line), ThreadPoolExecutor(8) as clients:
        paths = [f"/api/v1/search?q={quote(each)}&limit=10" for each in queries]
        for _ in range(3):
            answers = list(clients.map(lambda path: ask(line, path), paths * 2))
            assert [status for status, _ in answers] == [200] * len(answers)
            found = [[hit["name"] for hit in json.loads(body)["hits"]] for _, body in answers]
            assert found == alone * 2


def test_open_streams_do_not_keep_it(photos: Path) -> None:
    with started("--library", photos) as (process, line):
        port = urlsplit(line.split()[2].rstrip(";")).port
        with socket.create_connection(("127.0.0.1", port), timeout=60) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert idle.recv(12) == b"HTTP/1.1 200"
            with socket.create_connection(("127.0.0.1", port), timeout=60) as stream:
                stream.sendall(b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
                stream.recv(12)
                began = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert process.wait(60) == 0
                assert time.monotonic() - began < 30


def test_a_port_that_is_in_use_is_told(photos: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with started("--library", photos, "--port", port) as (process, line):
            assert line == (
                f"twinlens: port {port} of 127.0.0.1 is in use, maybe by another twinlens serve; "
                "choose another with --port, or --port 0 for any"
            )
            assert process.wait(60) == 2


def test_other_machines_need_a_token(photos: Path) -> None:
    with started("--library", photos, "--host", "0.0.0.0") as (process, line):
        assert line == (
            "twinlens: --host 0.0.0.0 lets other machines ask; it needs a token: --token WORD, or "
            "the variable TWINLENS_TOKEN"
        )
        assert process.wait(60) == 2


def test_the_token_comes_from_the_environment_and_is_not_shown(photos: Path) -> None:
    with started("--library", photos, TWINLENS_TOKEN=TOKEN) as (_, line):
        assert TOKEN not in line
        assert ask(line, "/readyz")[0] == 401
        assert ask(line, "/healthz")[0] == 200
        assert ask(line, "/api/v1/libraries", Authorization=f"Bearer {TOKEN}")[0] == 200


def test_it_opens_the_browser(photos: Path, tmp_path: Path) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {opened}.part; mv {opened}.part {opened}\n')
    browser.chmod(0o755)
    with started("--library", photos, "--open", BROWSER=f"{browser} %s") as (_, line):
        end = time.monotonic() + 30
        while not opened.exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert opened.read_text() == line.split()[2].rstrip(";")


def test_the_access_log_names_routes_alone(photos: Path) -> None:
    with started("--library", photos, "--access-log") as (process, line):
        assert ask(line, "/api/v1/search?q=my-secret&limit=1")[0] == 200
        assert ask(line, "/my-secret")[0] == 404
        process.terminate()
        _, told = process.communicate(timeout=60)
    assert re.search(r" GET /api/v1/search 200 \d+ ms [0-9a-f]{16}\n", told)
    assert re.search(r" GET none 404 \d+ ms [0-9a-f]{16}\n", told)
    assert "secret" not in told


def test_a_library_that_is_not_there_is_waited_for(tmp_path: Path) -> None:
    with started("--library", tmp_path / "none") as (_, line):
        assert line.startswith("serving at ")
        status, body = ask(line, "/api/v1/libraries")
        assert (status, json.loads(body)["libraries"][0]["state"]) == (200, "missing")


def test_the_facade_loads_no_torch() -> None:
    code = "import sys, retrieval.api, retrieval.server.serving; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_it_needs_no_torch(photos: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.modules['torch'] = None\n"
            "import retrieval.server.serving, retrieval.cli.commands.serve\n"
            "from retrieval import PhotoLibrary\n"
            f"with PhotoLibrary.open({str(photos)!r}, create=False) as library:\n"
            "    print(library.search(library.query('a cat'), k=1)[0].path.name)",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("chelsea.png\n", "")
