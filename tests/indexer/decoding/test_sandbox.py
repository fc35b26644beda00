"""A decoder may read, and nothing else: no program, no network, no writing, no life of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CALLS = {
    "a program": "import subprocess; subprocess.run(['true'])",
    "a shell": "assert not os.system('true')",
    "a fork": "os.fork() or os._exit(0)",
    "a socket": "import socket; socket.create_connection(('127.0.0.1', PORT), 1)",
    "a name to look up": "import socket; socket.getaddrinfo('localhost', 80)",
    "a new file": "open('new', 'w')",
    "a change of a file": "open('there', 'r+')",
    "a deletion": "os.unlink('there')",
    "a folder": "os.mkdir('folder')",
    "a new name": "os.rename('there', 'elsewhere')",
    "a link": "os.symlink('there', 'link')",
    "other rights": "os.chmod('there', 0o777)",
    "a signal to the parent": "os.kill(os.getppid(), 0)",
    "a group of its own": "os.setsid()",
}
NATIVE = {
    "a program": "libc.execv(b'/bin/true', (ctypes.c_char_p * 2)(b'true', None))",
    "a fork": "libc.fork()",
    "a shell": "libc.system(b'touch new') or -1",
    "a socket": "libc.socket(2, 1, 0)",
    "a new file": "libc.open(b'new', 0o101, 0o600)",
    "a deletion": "libc.unlink(b'there')",
    "a look at the parent": "libc.ptrace(16, os.getppid(), 0, 0)",
}
"""What native code, which Python does not see, returns -1 for where it is refused."""

on_linux = pytest.mark.skipif(
    sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"),
    reason="only there the system enforces it",
)


def _confined(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run some code in a process that was confined as decoders are."""
    (folder / "there").write_text("as it was")
    start = "import ctypes, os\nfrom indexer.decoding.sandbox import confine\nconfine()\n"
    return subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def _unchanged(folder: Path) -> bool:
    """Tell whether the folder holds what it held, and no more."""
    return [(each.name, each.read_text()) for each in folder.iterdir()] == [("there", "as it was")]


@on_linux
@pytest.mark.parametrize("code", CALLS.values(), ids=CALLS.keys())
def test_what_python_code_may_not_do(code: str, tmp_path: Path) -> None:
    done = _confined(code.replace("PORT", "9"), tmp_path)
    assert done.returncode == 1
    assert any(error in done.stderr for error in ("PermissionError", "AssertionError"))
    assert _unchanged(tmp_path)


@on_linux
@pytest.mark.parametrize("call", NATIVE.values(), ids=NATIVE.keys())
def test_what_native_code_may_not_do(call: str, tmp_path: Path) -> None:
    code = f"libc = ctypes.CDLL(None)\nfound = {call}\nos._exit(0 if found else 3)"
    done = _confined(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert _unchanged(tmp_path)


@pytest.mark.parametrize("event", ["subprocess.run(['true'])", "os.system('true')"])
def test_where_the_system_has_no_filter_python_code_is_refused(event: str) -> None:
    unfiltered = "from indexer import sandbox as s\ns._filtered = bool\ns.confine()\n"
    code = f"import os, subprocess\n{unfiltered}{event}"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert "PermissionError" in done.stderr


def test_reading_and_threads_are_allowed(tmp_path: Path) -> None:
    code = (
        "import threading\n"
        "threads = [threading.Thread(target=print, args=(open('there').read(),)) for _ in '12']\n"
        "[thread.start() for thread in threads]; [thread.join() for thread in threads]\n"
        "import xml.dom.minidom  # what is not loaded yet\n"
    )
    done = _confined(code, tmp_path)
    assert (done.stdout, done.stderr) == ("as it was\n" * 2, "")


@on_linux
def test_where_memory_runs_out_the_decoder_goes_first(tmp_path: Path) -> None:
    done = _confined("print(open('/proc/self/oom_score_adj').read())", tmp_path)
    assert int(done.stdout) == 500


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
def test_it_ends_when_its_parent_is_killed() -> None:
    """At work, in C, and without a look at its pipe."""
    busy = (
        "import os, sys\nfrom indexer.decoding.sandbox import follow_parent\n"
        "follow_parent(int(sys.argv[1]))\n"
        "print(os.getpid(), flush=True)\nwhile True: sum(range(10**6))"
    )
    parent = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {busy!r}, str(os.getpid())])\ntime.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", parent],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(child)


def _runs(pid: int) -> bool:
    """Tell whether a process runs; one that is dead and not asked after does not."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
