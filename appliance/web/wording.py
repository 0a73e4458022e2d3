"""How the page says things: ages, sizes, probabilities and DICOM values as words."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from models.reasons import EXPLANATIONS, Reason

#: What each level of free disk means, for a person.
ROOM_WORDS = {
    "plenty": "enough room",
    "low": "getting full",
    "no_bulk": "nearly full: what can wait has to wait",
    "full": "full: no image is taken in",
}

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400


def age_words(seconds: float) -> str:
    """A span of ``seconds`` in its two largest units: "under a minute", "4 min", "3 h 12 min", "5 days"."""
    whole = int(max(seconds, 0.0))
    if whole < _MINUTE_S:
        return "under a minute"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min"
    if whole < _DAY_S:
        hours, rest = divmod(whole, _HOUR_S)
        minutes = rest // _MINUTE_S
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days = whole // _DAY_S
    return "1 day" if days == 1 else f"{days} days"


def jump_words(seconds: float) -> str:
    """A span of ``seconds`` that matters even when it is short: "12 s", else as :func:`age_words`."""
    return f"{seconds:.0f} s" if seconds < _MINUTE_S else age_words(seconds)


def alone_words(recorded_days: int, alone_days: float | None) -> str:
    """How long the box can work without its links at today's load, as a sentence."""
    if recorded_days == 0:
        return "not known yet: one whole day of record is needed"
    if alone_days is None:
        return "no end in sight: nothing came in lately"
    return f"at today's load this box can work alone for {_span_words(alone_days)}"


def filling_words(recorded_days: int, full_in_days: float | None) -> str:
    """When the disk will be full if things go on as they did, retention included."""
    if recorded_days == 0:
        return "not known yet"
    return "not filling" if full_in_days is None else f"in {_span_words(full_in_days)}"


def _span_words(days: float) -> str:
    if days > 730:
        return "over two years"
    if days >= 2:
        return f"{int(days)} days"
    return f"{int(days * 24)} h"


def clock_words(at: float, now: float, zone: tzinfo | None = None) -> str:
    """The wall-clock time of ``at`` (epoch s): "14:03:20" on the day of ``now``, else with its date.

    ``zone`` None is the box's own time zone.
    """
    moment = datetime.fromtimestamp(at, UTC).astimezone(zone)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M")


def machine_time(at: float) -> str:
    """``at`` (epoch s) as HTML's ``datetime`` attribute wants it, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def percent_words(probability: float) -> str:
    """A probability 0..1 in whole percent; the ends are never rounded into certainty."""
    if not 0.0 <= probability <= 1.0:
        return "unknown"
    if probability < 0.01:
        return "under 1 %"
    if probability > 0.99:
        return "over 99 %"
    return f"{round(probability * 100)} %"


def size_words(size_bytes: float) -> str:
    """``size_bytes`` with a decimal prefix, as disks are labelled: "640 kB", "12.5 GB"."""
    for unit, step in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= step:
            amount = size_bytes / step
            return f"{amount:.0f} {unit}" if amount >= 100 else f"{amount:.1f} {unit}"
    return f"{int(size_bytes)} bytes"


def latency_words(latency_ms: float) -> str:
    """A duration: "3.1 ms", "240 ms", "1.8 s"."""
    if latency_ms >= 1000:
        return f"{latency_ms / 1000:.1f} s"
    return f"{latency_ms:.0f} ms" if latency_ms >= 100 else f"{latency_ms:.1f} ms"


def count_words(number: int, limit: int) -> str:
    """``number`` with thousands apart; "1,000 or more" when counting stopped at ``limit``."""
    return f"{limit:,} or more" if number >= limit else f"{number:,}"


def plain(code: str) -> str:
    """A snake_case code as a phrase: ``pleural_effusion`` → "Pleural effusion"."""
    words = code.replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def person_name(value: str) -> str:
    """A DICOM PN (PS3.5 6.2.1) for reading: the alphabetic group as "Family, Given Middle"."""
    alphabetic = value.split("=", 1)[0]
    family, *others = alphabetic.split("^")
    given = " ".join(part for part in others[:2] if part)
    return ", ".join(part for part in (family.strip(), given.strip()) if part)


def patient_age(value: str) -> str:
    """A DICOM AS (PS3.5 6.2) for reading: ``004Y`` → "4 years"; anything else as it came."""
    unit = {"Y": "year", "M": "month", "W": "week", "D": "day"}.get(value[-1:])
    if unit is None or not value[:-1].isdigit():
        return value
    number = int(value[:-1])
    return f"{number} {unit}" if number == 1 else f"{number} {unit}s"


def dicom_date(value: str) -> str:
    """A DICOM DA (PS3.5 6.2) for reading: ``20261121`` → "2026-11-21"; anything else as it came."""
    if len(value) == 8 and value.isdigit():
        return f"{value[:4]}-{value[4:6]}-{value[6:]}"
    return value


def reason_words(reason: str | None) -> str:
    """What a reason code means and what to do, as a sentence; an unknown code is shown as it is."""
    if not reason:
        return ""
    try:
        explanation = EXPLANATIONS[Reason(reason)]
    except ValueError:
        explanation = reason.replace("_", " ")
    return f"{explanation[:1].upper()}{explanation[1:]}."


def short_uid(uid: str) -> str:
    """The end of a UID, where UIDs differ."""
    return uid if len(uid) <= 14 else f"…{uid[-12:]}"
