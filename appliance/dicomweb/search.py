"""QIDO-RS: the database narrows down, the attributes decide (PS3.18 10.6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import anyio.to_thread
from sqlalchemy import ColumnElement, Engine, Row, Select, select

from appliance.dicomweb.attributes import DicomJson, Level, element
from appliance.dicomweb.headers_held import HeaderKey, HeadersHeld
from appliance.dicomweb.held import GONE
from appliance.dicomweb.query import Key, Query
from appliance.schema import instances, studies
from store_forward.database import reading
from store_forward.spool import Spool

_STUDIES_AT_ONCE: Final = {Level.STUDY: 100, Level.SERIES: 10, Level.INSTANCE: 1}
_OBJECTS_AT_ONCE: Final = 64
_COLUMNS: Final = {"00100020": studies.c.patient_id, "00080050": studies.c.accession_number}


@dataclass(frozen=True)
class Found:
    """The objects asked for, and whether there are more than the limit let through."""

    objects: tuple[DicomJson, ...]
    more: bool


@dataclass(frozen=True)
class _Candidate:
    """An object that may match: a study, a series or an instance, by the instances it has."""

    study: Row[Any]
    rows: tuple[Row[Any], ...]

    @property
    def key(self) -> HeaderKey:
        first = self.rows[0]
        return HeaderKey(first.sop_instance_uid, first.study_instance_uid, first.file_digest)


class Search:
    """One search; ``uids`` are those that the path names, ``root`` the address of all this with a closing slash."""

    def __init__(
        self, engine: Engine, spool: Spool, headers: HeadersHeld, query: Query, uids: dict[str, str], root: str
    ) -> None:
        self._engine, self._spool, self._headers = engine, spool, headers
        self._query, self._uids, self._root = query, uids, root

    async def run(self) -> Found:
        """Answer it. Raises HTTPException 503: see HeadersHeld."""
        found: list[DicomJson] = []
        wanted, passed = self._query.limit, 0
        after = 0
        while page := await anyio.to_thread.run_sync(self._studies, after):
            after += len(page)
            candidates = await anyio.to_thread.run_sync(self._candidates, page)
            for start in range(0, len(candidates), _OBJECTS_AT_ONCE):
                for attributes in await self._attributes(candidates[start : start + _OBJECTS_AT_ONCE]):
                    if not self._query.fits(attributes):
                        continue
                    passed += 1
                    if passed > self._query.offset + wanted:
                        return Found(tuple(found), more=True)
                    if passed > self._query.offset:
                        found.append({key: attributes[key] for key in sorted(attributes) if key in self._query.fields})
        return Found(tuple(found), more=False)

    def _studies(self, after: int) -> list[Row[Any]]:
        query = select(studies).where(studies.c.study_instance_uid.not_in(GONE))
        for condition in self._conditions():
            query = query.where(condition)
        order = query.order_by(studies.c.last_received_at.desc(), studies.c.study_instance_uid)
        with reading(self._engine) as connection:
            return list(connection.execute(order.offset(after).limit(_STUDIES_AT_ONCE[self._query.level])))

    def _conditions(self) -> Iterator[ColumnElement[bool]]:
        """What the studies' own columns can say for certain; all else is for the attributes."""
        if "study" in self._uids:
            yield studies.c.study_instance_uid == self._uids["study"]
        if key := self._query.value("0020000D"):
            yield studies.c.study_instance_uid.in_(key.listed)
        if key := self._query.value("00080020"):
            yield from _date_conditions(key)
        for tag, column in _COLUMNS.items():
            if (key := self._query.value(tag)) and not key.is_wild and key.value.isprintable() and len(key.value) <= 16:
                yield column == key.value
        for tag, instance_column in (("0020000E", instances.c.series_instance_uid), ("00080018", _INSTANCE)):
            if key := self._query.value(tag):
                yield studies.c.study_instance_uid.in_(_studies_with(instance_column, key))

    def _candidates(self, page: list[Row[Any]]) -> list[_Candidate]:
        c = instances.c
        query = select(instances).where(c.study_instance_uid.in_([study.study_instance_uid for study in page]))
        if "series" in self._uids:
            query = query.where(c.series_instance_uid == self._uids["series"])
        rows = self._rows(query.order_by(c.study_instance_uid, c.series_instance_uid, c.received_at, _INSTANCE))
        groups: dict[tuple[str, ...], list[Row[Any]]] = {}
        for row in rows:
            names: tuple[str, ...] = (row.study_instance_uid, row.series_instance_uid, row.sop_instance_uid)
            groups.setdefault(names[: self._query.level + 1], []).append(row)
        by_uid: dict[str, list[_Candidate]] = {}
        of_uid = {study.study_instance_uid: study for study in page}
        for names, group in groups.items():
            by_uid.setdefault(names[0], []).append(_Candidate(of_uid[names[0]], tuple(group)))
        return [one for study in page for one in by_uid.get(study.study_instance_uid, [])]

    def _rows(self, query: Select[Any]) -> list[Row[Any]]:
        with reading(self._engine) as connection:
            return list(connection.execute(query))

    async def _attributes(self, candidates: list[_Candidate]) -> list[DicomJson]:
        headers = await self._headers.of([one.key for one in candidates])
        counts = await anyio.to_thread.run_sync(self._counts, candidates)
        return [
            {**_from_row(one.study), **headers.get(one.key.sop_instance_uid, {}), **_uids_of(one), **counted}
            for one, counted in zip(candidates, counts, strict=True)
        ]

    def _counts(self, candidates: list[_Candidate]) -> list[DicomJson]:
        return [self._counted(one) for one in candidates]

    def _counted(self, one: _Candidate) -> DicomJson:
        rows, first = one.rows, one.rows[0]
        study = f"{self._root}studies/{first.study_instance_uid}"
        modalities = [name for name in one.study.modalities.split("\\") if name]
        counted = element("ModalitiesInStudy", *modalities)
        if self._query.level is Level.STUDY:
            return {
                **counted,
                **element("SOPClassesInStudy", *sorted({row.sop_class_uid for row in rows})),
                **element("NumberOfStudyRelatedSeries", len({row.series_instance_uid for row in rows})),
                **element("NumberOfStudyRelatedInstances", len(rows)),
                **element("InstanceAvailability", "ONLINE"),
                **element("RetrieveURL", study),
            }
        series = f"{study}/series/{first.series_instance_uid}"
        if self._query.level is Level.SERIES:
            number = element("NumberOfSeriesRelatedInstances", len(rows))
            return {**counted, **number, **element("RetrieveURL", series)}
        held = self._spool.holds(first.file_digest)
        return {
            **counted,
            **element("InstanceAvailability", "ONLINE" if held else "UNAVAILABLE"),
            **element("AvailableTransferSyntaxUID", first.transfer_syntax_uid),
            **element("RetrieveURL", f"{series}/instances/{first.sop_instance_uid}"),
        }


