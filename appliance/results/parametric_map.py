"""The heat map as numbers: a Parametric Map (PS3.3 A.75) of one frame over the image it was made for.

The map keeps its own, coarser grid, and says where that lies. It needs a Frame of Reference. An image that has none, as
a projection radiograph, gets one that is its own alone: its plane, turned as Patient Orientation says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

import numpy as np
from highdicom import (
    PixelMeasuresSequence,
    PlaneOrientationSequence,
    PlanePositionSequence,
    VOILUTTransformation,
)
from highdicom.pm import ParametricMap, RealWorldValueMapping
from highdicom.sr import CodedConcept
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from appliance.results.outcome import DISCLAIMER, StudyOutcome
from appliance.results.reference import (
    as_file,
    can_be_referenced,
    derived_uid,
    local_time,
    numbers_of,
    orientation_of,
    sound,
    study_reference,
    take_over,
)
from appliance.results.report_content import MANUFACTURER

SERIES_NUMBER = 9704
#: A cell of the map is stored in this many steps from 0 to 1; 16 bits are what the standard has for whole numbers.
STEPS = 255
_ACTIVATION = CodedConcept("130402", "DCM", "Class activation")
_ONE = CodedConcept("1", "UCUM", "no units")
_PATIENT = "PATIENT"
_RIGHT_ANGLE = 1e-3
#: The standard asks for one above 0, also of a projection.
_NOMINAL_THICKNESS_MM = 1.0
#: The letters of Patient Orientation (PS3.3 C.7.6.1.1.1) in the patient's coordinates (C.7.6.2.1.1).
_WAYS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an image lies: mm, direction cosines (PS3.3 C.7.6.2)."""

    frame_of_reference_uid: str
    spacing: Sequence[float]
    position: Sequence[float]
    orientation: Sequence[float]


def map_uid(outcome: StudyOutcome) -> str:
    """SOP Instance UID of the map: the same for every repetition of it."""
    return derived_uid(outcome.study_instance_uid, outcome.edition, "parametric map")


def can_be_mapped(source: Dataset) -> bool:
    """Whether the header has what a map needs: UIDs, size, a spacing in mm, and how the image lies."""
    return _place(source) is not None


def build_map(source: Dataset, heat_map: NDArray[np.float32], outcome: StudyOutcome) -> bytes:
    """The Part 10 file of the map; the same arguments give the same bytes.

    Args:
        source: the deciding image (header is enough).
        heat_map: ``(h, w)`` of 0..1 over the whole image.
        outcome: what was decided; ``shown`` names the finding that the map is for.

    Raises ValueError when it cannot be said how the image lies, see :func:`can_be_mapped`.
    """
    reference = study_reference([source], outcome.study_instance_uid)
    moment = local_time(outcome.recorded_at, reference)
    origin = _origin(source, reference)
    cells = np.clip(np.nan_to_num(np.asarray(heat_map, np.float32), nan=0.0), 0.0, 1.0)
    document = ParametricMap(
        source_images=[origin],
        pixel_array=np.rint(cells * STEPS).astype(np.uint16),
        series_instance_uid=derived_uid(outcome.study_instance_uid, "parametric map series"),
        series_number=SERIES_NUMBER,
        sop_instance_uid=map_uid(outcome),
        instance_number=2 * outcome.revision + 1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=version("scanside"),
        device_serial_number="none",
        contains_recognizable_visual_features=False,
        real_world_value_mappings=[_mapping(outcome)],
        voi_lut_transformations=[VOILUTTransformation(window_center=(STEPS + 1) / 2, window_width=STEPS + 1)],
        content_label="AI_TRIAGE",
        content_description=_description(outcome),
        series_description=f"AI triage heat map. {DISCLAIMER}",
        content_date=moment.date(),
        content_time=moment.time(),
        specific_character_set="ISO_IR 192",
        **_geometry(origin, cells.shape),
    )
    take_over(document, reference)
    _say_what_is_known(document, source)
    _name_dimensions(document, outcome)
    return as_file(document, moment)


def _mapping(outcome: StudyOutcome) -> RealWorldValueMapping:
    name = outcome.shown.name if outcome.shown else "abnormality"
    return RealWorldValueMapping(
        lut_label="HEAT",
        lut_explanation=f"0..1, evidence for {name.replace('_', ' ')}"[:64],
        unit=_ONE,
        value_range=(0, STEPS),
        slope=1.0 / STEPS,
        intercept=0.0,
        quantity_definition=_ACTIVATION,
    )


def _description(outcome: StudyOutcome) -> str:
    name = outcome.shown.name.replace("_", " ") if outcome.shown else "what decided"
    return f"Not for diagnosis. Evidence for {name}"[:64]


