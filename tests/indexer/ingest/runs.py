"""Runs of the index line over drawn photos, as several test modules make them."""

from __future__ import annotations

from pathlib import Path

from indexer.core.types import Kind
from indexer.ingest.index_options import IndexOptions
from indexer.ingest.index_report import IndexReport
from indexer.ingest.pipeline import index_folders
from indexer.library.library import Library
from tests.fakes import ColourEncoder

ENCODER = ColourEncoder()


def index(library: Library, *folders: Path, **options: object) -> IndexReport:
    return index_folders(library, ENCODER, folders, options=IndexOptions(**options))


def counted(report: IndexReport) -> dict[str, int]:
    """What a report counts, but for zeros."""
    names = ("photos", "texts", "updated", "moved", "removed", "unchanged")
    return {name: getattr(report, name) for name in names if getattr(report, name)}


def findable(library: Library, kind: Kind = Kind.PHOTO) -> dict[str, int]:
    """The items of a kind that searches can find: name (or text) to id."""
    (hits,) = library.search(ENCODER.encode_texts(["red"]), kind, 10_000)
    records = library.records([hit.id for hit in hits])
    assert len(records) == len(hits) == library.counts()[kind]
    held = {record.text or record.path.name: record.id for record in records}
    assert len(held) == len(hits), "an item was found twice"
    return held


def best(library: Library, words: str, kind: Kind = Kind.PHOTO) -> str:
    """What a query finds first."""
    (hits,) = library.search(ENCODER.encode_texts([words]), kind, 1)
    (record,) = library.records([hits[0].id])
    return record.text or record.path.name
