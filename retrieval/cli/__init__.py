"""The command line: one module a command, loaded when it is asked for.

A module `retrieval/cli/NAME.py` offers the command NAME as `command`. It takes in nothing heavy
when it is imported: what it runs comes from `retrieval`, whose names are lazy.
"""

from __future__ import annotations

from retrieval.cli.app import main

__all__ = ["main"]
