"""A pair of ONNX files is fetched whole or not at all, and an interrupted fetch goes on."""

from __future__ import annotations

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants, hf_hub_download, scan_cache_dir

from retrieval.errors import ModelUnavailable
from retrieval.models import fetch
from retrieval.models.fetch import fetch_onnx_pair
from retrieval.models.onnx_pair import onnx_pair_of
from tests.hub import COMMIT, Hub, serving

NAME = "someone/pair"
SPEC = f"hf-hub:{NAME}"
LARGEST = "visual/model.onnx"
SIZES = {LARGEST: 300_000, "textual/model.onnx": 200_000}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository in immich's layout; its graphs are noise, since nobody runs them here."""
    folder = tmp_path_factory.mktemp("pair")
    texts = {
        "config.json": '{"text_cfg": {"context_length": 64}}',
        "visual/preprocess_cfg.json": '{"size": [64, 64]}',
        "textual/tokenizer.json": "{}",
        "textual/tokenizer_config.json": '{"pad_token": "<pad>"}',
        "README.md": "not a part of the pair",
        "visual/model.armnn": "for another engine",
        "textual/fp16/model.armnn": "for another engine",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    for name, size in SIZES.items():
        (folder / name).write_bytes(os.urandom(size))
    return folder


@pytest.fixture
def served(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, and this process set to use it."""
    with serving(repository, monkeypatch) as hub:
        yield hub


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no proxies, leave to ask the hub, and no patience."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(fetch, "WAIT", 0.0)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "hub"


def parts(cache: Path) -> list[int]:
    """The sizes of files that have not come to their ends."""
    return sorted(path.stat().st_size for path in cache.rglob("*.incomplete"))


def test_all_files_of_the_pair_come_and_no_other(
    served: Hub, cache: Path, repository: Path
) -> None:
    told: list[tuple[int, int]] = []
    done = fetch_onnx_pair(NAME, lambda here, total: told.append((here, total)))
    came = {p.relative_to(done.folder).as_posix() for p in done.folder.rglob("*") if p.is_file()}
    wanted = {p.relative_to(repository).as_posix() for p in repository.rglob("*") if p.is_file()}
    assert came == wanted - {"README.md", "visual/model.armnn", "textual/fp16/model.armnn"}
    assert all(
        (done.folder / name).read_bytes() == (repository / name).read_bytes() for name in came
    )
    assert done.received == done.bytes == sum((repository / name).stat().st_size for name in came)
    assert told == sorted(told)
    assert told[-1] == (done.bytes, done.bytes)
    assert parts(cache) == []
    pair = onnx_pair_of(SPEC)
    assert pair is not None
    assert pair.visual == done.folder / LARGEST
    assert done.folder.name == COMMIT


def test_a_model_that_is_here_is_not_fetched_again(served: Hub) -> None:
    fetch_onnx_pair(NAME)
    served.asked.clear()
    assert fetch_onnx_pair(NAME).received == 0
    assert [line for line in served.asked if "/resolve/" in line] == []


def test_a_broken_connection_goes_on_where_it_stopped(served: Hub, repository: Path) -> None:
    served.most = 120_000
    done = fetch_onnx_pair(NAME)
    assert (done.folder / LARGEST).read_bytes() == (repository / LARGEST).read_bytes()
    asked = [line.rpartition(" from ")[2] for line in served.asked if LARGEST in line]
    assert asked[1:] == ["120000", "240000"]


def test_the_next_fetch_goes_on_where_the_last_one_stopped(
    served: Hub, cache: Path, repository: Path
) -> None:
    served.left = 320_000
    with pytest.raises(
        ModelUnavailable, match=r"broke off in visual/model\.onnx, at 0\.1 MB of 0\.3"
    ):
        fetch_onnx_pair(NAME)
    assert onnx_pair_of(SPEC) is None
    (here,) = parts(cache)
    assert 100_000 < here < 120_000
    served.left = None
    served.asked.clear()
    done = fetch_onnx_pair(NAME)
    assert [line for line in served.asked if "/resolve/" in line] == [
        f"GET /{NAME}/resolve/{COMMIT}/{LARGEST} from {here}"
    ]
    assert done.received == SIZES[LARGEST] - here
    assert (done.folder / LARGEST).read_bytes() == (repository / LARGEST).read_bytes()
    assert parts(cache) == []


def test_an_interrupted_fetch_goes_on(served: Hub, cache: Path) -> None:
    def interrupt(here: int, total: int) -> None:
        if here > 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_onnx_pair(NAME, interrupt)
    assert onnx_pair_of(SPEC) is None
    (here,) = parts(cache)
    assert here > 0
    assert fetch_onnx_pair(NAME).received == SIZES[LARGEST] - here


def test_what_was_fetched_is_whole_to_the_hubs_own_client(served: Hub) -> None:
    done = fetch_onnx_pair(NAME)
    served.asked.clear()
    there = hf_hub_download(NAME, LARGEST, local_files_only=True)
    assert Path(there) == done.folder / LARGEST
    (found,) = scan_cache_dir(constants.HF_HUB_CACHE).repos
    assert (found.repo_id, found.size_on_disk) == (NAME, done.bytes)
    assert served.asked == []


def test_a_cache_that_is_closed(served: Hub, cache: Path) -> None:
    cache.write_text("a file in its place")
    with pytest.raises(ModelUnavailable, match=r"into '.*hub': .*; set HF_HOME to a folder"):
        fetch_onnx_pair(NAME)


def test_a_server_without_ranges_begins_anew(served: Hub, repository: Path) -> None:
    served.left, served.ranges = 320_000, False
    with pytest.raises(ModelUnavailable, match="broke off"):
        fetch_onnx_pair(NAME)
    served.left = None
    done = fetch_onnx_pair(NAME)
    assert (done.folder / LARGEST).read_bytes() == (repository / LARGEST).read_bytes()


@pytest.mark.parametrize("name", [LARGEST, "config.json"])
def test_a_damaged_file_is_refused_and_removed(served: Hub, cache: Path, name: str) -> None:
    served.damaged = name
    with pytest.raises(ModelUnavailable, match=rf"{name} of '{NAME}' was damaged on the way"):
        fetch_onnx_pair(NAME)
    assert onnx_pair_of(SPEC) is None
    assert parts(cache) == []
    served.damaged = ""
    assert fetch_onnx_pair(NAME).folder.is_dir()


def test_a_damaged_beginning_does_not_stay(served: Hub, cache: Path) -> None:
    served.left = 320_000
    with pytest.raises(ModelUnavailable, match="broke off"):
        fetch_onnx_pair(NAME)
    (part,) = cache.rglob("*.incomplete")
    part.write_bytes(bytes(part.stat().st_size))
    served.left = None
    with pytest.raises(ModelUnavailable, match="was damaged on the way"):
        fetch_onnx_pair(NAME)
    assert onnx_pair_of(SPEC) is None
    assert fetch_onnx_pair(NAME).folder.is_dir()


def test_no_network(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free.getsockname()[1]}")
    with pytest.raises(
        ModelUnavailable, match=r"cannot fetch 'someone/pair': .* cannot be reached"
    ):
        fetch_onnx_pair(NAME)
    assert not cache.exists()


def test_a_mirror_without_its_protocol(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "hub.example")
    with pytest.raises(ModelUnavailable, match=r"give a whole address: https://hub\.example"):
        fetch_onnx_pair(NAME)
    assert not cache.exists()


def test_offline(served: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match="HF_HUB_OFFLINE is set"):
        fetch_onnx_pair(NAME)
    assert served.asked == []


def test_no_room_is_known_before(served: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(Path.cwd())._replace(free=1000)
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _path: usage)
    said = r"is full: 0\.5 MB are to come, and 0\.0 MB are free; .* set HF_HOME"
    with pytest.raises(ModelUnavailable, match=said):
        fetch_onnx_pair(NAME)
    assert [line for line in served.asked if "/resolve/" in line] == []
    assert onnx_pair_of(SPEC) is None


def test_a_disk_that_fills_up_gets_its_room_back(
    served: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = fetch._add

    def full(url: str, part: Path, progress: object) -> None:
        if LARGEST in url:
            part.write_bytes(bytes(1000))
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        add(url, part, lambda _here: None)

    monkeypatch.setattr(fetch, "_add", full)
    with pytest.raises(ModelUnavailable, match="is full: No space left on device; make room there"):
        fetch_onnx_pair(NAME)
    assert onnx_pair_of(SPEC) is None
    assert parts(cache) == []


def test_another_fetch_is_under_way(served: Hub, cache: Path) -> None:
    with (
        fetch._RepositoryCache(NAME, COMMIT).locked(),
        pytest.raises(ModelUnavailable, match="another process is fetching"),
    ):
        fetch_onnx_pair(NAME)


@pytest.mark.parametrize("said", [{"sha": "../../elsewhere"}, {"sha": None}])
def test_a_commit_names_no_other_folder(
    served: Hub, cache: Path, said: dict[str, str | None]
) -> None:
    served.says = said
    with pytest.raises(ModelUnavailable, match="does not say which commit"):
        fetch_onnx_pair(NAME)
    assert not cache.exists()


def test_no_such_repository(served: Hub) -> None:
    with pytest.raises(ModelUnavailable, match="has no model 'nobody/pair'"):
        fetch_onnx_pair("nobody/pair")


def test_a_repository_without_a_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository" / "config.json").write_text("{}")
    with (
        serving(tmp_path / "repository", monkeypatch),
        pytest.raises(
            ModelUnavailable, match=r"no pair of ONNX files: it lacks textual/model\.onnx"
        ),
    ):
        fetch_onnx_pair(NAME)
