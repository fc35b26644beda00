"""A process with everything imported and one thread, that forks a child for each kill.

A child runs one function of a test module and dies (SIGKILL: nothing is tidied up) at the n-th call
that writes, or after so many seconds. The calls are patched in the child; the product knows nothing
of them.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

WRITES = (
    "pathlib:Path.write_bytes",
    "pathlib:Path.replace",
    "pathlib:Path.unlink",
    "os:fsync",
    "shutil:copyfile",
    "shutil:rmtree",
    "indexer.catalog.row_checksums:seal",
    "indexer.vectors.patch_tokens:_put",
    "indexer.catalog.writer:_write_meta",
    "indexer.catalog.writer:CatalogWriter.apply",
    "indexer.catalog.writer:CatalogWriter.rewrite",
    "indexer.vectors.flat_index:write",
)
"""What writes: a child dies before the n-th call of any of them, or behind it."""


@contextmanager
def nursery() -> Iterator[subprocess.Popen[str]]:
    """Start the process."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.damage.nursery"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    with subprocess.Popen(command, env=env, cwd=ROOT, **pipes) as process:
        yield process
        process.stdin.close()


def run(process: subprocess.Popen[str], function: str, *arguments: str, **kill: Any) -> int:
    """Run "module:function" in a child; return how many calls wrote, -1 if it was killed.

    Args:
        process: the nursery.
        function: that the child runs.
        arguments: of the function.
        kill: `at`, the number of the call, with `behind=True` once it is done, or `seconds`.
    """
    process.stdin.write(json.dumps([function, arguments, kill]) + "\n")
    return int(process.stdout.readline())


def _patch(kill: dict[str, Any]) -> list[int]:
    """Count the calls that write, and die at one of them."""
    done = [0]

    def counted(real: Any) -> Any:
        @wraps(real)
        def call(*args: Any, **named: Any) -> Any:
            done[0] += 1
            is_last = done[0] == kill.get("at")
            if is_last and not kill.get("behind"):
                os.kill(os.getpid(), signal.SIGKILL)
            answer = real(*args, **named)
            if is_last:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return call

    for target in WRITES:
        module, _, name = target.partition(":")
        home = import_module(module)
        *owner, name = name.split(".")
        home = getattr(home, owner[0]) if owner else home
        setattr(home, name, counted(getattr(home, name)))
    return done


def _main() -> None:
    """Fork a child for each line."""
    for line in sys.stdin:
        function, arguments, kill = json.loads(line)
        module, _, name = function.partition(":")
        real = getattr(import_module(module), name)
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            done = _patch(kill)
            real(*arguments)
            os.write(writing, str(done[0]).encode())
            os._exit(0)
        os.close(writing)
        if "seconds" in kill:
            time.sleep(kill["seconds"])
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL), f"{function} ended with {code}"
        sys.stdout.write(f"{os.read(reading, 99).decode() or -1}\n")
        sys.stdout.flush()
        os.close(reading)


if __name__ == "__main__":
    _main()
