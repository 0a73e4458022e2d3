"""What the page and ``scanside status`` say first about the configuration the box runs with and its certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from appliance.certificates import CertificateState, certificate_words
from appliance.settings import Settings
from appliance.start.standing import STANDING, Standing, read_standing


def start_notices(
    settings: Settings, certificates: tuple[CertificateState, ...], now: float
) -> Iterator[tuple[str, str]]:
    """Severity and sentence of each."""
    yield from standing_notices(read_standing(settings.home / STANDING))
    yield from (words for state in certificates if (words := certificate_words(state, now)) is not None)


def standing_notices(standing: Standing) -> Iterator[tuple[str, str]]:
    """What is wrong with the file, what is not started, and that a changed file waits for a start."""
    if standing.refused:
        number = len(standing.refused)
        since = datetime.fromtimestamp(standing.since, UTC).strftime("%Y-%m-%d %H:%M UTC")
        wrong = f"The configuration {standing.file} cannot be used ({number} problem{'' if number == 1 else 's'})."
        yield "problem", f"{wrong} The box goes on with that in force since {since}; the set-up page says what to mend."
    for lack in standing.lacking:
        held = f" Not started: {', '.join(lack.holds)}." if lack.holds else ""
        yield "problem", f"{lack.key}: {lack.reason}.{held} {lack.repair[:1].upper()}{lack.repair[1:]}."
    if standing.changed_at is not None:
        yield "note", f"The configuration {standing.file} was changed since the start; start the box again to use it."
