"""Options that say among what a search looks."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeAlias, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

Filters: TypeAlias = list[tuple[str, str]]
"""Names and values, as `retrieval.parse_query` takes them."""

_OPTIONS = (
    ("after", "DATE", "Taken from then on: 2019, 2019-07, 2019-07-14."),
    ("before", "DATE", "Taken before then."),
    ("near", "PLACE", 'Taken around: Rome, "Rome,5" (km), "41.9,12.5,5", or in a country.'),
    ("camera", "NAME", "Taken with such a camera: x100."),
    ("in", "FOLDER", "In a folder: its path, or words of its name."),
    ("tag", "WORD", "With a keyword. Of several, all."),
    ("type", "TYPE", "Of a type: jpg, heic, png, raw."),
    ("orientation", "HOW", "Held so: landscape, portrait or square."),
    ("min-rating", "STARS", "With so many stars or more."),
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
