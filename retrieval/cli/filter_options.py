"""Options that filter the photos of a search by their metadata."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Filters: TypeAlias = list[tuple[str, str]]
"""Names and values, as `retrieval.parse_query` takes them."""

_OPTIONS = (
    ("after", "DATE", "Taken on DATE or later: 2019, 2019-07 or 2019-07-14."),
    ("before", "DATE", "Taken before DATE."),
    (
        "near",
        "PLACE",
        'Taken near PLACE: Rome, "Rome,5" (within 5 km) or "41.9,12.5,5"; or in a country: Italy.',
    ),
    ("camera", "NAME", "Taken with a camera that has these words in its name: x100."),
    ("in", "FOLDER", "In this folder: a path, or words of the folder's name."),
    ("tag", "WORD", "With this keyword. If repeated, with all of them."),
    ("text", "WORDS", "Showing these words, once `twinlens read` has read the photos."),
    ("type", "TYPE", "Of this file type: jpg, heic, png, raw or video."),
    ("orientation", "HOW", "In this orientation: landscape, portrait or square."),
    ("min-rating", "STARS", "Rated with STARS stars or more."),
)


def with_filters(function: F) -> Callable[..., Any]:
    """Add `--after`, `--near` and the others; the command takes `filters: Filters`."""

    @wraps(function)
    def wrapped(**values: Any) -> Any:
        given = {name: values.pop(_parameter(name)) for name, _, _ in _OPTIONS}
        filters = [(name, each) for name, some in given.items() for each in some]
        return function(filters=filters, **values)

    decorated: Callable[..., Any] = wrapped
    for name, metavar, help_ in reversed(_OPTIONS):
        option = click.option(
            f"--{name}", _parameter(name), metavar=metavar, multiple=True, help=help_
        )
        decorated = option(decorated)
    return decorated


def _parameter(name: str) -> str:
    """Name the Python parameter of an option: `in` is a word of Python's own."""
    return "within_" + name.replace("-", "_")
