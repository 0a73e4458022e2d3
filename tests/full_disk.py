"""A disk that takes no more: the kernel refuses, for real, to write past a length of any file of this process."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

FILE_LIMIT_BYTES = 450_000  # more than the database's log, less than a 512 x 512 radiograph


@contextmanager
def no_file_may_grow(limit_bytes: int = FILE_LIMIT_BYTES) -> Iterator[None]:
    """The kernel refuses to write past ``limit_bytes`` of any file: a real error from a real write()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
