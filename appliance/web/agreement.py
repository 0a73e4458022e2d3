"""How often the full model in the cloud agrees with the box, for each pack and each scanner.

Only studies that were sent count, and these are the ones the box was unsure of: the share says how well its leaning
holds where it is weakest, not how often it is right.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from appliance.schema import Agreement, studies

#: The standard normal quantile of a two-sided interval of 95 %.
_Z = 1.959964
MOST_TALLIES = 20


@dataclass(frozen=True)
class Tally:
    """Studies that ``name`` (a pack with its version, or a scanner's AE title) has had sent to the cloud.

    ``undecided`` were answered without taking a side, ``from_features`` only
    from their features and not yet by the full model, ``unanswered`` not at all yet. ``low`` and ``high`` are the
    Wilson interval (95 %) of the share that agreed among those where both took a side; None where there is none.
    """

    name: str
    agreed: int
    disagreed: int
    undecided: int
    unanswered: int
    low: float | None
    high: float | None
    from_features: int = 0


@dataclass(frozen=True)
class AgreementView:
    """The same studies counted twice; ``studies_sent`` is how many there are.

    At most ``MOST_TALLIES`` of each kind are kept, those with most studies first: senders choose their AE titles.
    """

    studies_sent: int
    packs: tuple[Tally, ...]
    scanners: tuple[Tally, ...]


@dataclass(frozen=True)
class _Group:
    pack: str
    scanner: str
    standing: str
    number: int


def agreement_view(conn: Connection) -> AgreementView:
    """Count the studies that a pack of this box has read and that were sent to the cloud."""
    groups = _groups(conn)
    return AgreementView(
        studies_sent=sum(group.number for group in groups),
        packs=_tallies((group.pack, group) for group in groups),
        scanners=_tallies((group.scanner, group) for group in groups),
    )


def wilson(successes: int, trials: int, quantile: float = _Z) -> tuple[float, float] | None:
    """The score interval (Wilson 1927) of a share, within 0..1; None without trials.

    ``quantile`` of the standard normal gives its level, two-sided: 1.96 for 95 %.
    """
    if trials == 0:
        return None
    share, spread = successes / trials, quantile**2 / trials
    centre = share + spread / 2.0
    reach = math.sqrt(share * (1.0 - share) * spread + spread**2 / 4.0)
    return max((centre - reach) / (1.0 + spread), 0.0), min((centre + reach) / (1.0 + spread), 1.0)


def count_sent() -> Select[Any]:
    """The query: it reads the index of sent studies and nothing else, so the page may ask it every few seconds."""
    c = studies.c
    kinds = c.pack, c.pack_version, c.calling_ae_title, c.answer_decision.is_not(None), c.answer_basis, c.agreement
    return select(*kinds, func.count()).where(c.escalated.is_(True), c.pack.is_not(None)).group_by(*kinds)


def _groups(conn: Connection) -> list[_Group]:
    return [
        _Group(f"{pack} {version}", scanner, _standing(answered, basis, agreement), number)
        for pack, version, scanner, answered, basis, agreement, number in conn.execute(count_sent())
    ]


def _standing(answered: bool, basis: str | None, agreement: str | None) -> str:
    if basis == "features":
        return "from_features"
    return agreement or ("undecided" if answered else "unanswered")


def _tallies(named: Iterable[tuple[str, _Group]]) -> tuple[Tally, ...]:
    counts: dict[str, dict[str, int]] = {}
    for name, group in named:
        of_name = counts.setdefault(name, {})
        of_name[group.standing] = of_name.get(group.standing, 0) + group.number
    most_first = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    return tuple(_tally(name, counts[name]) for name in most_first[:MOST_TALLIES])


def _tally(name: str, standings: dict[str, int]) -> Tally:
    agreed, disagreed = standings.get(Agreement.AGREES, 0), standings.get(Agreement.DISAGREES, 0)
    low, high = wilson(agreed, agreed + disagreed) or (None, None)
    undecided, unanswered, from_features = (
        standings.get(kind, 0) for kind in ("undecided", "unanswered", "from_features")
    )
    return Tally(name, agreed, disagreed, undecided, unanswered, low, high, from_features)
