"""Starts processes that learn names, and follows them; see `retrieval.server.name_learner`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from indexer.core.errors import TwinlensError
from retrieval import errors
from retrieval.server.problems import Problem

LONGEST_SECONDS = 900.0
"""After so long a process is ended."""

_LINE_BYTES = 1 << 20  # of one line that a process says

Progress = Callable[[int, int], None]


class NameLearning:
    """Learns names, one at a time: it takes all cores for half a minute."""

    def __init__(self) -> None:
        self._busy = False

    async def learn(self, request: dict[str, Any], progress: Progress) -> dict[str, Any]:
        """Learn a name in a process of its own; one that nobody waits for any more is ended.

        Args:
            request: what `retrieval.server.name_learner.LearnRequest` has, but for the parent.
            progress: called with the steps done and in all.

        Raises:
            Problem: another name is being learned, or it takes too long.
            TwinlensError: what `PhotoLibrary.learn` raises.
        """
        if self._busy:
            raise Problem("busy", "another name is being learned; try again", retry_after=10)
        self._busy = True
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                return await _learned(request, progress)
        except TimeoutError as error:
            minutes = round(LONGEST_SECONDS / 60)
            raise Problem("timeout", f"learning took more than {minutes} minutes") from error
        finally:
            self._busy = False


async def _learned(request: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Start a process, and follow it to its end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-P", "-m", "retrieval.server.name_learner"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=_environment(),
        limit=_LINE_BYTES,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = json.dumps({**request, "parent": os.getpid()})
        process.stdin.write(f"{line}\n".encode())
        await process.stdin.drain()
        async for said in process.stdout:
            told = json.loads(said)
            if "learned" in told:
                learned: dict[str, Any] = told["learned"]
                return learned
            if "error" in told:
                raise _error(told)
            progress(told["done"], told["total"])
        raise TwinlensError("the process that learns ended; is there enough memory?")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _error(told: dict[str, str]) -> TwinlensError:
    """Return the error that a process met."""
    kind = getattr(errors, told["error"], TwinlensError)
    is_plain = isinstance(kind, type) and issubclass(kind, TwinlensError)
    try:
        return kind(told["detail"]) if is_plain else TwinlensError(told["detail"])
    except TypeError:  # it is made of more than a message
        return TwinlensError(told["detail"])


def _environment() -> dict[str, str]:
    """Let the process find this package, wherever it lies."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
