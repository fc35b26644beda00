"""Exit codes of the command line."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended. The other codes are the `exit_code` of an error class."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    SKIPPED = 3  # done, but files were skipped that were not skipped before
    NOTHING = 4  # nothing matched
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it
