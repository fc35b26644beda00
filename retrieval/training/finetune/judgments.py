"""Read triples: a query, an instruction, and a photo that was judged right or wrong.

```
{"query": "a dog", "instruction": "must be at night", "candidate": "photos/rex.jpg", "label": 0}
```

A JSONL file has one triple on each line. The candidate's path is relative to the file; the
instruction is optional. Nothing is decoded here. A line that cannot be used is kept in
`JudgmentSet.skipped` with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from indexer.core.types import Skip
from retrieval.errors import PairsInvalid
from retrieval.pairs import is_file, is_text, read_objects

_LABELS = (0, 1)


@dataclass(frozen=True, kw_only=True)
class Judgment:
    """A query, an instruction ("" for none), and whether a photo satisfies both."""

    query: str
    instruction: str
    candidate: Path
    label: bool


@dataclass(frozen=True, kw_only=True)
class JudgmentSet:
    """The usable triples of a file, and the skipped lines."""

    triples: tuple[Judgment, ...]
    skipped: tuple[Skip, ...] = ()


def read_triples(source: Path) -> JudgmentSet:
    """Read every triple of a JSONL file.

    Raises:
        PairsInvalid: the file is missing, or holds no usable triple.
    """
    if not source.is_file():
        raise PairsInvalid(f"no triples at '{source}': there is no such file")
    rows = list(_rows(source))
    triples = tuple(row for row in rows if isinstance(row, Judgment))
    skipped = tuple(row for row in rows if isinstance(row, Skip))
    if not triples:
        first = f"; the first: {skipped[0].path}: {skipped[0].reason}" if skipped else ""
        raise PairsInvalid(f"no usable triple in '{source}'{first}")
    return JudgmentSet(triples=triples, skipped=skipped)


def _rows(source: Path) -> Iterator[Judgment | Skip]:
    """Check one line after the other."""
    for where, row in read_objects(source):
        if isinstance(row, str):
            yield Skip(path=where, reason=row)
            continue
        wrong = _wrong(row)
        path = source.parent / str(row.get("candidate"))
        if wrong:
            yield Skip(path=where, reason=wrong)
        elif not is_file(path):
            yield Skip(path=path, reason=f"missing (named by {where.name})")
        else:
            yield _triple(row, path)


def _triple(row: dict[str, object], path: Path) -> Judgment:
    """Build a triple from a line that was checked."""
    return Judgment(
        query=str(row["query"]).strip(),
        instruction=str(row.get("instruction") or "").strip(),
        candidate=path,
        label=bool(row["label"]),
    )


def _wrong(row: dict[str, object]) -> str:
    """Say what is wrong with a line; "" for nothing."""
    query, instruction = row.get("query"), row.get("instruction")
    candidate, label = row.get("candidate"), row.get("label")
    if not (is_text(query) and str(query).strip()):
        return "no query: a text in UTF-8"
    if instruction is not None and not is_text(instruction):
        return "instruction must be a text in UTF-8"
    if not (isinstance(candidate, str) and candidate):
        return "no candidate: the path of a photo"
    if label not in _LABELS:
        return f"label must be 1 or 0, not {label!r}" if "label" in row else "no label: 1 or 0"
    return ""
