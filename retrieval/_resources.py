"""Paths of the files that ship with twinlens: model, sample texts, templates."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def resource(name: str) -> Path:
    """Return the path of a shipped file or folder, e.g. `resource("model")`.

    An installed wheel carries the project's `data/` as `retrieval/data`; a checkout (or an
    editable install) has it beside the packages.

    Raises:
        FileNotFoundError: the installation lacks it.
    """
    for folder in (_PACKAGE / "data", _PACKAGE.parent / "data"):
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"this installation of twinlens lacks its data file '{name}'")
