"""What `twinlens info` prints."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.retrieval.cli.conftest import Run


def test_info_for_people_and_programs(run: Run, indexed: Path, tmp_path: Path) -> None:
    shown = [line.rstrip().split(maxsplit=1) for line in run("info").stdout.splitlines()]
    assert ["photos", "3"] in shown
    assert ["model", "builtin (fingerprint ), 9 dimensions"] in shown
    assert ["hubness", "not corrected"] in shown
    info = json.loads(run("info", "--json").stdout)
    assert info.pop("bytes") > 0
    assert info == {
        "library": str(tmp_path / "library"),
        "photos": 3,
        "videos": 0,
        "frames": 0,
        "texts": 2,
        "skipped": 0,
        "folders": [str(indexed)],
        "model": "builtin",
        "fingerprint": "fingerprint of builtin",
        "dim": 9,
        "hubness": [],
        "described": {"first": None, "last": None, "dated": 0, "placed": 0, "cameras": []},
        "format": 6,
    }