def _origin(source: Dataset, reference: Dataset) -> Dataset:
    """What highdicom reads of the image, and no more; its SOP class is a stand-in."""
    place = _place(source)
    if place is None:
        raise ValueError("the image's header does not say how it lies: no map of it can be made")
    origin = Dataset()
    take_over(origin, reference)
    origin.SOPInstanceUID, origin.SeriesInstanceUID = str(source.SOPInstanceUID), str(source.SeriesInstanceUID)
    origin.SOPClassUID = MRImageStorage
    origin.Rows, origin.Columns = int(source.Rows), int(source.Columns)
    origin.FrameOfReferenceUID, origin.PositionReferenceIndicator = place.frame_of_reference_uid, ""
    origin.PixelSpacing, origin.ImagePositionPatient = list(place.spacing), list(place.position)
    origin.ImageOrientationPatient = list(place.orientation)
    thickness = numbers_of(source, "SliceThickness", 1)
    origin.SliceThickness = thickness[0] if thickness and thickness[0] > 0 else _NOMINAL_THICKNESS_MM
    return origin


def _place(source: Dataset) -> _Place | None:
    """None when the header does not say it: a size, a spacing in mm, and either a position or Patient Orientation."""
    spacing = numbers_of(source, "PixelSpacing", 2) or numbers_of(source, "ImagerPixelSpacing", 2)
    if not can_be_referenced(source) or not (source.get("Rows") and source.get("Columns")):
        return None
    if spacing is None or min(spacing) <= 0:
        return None
    frame = sound(source, "FrameOfReferenceUID") or ""
    position = numbers_of(source, "ImagePositionPatient", 3)
    orientation = numbers_of(source, "ImageOrientationPatient", 6)
    others = [sound(source, name) for name in ("StudyInstanceUID", "SeriesInstanceUID")]
    if frame and frame not in others and position and orientation and _is_upright(orientation):
        cosines = np.array(orientation).reshape(2, 3)
        unit = cosines / np.linalg.norm(cosines, axis=1, keepdims=True)
        return _Place(frame, spacing, position, [round(float(one), 8) for one in unit.ravel()])
    ways = [_WAYS[one[0]] for one in orientation_of(source)]
    if len(ways) != 2 or not _is_upright([*ways[0], *ways[1]]):
        return None
    own_frame = derived_uid("frame of reference", source.SOPInstanceUID)
    return _Place(own_frame, spacing, [0.0, 0.0, 0.0], [*ways[0], *ways[1]])


def _is_upright(orientation: Sequence[float]) -> bool:
    """Whether rows and columns are unit vectors at right angles, as far as senders round."""
    along_row, down_column = np.array(orientation).reshape(2, 3)
    products = along_row @ along_row - 1.0, down_column @ down_column - 1.0, along_row @ down_column
    return max(abs(float(one)) for one in products) < _RIGHT_ANGLE


def _geometry(origin: Dataset, shape: Sequence[int]) -> dict[str, object]:
    """Where the coarser grid lies: its first cell's centre is half a cell inside the image's first corner."""
    steps = np.array([origin.Rows / shape[0], origin.Columns / shape[1]])
    spacing = np.array([float(one) for one in origin.PixelSpacing])
    along_row, down_column = np.array([float(one) for one in origin.ImageOrientationPatient]).reshape(2, 3)
    offset = (steps - 1.0) / 2.0 * spacing
    first = np.array([float(one) for one in origin.ImagePositionPatient])
    first = first + offset[0] * down_column + offset[1] * along_row
    return {
        "pixel_measures": PixelMeasuresSequence(
            pixel_spacing=[float(one) for one in spacing * steps], slice_thickness=float(origin.SliceThickness)
        ),
        "plane_orientation": PlaneOrientationSequence(_PATIENT, [float(one) for one in origin.ImageOrientationPatient]),
        "plane_positions": [PlanePositionSequence(_PATIENT, [float(one) for one in first])],
    }


def _say_what_is_known(document: Dataset, source: Dataset) -> None:
    """The image's true SOP class wherever it is referenced, and its side."""

    def name_class(_: Dataset, element: DataElement) -> None:
        if element.keyword == "ReferencedSOPClassUID":
            element.value = str(source.SOPClassUID)

    document.walk(name_class)
    laterality = str(source.get("Laterality") or source.get("ImageLaterality") or "")
    document.Laterality = laterality if laterality in ("L", "R") else ""
    lossy = source.get("LossyImageCompression") == "01"
    document.LossyImageCompression = "01" if lossy else "00"


def _name_dimensions(document: Dataset, outcome: StudyOutcome) -> None:
    """Replace the UID that highdicom drew by chance, so that a repetition is the same file."""
    organization = derived_uid(outcome.study_instance_uid, outcome.edition, "parametric map dimensions")
    for item in (*document.DimensionOrganizationSequence, *document.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
