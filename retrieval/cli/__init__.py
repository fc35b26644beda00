"""The command line: one module per command, loaded when it is needed.

A module `retrieval/cli/commands/NAME.py` provides the command NAME as `command`. It imports nothing
heavy: what it runs comes from `retrieval`, whose names are lazy.
"""

from __future__ import annotations

from retrieval.cli.app import main

__all__ = ["main"]
