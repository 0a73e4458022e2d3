"""Which packs settle fewer or more studies than their calibration promised, at which scanner."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection

from appliance.web.box import PackView
from appliance.web.language import gettext as _
from appliance.web.promise import WINDOW_DAYS, Drift, Promise, drift
from appliance.web.quality_counts import DAY_S, Week, pack_name, single_images
from appliance.web.wording import number_words, share_words


def promises(packs: Iterable[PackView]) -> dict[str, Promise]:
    """What the packs in use promise, by name and version."""
    return {pack_name(one.name, one.version): one.promise for one in packs if one.promise is not None}


def drifts(conn: Connection, packs: Iterable[PackView], now: float) -> list[tuple[Week, Drift]]:
    """The verdict on the last ``WINDOW_DAYS`` days of each pack at each scanner."""
    promised = promises(packs)
    weeks = single_images(conn, now - (WINDOW_DAYS - 1) * DAY_S, now)
    return [(one, drift(one.settled, one.studies, promised.get(one.pack))) for one in weeks]


def drift_words(conn: Connection, packs: tuple[PackView, ...], now: float) -> list[str]:
    """A sentence for every pack at a scanner that settles fewer than promised."""
    promised = promises(packs)
    said = _(
        "Coverage of %(pack)s at %(scanner)s has been below what calibration promised for %(days)s days: "
        "%(settled)s of %(number)s studies of one image were settled, at least %(least)s were to be expected."
    )
    below = [week for week, verdict in drifts(conn, packs, now) if verdict is Drift.BELOW]
    return [
        said
        % {
            "pack": one.pack,
            "scanner": one.scanner,
            "days": number_words(WINDOW_DAYS),
            "settled": number_words(one.settled),
            "number": number_words(one.studies),
            "least": share_words(promised[one.pack].least),
        }
        for one in below
    ]
