"""A pool of decoder processes for photos, RAW files and videos.

A file that crashes its decoder, fills its memory or takes too long is skipped, and a new process
replaces the old one. Processes start with the first photo. They may start no program and use no
network (`indexer.decoding.sandbox`), share one memory budget (`indexer.decoding.memory_budget`) and
end with this process. Each result is checked against its request.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO

from indexer.core.encoder import Encoder, FixedInputEncoder
from indexer.core.errors import FileUnreadable, Unaffordable, UsageError
from indexer.core.file_types import MediaType
from indexer.core.resize import ImageInputSpec
from indexer.decoding.frames import MARK_BYTES, Header, ProtocolError, receive, send
from indexer.decoding.memory_budget import MemoryBudget, budget
from indexer.decoding.messages import DecodedFile, DecodeRequest, seen_back
from indexer.media.image import MAX_MEGAPIXELS
from indexer.media.video import MOST_FRAMES

_COMMAND = ("-P", "-m", "indexer.decoding.worker")
"""-P: a photo folder that is the current folder must not lend modules."""

_ENVIRONMENT = {
    "MALLOC_ARENA_MAX": "2",  # each reserves address space, which is capped
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    # Memory that a photo leaves is kept for the next: fresh pages cost as much as decoding does.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}

_PIPE_BYTES = 1 << 20  # asked for: a picture of 500 pixels goes through at once
_BASE_BYTES, _BYTES_A_CORE = 1_000_000_000, 16_000_000
"""Address space for Python, its libraries, their threads, and what a small photo takes."""

_MOST_CLAIMS = 8  # of one file: for its header, its preview, larger frames
_PATIENCE = 30.0  # seconds for one file that a person waits for


@dataclass(frozen=True, kw_only=True)
class DecodeOptions:
    """Limits of decoding one photo.

    Attributes:
        max_megapixels: larger photos are refused by their header.
        frames: of one video, at most.
        allow_truncated: read what is there of a file that ends too early; the rest is grey.
        seconds: for one file. Honest photos take 0.1 s, videos 2, 200 megapixels on a busy
            machine some 20.
        memory_bytes: address space of one process; 0 for what the machine has room for.
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
        """Bytes of address space, beside what is granted to large files."""
        return self.memory_bytes or _BASE_BYTES + _BYTES_A_CORE * (os.cpu_count() or 1)

    def __str__(self) -> str:
        truncated = ", truncated too" if self.allow_truncated else ""
        return f"{self.max_megapixels:g} MP{truncated}"


class DecodePool:
    """A pool of decoder processes, one for each thread that asks. Close it, or use `with`.

    Args:
        options: what a photo may cost.
        size_hint: pixels a side that the encoder sees.
        square: the pictures come cut to it; whole, if it is None.
    """

    def __init__(
        self, options: DecodeOptions, *, size_hint: int, square: ImageInputSpec | None = None
    ) -> None:
        self._options = options
        self._look = DecodeRequest(
            form=MediaType.PICTURE,
            size_hint=size_hint,
            max_megapixels=options.max_megapixels,
            frames=options.frames,
            allow_truncated=options.allow_truncated,
            square=square,
        )
        memory = options.memory_bytes
        self._budget = MemoryBudget(most=memory, together=memory) if memory else budget()
        self._lock = threading.Lock()
        self._idle: list[_Process] = []
        self._all: set[_Process] = set()
        self._closed = False

    def see(
        self, form: MediaType, body: bytes, *, sidecar: Path | None = None, pictures: bool = True
    ) -> DecodedFile:
        """Look at a file, as `indexer.decoding.task.see` does; any thread may call this.

        Args:
            form: how it is read.
            body: its content; of a video its path.
            sidecar: the `.xmp` file beside it.
            pictures: whether they are wanted, or only what the file says.

        Raises:
            FileUnreadable: the reason, fit for a list of skipped files.
            Unaffordable: this machine has not the memory for it.
        """
        beside = "" if sidecar is None else str(sidecar)
        return self.look(body, replace(self._look, form=form, sidecar=beside, pictures=pictures))

    def look(self, body: bytes, look: DecodeRequest) -> DecodedFile:
        """Look at a file in a way of one's own; any thread may call this.

        Raises:
            FileUnreadable: as of `see`.
        """
        process = self._take()
        try:
            told, pixels = process.ask(look, body, self._options.seconds, self._budget)
            if "reason" not in told:
                seen = seen_back(told, pixels, look)
        except BaseException as error:
            self._end(process)
            if isinstance(error, ProtocolError):
                raise FileUnreadable("its decoder gave an invalid answer") from error
            raise
        with self._lock:
            self._idle.append(process)
        if "reason" in told:
            raise FileUnreadable(str(told["reason"]))
        return seen

    def __enter__(self) -> DecodePool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the processes, those at work too: who waits for one gets `FileUnreadable`."""
        with self._lock:
            self._closed = True
            every = [*self._all]
            self._idle.clear()
        for process in every:
            self._end(process)

    def rest(self) -> None:
        """End the processes that wait for work; the next file starts one again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for process in idle:
            self._end(process)

    def give_up(self) -> None:
        """End the processes that are at work: who waits for one gets `FileUnreadable`."""
        with self._lock:
            busy = self._all.difference(self._idle)
        for process in busy:
            process.end()

    def _take(self) -> _Process:
        """Take a process that waits for work, else start one."""
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return self._started()
            if process.is_alive():
                return process
            self._end(process)

    def _started(self) -> _Process:
        """Start a process."""
        process = _starter().submit(_Process, self._options.limit).result()
        with self._lock:
            closed = self._closed
            self._all.add(process)
        if closed:
            self._end(process)
            raise FileUnreadable("the run was ended")
        return process

    def _end(self, process: _Process) -> None:
        """End a process and forget it."""
        process.end()
        with self._lock:
            self._all.discard(process)


