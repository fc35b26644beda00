"""`twinlens models`: the table, a fetch from a small hub, and a comparison, all without torch."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from huggingface_hub import constants
from PIL import Image
from skimage import data as samples

from indexer.core.errors import UsageError
from retrieval.cli import better_model
from retrieval.cli.better_model import better_model_hint
from retrieval.cli.commands.models_compare import sample
from retrieval.errors import ModelUnavailable
from retrieval.models import fetch, load_model
from retrieval.models.model_catalog import recommended_models, spec_of, to_be_fetched
from tests.fakes import ColourEncoder
from tests.hub import Hub, serving
from tests.onnx_pairs import clip_pair
from tests.terminals import ROOT, on_terminal

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run

QUICK = "retrieval.runtime.select_encoder.quick_encoder"
WITHOUT_TORCH = """
import sys
sys.modules.update(torch=None, open_clip=None)
from retrieval.cli import main
main()
"""
AS_BUILTIN = """
from retrieval.runtime import select_encoder
from tests.fakes import ColourEncoder
select_encoder.quick_encoder = lambda *_, **__: ColourEncoder(name="builtin", fingerprint="it")
from retrieval.cli import main
main()
"""
Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pair of ONNX files that run, small and with random weights."""
    return clip_pair(tmp_path_factory.mktemp("repository") / "model").folder


