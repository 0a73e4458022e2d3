"""What the rules of the configuration say: of one image by its header, and of the study by all of its images.

The rules are asked in their order. For each of the three things a rule can say (whether an image is read, where the
results go, how urgently) the first rule that matches and says something about it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydicom.dataset import Dataset
from sqlalchemy import Row

from appliance.rules.conditions import first_unmet, is_like
from appliance.settings import Rule
from models.reasons import Reason
from store_forward.outbox import DeliveryRequest

_URGENT, _BULK = 0, 3
_REASONS = {"exclude": Reason.excluded_by_rule, "phantom": Reason.phantom}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The rules that count for one image; None where no rule says anything."""

    triage: Rule | None = None
    send_to: Rule | None = None
    priority: Rule | None = None

    @property
    def reason(self) -> Reason | None:
        """Why the image is not to be read; None when it is."""
        return _REASONS.get(self.triage.triage or "") if self.triage is not None else None

    @property
    def words(self) -> str:
        """Which rule says whether the image is read."""
        return f"rule {self.triage.name}" if self.triage is not None else ""


#: No rule says anything: the image is read.
UNRULED = Verdict()


@dataclass(frozen=True, slots=True)
class Orders:
    """How the results of one study go out. ``send_to`` names the archives, None stands for all of them.

    ``withheld`` is true of a phantom: nobody is told, neither archive nor webhook.
    """

    send_to: tuple[str, ...] | None = None
    priority: Literal["urgent", "bulk"] | None = None
    withheld: bool = False

    def archives(self, configured: Iterable[str]) -> list[str]:
        """Those of the configured archives that get the results."""
        if self.withheld:
            return []
        return [name for name in configured if self.send_to is None or name in self.send_to]

    def urgency(self, priority: int) -> int:
        """The priority of a delivery under these orders.

        What the decision makes urgent stays so, and an image that follows its features as bulk stays bulk.
        """
        if self.priority is None or priority in (_URGENT, _BULK):
            return priority
        return _URGENT if self.priority == "urgent" else _BULK

    def given(self, requests: Iterable[DeliveryRequest]) -> list[DeliveryRequest]:
        """The same deliveries at the priority they have under these orders."""
        return [replace(request, priority=self.urgency(request.priority)) for request in requests]


#: No rule says anything: everything goes to everybody at its own priority.
NO_ORDERS = Orders()


def orders_of(study: Row[Any]) -> Orders:
    """The orders its last decision was made under, out of a row of ``studies``."""
    return Orders(None if study.send_to is None else tuple(study.send_to), study.send_priority)


def is_for(rule: Rule, sender: str) -> bool:
    """Whether a rule is for what this sender sends: a calling AE title, or what stands for one."""
    return not rule.senders or any(is_like(sender, one) for one in rule.senders)


def verdict_on(rules: Sequence[Rule], header: Dataset, sender: str) -> Verdict:
    """Ask the rules about one image."""
    matching = [rule for rule in rules if is_for(rule, sender) and first_unmet(rule.match, header) is None]
    return Verdict(
        triage=next((rule for rule in matching if rule.triage is not None), None),
        send_to=next((rule for rule in matching if rule.send_to is not None), None),
        priority=next((rule for rule in matching if rule.priority is not None), None),
    )


def orders_for(rules: Sequence[Rule], verdicts: Sequence[Verdict], reason: Reason | None) -> Orders:
    """The orders for a study: the first rule, in the order of the configuration, that counts for any of its images.

    Args:
        reason: that of the study's decision; with ``phantom`` nothing is sent.
    """
    to, priority = _first(rules, (v.send_to for v in verdicts)), _first(rules, (v.priority for v in verdicts))
    return Orders(
        send_to=to.send_to if to is not None else None,
        priority=priority.priority if priority is not None else None,
        withheld=reason is Reason.phantom,
    )


def in_words(rules: Sequence[Rule], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """For the history: each rule that counted, and what it did."""
    to, priority = _first(rules, (v.send_to for v in verdicts)), _first(rules, (v.priority for v in verdicts))
    for rule in rules:
        said = []
        if count := sum(verdict.triage is rule for verdict in verdicts):
            said.append(f"{rule.triage} ({count} of {len(verdicts)} instances)")
        if rule is to:
            said.append("send to " + (", ".join(rule.send_to or ()) or "no archive"))
        if rule is priority:
            said.append(f"priority {rule.priority}")
        if said:
            yield f"{rule.name}: {'; '.join(said)}"


def _first(rules: Sequence[Rule], counted: Iterable[Rule | None]) -> Rule | None:
    names = {rule.name for rule in counted if rule is not None}
    return next((rule for rule in rules if rule.name in names), None)
