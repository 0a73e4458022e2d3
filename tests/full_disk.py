"""A disk that takes no more: the kernel refuses, for real, to write past a length of any file of this process."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from pydicom.dataset import Dataset

from tests.dicom_factory import chest_radiograph

FILE_LIMIT_BYTES = 750_000  # more than the database's log, less than a large radiograph


def large_radiograph() -> Dataset:
    """One of 800,000 bytes and more, which reaches the limit before its end."""
    return chest_radiograph(pixels=np.zeros((640, 640), np.uint16))


@contextmanager
def no_file_may_grow(limit_bytes: int = FILE_LIMIT_BYTES) -> Iterator[None]:
    """The kernel refuses to write past ``limit_bytes`` of any file: a real error from a real write()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
