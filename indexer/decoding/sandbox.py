"""The sandbox of a decoder process: no programs, no network, no writing, no outliving its parent.

A decoder reads files that anyone may have made. If a file takes over the decoder, or a library
tries to start a program, the system refuses. On Linux (x86_64, aarch64) a seccomp filter does this,
for native code too. Elsewhere Python's audit hook does it, for Python code only.

Source: Linux, Documentation/userspace-api/seccomp_filter.rst; `<linux/audit.h>` and
`<asm/unistd.h>` for the numbers.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

_FORBIDDEN_EVENTS = frozenset(
    {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"}
    | {"os.startfile", "os.spawn", "pty.spawn", "webbrowser.open"}
    | {"socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo"}
)
"""Events of Python's audit table (PEP 578) that start a program or use the network."""

# (x86_64, aarch64); None where an architecture has no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    # processes and programs
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "setsid": (112, 157),
    "setpgid": (109, 154),
    # network
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    # files
    "creat": (85, None),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "mkdir": (83, None),
    "mkdirat": (258, 34),
    "rmdir": (84, None),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "truncate": (76, 45),
    "ftruncate": (77, 46),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    # ways round a filter, and the machine itself, should the user be root
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "setns": (308, 268),
    "chroot": (161, 51),
    "pivot_root": (155, 41),
    "mount": (165, 40),
    "umount2": (166, 39),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "mount_setattr": (442, 442),
    "swapon": (167, 224),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
}
"""System calls that are refused with EPERM."""

_NEWER = (435, 437)  # clone3, openat2: their flags lie in memory; with ENOSYS libc uses the older
_CLONE, _OPEN, _OPENAT, _SECCOMP = (56, 220), (2, None), (257, 56), (317, 277)
_THREAD = 0x10000  # CLONE_THREAD
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_ARCHES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column, AUDIT_ARCH
_X32 = 0x40000000  # calls of the x32 ABI, which has numbers of its own

_NR, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_LOAD, _EQUAL, _ABOVE, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_NO_NEW_PRIVS, _DEATH_SIGNAL, _MODE_FILTER, _ALL_THREADS = 38, 1, 1, 1

_GRACE = 1.0  # seconds between two looks whether the parent lives, where the system does not tell


def confine() -> bool:
    """Give up programs, the network and writing; return whether the system enforces it.

    Reading files stays allowed: libraries are loaded when they are needed.
    """
    _offer()
    _limit()
    sys.addaudithook(_refuse)
    return _filtered()


def follow_parent(parent: int) -> None:
    """End this process when its parent ends, whatever it is at.

    On Linux the kernel does so when the thread that started the process ends. Elsewhere a thread
    looks every second.
    """
    if sys.platform == "linux" and not _libc().prctl(_DEATH_SIGNAL, int(signal.SIGKILL), 0, 0, 0):
        if os.getppid() != parent:  # it ended before the kernel was told
            os._exit(0)
    elif os.name == "posix":
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    """End this process once it has another parent."""
    while os.getppid() == parent:
        time.sleep(_GRACE)
    os._exit(0)


def _offer() -> None:
    """Let Linux end this process, not the one that asks it, where memory runs out."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def _limit() -> None:
    """Take the right to write into files, and to leave a core file."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _refuse(event: str, _: Any) -> None:
    """Refuse what Python code asks for, before it happens."""
    if event in _FORBIDDEN_EVENTS:
        raise PermissionError(errno.EPERM, f"a decoder may not do this ({event})")


def _filtered() -> bool:
    """Install the seccomp filter, where this system knows it."""
    found = _ARCHES.get(platform.machine())
    if sys.platform != "linux" or found is None or struct.calcsize("P") != 8:
        return False
    program = _program(*found)
    instructions = ctypes.create_string_buffer(program, len(program))
    count, address = len(program) // 8, ctypes.addressof(instructions)
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", count, address))
    libc = _libc()
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    call = _SECCOMP[found[0]]
    return not libc.syscall(call, _MODE_FILTER, _ALL_THREADS, ctypes.byref(header))


def _libc() -> Any:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def _program(column: int, arch: int) -> bytes:
    """Write the filter as BPF: which calls are refused, which are looked at, the rest allowed."""
    parts = [
        _step(_LOAD, _ARCH),
        _step(_EQUAL, arch, 1, 0),
        _refusal(errno.EPERM),
        _step(_LOAD, _NR),
        _step(_ABOVE, _X32, 0, 1),
        _refusal(errno.EPERM),
        *(_refused(number, errno.ENOSYS) for number in _NEWER),
        *(_refused(numbers[column], errno.EPERM) for numbers in _CALLS.values()),
        _by_flags(_CLONE[column], 0, _THREAD, wanted=True),
        _by_flags(_OPEN[column], 1, _WRITING, wanted=False),
        _by_flags(_OPENAT[column], 2, _WRITING, wanted=False),
        _step(_RETURN, _ALLOW),
    ]
    return b"".join(parts)


def _refused(number: int | None, error: int) -> bytes:
    """Refuse a system call, if the architecture has it."""
    return b"" if number is None else _step(_EQUAL, number, 0, 1) + _refusal(error)


def _by_flags(number: int | None, argument: int, mask: int, *, wanted: bool) -> bytes:
    """Allow a system call only if its flags have one of these bits, or only if they have none."""
    if number is None:
        return b""
    return (
        _step(_EQUAL, number, 0, 4)
        + _step(_LOAD, _ARGUMENTS + 8 * argument)
        + _step(_ANY_BIT, mask, *((1, 0) if wanted else (0, 1)))
        + _refusal(errno.EPERM)
        + _step(_RETURN, _ALLOW)
    )


def _refusal(error: int) -> bytes:
    """Let the call fail with an error number."""
    return _step(_RETURN, _ERRNO | error)


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    """Write one instruction: struct sock_filter."""
    return struct.pack("HBBI", code, if_so, if_not, value)