@pytest.fixture
def served(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves it under any name."""
    with serving(repository, monkeypatch) as hub:
        yield hub


@pytest.fixture
def command(served: Hub, tmp_path: Path) -> Command:
    """Run the command in a process of its own that has no torch, with the hub as a mirror."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
        "HF_ENDPOINT": f"http://127.0.0.1:{served.server_port}",
        "HF_HOME": str(tmp_path / "hf"),
        "HF_HUB_OFFLINE": "0",
        "TWINLENS_CACHE": str(tmp_path / "cache"),
        "TWINLENS_LIBRARY": str(tmp_path / "library"),
        "PYTHONPATH": str(ROOT),
    }

    def run(*args: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", WITHOUT_TORCH, *map(str, args)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("chelsea", "rocket", "coffee"):
        Image.fromarray(getattr(samples, name)()).save(folder / f"{name}.png")
    return folder


def coloured(spec: str, *_: object, **__: object) -> ColourEncoder:
    """An encoder under a fingerprint that may name a folder, as real ones may."""
    return ColourEncoder(name=spec, fingerprint=str(len(spec)))


def test_from_nothing_to_a_search_without_torch(
    command: Command, served: Hub, photos: Path, tmp_path: Path
) -> None:
    early = command("index", photos, "--model", "fast")
    assert early.returncode == 1
    assert early.stderr.endswith(
        "is not downloaded yet; download it (0.6 GB) with: twinlens models fetch fast\n"
    )
    assert served.asked == []

    fetched = command("models", "fetch", "fast")
    assert fetched.returncode == 0, fetched.stderr
    folder = Path(fetched.stdout.rstrip("\n").rpartition("): ")[2])
    assert folder.is_relative_to(tmp_path / "hf")
    assert (folder / "visual" / "model.onnx").is_file()
    assert f"copy '{folder}' there, following its links" in fetched.stderr

    served.asked.clear()
    assert command("index", photos, "--model", "fast").returncode == 0
    found = command("search", photos / "rocket.png", "-f")
    assert found.stdout.splitlines()[0] == str(photos / "rocket.png")
    listed = command("search", photos / "rocket.png", "-f", "--model", "fast")
    assert listed.stdout == found.stdout
    carried = shutil.copytree(folder, tmp_path / "carried")  # follows links, as cp -rL does
    shutil.rmtree(tmp_path / "hf")
    offline = command("search", photos / "rocket.png", "-f", "--model", carried)
    assert offline.stdout == found.stdout
    assert served.asked == []


def test_a_broken_fetch_is_one_line_and_goes_on(command: Command, served: Hub) -> None:
    served.left = 100_000
    broken = command("models", "fetch", "multilingual")
    assert broken.returncode == 1
    assert broken.stdout == ""
    assert "broke off in" in broken.stderr.splitlines()[-1]
    served.left = None
    served.asked.clear()
    assert command("models", "fetch", "multilingual").returncode == 0
    assert any(" from " in line for line in served.asked)


def test_a_mistyped_name(command: Command, served: Hub) -> None:
    wrong = command("models", "fetch", "goood")
    assert wrong.returncode == 2
    assert "no model 'goood' to fetch; did you mean good?" in wrong.stderr
    assert "fast, good, best, multilingual" in wrong.stderr
    assert command("models", "fetch", "builtin").returncode == 2
    assert served.asked == []


def test_the_table_and_its_json(
    run: Run, served: Hub, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(QUICK, coloured)
    fetch.fetch_onnx_pair(to_be_fetched("good"))
    served.asked.clear()
    told = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    assert [each["name"] for each in told] == ["builtin", "fast", "good", "best", "multilingual"]
    assert {each["name"] for each in told if each["downloaded"]} == {"builtin", "good"}
    assert all((each["photos_per_second"] is not None) == each["downloaded"] for each in told)
    again = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    assert again == told  # measured once
    table = run("models").stdout
    assert all(each["name"] in table and each["spec"] in table for each in told)
    assert table.count(" –") == 3
    assert served.asked == []


def test_every_figure_has_its_source() -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    for model in recommended_models():
        assert (model.recall is None) == (model.source == "")
        for name in model.source.split(", ")[1:]:
            assert name in page
        assert spec_of(model.name) == model.spec
        assert f"`{model.name}`" in page
        assert model.spec in page
    assert spec_of("./good") == "./good"


def test_a_broken_model_does_not_end_the_table(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ModelUnavailable("it lacks its weights")

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(QUICK, broken)
    result = run("models")
    assert result.exit_code == 0
    assert "builtin: it lacks its weights" in result.stderr
    assert result.stdout.count("broken") == 1


@pytest.mark.parametrize("spec", ["good", "hf-hub:immich-app/any"])
def test_a_pair_is_not_for_training(spec: str) -> None:
    with pytest.raises(ModelUnavailable, match=r"is a pair of ONNX files.*cannot be trained"):
        load_model(spec)


def test_two_models_side_by_side(run: Run, photos: Path, tmp_path: Path) -> None:
    page = tmp_path / "both.html"
    result = run("models", "test", "good", photos, "-q", "a cat", "-q", "a rocket", "--html", page)
    assert result.exit_code == 0, result.stderr
    assert result.stdout == f"the answers side by side: {page}\n"
    written = page.read_text(encoding="utf-8")
    assert written.count('<section class="half">') == 4
    order = [written.index(f"<q>a cat</q> <small>with {name}") for name in ("builtin", "good")]
    assert order == sorted(order)
    assert "3 photos; left builtin, right good" in written
    assert not (tmp_path / "library").exists()


def test_a_model_is_not_compared_with_itself(run: Run, photos: Path) -> None:
    result = run("models", "test", "builtin", photos)
    assert result.exit_code == 2
    assert "the library is of the model builtin already" in result.stderr


def test_the_sample_is_the_same_for_a_seed(tmp_path: Path) -> None:
    for number in range(20):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number:02}.png")
    (tmp_path / "text.txt").write_text("no photo")
    few = sample([tmp_path], most=5, seed=1)
    assert len(set(few)) == 5
    assert few == sample([tmp_path], most=5, seed=1) != sample([tmp_path], most=5, seed=2)
    assert len(sample([tmp_path], most=50, seed=0)) == 20
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no photo below"):
        sample([tmp_path / "empty"], most=5, seed=0)


def test_index_hints_at_a_better_model_once(photos: Path, tmp_path: Path) -> None:
    environment = {
        "TWINLENS_CACHE": str(tmp_path / "cache"),
        "HF_HOME": str(tmp_path / "hf"),
        "TWINLENS_LIBRARY": str(tmp_path / "library"),
    }
    shown = [on_terminal(AS_BUILTIN, "index", photos, columns=300, **environment) for _ in range(2)]
    assert [each.code for each in shown] == [0, 0]
    assert [each.data.count(b"twinlens models fetch good") for each in shown] == [1, 0]


def test_no_hint_for_a_program(run: Run, photos: Path) -> None:
    assert "models fetch" not in run("index", photos).stderr


def test_no_hint_where_another_model_was_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path))
    assert better_model_hint("another") == ""
    monkeypatch.setattr(better_model, "known_models", lambda: {"builtin", "another"})
    assert better_model_hint("builtin") == ""
    monkeypatch.setattr(better_model, "known_models", lambda: {"builtin"})
    assert better_model_hint("builtin") == ""  # it was settled before


def test_no_hint_where_it_cannot_be_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TWINLENS_CACHE", str(tmp_path / "file"))
    assert better_model_hint("builtin") == ""
