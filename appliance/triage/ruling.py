"""The site's rules asked once about a claimed study, before its pixels are touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from appliance.rules.verdict import UNRULED, Orders, Verdict, in_words, orders_for, verdict_on
from appliance.settings import Settings
from appliance.triage.outcome_rows import Prepared
from appliance.triage.queue import Claim
from models.errors import CannotTriage
from models.pixels import open_dicom
from models.reasons import Reason


class Ruling:
    """What the rules say of the files of one claim; ``verdicts`` is one for each, in their order."""

    def __init__(self, settings: Settings, paths: Sequence[Path], claim: Claim) -> None:
        """Raises OSError: the disk failed, which says nothing of the file; the attempt fails."""
        self._rules = settings.rule
        self._most_bytes = settings.limits.max_decoded_bytes
        self._claim = claim
        self.verdicts = [self._verdict_on(*one) for one in zip(paths, claim.senders, strict=False)]

    def _verdict_on(self, path: Path, sender: str) -> Verdict:
        if not self._rules:
            return UNRULED
        try:
            header = open_dicom(path, with_pixels=False, max_inflated_bytes=self._most_bytes)
        except CannotTriage:
            return UNRULED  # its result will say so
        return verdict_on(self._rules, header, sender)

    def orders(self, reason: Reason | None) -> Orders:
        """The orders under which a decision with this reason goes out."""
        return orders_for(self._rules, self.verdicts, reason)

    def written_into(self, prepared: Prepared) -> Prepared:
        """The same, with the words for the history and the instances that were left out."""
        uids = [uid for uid, _ in self._claim.instances]
        left_out = {
            uid: verdict.triage.name
            for uid, verdict in zip(uids, self.verdicts, strict=False)
            if verdict.reason is not None and verdict.triage is not None
        }
        return replace(prepared, ruled=tuple(in_words(self._rules, self.verdicts)), left_out_by=left_out)
