"""Options made from the fields of a configuration; the docstring of its class is their help."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, get_args

import click


def documented(config: type[Any]) -> dict[str, str]:
    """Read the help of each field from the docstring of its class; it begins with a capital."""
    found = re.findall(
        r"^    (\w+): (.*(?:\n        .*)*)", inspect.getdoc(config) or "", flags=re.MULTILINE
    )
    sentences = {name: " ".join(text.split()).rstrip(".") + "." for name, text in found}
    return {name: text[0].upper() + text[1:] for name, text in sentences.items()}


def option(field: dataclasses.Field[Any], hint: Any, text: str) -> Callable[[Any], Any]:
    """Make the option of one field. Its default is None: what is not given is not overridden."""
    name = "--" + field.name.replace("_", "-")
    default = field.default
    shown = (
        f" [default: {default}]" if isinstance(default, int | float | str) and default != "" else ""
    )
    if hint is bool:
        return click.option(f"{name}/--no-{name[2:]}", default=None, help=text)
    if str(hint).startswith("tuple"):
        return click.option(name, multiple=True, metavar="SPEC", help=text)
    kind: Any = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        kind = click.Choice([choice.value for choice in kind])
    return click.option(name, type=kind, default=None, help=text + shown)
