"""Killed at each call that writes, no command but `index` loses a photo either.

`forget`, `reindex`, `check --repair`, `tune`, `learn` and the migration of an older library are
killed at calls spread over all they write. What was committed before stays, and the same command,
once more, does what it should.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.pipeline import index_folders
from indexer.ingest.reindex import reindex
from indexer.library.library import Library
from indexer.library.verify import check, repair
from indexer.vectors.nprobe_tuning import RecallTarget
from retrieval.concepts import Concept, Concepts
from tests.damage import nursery
from tests.fakes import COLOURS, GENERIC, ColourEncoder, draw

ENCODER = ColourEncoder(generic=GENERIC)
OTHER = ColourEncoder(name="other", fingerprint="other", generic=GENERIC)
OPTIONS = IndexOptions(threads=1, batch_size=4, commit_every=8)
KILLS = 5  # of each command
GOLDEN = Path(__file__).parents[1] / "golden" / "library-4"
KEPT = {f"{first}-{second}.png" for first in COLOURS for second in list(COLOURS)[:2]}
PRIVATE = {"private.png", "secret.png"}


def forget(folder: str) -> None:
    """Forget a folder."""
    with Library.open(folder) as library:
        library.forget(Path(folder).parent / "photos" / "private")


def embed_again(folder: str) -> None:
    """Embed all with another model."""
    reindex(Path(folder), OTHER, options=OPTIONS)


def mend(folder: str) -> None:
    """Mend a library."""
    repair(Path(folder))


def tune(folder: str) -> None:
    """Give a library indexes of lists."""
    with Library.open(folder) as library:
        library.tune(RecallTarget(recall=0.9, exact_rows=0))


def learn(folder: str) -> None:
    """Learn a name anew."""
    vectors = np.full((2, 8), 2.0, dtype=np.float32)
    told = {"like": "a dog", "model": "m", "fingerprint": "f", "photos": 1, "steps": 1, "seed": 0}
    Concepts(Path(folder)).save(Concept(name="Rex", tokens=vectors, **told))


def write(folder: str) -> None:
    """Be the next writer."""
    with Library.open(folder) as library, library.writing():
        pass


def _nothing(folder: Path) -> None:
    """Damage nothing."""
    del folder


def _flip_a_path(folder: Path) -> None:
    """Break the catalog."""
    path = folder / "catalog.sqlite"
    data = bytearray(path.read_bytes())
    data[data.index(b"secret.png")] ^= 1
    path.write_bytes(data)


def _cut_an_index(folder: Path) -> None:
    """Break a saved index, and an image token's file."""
    path = min((folder / "ann").iterdir())
    path.write_bytes(path.read_bytes()[:-9])


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command, what broke before it, and what it may take from the library."""

    run: Callable[[str], None]
    damage: Callable[[Path], None] = _nothing
    may_lose: frozenset[str] = frozenset()
    model: ColourEncoder = ENCODER


CASES = {
    "forget": Case(run=forget, may_lose=frozenset(PRIVATE)),
    "reindex": Case(run=embed_again, model=OTHER),
    "repair of the catalog": Case(
        run=mend, damage=_flip_a_path, may_lose=frozenset({"secret.png"})
    ),
    "repair of an index": Case(run=mend, damage=_cut_an_index),
    "tune": Case(run=tune),
    "learn": Case(run=learn),
}


@pytest.fixture(scope="module")
def process() -> Iterator[subprocess.Popen[str]]:
    with nursery.nursery() as process:
        yield process


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    for name in KEPT:
        draw(home / "photos" / name, *name[:-4].split("-"), size=(16, 16))
    for name, colour in zip(sorted(PRIVATE), ("white", "black"), strict=True):
        draw(home / "photos" / "private" / name, colour, "red", size=(16, 16))
    folder = home / "library"
    with Library.create(folder, ENCODER) as library:
        index_folders(library, ENCODER, [home / "photos"], options=OPTIONS)
        ids = library.catalog.item_ids(Kind.PHOTO).tolist()
        library.keep_tokens(ids, np.ones((len(ids), 2, 8), dtype=np.float32))
    vectors = np.ones((2, 8), dtype=np.float32)
    told = {"like": "a dog", "model": "m", "fingerprint": "f", "photos": 1, "steps": 1, "seed": 0}
    Concepts(folder).save(Concept(name="Rex", tokens=vectors, **told))
    folder.rename(home / "kept")
    return home


def _fresh(original: Path, case: Case) -> Path:
    """That library, damaged."""
    folder = original / "library"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original / "kept", folder)
    case.damage(folder)
    return folder


def _held(folder: Path) -> set[str]:
    """The photos that are found by a library, whichever model it has."""
    with Library.open(folder) as library:
        (hits,) = library.search(ENCODER.encode_texts(["red"]), Kind.PHOTO, 99)
        records = library.records([hit.id for hit in hits])
    assert len(records) == len(hits)
    return {record.path.name for record in records}


def _calls(count: int) -> list[tuple[int, bool]]:
    """Spread some kills over the calls that write, before and behind them."""
    chosen = np.unique(np.linspace(1, count, KILLS).round().astype(int)).tolist()
    return [(at, bool(number % 2)) for number, at in enumerate(chosen)]


@pytest.mark.parametrize("name", CASES)
def test_killed_at_calls_that_write(
    process: subprocess.Popen[str], original: Path, name: str
) -> None:
    case = CASES[name]
    function = f"{__name__}:{case.run.__name__}"
    count = nursery.run(process, function, str(_fresh(original, case)))
    assert count > 0
    for at, behind in _calls(count):
        folder = _fresh(original, case)
        assert nursery.run(process, function, str(folder), at=at, behind=behind) == -1
        if case.damage is _nothing:
            assert [finding for finding in check(folder) if finding.grave] == [], (at, behind)
            assert _held(folder) | case.may_lose >= KEPT, (at, behind)
        case.run(str(folder))
        assert [finding for finding in check(folder) if finding.grave] == [], (at, behind)
        assert _held(folder) >= (KEPT | PRIVATE) - case.may_lose, (at, behind)
        concepts, skipped = Concepts(folder).read()
        assert ([concept.name for concept in concepts], skipped) == (["Rex"], [])


def test_killed_while_an_older_library_is_migrated(
    process: subprocess.Popen[str], tmp_path: Path
) -> None:
    folder = tmp_path / "library"
    shutil.copytree(GOLDEN, folder)
    count = nursery.run(process, f"{__name__}:write", str(folder))
    for at, behind in _calls(count):
        shutil.rmtree(folder)
        shutil.copytree(GOLDEN, folder)
        held = _held(folder)
        assert nursery.run(process, f"{__name__}:write", str(folder), at=at, behind=behind) == -1
        assert _held(folder) == held
        write(str(folder))
        assert _held(folder) == held
        assert check(folder) == []
