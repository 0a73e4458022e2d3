"""What a process that reads strangers' bytes may no longer do, so that a flaw in a decoder stays in its process.

The kernel's filter of system calls is set by libseccomp, once, for every thread and for whatever the process starts;
nothing takes it back. Files, memory and processor time are for the limits of the process and for the service manager's
unit.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from ctypes import POINTER, byref, c_char_p, c_int, c_uint, c_uint32, c_uint64, c_void_p
from typing import Any, Final

import structlog

log = structlog.get_logger()
_LIBRARY: Final = "libseccomp.so.2"
#: Other programs, other processes' memory, and ways around a filter of system calls or into the kernel.
_NOT_FOR_US: Final = (
    "execve",
    "execveat",
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "pidfd_getfd",
    "io_uring_setup",
    "bpf",
    "userfaultfd",
    "perf_event_open",
    "unshare",
    "setns",
    "mount",
    "add_key",
    "request_key",
    "keyctl",
)
_done: set[bool] = set()


def confine(*, to_the_machine: bool) -> None:
    """From now on this process starts no program; confined ``to_the_machine`` it makes no connection, either.

    What is refused fails with EACCES. Sockets of the machine itself (AF_UNIX) stay. Asked again it does nothing. Where
    it cannot be done that is said in the log: a box that reads images without it is better than none.
    """
    if to_the_machine in _done:
        return
    try:
        rules = _Filter()
        for name in _NOT_FOR_US:
            rules.refuse(name)
        if to_the_machine:
            rules.refuse("socket", _Comparison(0, _NOT_EQUAL, socket.AF_UNIX, 0))
        rules.load()
    except OSError as error:
        log.warning("process.not_confined", why=str(error), repair="install libseccomp2; see scanside check")
    else:
        _done.add(to_the_machine)


def missing() -> str | None:
    """Why processes cannot be confined here; None where they can."""
    try:
        _library()
    except OSError as error:
        return str(error)
    return None


class _Comparison(ctypes.Structure):
    """``struct scmp_arg_cmp``: of which argument of a call, how compared, with what."""

    _fields_ = (("argument", c_uint), ("operation", c_int), ("datum", c_uint64), ("unused", c_uint64))


_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EACCES
_ALL_THREADS: Final = 4  # SCMP_FLTATR_CTL_TSYNC
_NOT_EQUAL: Final = 1  # SCMP_CMP_NE


def _library() -> Any:
    """The system's libseccomp. Raises OSError."""
    found = ctypes.CDLL(_LIBRARY)
    found.seccomp_init.restype, found.seccomp_init.argtypes = c_void_p, [c_uint32]
    found.seccomp_attr_set.argtypes = [c_void_p, c_int, c_uint32]
    found.seccomp_syscall_resolve_name.argtypes = [c_char_p]
    found.seccomp_rule_add_array.argtypes = [c_void_p, c_uint32, c_int, c_uint, POINTER(_Comparison)]
    found.seccomp_load.argtypes = [c_void_p]
    return found


class _Filter:
    """Lets every call through but those that are refused. All of it raises OSError."""

    def __init__(self) -> None:
        self._calls = _library()
        self._filter = self._calls.seccomp_init(_ALLOW)
        _check(0 if self._filter else -errno.ENOMEM)
        _check(self._calls.seccomp_attr_set(self._filter, _ALL_THREADS, 1))

    def refuse(self, name: str, when: _Comparison | None = None) -> None:
        """A call by its name, always or where an argument is so."""
        number = self._calls.seccomp_syscall_resolve_name(name.encode())
        compared = (0, None) if when is None else (1, byref(when))
        _check(self._calls.seccomp_rule_add_array(self._filter, _REFUSE, number, *compared))

    def load(self) -> None:
        """From now on."""
        _check(self._calls.seccomp_load(self._filter))


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result))
