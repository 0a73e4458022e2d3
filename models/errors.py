"""Everything the models raise; the class says who reacts."""

from __future__ import annotations

from models.reasons import Reason


class CannotTriage(Exception):
    """No statement about this image is possible: it becomes ``not_triaged`` with ``reason``, never a score.

    ``detail`` is for the log and the status page and never holds a value that could name a patient.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason
        self.detail = detail


class PackRejected(Exception):
    """A model pack must not be used as it lies there; the one in use stays. ``repair`` says what to do."""

    def __init__(self, pack: str, why: str, repair: str) -> None:
        super().__init__(f"model pack {pack}: {why}. {repair}")
        self.pack = pack
        self.why = why
        self.repair = repair
