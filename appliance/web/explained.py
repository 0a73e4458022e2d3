"""Why the box decided as it did, in plain words, with the bound that its pack has shown for such decisions."""

from __future__ import annotations

from typing import Any

from appliance.web.language import gettext as _
from appliance.web.wording import percent_words
from models.decision import Decision


def explained(row: Any) -> tuple[str, ...]:
    """Sentences about a row of ``studies``; none where no model has read it."""
    if row.decision is None or row.abnormality is None or row.routine_below is None or row.urgent_from is None:
        return ()
    return tuple(sentence for sentence in (_lines(row), _bound(row), _whose(row)) if sentence)


def _lines(row: Any) -> str:
    said = {
        "probability": percent_words(row.abnormality),
        "below": _percent(row.routine_below),
        "above": _percent(row.urgent_from),
    }
    if row.reason:
        return ""  # the reason says it
    if row.decision == Decision.routine.value:
        return (
            _(
                "Every image was read. The highest probability of something to act on is %(probability)s, "
                "below the line of %(below)s under which a study is routine."
            )
            % said
        )
    if row.decision == Decision.urgent.value:
        return (
            _(
                "The highest probability of something to act on is %(probability)s, "
                "at or above the line of %(above)s from which a study is urgent."
            )
            % said
        )
    return (
        _(
            "The highest probability of something to act on is %(probability)s. That lies between the lines "
            "(routine below %(below)s, urgent from %(above)s), so the box does not know and asks."
        )
        % said
    )


def _bound(row: Any) -> str:
    bound = row.bound or {}
    if not {"missed", "false_alarms", "confidence"} <= bound.keys() or row.lines_set_by:
        return ""
    said = {"confidence": _percent(bound["confidence"])}
    if row.decision == Decision.routine.value:
        return _(
            "Of 100 studies called routine by these lines, at most %(number)s are abnormal, at %(confidence)s "
            "confidence over the images its pack was calibrated with."
        ) % (said | {"number": _of_hundred(bound["missed"])})
    if row.decision == Decision.urgent.value:
        return _(
            "Of 100 studies called urgent by these lines, at most %(number)s have nothing to act on, at %(confidence)s "
            "confidence over the images its pack was calibrated with."
        ) % (said | {"number": _of_hundred(bound["false_alarms"])})
    return ""


def _whose(row: Any) -> str:
    if row.lines_set_by:
        return _("The lines were set by %(who)s; nothing has been shown about how often they are wrong.") % {
            "who": row.lines_set_by
        }
    return _("The lines are the pack's own.")


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"


def _of_hundred(share: float) -> str:
    return f"{share * 100:.3g}"
