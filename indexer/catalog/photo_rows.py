"""Rows of the catalog for the metadata of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import Connection, func, select

from indexer.catalog import schema
from indexer.catalog.connection import chunks
from indexer.catalog.snapshot import metadata_of
from indexer.core.gazetteer import on_sphere
from indexer.core.text_normalization import same
from indexer.core.types import Metadata, MetadataSummary

_SAME = ("place", "camera", "lens", "rating", "title", "caption", "width", "height")
_LISTS = ("keywords", "also")
COLUMNS = tuple(
    schema.photos.c[name] for name in ("taken", "latitude", "longitude", *_LISTS, *_SAME)
)
"""What `metadata_of` reads."""


def put(connection: Connection, told: Mapping[int, Metadata]) -> None:
    """Write the metadata of photos, by the ids of their files, in place of the old."""
    drop(connection, list(told))
    rows = [{"file_id": id_, **_values(about)} for id_, about in told.items()]
    if rows:
        connection.execute(schema.photos.insert(), rows)
    put_tags(connection, {id_: about.keywords for id_, about in told.items()})


def put_tags(connection: Connection, keywords: Mapping[int, Sequence[str]]) -> None:
    """Write the keywords of files that have none yet, as `tag:` compares them."""
    tags = [
        {"file_id": id_, "tag": tag}
        for id_, words in keywords.items()
        for tag in dict.fromkeys(map(same, words))
    ]
    if tags:
        connection.execute(schema.tags.insert(), tags)


def drop(connection: Connection, file_ids: Sequence[int]) -> None:
    """Delete the metadata of photos."""
    for chunk in chunks(file_ids):
        for table in (schema.photos, schema.tags):
            connection.execute(table.delete().where(table.c.file_id.in_(chunk)))


def read(connection: Connection, format_: int) -> dict[int, Metadata]:
    """Return the metadata of every photo, by its file's id; the catalog needs format 3 or later."""
    columns = schema.known_in(format_, schema.photos.c.file_id, *COLUMNS)
    rows = connection.execute(select(*columns))
    return {row.file_id: metadata_of(row._asdict()) for row in rows}


def described(connection: Connection) -> MetadataSummary:
    """Sum up all rows."""
    photos = schema.photos.c
    dates = select(func.min(photos.taken), func.max(photos.taken), func.count(photos.taken))
    first, last, dated = connection.execute(dates).one()
    many = func.count().label("many")
    cameras = select(photos.camera, many).where(photos.camera != "").group_by(photos.camera)
    rows = connection.execute(cameras.order_by(many.desc(), photos.camera))
    return MetadataSummary(
        first=datetime.fromisoformat(first) if first else None,
        last=datetime.fromisoformat(last) if last else None,
        dated=dated,
        placed=connection.scalar(select(func.count(photos.latitude))) or 0,
        cameras=tuple((row.camera, row.many) for row in rows),
    )


def _values(about: Metadata) -> dict[str, Any]:
    """Return metadata as a row."""
    values = {
        "taken": about.taken.isoformat(timespec="seconds") if about.taken else None,
        "latitude": about.latitude,
        "longitude": about.longitude,
        **{name: list(getattr(about, name)) for name in _LISTS},
        **{name: getattr(about, name) for name in _SAME},
    }
    if about.latitude is None or about.longitude is None:
        return {**values, "x": None, "y": None, "z": None}
    (point,) = on_sphere(np.array([about.latitude]), np.array([about.longitude])).tolist()
    return {**values, **dict(zip("xyz", point, strict=True))}
