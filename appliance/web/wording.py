"""How the page says things: ages, sizes, probabilities and DICOM values as words."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from babel.numbers import format_decimal

from appliance.web.language import gettext as _
from appliance.web.language import later, locale, ngettext
from models.reasons import EXPLANATIONS, Reason

#: What each level of free disk means, for a person.
ROOM_WORDS = {
    "plenty": later("enough room"),
    "low": later("getting full"),
    "no_bulk": later("nearly full: what can wait has to wait"),
    "full": later("full: no image is taken in"),
}

_MINUTE_S = 60
_HOUR_S = 3600
_DAY_S = 86400
_SIZES = (
    (later("%(amount)s TB"), 1e12),
    (later("%(amount)s GB"), 1e9),
    (later("%(amount)s MB"), 1e6),
    (later("%(amount)s kB"), 1e3),
)


def number_words(number: float, places: int = 0) -> str:
    """A number as the reader writes it, thousands apart, with so many decimals."""
    return str(format_decimal(number, format=f"#,##0.{'0' * places}" if places else "#,##0", locale=locale()))


def age_words(seconds: float) -> str:
    """A span of ``seconds`` in its two largest units: "under a minute", "4 min", "3 h 12 min", "5 days"."""
    whole = int(max(seconds, 0.0))
    if whole < _MINUTE_S:
        return _("under a minute")
    if whole < _HOUR_S:
        return _("%(minutes)s min") % {"minutes": number_words(whole // _MINUTE_S)}
    if whole < _DAY_S:
        hours, rest = divmod(whole, _HOUR_S)
        minutes = rest // _MINUTE_S
        said = _("%(hours)s h %(minutes)s min") if minutes else _("%(hours)s h")
        return said % {"hours": number_words(hours), "minutes": number_words(minutes)}
    return _days_words(whole // _DAY_S)


def _days_words(days: int) -> str:
    return ngettext("%(number)s day", "%(number)s days", days) % {"number": number_words(days)}


def jump_words(seconds: float) -> str:
    """A span of ``seconds`` that matters even when it is short: "12 s", else as :func:`age_words`."""
    return f"{seconds:.0f} s" if seconds < _MINUTE_S else age_words(seconds)


def alone_words(recorded_days: int, alone_days: float | None) -> str:
    """How long the box can work without its links at today's load, as a sentence."""
    if recorded_days == 0:
        return _("not known yet: one whole day of record is needed")
    if alone_days is None:
        return _("no end in sight: nothing came in lately")
    return _("at today's load this box can work alone for %(span)s") % {"span": _span_words(alone_days)}


def filling_words(recorded_days: int, full_in_days: float | None) -> str:
    """When the disk will be full if things go on as they did, retention included."""
    if recorded_days == 0:
        return _("not known yet")
    return _("not filling") if full_in_days is None else _("in %(span)s") % {"span": _span_words(full_in_days)}


def _span_words(days: float) -> str:
    if days > 730:
        return _("over two years")
    if days >= 2:
        return _days_words(int(days))
    return _("%(hours)s h") % {"hours": number_words(int(days * 24))}


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
        return _("unknown")
    if probability < 0.01:
        return _("under %(number)s %%") % {"number": number_words(1)}
    if probability > 0.99:
        return _("over %(number)s %%") % {"number": number_words(99)}
    return share_words(probability)


def share_words(share: float) -> str:
    """A counted share 0..1 in whole percent; unlike a probability it may be none or all."""
    return _("%(number)s %%") % {"number": number_words(round(share * 100))}


def size_words(size_bytes: float) -> str:
    """``size_bytes`` with a decimal prefix, as disks are labelled: "640 kB", "12.5 GB"."""
    for unit, step in _SIZES:
        if size_bytes >= step:
            amount = size_bytes / step
            return _(unit) % {"amount": number_words(amount, 0 if amount >= 100 else 1)}
    whole = int(size_bytes)
    return ngettext("%(number)s byte", "%(number)s bytes", whole) % {"number": number_words(whole)}


def latency_words(latency_ms: float) -> str:
    """A duration: "3.1 ms", "240 ms", "1.8 s"."""
    if latency_ms >= 1000:
        return _("%(amount)s s") % {"amount": number_words(latency_ms / 1000, 1)}
    return _("%(amount)s ms") % {"amount": number_words(latency_ms, 0 if latency_ms >= 100 else 1)}


def count_words(number: int, limit: int) -> str:
    """``number`` with thousands apart; "1,000 or more" when counting stopped at ``limit``."""
    if number >= limit:
        return _("%(number)s or more") % {"number": number_words(limit)}
    return number_words(number)


def plain(code: str) -> str:
    """A snake_case code as a phrase in the reader's language: ``pleural_effusion`` → "Pleural effusion"."""
    return _(phrase(code)) if code else ""


def phrase(code: str) -> str:
    """The same in English, which is the message the catalogues have it under; an unknown code is shown like this."""
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
    if len(value) < 2 or not value[:-1].isdigit():
        return value
    number = int(value[:-1])
    match value[-1]:
        case "Y":
            said = ngettext("%(number)s year", "%(number)s years", number)
        case "M":
            said = ngettext("%(number)s month", "%(number)s months", number)
        case "W":
            said = ngettext("%(number)s week", "%(number)s weeks", number)
        case "D":
            said = ngettext("%(number)s day", "%(number)s days", number)
        case _other:
            return value
    return said % {"number": number_words(number)}


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
        return _(reason_sentence(EXPLANATIONS[Reason(reason)]))
    except ValueError:
        return reason_sentence(reason.replace("_", " "))


def reason_sentence(explanation: str) -> str:
    """An explanation as the message the catalogues have it under: with a capital and a full stop."""
    return f"{explanation[:1].upper()}{explanation[1:]}."


def short_uid(uid: str) -> str:
    """The end of a UID, where UIDs differ."""
    return uid if len(uid) <= 14 else f"…{uid[-12:]}"
