"""The DICOM objects that a decision or an answer becomes, made durable, and which archive gets which of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset

from appliance.results.amended_picture import build_amended_picture
from appliance.results.key_objects import build_key_objects
from appliance.results.outcome import StudyOutcome
from appliance.results.parametric_map import build_map, can_be_mapped
from appliance.results.picture import build_picture
from appliance.results.reference import can_be_referenced, is_image
from appliance.results.report import build_report
from appliance.settings import ResultKind
from appliance.triage.deliveries import Subject, result
from models.decision import Decision
from models.errors import CannotTriage
from models.pixels import open_dicom
from store_forward.outbox import DeliveryRequest
from store_forward.room import Room
from store_forward.spool import Spool

NO_HEADERS = "no report: no instance can be opened any more; run scanside check"
NO_ROOM = "no picture for the archive: the disk has no room for what can be done without"
NO_PICTURE = "no amended picture: the first one is missing or damaged; run scanside check"
NO_PLACE = "no parametric map: the image's header does not say how it lies"


@dataclass(frozen=True)
class Shown:
    """The image that decided, as people see it: ``(rows, columns)`` pixels, and the heat map if one may be drawn."""

    header: Dataset
    pixels: NDArray[np.float32]
    heat_map: NDArray[np.float32] | None


@dataclass(frozen=True)
class Made:
    """What will be sent, and why some of it will not."""

    deliveries: tuple[DeliveryRequest, ...] = ()
    notes: tuple[str, ...] = ()


class DocumentMaker:
    """Makes what at least one archive wants, and nothing else. ``archives`` says which kinds each gets, by its name."""

    def __init__(self, archives: Mapping[str, Sequence[ResultKind]], spool: Spool) -> None:
        self._archives = archives
        self._spool = spool

    def decided(self, paths: Sequence[Path], outcome: StudyOutcome, shown: Shown | None) -> Made:
        """What a decision becomes.

        ``paths`` are the instances that the report names, ``shown`` the image that decided, when a model read it.
        """
        if not outcome.orders.archives(self._archives):
            return Made()
        headers = _headers(paths)
        if not headers:
            return Made(notes=(NO_HEADERS,))
        sent = self._documents(headers, outcome, "report")
        if shown is None or not (self._takers("picture", outcome) or self._takers("parametric_map", outcome)):
            return Made(tuple(sent))
        pictures, notes = self._pictures(shown, outcome)
        return Made((*sent, *pictures), tuple(notes))

    def amended(self, paths: Sequence[Path], outcome: StudyOutcome, picture: str | None = None) -> Made:
        """What the cloud's answer becomes: the report once more, with the answer in it.

        ``picture`` is the digest of the one that was made of the decision; the full model's answer is written below it.
        """
        if not outcome.orders.archives(self._archives):
            return Made()
        headers = _headers(paths)
        if not headers:
            return Made(notes=(NO_HEADERS,))
        assert outcome.answer is not None
        from_features = outcome.answer.basis == "features"
        images = [str(one.SOPInstanceUID) for one in headers if is_image(one)]
        if outcome.answer.decision is Decision.urgent and len(images) == 1 and not from_features:
            outcome = replace(outcome, urgent_images=tuple(images))  # of several it does not say which
        kind = "features_report" if from_features else "amended_report"
        sent = self._documents(headers, outcome, kind)
        if picture is None or from_features or not (takers := self._takers("picture", outcome)):
            return Made(tuple(sent))
        if self._spool.room() >= Room.NO_BULK:
            return Made(tuple(sent), (NO_ROOM,))
        if not self._spool.verify(picture):
            return Made(tuple(sent), (NO_PICTURE,))
        with self._spool.file(picture).open("rb") as file:
            amended = build_amended_picture(dcmread(file), outcome)
        return Made((*sent, *self._send("amended_picture", takers, amended, outcome)))

    def _documents(self, headers: Sequence[Dataset], outcome: StudyOutcome, kind: str) -> list[DeliveryRequest]:
        sent = []
        if takers := self._takers("report", outcome):
            sent += self._send(kind, takers, build_report(headers, outcome), outcome)
        urgent = any(str(one.SOPInstanceUID) in outcome.urgent_images for one in headers)
        if urgent and (takers := self._takers("key_objects", outcome)):
            sent += self._send("key_objects", takers, build_key_objects(headers, outcome), outcome)
        return sent

    def _pictures(self, shown: Shown, outcome: StudyOutcome) -> tuple[list[DeliveryRequest], list[str]]:
        """What can be done without when the disk is nearly full."""
        if self._spool.room() >= Room.NO_BULK:
            return [], [NO_ROOM]
        sent, notes = [], []
        if takers := self._takers("picture", outcome):
            made = build_picture(shown.header, shown.pixels, shown.heat_map, outcome)
            sent += self._send("picture", takers, made, outcome)
        if shown.heat_map is not None and (takers := self._takers("parametric_map", outcome)):
            if can_be_mapped(shown.header):
                made = build_map(shown.header, shown.heat_map, outcome)
                sent += self._send("parametric_map", takers, made, outcome)
            else:
                notes.append(NO_PLACE)
        return sent, notes

    def _takers(self, what: ResultKind, outcome: StudyOutcome) -> list[str]:
        return outcome.orders.archives(name for name, kinds in self._archives.items() if what in kinds)

    def _send(self, kind: str, takers: Sequence[str], file: bytes, outcome: StudyOutcome) -> list[DeliveryRequest]:
        stored, subject = self._spool.keep_bytes(file), subject_of(outcome)
        return [result(subject, kind, name, stored) for name in takers]


def subject_of(outcome: StudyOutcome) -> Subject:
    """What its deliveries are about: as urgent as the box or the full model says."""
    said = (outcome.decision, outcome.answer.decision if outcome.answer else None)
    decision = Decision.urgent if Decision.urgent in said else outcome.decision
    return Subject(outcome.study_instance_uid, outcome.revision, decision, outcome.abnormality)


def _headers(paths: Sequence[Path]) -> list[Dataset]:
    headers = []
    for path in paths:
        try:
            headers.append(open_dicom(path, with_pixels=False))
        except CannotTriage:
            continue  # its result says so already; the report names what could be read
    return [header for header in headers if can_be_referenced(header)]
