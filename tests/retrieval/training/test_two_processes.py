"""A run of two processes is that of one: one launch of `torchrun`, three runs after each other."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval.training.config import TrainConfig
from retrieval.training.loop import train
from tests.retrieval.training.runs import config, losses, options
from tests.tiny import colour_pairs, tiny_model

LAUNCH = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
ONE_AFTER_ANOTHER = """
import json, os, sys
from retrieval.cli import main
for port, run in json.loads(sys.argv[1]):
    if port:  # the store of the launcher serves one group
        os.environ |= {"TORCHELASTIC_USE_AGENT_STORE": "False", "MASTER_PORT": str(port)}
    try:
        main(["train", *run])
    except SystemExit as end:
        print("ended with", end.code or 0)
"""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The same run in this process, still to be made, and in two processes, done."""

    one: TrainConfig
    two: TrainConfig

    def check_losses(self, count: int) -> None:
        """Make the run in this process and compare the losses of all steps."""
        train(self.one)
        assert losses(self.two.out) == pytest.approx(losses(self.one.out), rel=1e-4)
        assert len(losses(self.two.out)) == count


@dataclass(frozen=True, kw_only=True)
class Launch:
    """What two processes did."""

    whole: Pair
    lora: Pair
    lossy: Pair
    stdout: str
    stderr: str


def free_ports() -> tuple[int, int]:
    """Two ports of this machine where nobody listens."""
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Launch:
    folder = tmp_path_factory.mktemp("two")
    tiny_model(folder / "start")
    lost = colour_pairs(folder / "lost")
    (lost.parent / "red-green.png").write_bytes(b"no picture")
    dev = colour_pairs(folder / "dev")

    def pair(name: str, **changes: object) -> Pair:
        one, two = (config(folder / "start", f"{name}-{n}", **changes) for n in ("one", "two"))
        return Pair(one=one, two=two)

    whole = pair("whole", epochs=3)
    lora = pair("lora", lora=2, lr=1e-2)
    lossy = pair("lossy", pairs=(lost,), val=dev, cache_gib=0.0, epochs=9, lr=1e-9, patience=1)
    script = folder / "runs.py"
    script.write_text(ONE_AFTER_ANOTHER, encoding="utf-8")
    pairs = zip((None, *free_ports()), (whole, lora, lossy), strict=True)
    runs = json.dumps([(port, options(each.two)) for port, each in pairs])
    done = subprocess.run(
        [*LAUNCH, str(script), runs], check=True, capture_output=True, encoding="utf-8", timeout=300
    )
    return Launch(whole=whole, lora=lora, lossy=lossy, stdout=done.stdout, stderr=done.stderr)


def test_both_processes_end_alike(launch: Launch) -> None:
    ends = [line for line in launch.stdout.splitlines() if line.startswith("ended with")]
    assert sorted(ends) == ["ended with 0"] * 4 + ["ended with 3"] * 2  # 3: a photo was skipped


def test_they_have_the_losses_of_one(launch: Launch) -> None:
    launch.whole.check_losses(12)


def test_adapters_have_the_losses_of_one(launch: Launch) -> None:
    launch.lora.check_losses(8)


def test_a_photo_is_lost_to_both_and_both_stop_together(launch: Launch) -> None:
    launch.lossy.check_losses(8)
    assert "stopped at step 8 of 36" in launch.stderr
    out = launch.lossy.two.out
    named = [json.loads(row) for row in (out / "skipped.jsonl").read_text().splitlines()]
    assert [Path(row["path"]).name for row in named] == ["red-green.png"]
