"""What a run does with photos, numbers and gradients that are no good: nothing is lost."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from indexer.core.types import Skip
from retrieval.errors import PairsInvalid, TrainingFailed
from retrieval.pairs import PhotoFile, read_pairs
from retrieval.training import training_run
from retrieval.training.data.dataset import TrainingSet
from retrieval.training.data.same_photos import END, find_twins
from retrieval.training.data.skipped_pairs import SkippedPairs, kind_of
from retrieval.training.loop import train
from retrieval.training.losses import Targets, info_nce, sigmoid_loss
from retrieval.training.nonfinite import STEPS_IN_A_ROW, check_gradient, check_loss
from retrieval.training.observer import TrainObserver, TrainProgress
from retrieval.training.optimizer import Trainer
from tests.fakes import draw
from tests.retrieval.training.runs import config, log, losses


def skip(name: str, reason: str) -> Skip:
    return Skip(path=Path(name), reason=reason)


def test_skips_are_counted_by_reason_and_few_are_named(tmp_path: Path) -> None:
    notes: list[str] = []
    skips = SkippedPairs(tmp_path, notes.append)
    gone = [skip(f"{n}.png", f"missing (named by x.jsonl:{n})") for n in range(12)]
    skips.add([*gone, gone[0], skip("b.png", "broken image data (no end)")])
    assert notes[:10] == [f"skipping {each.path}: {each.reason}" for each in gone[:10]]
    assert notes[10:] == [f"skipping more; {tmp_path / 'skipped.jsonl'} lists all"]
    assert skips.sentence() == "13 skipped (12 missing, 1 broken image data)"
    skips.add([skip("late.png", "empty file")])
    assert len(notes) == 11
    rows = [json.loads(line) for line in (tmp_path / "skipped.jsonl").read_text().splitlines()]
    assert [row["path"] for row in rows] == [*(f"{n}.png" for n in range(12)), "b.png", "late.png"]
    with (tmp_path / "skipped.jsonl").open("a") as file:
        file.write('{"path": "cut')  # what a kill leaves
    again = SkippedPairs(tmp_path, notes.append)
    again.add(gone)
    assert again.all == skips.all
    assert len(notes) == 11


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("missing (named by x.jsonl:4)", "missing"),
        ("'bare.png' has no caption", "has no caption"),
        ("truncated: the file ends before the picture does", "truncated"),
        ("not JSON (Expecting value: line 1)", "not JSON"),
        ("HEIC, which Pillow cannot read; convert it to JPEG", "HEIC"),
        ("no image named", "no image named"),
    ],
)
def test_reasons_of_one_kind_share_their_words(reason: str, kind: str) -> None:
    assert kind_of(reason) == kind


def test_twins_are_found_by_content_alone(tmp_path: Path) -> None:
    ends = b"a" * END
    contents = {
        "one": ends + b"1" + ends, "two": ends + b"2" + ends,  # alike in size and ends alone
        "same": ends + b"1" + ends, "short": b"x", "also": b"x", "other": b"y",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "shard").write_bytes(b"..x.")
    photos = [PhotoFile(path=tmp_path / name) for name in contents]
    photos += [PhotoFile(path=tmp_path / "shard", offset=2, size=1)]
    photos += [photos[0], PhotoFile(path=tmp_path / "gone")]
    assert find_twins(photos, workers=2) == {2: 0, 4: 3, 6: 3}


def test_twins_are_no_negatives_of_each_other(tmp_path: Path) -> None:
    for name in ("one", "two", "copy"):
        draw(tmp_path / f"{name}.png", "red" if name != "two" else "blue")
    rows = [{"image": f"{name}.png", "captions": [name]} for name in ("one", "two", "copy")]
    source = tmp_path / "x.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    pairs = read_pairs(source).pairs
    twins = find_twins([pair.photo for pair in pairs], workers=1)
    assert twins == {2: 0}
    (batch,) = TrainingSet(pairs, [0, 0, 0], (), twins).epoch(0, size=3, captions=1, seed=0)
    for photo, row in enumerate(batch.photos):
        for caption, other in enumerate(batch.photos):
            assert batch.targets.ignore[photo, caption] == ({row, other} == {0, 2})


def test_a_run_says_once_how_many_photos_are_twins(start: Path) -> None:
    run = config(start)
    folder = run.pairs[0].parent
    shutil.copy(folder / "red-green.png", folder / "copy.png")
    with run.pairs[0].open("a") as file:
        file.write(json.dumps({"image": "copy.png", "captions": ["red beside green"]}) + "\n")
    notes: list[str] = []
    done = train(run, TrainObserver(note=notes.append))
    (said,) = [note for note in notes if "are copies of another" in note]
    assert said.startswith("1 photos are copies of another one under a different name")
    assert said.endswith("copy.png is red-green.png")
    assert done.skipped == ()


@pytest.mark.parametrize("cache", [4.0, 0.0])
def test_broken_photos_are_left_out_with_and_without_a_cache(start: Path, cache: float) -> None:
    run = config(start, cache_gib=cache, epochs=3)
    folder = run.pairs[0].parent
    (folder / "red-green.png").write_bytes(b"no picture")
    (folder / "red-blue.png").unlink()
    done = train(run)
    assert {skip.path.name for skip in done.skipped} == {"red-green.png", "red-blue.png"}
    named = [json.loads(row) for row in (run.out / "skipped.jsonl").read_text().splitlines()]
    assert {Path(row["path"]).name for row in named} == {"red-green.png", "red-blue.png"}
    assert all(math.isfinite(loss) for loss in losses(run.out))


def test_without_a_cache_the_run_is_the_same(start: Path) -> None:
    train(config(start, "kept"))
    train(config(start, "read", cache_gib=0.0))
    assert losses(start.parent / "kept") == losses(start.parent / "read")


def test_photos_that_vanish_while_a_run_goes_on_stop_it_with_its_state(start: Path) -> None:
    run = config(start, cache_gib=0.0, epochs=9, checkpoint_every=2)

    def vanish(now: TrainProgress) -> None:
        if now.step == 5:
            for photo in run.pairs[0].parent.glob("*.png"):
                photo.unlink()

    with pytest.raises(TrainingFailed, match=r"no photo of a batch could be decoded at step \d"):
        train(run, TrainObserver(progress=vanish))
    assert (run.out / "resume.json").exists()


def test_a_lost_photo_counts_for_nothing() -> None:
    torch.manual_seed(0)
    owner = torch.arange(4).repeat_interleave(2)
    match = torch.arange(4)[:, None] == owner
    ignore = torch.zeros_like(match)
    ignore[0, 7] = True
    logits = torch.randn(4, 8)
    lost = torch.tensor([False, True, False, False])
    rows, columns = ~lost, ~lost[owner]
    less = Targets(match[rows][:, columns], ignore[rows][:, columns])
    masked = Targets(match, ignore).without(lost)
    torch.testing.assert_close(info_nce(logits, masked), info_nce(logits[rows][:, columns], less))
    torch.testing.assert_close(
        4 * sigmoid_loss(logits, masked), 3 * sigmoid_loss(logits[rows][:, columns], less)
    )
    nothing = Targets(match, ignore).without(torch.zeros(4, dtype=torch.bool))
    assert torch.equal(nothing.match, match)
    assert torch.equal(nothing.ignore, ignore)


def test_broken_photos_of_the_dev_set_are_left_out(start: Path) -> None:
    run = config(start)
    folder = run.pairs[0].parent
    rows = run.pairs[0].read_text().splitlines()[:9]
    (folder / "dev.jsonl").write_text("\n".join(rows))
    name = json.loads(rows[3])["image"]
    shutil.copy(folder / name, folder / "backup.png")
    (folder / name).write_bytes(b"no picture")
    done = train(config(start, val=folder / "dev.jsonl"))
    assert [skip.path.name for skip in done.skipped] == [name]
    for row in rows:
        (folder / json.loads(row)["image"]).write_bytes(b"no picture")
    with pytest.raises(PairsInvalid, match="none of the 9 photos to measure on"):
        train(config(start, "other", val=folder / "dev.jsonl"))


def test_the_batch_of_a_loss_that_is_not_finite_is_named(start: Path) -> None:
    run = config(start)
    pairs = read_pairs(run.pairs[0]).pairs[:5]
    run.out.mkdir()
    check_loss(1.0, 7, pairs, run.out)
    assert not list(run.out.iterdir())
    with pytest.raises(
        TrainingFailed, match=r"loss is nan at step 7, on 5 photos \(red-green\.png"
    ):
        check_loss(math.nan, 7, pairs, run.out)
    failed = json.loads((run.out / "failed-batch.json").read_text())
    assert (failed["step"], failed["loss"]) == (7, "nan")
    assert [Path(row["image"]).name for row in failed["pairs"]] == [pair.name for pair in pairs]


def test_a_failed_run_leaves_its_log_and_goes_on_from_its_state(
    start: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = (config(start, out, checkpoint_every=3) for out in ("out", "whole"))
    backward = training_run.backward
    calls = iter(range(99))

    def fail(*args: object) -> float:
        return math.nan if next(calls) == 4 else backward(*args)

    with monkeypatch.context() as patched:
        patched.setattr(training_run, "backward", fail)
        with pytest.raises(TrainingFailed, match="loss is nan at step 5"):
            train(run)
    assert len(losses(run.out)) == 4
    train(run)
    train(whole)
    assert losses(run.out) == losses(whole.out)


def test_one_bad_gradient_leaves_one_step_out(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Trainer.step
    before: list[torch.Tensor] = []

    def poisoned(self: Trainer, factor: float) -> float:
        if len(before) == 2:
            self.parameters()[0].grad.fill_(torch.inf)
        weights = torch.cat([master.detach().flatten() for master in self.masters.values()])
        before.append(weights)
        return step(self, factor)

    monkeypatch.setattr(Trainer, "step", poisoned)
    notes: list[str] = []
    run = config(start)
    train(run, TrainObserver(note=notes.append))
    assert torch.equal(before[2], before[3])
    assert not torch.equal(before[3], before[4])
    assert [line for line in log(run.out) if "gradient" in line] == [{"step": 3, "gradient": "inf"}]
    assert "step 3 is skipped: its gradient is inf" in notes
    assert len(losses(run.out)) == 8


def test_many_bad_gradients_in_a_row_stop_the_run(tmp_path: Path) -> None:
    lines: list[dict[str, object]] = [{"step": 1, "gradient": "nan"}]
    assert not check_gradient(1.0, 2, lines, tmp_path)
    for step in range(3, 2 + STEPS_IN_A_ROW):
        assert check_gradient(np.nan, step, lines, tmp_path)
    with pytest.raises(TrainingFailed, match="not finite for 10 steps in a row, up to step 12"):
        check_gradient(math.inf, 2 + STEPS_IN_A_ROW, lines, tmp_path)
