"""Photos, RAW and videos are decoded in processes of their own: no file takes the run down.

A file that crashes its process, fills its memory or takes too long costs itself alone; another
process takes the place of the one that went. Processes start when the first photo comes.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO

from PIL import Image

from indexer.decoder_process import Header, receive, send
from indexer.encoder import Encoder, SquareEncoder
from indexer.errors import FileUnreadable, UsageError
from indexer.formats import Form
from indexer.photos import MAX_MEGAPIXELS
from indexer.sight import Look, Seen, read_back
from indexer.squares import Square
from indexer.videos import MOST_FRAMES

_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Memory that a photo leaves is kept for the next: fresh pages cost as much as decoding does.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

_PIPE_BYTES = 1 << 20  # a picture of 500 pixels goes through at once; 64 KB takes nine turns
_BASE_BYTES = 2_000_000_000  # Python, its libraries, and the largest file that is read
_BYTES_A_PIXEL = 16  # four copies of four bytes: read, in RGBA, on white, in RGB


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """What a photo may cost.

    Attributes:
        max_megapixels: larger photos are refused by their header.
        frames: of one video, at most.
        allow_truncated: read what is there of a file that ends too early; the rest is grey.
        seconds: for one file. Honest photos take 0.1 s, videos 2, 200 megapixels on a busy
            machine some 20.
        memory_bytes: address space of one process; 0 for what the largest photo needs.
    """

    max_megapixels: float = MAX_MEGAPIXELS
    frames: int = MOST_FRAMES
    allow_truncated: bool = False
    seconds: float = 60.0
    memory_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("max_megapixels", "frames", "seconds"):
            if getattr(self, name) <= 0:
                raise UsageError(f"{name} must be above 0, not {getattr(self, name)}")

    @property
    def limit(self) -> int:
        """Bytes of address space."""
        return self.memory_bytes or int(_BASE_BYTES + _BYTES_A_PIXEL * self.max_megapixels * 1e6)

    def __str__(self) -> str:
        truncated = ", truncated too" if self.allow_truncated else ""
        return f"{self.max_megapixels:g} MP{truncated}"


class Decoders:
    """Processes that decode photos, as many as threads ask at once. Close them, or use `with`.

    Args:
        options: what a photo may cost.
        size_hint: pixels a side that the encoder sees.
        square: the pictures come cut to it; whole, if it is None.
    """

    def __init__(
        self, options: DecodeOptions, *, size_hint: int, square: Square | None = None
    ) -> None:
        self._options = options
        self._look = Look(
            form=Form.PICTURE,
            size_hint=size_hint,
            max_megapixels=options.max_megapixels,
            frames=options.frames,
            allow_truncated=options.allow_truncated,
            square=square,
        )
        self._idle: SimpleQueue[_Process] = SimpleQueue()

    def see(
        self, form: Form, body: bytes, *, sidecar: Path | None = None, pictures: bool = True
    ) -> Seen:
        """Look at a file, as `indexer.sight.see` does; any thread may call this.

        Args:
            form: how it is read.
            body: its content; of a video its path.
            sidecar: the `.xmp` file beside it.
            pictures: whether they are wanted, or only what the file says.

        Raises:
            FileUnreadable: the reason, fit for a list of skipped files.
        """
        beside = "" if sidecar is None else str(sidecar)
        look = replace(self._look, form=form, sidecar=beside, pictures=pictures)
        process = self._take()
        try:
            told, pixels = process.ask(asdict(look), body, self._options.seconds)
        except BaseException:
            process.end()
            raise
        self._idle.put(process)
        if "reason" in told:
            raise FileUnreadable(str(told["reason"]))
        photos, at = [], 0
        for width, height in told["sizes"]:
            after = at + 3 * width * height
            photos.append(Image.frombytes("RGB", (width, height), pixels[at:after]))
            at = after
        about = read_back(told["about"])
        times, remark = tuple(told["times"]), str(told["remark"])
        return Seen(photos=tuple(photos), times=times, about=about, remark=remark)

    def __enter__(self) -> Decoders:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes; none may be at work."""
        while not self._idle.empty():
            self._idle.get().end()

    def _take(self) -> _Process:
        """Take a process that waits for work, else start one."""
        try:
            process = self._idle.get_nowait()
        except Empty:
            return _Process(self._options.limit)
        if process.is_alive():
            return process
        process.end()
        return self._take()


def decoders_for(encoder: Encoder, options: DecodeOptions) -> Decoders:
    """Return processes that decode photos as an encoder wants them."""
    square = encoder.square if isinstance(encoder, SquareEncoder) else None
    return Decoders(options, size_hint=encoder.image_size, square=square)


class _Process:
    """One process, asked by one thread at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self._popen = subprocess.Popen(
            # -P: a photo folder that is the current folder must not lend modules.
            [sys.executable, "-P", "-m", "indexer.decoder_process", str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
        _widen(self._popen.stdin)
        _widen(self._popen.stdout)

    def is_alive(self) -> bool:
        """Tell whether it still runs."""
        return self._popen.poll() is None

    def ask(self, header: Header, body: bytes, seconds: float) -> tuple[Header, bytes]:
        """Send a request and wait for the answer; after so many seconds, kill the process.

        Raises:
            FileUnreadable: the process died of it.
        """
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        watch = threading.Timer(seconds, self._popen.kill)
        watch.start()
        try:
            send(self._popen.stdin, header, body)
            return receive(self._popen.stdout)
        except (OSError, EOFError) as error:
            late = watch.finished.is_set()
            raise FileUnreadable(self._obituary(seconds if late else 0.0)) from error
        finally:
            watch.cancel()

    def end(self) -> None:
        """Kill it, and let go of its pipes."""
        self._popen.kill()
        try:
            self._popen.communicate()
        except (OSError, ValueError):
            self._popen.wait()

    def _obituary(self, seconds: float) -> str:
        """Say what the process died of; `seconds` if it was too slow."""
        if seconds:
            return f"took longer than {seconds:g} s to decode"
        code = self._popen.wait()
        if code == -signal.SIGKILL:
            return "its decoder was killed, perhaps for want of memory"
        died = signal.Signals(-code).name if code < 0 else f"code {code}"
        return f"crashed its decoder ({died})"


def _widen(pipe: IO[bytes] | None) -> None:
    """Let a pipe hold a whole picture, where the system can, and as far as it lets a user."""
    try:
        from fcntl import F_SETPIPE_SZ, fcntl
    except ImportError:  # not Linux
        return
    assert pipe is not None
    with suppress(OSError):
        fcntl(pipe, F_SETPIPE_SZ, _PIPE_BYTES)


def _environment() -> dict[str, str]:
    """Let the process find this package, wherever it lies; one thread, and memory that is kept."""
    paths = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return os.environ | _ENVIRONMENT | {"PYTHONPATH": path}
