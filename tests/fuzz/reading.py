"""One process that reads spoiled files as receiver and triage worker would; its parent sees whether it lives.

``python -m tests.fuzz.reading FIRST LAST`` writes the number of each file before it touches it. It ends with status 0
after the last, with 3 and the traceback when something came out that is no named reason, and by a signal when one file
takes more processor time than :data:`MOST_S`.
"""

from __future__ import annotations

import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from appliance.errors import CannotUnderstand
from appliance.ingest.header import read_header
from models.errors import CannotTriage
from models.frames import checked
from models.image_facts import facts_of
from models.pixel_limits import PixelLimits
from models.pixels import grey_frame, has_pixels, open_dicom
from models.tolerant_reading import quietly
from tests.fuzz.mutations import mutated
from tests.fuzz.seeds import seeds

#: Processor time of one file, s: on a busy machine a wall clock would accuse the wrong one.
MOST_S = 5.0
#: As ``limits.worker_memory_bytes``, but smaller, so that going over it happens.
MOST_MEMORY_BYTES = 3 << 30
LIMITS = PixelLimits(max_pixels=4_000_000, max_decoded_bytes=1 << 26)
_MOST_FRAMES = 4


def read(path: Path) -> str:
    """Everything the box reads of a file, to the pixels; returns what became of it."""
    try:
        with quietly():
            read_header(path)
    except CannotUnderstand:
        pass  # the watched folder and `scanside triage` read it all the same
    try:
        dataset = open_dicom(path, max_inflated_bytes=LIMITS.max_decoded_bytes)
        facts_of(dataset)
        if not has_pixels(dataset):
            return "no_pixel_data"
        for index in range(min(checked(dataset, LIMITS).number_of_frames, _MOST_FRAMES)):
            grey_frame(dataset, index, LIMITS)
    except CannotTriage as refused:
        return refused.reason.value
    return "read"


def main(first: int, last: int) -> None:
    """Read the files ``first`` to ``last`` - 1; see the head of this file."""
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    good = seeds()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, MOST_MEMORY_BYTES))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "spoiled"
        for number in range(first, last):
            path.write_bytes(mutated(good, number))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()
            signal.setitimer(signal.ITIMER_PROF, MOST_S)
            sys.stdout.write(f"{read(path)}\n")
    signal.setitimer(signal.ITIMER_PROF, 0.0)
    sys.stdout.write(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}\n")


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except Exception:  # noqa: BLE001 - the outermost loop: what came out is what is looked for
        traceback.print_exc()
        sys.exit(3)
