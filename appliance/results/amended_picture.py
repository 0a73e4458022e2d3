"""The picture once more, with what the full model has answered in a band below what was said before."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from appliance.results.bands import YELLOW, with_words_below
from appliance.results.outcome import StudyOutcome
from appliance.results.picture import picture_uid
from appliance.results.reference import as_file, local_time
from appliance.schema import Agreement

_VERDICTS = {
    Agreement.AGREES: ", as the box leaned",
    Agreement.DISAGREES: ", against what the box leaned to: a person has to look",
    None: "",
}


def build_amended_picture(first: Dataset, outcome: StudyOutcome) -> bytes:
    """The Part 10 file of a secondary capture that follows the first; same arguments, same bytes.

    Args:
        first: the picture that was made of the decision, with its pixels.
        outcome: the decision and the answer to it.

    Raises ValueError when ``outcome`` has no answer.
    """
    answer = outcome.answer
    if answer is None:
        raise ValueError("without an answer there is nothing to amend")
    said = answer.decision.value.replace("_", " ").upper()
    words = f"AMENDED. {answer.speaker}: {said}{_VERDICTS[answer.agreement]}"
    rgb = with_words_below(np.asarray(first.pixel_array, np.uint8), [(words, YELLOW)])
    moment = local_time(outcome.recorded_at, first)
    capture = deepcopy(first)
    capture.SOPInstanceUID = picture_uid(outcome)
    capture.file_meta.MediaStorageSOPInstanceUID = UID(picture_uid(outcome))
    capture.InstanceNumber = outcome.instance_number
    capture.ContentDate = capture.DateOfSecondaryCapture = moment.strftime("%Y%m%d")
    capture.ContentTime = capture.TimeOfSecondaryCapture = moment.strftime("%H%M%S")
    capture.Rows, capture.Columns = rgb.shape[:2]
    capture.add_new("PixelData", "OB", rgb.tobytes() + b"\0" * (rgb.size % 2))
    return as_file(capture, moment)
