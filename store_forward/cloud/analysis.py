"""Case after case through the full model. Everything a box sent is decoded here and nowhere else in the cloud.

The attempt is counted before the work, so a payload that kills this process is answered ``not_triaged`` after a few
tries instead of killing it for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from sqlalchemy import Engine

from models.decision import Decision, ImageResult, StudyDecision, decide_study
from models.errors import CannotTriage
from models.reasons import Reason
from models.triage import Triage
from store_forward.cloud import cases
from store_forward.cloud.heads import Heads, read_features
from store_forward.cloud.payload import PayloadLimits, instances
from store_forward.cloud.settings import CloudSettings
from store_forward.database import reading, writing
from store_forward.errors import ObjectDamaged
from store_forward.features import FEATURES_TYPE
from store_forward.protocol import AnswerFinding, Verdict
from store_forward.spool import Spool


class Analysis:
    """Takes stored cases by priority and answers them; the only one at work on its home folder."""

    def __init__(
        self, settings: CloudSettings, engine: Engine, spool: Spool, triage: Triage, heads: Heads | None = None
    ) -> None:
        """Put back what an earlier analysis left unfinished; its attempts stay counted."""
        self._settings = settings
        self._engine = engine
        self._spool = spool
        self._triage, self._heads = triage, heads or Heads()
        self._limits = PayloadLimits(settings.max_instances, settings.max_unpacked_bytes)
        self.put_back()

    def read_with(self, triage: Triage, heads: Heads) -> None:
        """Read every case from here on with these packs."""
        self._triage, self._heads = triage, heads

    def put_back(self) -> int:
        """Make cases that are under analysis wait again; returns how many."""
        with writing(self._engine) as connection:
            return cases.reclaim(connection)

    def step(self, now: float) -> bool:
        """Answer the next case; False when there is none.

        Raises what went wrong otherwise; the case is then still under analysis, until ``put_back``.
        """
        with reading(self._engine) as connection:
            if not cases.any_stored(connection):
                return False
        with writing(self._engine) as connection:
            case = cases.lease(connection)
        if case is None:
            return False
        verdict = _given_up(case) if case.attempts > self._settings.analysis_attempts else self._read(case)
        with writing(self._engine) as connection:
            cases.answer(connection, case, verdict, now)
        return True

    def _read(self, case: cases.Case) -> Verdict:
        if not self._spool.verify(case.digest):
            raise ObjectDamaged(f"case {case.digest[:12]} is missing from the spool or damaged there")
        if case.content_type == FEATURES_TYPE:
            results = read_features(self._spool.path(case.digest), self._heads, self._settings.max_instances)
            return results if isinstance(results, Verdict) else verdict_on(results, "features")
        with TemporaryDirectory(dir=self._settings.home, prefix="analysis-") as folder:
            return read_payload(self._spool.path(case.digest), self._triage, Path(folder), self._limits)


def read_payload(archive: Path, triage: Triage, folder: Path, limits: PayloadLimits) -> Verdict:
    """What the full model says about one payload: a zip of instances that are one study. ``folder`` is for scratch."""
    results = []
    try:
        for instance in instances(archive, folder, limits):
            results.append(replace(triage.image(instance), heat_map=None))
    except CannotTriage as refused:
        return Verdict(decision="not_triaged", reason=refused.reason.value, detail=refused.detail[:1000])
    return verdict_on(results, "image")


def verdict_on(results: Sequence[ImageResult], basis: Literal["image", "features"]) -> Verdict:
    """What the pictures of a study say together."""
    decision = decide_study(results)
    shown = _shown(decision, results)
    pack = shown.pack if shown is not None else None
    return Verdict(
        decision=decision.decision.value,
        reason=decision.reason.value if decision.reason is not None else None,
        detail=decision.detail[:1000],
        findings=[AnswerFinding(name=each.name, probability=each.probability) for each in shown.findings]
        if shown is not None
        else [],
        pack=pack.name if pack is not None else None,
        pack_version=pack.version if pack is not None else None,
        pack_digest=pack.digest if pack is not None else None,
        device=shown.device if shown is not None else None,
        basis=basis,
    )


def _shown(decision: StudyDecision, results: Sequence[ImageResult]) -> ImageResult | None:
    """The image whose findings go with the answer: the one that decided, or else the most suspicious one read."""
    if decision.index is not None and results[decision.index].findings:
        return results[decision.index]
    read = [result for result in results if result.findings]
    return max(read, key=lambda result: result.abnormality or 0.0, default=None)


def _given_up(case: cases.Case) -> Verdict:
    detail = f"the analysis ended without an answer {case.attempts - 1} times"
    return Verdict(decision=Decision.not_triaged.value, reason=Reason.worker_gave_up.value, detail=detail)
