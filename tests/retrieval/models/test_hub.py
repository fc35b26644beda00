"""The hub is asked for what is not here, and for nothing else; without it the words are clear."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import open_clip
import pytest
import torch
from huggingface_hub import constants

from retrieval.errors import ModelUnavailable
from retrieval.models import hub, load_model
from retrieval.models.checkpoint import save_checkpoint
from tests.hub import COMMIT, Hub, serving
from tests.tiny_clip import TINY_CLIP, tiny_clip

SPEC = "hf-hub:someone/small"
CONFIG = "open_clip_config.json"
WEIGHTS = "open_clip_model.safetensors"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of the hub: random weights of a tiny architecture and its settings."""
    folder = tmp_path_factory.mktemp("repository")
    tiny_clip(folder).rename(folder / WEIGHTS)
    settings = {"model_cfg": open_clip.get_model_config(TINY_CLIP), "preprocess_cfg": {}}
    (folder / CONFIG).write_text(json.dumps(settings), "utf-8")
    return folder


@pytest.fixture
def served(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The hub, and this process set to use it."""
    with serving(repository, monkeypatch) as hub:
        yield hub


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no proxies, and leave to ask the hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return tmp_path / "hub"


def put_into(cache: Path, repository: Path, *names: str) -> None:
    """Lay files into the cache as the hub's client does."""
    folder = cache / "models--someone--small"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    (folder / "snapshots" / COMMIT).mkdir(parents=True)
    for name in names:
        (folder / "snapshots" / COMMIT / name).symlink_to(repository / name)


def closed_port() -> int:
    """A port on this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_model_is_fetched_once_and_then_never_asked_for(served: Hub, cache: Path) -> None:
    fetched = load_model(SPEC)
    assert any(line.startswith("GET ") and line.endswith(WEIGHTS) for line in served.asked)
    served.asked.clear()
    again = load_model(SPEC)
    assert served.asked == []
    assert again.fingerprint == fetched.fingerprint


def test_a_copied_cache_suffices(repository: Path, served: Hub, cache: Path) -> None:
    put_into(cache, repository, CONFIG, WEIGHTS)
    own = load_model(f"{TINY_CLIP}/{repository / WEIGHTS}")
    for name, tensor in load_model(SPEC).module.state_dict().items():
        assert torch.equal(tensor, own.module.state_dict()[name]), name
    assert served.asked == []


def test_what_was_trained_from_a_repository_loads_without_it(
    repository: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(cache, repository, CONFIG, WEIGHTS)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    save_checkpoint(load_model(SPEC), tmp_path / "mine")
    shutil.rmtree(cache)
    assert load_model(str(tmp_path / "mine")).architecture["name"] == TINY_CLIP


def test_an_architecture_that_only_a_repository_has_needs_it(
    repository: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(cache, repository, WEIGHTS)
    settings = json.loads((repository / CONFIG).read_text("utf-8"))
    settings["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"clean": "lower"}
    (cache / "models--someone--small" / "snapshots" / COMMIT / CONFIG).write_text(
        json.dumps(settings), "utf-8"
    )
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    save_checkpoint(load_model(SPEC), tmp_path / "mine")
    assert load_model(str(tmp_path / "mine")).architecture["name"] == SPEC
    shutil.rmtree(cache)
    with pytest.raises(ModelUnavailable, match=r"cannot build hf-hub:someone/small: HF_HUB_OFF"):
        load_model(str(tmp_path / "mine"))


def test_settings_without_weights_are_no_model(
    repository: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_into(cache, repository, CONFIG)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable, match=r"'someone/small' is not here, and HF_HUB_OFFLINE"):
        load_model(SPEC)


def test_without_a_network_the_reason_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = closed_port()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")
    with pytest.raises(
        ModelUnavailable,
        match=rf"is not here, and http://127.0.0.1:{port} cannot be reached .*refused.*builtin",
    ):
        load_model("ViT-B-32/laion2b_s34b_b79k")


@pytest.mark.usefixtures("cache")
def test_a_repository_that_the_hub_lacks_is_named(served: Hub) -> None:
    served.repository = served.repository / "nothing"
    with pytest.raises(ModelUnavailable, match=r"'someone/small' is not here, and .*Not Found"):
        load_model(SPEC)


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", ["https_proxy", "HTTPS_PROXY", "all_proxy"])
def test_before_a_proxy_stands_only_the_proxy(
    name: str, served: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv(name, f"http://127.0.0.1:{served.server_port}")
    assert hub.why_absent() is None
    monkeypatch.setenv("no_proxy", "hub.invalid")
    assert "https://hub.invalid cannot be reached (hub.invalid:443" in str(hub.why_absent())


def test_a_model_of_other_packages_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.models.open_clip_models.find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"pip install 'twinlens\[transformers\]', or"):
        load_model("ViT-B-16-SigLIP2-256/webli")
