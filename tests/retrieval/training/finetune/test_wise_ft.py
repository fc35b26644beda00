"""Which weights a run keeps: early stopping, and blending with the start (WiSE-FT)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from indexer.core.errors import UsageError
from retrieval._enums import WeightStorage
from retrieval.models import load_model
from retrieval.pairs import read_pairs
from retrieval.training import training_run
from retrieval.training.config import TrainConfig
from retrieval.training.loop import train
from retrieval.training.nonfinite import why_stop
from retrieval.training.observer import TrainObserver
from retrieval.training.validation import DevSet, sum_of_recalls
from tests.retrieval.training.runs import config, log, losses
from tests.tiny import colour_pairs

LOST = {
    "lr": 1e-9,
    "epochs": 30,
}  # a run that learns nothing has no gain after its first evaluation


@pytest.fixture
def dev(start: Path) -> Path:
    return colour_pairs(start.parent / "dev")


def line(step: int) -> dict[str, object]:
    return {"step": step, "text_to_image": {}}


def test_patience_counts_evaluations_since_the_best() -> None:
    log = [line(4), {"step": 5, "loss": 1.0}, line(8), line(12)]
    assert why_stop(log, best_step=4, patience=3) is None
    assert why_stop(log, best_step=12, patience=1) is None
    assert why_stop(log, best_step=4, patience=0) is None
    said = "no gain in 2 evaluations since step 4, whose weights are kept"
    assert why_stop(log, best_step=4, patience=2) == said


def test_a_run_without_a_gain_stops_and_says_so(start: Path, dev: Path) -> None:
    notes: list[str] = []
    run = config(start, val=dev, patience=3, **LOST)
    done = train(run, TrainObserver(note=notes.append))
    assert done.steps == 4 * (1 + 3)  # four batches an epoch; the first evaluation is the best
    reason = "no gain in 3 evaluations since step 4, whose weights are kept"
    assert f"stopped at step 16 of 120: {reason}" in notes
    assert log(run.out)[-1] == {"step": 16, "stopped": reason}
    assert json.loads((run.out / "train.json").read_text())["step"] == 4
    assert not list(run.out.glob("resume*"))


def test_a_resumed_run_goes_on_counting(
    start: Path, dev: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = config(start, val=dev, patience=3, checkpoint_every=5, **LOST)
    record = training_run.TrainingRun.record

    def stop(self: training_run.TrainingRun, loss: float, photos: int) -> None:
        record(self, loss, photos)
        if self.step == 14:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(training_run.TrainingRun, "record", stop)
        with pytest.raises(KeyboardInterrupt):
            train(run)
    assert train(run).steps == 16
    assert len(losses(run.out)) == 16


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patience": 2}, "name them with --val"),
        ({"patience": -1}, "patience must be 0 or more"),
        ({"lora": -1}, "lora must be 0 or more"),
        ({"wise": "auto"}, "name them with --val"),
        ({"wise": "0.2,0.4"}, "name them with --val"),
        ({"wise": "much"}, "wise takes weights from 0 to 1 or 'auto', not 'much'"),
        ({"wise": "1.5"}, "wise takes weights"),
        ({"wise": "nan"}, "wise takes weights"),
        ({"keep": Path("x.jsonl")}, "add --wise auto"),
    ],
)
def test_choices_that_lack_something_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig(pairs=(Path("p"),), out=Path("o"), **changes)


def test_shares() -> None:
    def shares(wise: str) -> tuple[float, ...]:
        return TrainConfig(pairs=(Path("p"),), out=Path("o"), val=Path("v"), wise=wise).shares

    assert shares("") == ()
    assert shares("0.3") == (0.3,)
    assert shares("0,0.5,1") == (0.0, 0.5, 1.0)
    assert shares("auto") == (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def test_both_ends_of_the_blend_are_start_and_result(start: Path) -> None:
    plain = train(config(start, "plain", storage=WeightStorage.FLOAT32))
    before, tuned = (load_file(f / "model.safetensors") for f in (start, plain.out))
    for share in ("0", "1", "0.25"):
        run = config(start, f"wise{share}", wise=share, storage=WeightStorage.FLOAT32)
        train(run)
        got = load_file(run.out / "model.safetensors")
        for name, weight in got.items():
            mean = (1 - float(share)) * before[name] + float(share) * tuned[name]
            assert torch.equal(weight, mean) or share == "0.25"
            torch.testing.assert_close(weight, mean)
        kept = load_file(run.out / "tuned" / "model.safetensors")
        assert all(torch.equal(kept[name], tuned[name]) for name in tuned)


def test_the_share_is_chosen_on_both_sets(start: Path, dev: Path) -> None:
    """One set is the run's own photos; the other is what the start knew already."""
    known = config(start, "known", epochs=60, batch_size=28)
    train(known)
    rows = [json.loads(row) for row in (dev).read_text().splitlines()]
    swapped = [{**row, "captions": rows[-1 - place]["captions"]} for place, row in enumerate(rows)]
    other = dev.with_name("swapped.jsonl")
    other.write_text("".join(json.dumps(row) + "\n" for row in swapped), encoding="utf-8")
    run = config(
        start, "wise", init=str(known.out), pairs=(other,), val=other, keep=dev, wise="0,0.5,1",
        epochs=40, batch_size=28, storage=WeightStorage.FLOAT32,
    )  # fmt: skip
    notes: list[str] = []
    done = train(run, TrainObserver(note=notes.append))
    record = json.loads((run.out / "train.json").read_text())
    tried = record["wise"]["tried"]
    assert [each["share"] for each in tried] == [0.0, 0.5, 1.0]
    assert tried[0]["keep"]["text_to_image"]["R@1"] > tried[2]["keep"]["text_to_image"]["R@1"]
    assert tried[0]["val"]["text_to_image"]["R@1"] < tried[2]["val"]["text_to_image"]["R@1"]
    for each in tried:
        mean = (sum_of_recalls(each["val"]) + sum_of_recalls(each["keep"])) / 2
        assert each["score"] == pytest.approx(mean, abs=0.01)
    best = max(tried, key=lambda each: each["score"])
    assert record["wise"]["share"] == best["share"]
    assert done.dev == record["dev"] == best["val"]
    assert notes[-1] == f"WiSE-FT: kept {best['share']:g} of the trained weights"
    model = load_model(str(run.out))
    again = DevSet(model, read_pairs(other).pairs).measure(model, torch.device("cpu"))
    assert again == best["val"]


def test_with_one_set_the_best_on_dev_is_chosen(start: Path, dev: Path) -> None:
    run = config(start, val=dev, wise="0,1", epochs=30, batch_size=28)
    train(run)
    record = json.loads((run.out / "train.json").read_text())
    assert record["wise"]["share"] == 1.0
    assert "keep" not in record["wise"]["tried"][0]
