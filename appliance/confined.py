"""What a process that reads strangers' bytes may no longer do, so that a flaw in a decoder stays in its process.

The kernel's filter of system calls (seccomp) is set once, for every thread and for whatever the process starts; nothing
takes it back. Files, memory and processor time are for the limits of the process and for the service manager's unit.
"""

from __future__ import annotations

import errno
import socket
from typing import Final

import structlog

try:
    import pyseccomp

    MISSING: str | None = None
except (RuntimeError, OSError) as _error:  # it looks for the system's library when it is imported
    MISSING = str(_error)
"""Why processes cannot be confined here; None where they can."""

log = structlog.get_logger()
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
    """From now on this process starts no program; confined ``to_the_machine`` it makes no connection, too.

    Sockets of the machine itself (AF_UNIX) stay. Asked again it does nothing. Where it cannot be done that is said in
    the log: a box that reads images without it is better than none.
    """
    if to_the_machine in _done:
        return
    if MISSING is not None:
        log.warning("process.not_confined", why=MISSING, repair="install libseccomp2; see scanside check")
        return
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    rules.set_attr(pyseccomp.Attr.CTL_TSYNC, 1)
    refused = pyseccomp.ERRNO(errno.EACCES)
    for name in _NOT_FOR_US:
        rules.add_rule(refused, name)
    if to_the_machine:
        rules.add_rule(refused, "socket", pyseccomp.Arg(0, pyseccomp.NE, socket.AF_UNIX))
    try:
        rules.load()
    except OSError as error:
        log.warning("process.not_confined", why=str(error), repair="allow seccomp where this runs")
        return
    _done.add(to_the_machine)