def decoders_for(encoder: Encoder, options: DecodeOptions) -> DecodePool:
    """Return processes that decode photos as an encoder wants them."""
    square = encoder.square if isinstance(encoder, FixedInputEncoder) else None
    return DecodePool(options, size_hint=encoder.image_size, square=square)


@cache
def shared_decoders() -> DecodePool:
    """Return the decoders for single files that a person waits for. They end with this process."""
    decoders = DecodePool(DecodeOptions(seconds=_PATIENCE), size_hint=1)
    atexit.register(decoders.close)
    return decoders


@cache
def _starter() -> ThreadPoolExecutor:
    """Return the thread that starts processes.

    Linux ends them with the thread that started them, so this one lives as long as this process.
    """
    return ThreadPoolExecutor(1, thread_name_prefix="starter")


def _forget() -> None:
    """Let a fork of this process start decoders of its own."""
    shared_decoders.cache_clear()
    _starter.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Process:
    """One process, asked by one thread at a time; any thread may end it."""

    def __init__(self, memory_bytes: int) -> None:
        command = [sys.executable, *_COMMAND, str(os.getpid()), str(memory_bytes)]
        # A socket, where there is one, can be shut from this side, whoever holds the other.
        self._socket: socket.socket | None = None
        theirs: socket.socket | None = None
        if os.name == "posix":
            self._socket, theirs = socket.socketpair()
        pipe = subprocess.PIPE if theirs is None else theirs.fileno()
        self._popen = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        self._requests, self._answers = self._streams(theirs)

    def _streams(self, theirs: socket.socket | None) -> tuple[IO[bytes], IO[bytes]]:
        """Return where requests go and answers come from; let go of the other side."""
        if self._socket is None or theirs is None:
            assert self._popen.stdin is not None
            assert self._popen.stdout is not None
            return self._popen.stdin, self._popen.stdout
        theirs.close()
        for side in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, side, _PIPE_BYTES)
        return self._socket.makefile("wb"), self._socket.makefile("rb")

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self._popen.poll() is None

    def ask(
        self, look: DecodeRequest, body: bytes, seconds: float, room: MemoryBudget
    ) -> tuple[Header, bytes]:
        """Send a request and wait for the answer; after so many seconds, kill the process.

        The time that it waits for memory does not count.

        Raises:
            FileUnreadable: the process died of it.
            Garbled: it answered something else.
        """
        mark = os.urandom(MARK_BYTES)
        header = asdict(look)
        with ExitStack() as held:
            for _ in range(_MOST_CLAIMS):
                told, pixels = self._exchange(mark, header, body, seconds, look.most_bytes)
                if "claims" not in told:
                    return told, pixels
                held.close()
                header, body = self._granted(told["claims"], room, held), b""
        raise ProtocolError("a file that claims memory again and again")

    def _granted(self, need: object, room: MemoryBudget, held: ExitStack) -> Header:
        """Wait for memory that the process claims, and hold it; return the answer to it."""
        if type(need) is not int or need <= 0:
            raise ProtocolError(f"a claim of {need} bytes")
        if need > room.most:
            raise Unaffordable(
                f"takes {need / 1e9:.1f} GB of memory to decode, and decoding may take "
                f"{room.most / 1e9:.1f} GB here"
            )
        held.enter_context(room.holding(need))
        return {"granted": need}

    def _exchange(
        self, mark: bytes, header: Header, body: bytes, seconds: float, most: int
    ) -> tuple[Header, bytes]:
        """Send one frame and return the one that answers it."""
        late = threading.Event()
        watch = threading.Timer(seconds, self._stop, (late,))
        watch.start()
        try:
            send(self._requests, mark, header, body)
            _, told, pixels = receive(self._answers, mark=mark, most=most)
        except ProtocolError:
            raise
        except (OSError, EOFError, ValueError) as error:
            raise FileUnreadable(self._obituary(seconds if late.is_set() else 0.0)) from error
        finally:
            watch.cancel()
        return told, pixels

    def end(self) -> None:
        """Kill it, and let go of its pipes."""
        self._shut()
        self._popen.wait()
        for stream in (self._requests, self._answers, self._socket):
            if stream is not None:
                with suppress(OSError, ValueError):
                    stream.close()

    def _stop(self, late: threading.Event) -> None:
        """End it because it is too slow."""
        late.set()
        self._shut()

    def _shut(self) -> None:
        """Kill it with all that it may have started; who waits for it need not any longer."""
        if os.name == "posix":
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.kill()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)

    def _obituary(self, seconds: float) -> str:
        """Say what the process died of; `seconds` if it was too slow."""
        if seconds:
            return f"took longer than {seconds:g} s to decode"
        self._popen.kill()  # its pipe is broken: it has gone, or soon will
        code = self._popen.wait()
        if code == -signal.SIGKILL:
            return "its decoder was killed, perhaps because memory ran out"
        died = signal.Signals(-code).name if code < 0 else f"code {code}"
        return f"crashed its decoder ({died})"


def _environment() -> dict[str, str]:
    """Let the process find this package, wherever it lies; one thread, and memory that is kept."""
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return os.environ | _ENVIRONMENT | {"PYTHONPATH": path}