_INSTANCE: Final = instances.c.sop_instance_uid


def _date_conditions(key: Key) -> Iterator[ColumnElement[bool]]:
    first, last = key.bounds or (key.value, key.value)
    if first:
        yield studies.c.study_date >= first
    if last:
        yield studies.c.study_date <= last


def _studies_with(column: ColumnElement[str], key: Key) -> Select[tuple[str]]:
    return select(instances.c.study_instance_uid).where(column.in_(key.listed))


def _uids_of(one: _Candidate) -> DicomJson:
    """As they were filed, even if the file cannot be read now. What is not of this level is not asked for."""
    first = one.rows[0]
    return {
        **element("StudyInstanceUID", first.study_instance_uid),
        **element("SeriesInstanceUID", first.series_instance_uid),
        **element("SOPInstanceUID", first.sop_instance_uid),
        **element("SOPClassUID", first.sop_class_uid),
    }


def _from_row(study: Row[Any]) -> DicomJson:
    """What the study's row says, for an instance whose file cannot be read."""
    texts = {
        "StudyDate": study.study_date,
        "AccessionNumber": study.accession_number,
        "PatientID": study.patient_id,
        "StudyDescription": study.study_description,
    }
    made: DicomJson = {}
    for keyword, text in texts.items():
        made |= element(keyword, text) if text else element(keyword)
    name = element("PatientName", {"Alphabetic": study.patient_name}) if study.patient_name else element("PatientName")
    return made | name
