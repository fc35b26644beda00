"""A rich console for terminals of any size."""

from __future__ import annotations

from rich.console import Console

USUAL, NARROWEST = 80, 20
"""Columns of a terminal that does not say how wide it is; and the fewest that anything is made for.

A serial line, a pipe of `script` or a fresh pseudo-terminal says that it has none.
"""


def terminal(*, stderr: bool = False) -> Console:
    """Return a console on stdout or stderr that has room for a few words."""
    console = Console(stderr=stderr)
    if not console.width:
        console.width = USUAL
    elif console.width < NARROWEST:
        console.width = NARROWEST
    return console
