"""Which rule counts for an image, and which for its study."""

from __future__ import annotations

from typing import Any

from appliance.rules.verdict import NO_ORDERS, Orders, in_words, orders_for, verdict_on
from appliance.settings import Settings
from models.reasons import Reason
from tests.dicom_factory import chest_radiograph

ARCHIVES = [{"name": name, "host": "127.0.0.1", "port": 104, "ae_title": name.upper()} for name in ("main", "er")]


def settings(*rules: dict[str, Any]) -> Settings:
    """A configuration with two archives and these rules."""
    return Settings.model_validate({"pacs": ARCHIVES, "rule": rules})


def test_for_each_question_the_first_rule_that_answers_it_counts() -> None:
    """A rule that matches and says nothing of a question leaves it to the next."""
    rules = settings(
        {"name": "er", "match": {"Modality": "DX"}, "priority": "urgent"},
        {"name": "ct", "match": {"Modality": "CT"}, "triage": "exclude"},
        {"name": "chest", "match": {"BodyPartExamined": "CHEST"}, "triage": "include", "send_to": ["er"]},
        {"name": "rest", "match": {"SOPInstanceUID": "*"}, "triage": "exclude", "priority": "bulk", "send_to": []},
    ).rule
    verdict = verdict_on(rules, chest_radiograph(), "CT1")
    assert (verdict.triage, verdict.send_to, verdict.priority) == (rules[2], rules[2], rules[0])
    assert verdict.reason is None
    hand = verdict_on(rules, chest_radiograph(BodyPartExamined="HAND"), "CT1")
    assert (hand.reason, hand.words) == (Reason.excluded_by_rule, "rule rest")


def test_a_study_goes_where_the_first_rule_of_any_image_says() -> None:
    """The order of the rules decides, not that of the images."""
    rules = settings(
        {"name": "a", "match": {"PatientID": "P-1"}, "send_to": ["er"]},
        {"name": "b", "match": {"PatientID": "P-*"}, "send_to": ["main"], "priority": "bulk"},
    ).rule
    verdicts = [verdict_on(rules, chest_radiograph(seed=seed), "CT1") for seed in ("0", "1")]
    assert orders_for(rules, verdicts, None) == Orders(("er",), "bulk")
    assert list(in_words(rules, verdicts)) == ["a: send to er", "b: priority bulk"]


def test_without_rules_everything_goes_everywhere() -> None:
    """The same orders as ever."""
    assert orders_for((), [verdict_on((), chest_radiograph(), "CT1")], None) == NO_ORDERS
    assert NO_ORDERS.archives(["main", "er"]) == ["main", "er"]
    assert [NO_ORDERS.urgency(priority) for priority in range(4)] == [0, 1, 2, 3]


def test_no_rule_makes_an_urgent_study_wait() -> None:
    """Bulk is for the others."""
    assert [Orders(priority="bulk").urgency(priority) for priority in range(4)] == [0, 3, 3, 3]


def test_an_urgent_rule_lets_bulk_be_bulk() -> None:
    """An image that follows its features over a thin link keeps its place behind them."""
    assert [Orders(priority="urgent").urgency(priority) for priority in range(4)] == [0, 0, 0, 3]


def test_a_rule_may_be_for_some_senders_only() -> None:
    """By their calling AE titles, with wild cards; what else it asks has to hold as well."""
    rules = settings(
        {"name": "er", "senders": ["ER*", "MEDIA"], "priority": "urgent"},
        {"name": "ct", "senders": ["CT?"], "match": {"Modality": "DX"}, "triage": "exclude"},
    ).rule
    image = chest_radiograph()
    counted = {sender: verdict_on(rules, image, sender) for sender in ("ER1", "er2", "MEDIA", "CT1", "CT10", "")}
    assert [sender for sender, one in counted.items() if one.priority] == ["ER1", "er2", "MEDIA"]
    assert [sender for sender, one in counted.items() if one.triage] == ["CT1"]
    assert verdict_on(rules, chest_radiograph(Modality="CR"), "CT1").triage is None
