"""What the events of a study's history are called on the page."""

from __future__ import annotations

from typing import Final

from appliance.web.language import gettext, later

EVENT_WORDS: Final = {
    "receiving": later("Receiving"),
    "reopened": later("Reopened"),
    "procedure_step": later("Procedure step"),
    "complete": later("Complete"),
    "triaging": later("Being read"),
    "interrupted": later("Interrupted"),
    "ruled": later("A rule counted"),
    "decided": later("Decided"),
    "not_sent": later("Not sent"),
    "answered": later("Answered"),
    "image_asked_for": later("Image asked for"),
    "settled": later("Settled"),
    "deleting": later("Deleting"),
    "deleted": later("Deleted"),
    "erased": later("Erased"),
    "quarantined": later("Quarantined"),
    "mended": later("Mended"),
    "read_again": later("Read again"),
    "labelled": later("Labelled"),
    "rerun": later("Reading again asked for"),
    "escalated_by_person": later("Escalated by a person"),
    "sent_again": later("Sent again"),
    "exported": later("Exported"),
    "arrived_again": later("Arrived again"),
}


def event_words(kind: str) -> str:
    """One event; a kind that is not known here is shown as it is."""
    return gettext(EVENT_WORDS[kind]) if kind in EVENT_WORDS else kind.replace("_", " ")
