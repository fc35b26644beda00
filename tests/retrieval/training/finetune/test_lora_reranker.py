"""A large reranker learns from triples, and what it learned is a folder like the one it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from indexer.core.errors import UsageError
from indexer.media.image import read_photo
from retrieval.errors import ModelUnavailable, PairsInvalid, TrainingFailed
from retrieval.reranking import FusionWeights, Scores
from retrieval.reranking.hf_files import find_large
from retrieval.reranking.hf_reranker import load_large_reranker, read_fusion, save_fusion
from retrieval.training.finetune.judgments import Judgment, JudgmentSet
from retrieval.training.finetune.lora_reranker import LoraTuning, tune_large
from tests.fakes import COLOURS, draw
from tests.large import tiny_blip, tiny_yes_no

CPU = torch.device("cpu")
QUICK = LoraTuning(steps=30, batch_size=8, lr=1e-2, rank=8, alpha=16.0)


@pytest.fixture(params=[tiny_blip, tiny_yes_no])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model of each kind, of the test's own."""
    made: Path = request.param(tmp_path / "start")
    return made


@pytest.fixture
def blip(tmp_path: Path) -> Path:
    """A model of one kind, where the kind makes no difference."""
    return tiny_blip(tmp_path / "start")


def triples(folder: Path) -> JudgmentSet:
    """The same query under two opposite instructions, for photos of four colours."""
    rows = []
    for colour in list(COLOURS)[:4]:
        photo = folder / f"{colour}.png"
        draw(photo, colour, size=(32, 32))
        for word, label in (("only", True), ("never", False)):
            row = Judgment(query="it", instruction=f"{word} {colour}", candidate=photo, label=label)
            rows.append(row)
    return JudgmentSet(triples=tuple(rows))


def scores(folder: Path, asked: JudgmentSet) -> Scores:
    reranker = load_large_reranker(str(folder), CPU)
    photos = [read_photo(triple.candidate, size_hint=32) for triple in asked.triples]
    texts = [(triple.query, triple.instruction) for triple in asked.triples]
    return reranker.score(texts, reranker.look(photos))


def test_the_loss_falls_and_what_was_learned_is_kept(folder: Path, tmp_path: Path) -> None:
    given, losses = triples(tmp_path), []
    skipped = tune_large(
        str(folder), given, QUICK, tmp_path / "out", CPU, lambda _, loss: losses.append(loss)
    )
    assert skipped == ()
    assert len(losses) == QUICK.steps
    assert np.mean(losses[-5:]) < 0.2 * np.mean(losses[:5])
    labels = np.array([triple.label for triple in given.triples])
    found = scores(tmp_path / "out", given)
    assert found[labels].min() > 0.0 > found[~labels].max()
    assert not scores(folder, given)[labels].min() > scores(folder, given)[~labels].max()


def test_only_layers_that_read_words_change(folder: Path, tmp_path: Path) -> None:
    tune_large(str(folder), triples(tmp_path), LoraTuning(steps=2), tmp_path / "out", CPU)
    before, after = (load_file(each / "model.safetensors") for each in (folder, tmp_path / "out"))
    assert before.keys() == after.keys()
    changed = {name for name, weight in before.items() if not torch.equal(weight, after[name])}
    assert len(changed) >= 14
    assert all("text_encoder" in name or "language_model" in name for name in changed)
    assert not any("embed" in name or "norm" in name.lower() for name in changed)


def test_a_seed_repeats_the_run(blip: Path, tmp_path: Path) -> None:
    given = triples(tmp_path)
    found = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        tune_large(str(blip), given, LoraTuning(steps=3, lr=1e-2, seed=seed), tmp_path / out, CPU)
        found.append(scores(tmp_path / out, given))
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.allclose(found[0], found[2])


def test_the_result_says_how_it_came_to_be(blip: Path, tmp_path: Path) -> None:
    fusion = FusionWeights(text_to_image=0.02, image_to_text=0.0, instructed=0.1)
    save_fusion(fusion, blip)
    out = tmp_path / "runs" / "mine"
    (tmp_path / "runs" / "mine.part").mkdir(parents=True)
    (tmp_path / "runs" / "mine.part" / "half").touch()  # of a run that was killed as it wrote
    tune_large(str(blip), triples(tmp_path), LoraTuning(steps=1), out, CPU)
    record = json.loads((out / "train.json").read_text())
    assert (record["init"], record["triples"], record["tuning"]["rank"]) == (str(blip), 8, 16)
    assert read_fusion(out) == fusion
    assert not (out / "half").exists()
    assert [path.name for path in out.parent.iterdir()] == ["mine"]
    assert find_large(str(out)) == out


def test_a_killed_run_leaves_no_folder(blip: Path, tmp_path: Path) -> None:
    def kill(step: int, _loss: float) -> None:
        if step == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune_large(str(blip), triples(tmp_path), LoraTuning(), tmp_path / "out", CPU, kill)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("out")]


def test_photos_that_cannot_be_read_are_left_out_and_named(blip: Path, tmp_path: Path) -> None:
    given = triples(tmp_path)
    (tmp_path / "green.png").write_bytes(b"no photo")
    (skip,) = tune_large(str(blip), given, LoraTuning(steps=1), tmp_path / "out", CPU)
    assert skip.path == tmp_path / "green.png"
    assert json.loads((tmp_path / "out" / "train.json").read_text())["triples"] == 6


def test_one_answer_alone_teaches_nothing(blip: Path, tmp_path: Path) -> None:
    right = tuple(triple for triple in triples(tmp_path).triples if triple.label)
    with pytest.raises(PairsInvalid, match="has the label 0; training needs both right and wrong"):
        tune_large(str(blip), JudgmentSet(triples=right), LoraTuning(), tmp_path / "out", CPU)


def test_a_place_that_is_taken_is_refused(blip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exists already; choose another --out"):
        tune_large(str(blip), triples(tmp_path), LoraTuning(), blip, CPU)


def test_the_built_in_one_learns_otherwise(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'builtin' is trained on pairs.*--init"):
        tune_large("builtin", triples(tmp_path), LoraTuning(), tmp_path / "out", CPU)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.training.finetune.lora_reranker.find_spec", lambda _: None)
    with pytest.raises(ModelUnavailable, match=r"peft; .* pip install 'twinlens\[transformers\]'"):
        tune_large("a/b", triples(tmp_path), LoraTuning(), tmp_path / "out", CPU)


def test_a_loss_that_is_not_finite_ends_the_run(blip: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingFailed, match=r"the loss of step \d+ is not finite"):
        tune_large(str(blip), triples(tmp_path), LoraTuning(lr=1e30), tmp_path / "out", CPU)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"steps": 0}, "steps must be 1 or more"),
        ({"batch_size": 1}, "batch_size must be 2 or more"),
        ({"rank": 0}, "rank must be 1 or more"),
        ({"lr": 0.0}, "lr must be positive"),
    ],
)
def test_settings_without_sense_are_refused(change: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LoraTuning(**change)  # type: ignore[arg-type]
