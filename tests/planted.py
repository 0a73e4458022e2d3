"""Instances of many SOP classes with a known patient planted in every place that can hold one, made by the test."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import (
    UID,
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalXRayImageStorageForPresentation,
    GrayscaleSoftcopyPresentationStateStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    SecondaryCaptureImageStorage,
    UltrasoundImageStorage,
    UltrasoundMultiFrameImageStorage,
    VLPhotographicImageStorage,
    XRayAngiographicImageStorage,
)

from tests.dicom_factory import chest_radiograph

#: SOP class to Modality and whether its pixels are in colour.
IMAGES: Final[dict[str, tuple[str, bool]]] = {
    ComputedRadiographyImageStorage: ("CR", False),
    DigitalXRayImageStorageForPresentation: ("DX", False),
    DigitalMammographyXRayImageStorageForPresentation: ("MG", False),
    CTImageStorage: ("CT", False),
    MRImageStorage: ("MR", False),
    XRayAngiographicImageStorage: ("XA", False),
    SecondaryCaptureImageStorage: ("OT", True),
    MultiFrameGrayscaleByteSecondaryCaptureImageStorage: ("OT", False),
    UltrasoundImageStorage: ("US", True),
    UltrasoundMultiFrameImageStorage: ("US", True),
    VLPhotographicImageStorage: ("XC", True),
}
DOCUMENTS: Final = (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    KeyObjectSelectionDocumentStorage,
    GrayscaleSoftcopyPresentationStateStorage,
)
MULTI_FRAME: Final = (MultiFrameGrayscaleByteSecondaryCaptureImageStorage, UltrasoundMultiFrameImageStorage)


@dataclass(frozen=True, slots=True)
class Patient:
    """Somebody who does not exist, with what names them and those around them."""

    number: int

    @property
    def name(self) -> str:
        """A PN with parts of their own."""
        return f"Zymandor{self.number:03d}x^Quillaby^Fenwicko"

    @property
    def traces(self) -> tuple[str, ...]:
        """What must be nowhere in a copy, in lower case."""
        n = self.number
        named = (f"zymandor{n:03d}x", "quillaby", "fenwicko", "oberwitz", "trevannion", "kestrelheim", "nurblick")
        numbers = (self.patient_id.lower(), self.accession.lower(), self.birth_date, "20150618", f"sn{770000 + n}")
        return (*named, *numbers, self.study_uid, self.foreign_uid)

    @property
    def patient_id(self) -> str:
        """Letters and digits."""
        return f"HOSP{420000 + self.number}"

    @property
    def accession(self) -> str:
        """Of the order."""
        return f"ACC{880000 + self.number}"

    @property
    def birth_date(self) -> str:
        """A DA."""
        return f"19{50 + self.number % 40}0317"

    @property
    def study_uid(self) -> str:
        """Of a root that is not the standard's."""
        return f"1.2.826.0.1.3680043.9.7433.1.{555000 + self.number}"

    @property
    def foreign_uid(self) -> str:
        """Of something else that is referred to."""
        return f"1.2.826.0.1.3680043.9.7433.2.{666000 + self.number}"


def planted_image(sop_class_uid: str, patient: Patient, pixels: NDArray[Any] | None = None, bits: int = 8) -> Dataset:
    """An image of a class with the patient in its header, private elements, sequences, overlay, padding and meta."""
    modality, coloured = IMAGES[sop_class_uid]
    if pixels is None:
        grey = np.add.outer(np.arange(48), np.arange(64)).astype(np.uint8)
        pixels = np.repeat(grey[..., None], 3, axis=2) if coloured else grey
    dataset = chest_radiograph(seed=f"{sop_class_uid[-8:]}-{patient.number}", pixels=pixels, bits=bits)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    dataset.Modality, dataset.BurnedInAnnotation = modality, "NO"
    if sop_class_uid in MULTI_FRAME:
        dataset.NumberOfFrames = 2
        dataset.PixelData = bytes(dataset.PixelData) * 2
    if sop_class_uid == SecondaryCaptureImageStorage:
        dataset.ConversionType = "WSD"
    dataset.PixelData = bytes(dataset.PixelData) + patient.name.encode().ljust(64, b"\0")
    _plant(dataset, patient)
    _plant_overlay(dataset, patient)
    return dataset


def planted_document(sop_class_uid: str, patient: Patient) -> Dataset:
    """A report, a selection or a presentation state with the patient in its text, graphics and references."""
    dataset = chest_radiograph(seed=f"{sop_class_uid[-8:]}-{patient.number}", pixels=np.zeros((4, 4), np.uint8), bits=8)
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel"):
        delattr(dataset, keyword)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    dataset.Modality = "PR" if sop_class_uid == GrayscaleSoftcopyPresentationStateStorage else "SR"
    _plant(dataset, patient)
    if dataset.Modality == "PR":
        dataset.GraphicAnnotationSequence = [_annotation(patient)]
    else:
        dataset.ValueType, dataset.CompletionFlag, dataset.VerificationFlag = "CONTAINER", "COMPLETE", "UNVERIFIED"
        dataset.ConceptNameCodeSequence = [coded(codes.DCM.ImagingMeasurementReport)]
        dataset.ContentSequence = list(_content(patient))
    return dataset


def corpus(patients: int) -> Iterator[tuple[str, Patient, Dataset]]:
    """For each patient one instance of every class."""
    for number in range(patients):
        patient = Patient(number)
        for sop_class_uid in IMAGES:
            yield sop_class_uid, patient, planted_image(sop_class_uid, patient)
        for sop_class_uid in DOCUMENTS:
            yield sop_class_uid, patient, planted_document(sop_class_uid, patient)


def coded(code: Code) -> Dataset:
    """A coded entry."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item


def _plant(dataset: Dataset, patient: Patient) -> None:
    dataset.PatientName, dataset.PatientID, dataset.AccessionNumber = (
        patient.name,
        patient.patient_id,
        patient.accession,
    )
    dataset.PatientBirthDate, dataset.StudyDate = patient.birth_date, "20150618"
    dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20150618"
    dataset.AcquisitionDateTime, dataset.TimezoneOffsetFromUTC = "20150618101112", "+0530"
    dataset.StudyInstanceUID = dataset.FrameOfReferenceUID = UID(patient.study_uid)
    dataset.ReferringPhysicianName = dataset.OperatorsName = "Trevannion^Dr"
    dataset.PerformingPhysicianName = ["Trevannion^A", "Trevannion^B"]
    dataset.InstitutionName, dataset.InstitutionAddress = "Kestrelheim Clinic", "Nurblick 7, Oberwitz"
    dataset.StationName, dataset.DeviceSerialNumber = "KESTRELHEIM1", f"SN{770000 + patient.number}"
    dataset.StudyDescription = f"Chest of {patient.name.replace('^', ' ')}"
    dataset.SeriesDescription, dataset.ProtocolName = f"AP {patient.patient_id}", "Oberwitz chest"
    dataset.PatientComments = dataset.ImageComments = f"{patient.name} born {patient.birth_date}, Nurblick 7"
    dataset.OtherPatientIDs, dataset.PatientAddress = [patient.patient_id, "x"], "Nurblick 7, Oberwitz"
    dataset.RetrieveURL = f"https://kestrelheim.example/{patient.patient_id}/image"
    dataset.DeviceUID, dataset.Occupation = UID(patient.foreign_uid), "Oberwitz mayor"
    inner, item = Dataset(), Dataset()
    inner.PatientName, inner.ReferencedSOPInstanceUID = patient.name, UID(patient.foreign_uid)
    inner.ReferencedSOPClassUID = CTImageStorage
    item.RequestedProcedureID, item.RequestedProcedureDescription = patient.accession, patient.name
    item.ReferencedStudySequence = dataset.ReferencedImageSequence = [inner]
    dataset.RequestAttributesSequence = [item]
    block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0F, "LO", patient.name)
    dataset.private_block(0x0029, f"{patient.name}", create=True).add_new(0x01, "UN", patient.name.encode())
    dataset.add_new(0x00091001, "UN", patient.name.encode())
    dataset.add(DataElement(0x50003000, "OW", patient.name.encode().ljust(64, b" ")))
    dataset.add_new(0xFFFCFFFC, "OB", patient.name.encode().ljust(64, b" "))
    dataset.file_meta.SourceApplicationEntityTitle = "KESTRELHEIM"
    dataset.file_meta.PrivateInformationCreatorUID = UID(patient.foreign_uid)
    dataset.file_meta.PrivateInformation = patient.name.encode().ljust(64, b"\0")
    dataset.preamble = patient.name.encode().ljust(128, b"\0")


def _plant_overlay(dataset: Dataset, patient: Patient) -> None:
    size = int(dataset.Rows) * int(dataset.Columns) // 8
    dataset.add_new(0x60000010, "US", dataset.Rows)
    dataset.add_new(0x60000011, "US", dataset.Columns)
    dataset.add_new(0x60000022, "LO", patient.name)
    dataset.add_new(0x60000040, "CS", "G")
    dataset.add_new(0x60000050, "SS", [1, 1])
    dataset.add_new(0x60000100, "US", 1)
    dataset.add_new(0x60000102, "US", 0)
    dataset.add_new(0x60001500, "LO", patient.name)
    dataset.add_new(0x60003000, "OW", patient.name.encode().ljust(size, b"\0")[:size])


def _annotation(patient: Patient) -> Dataset:
    text, graphic, item = Dataset(), Dataset(), Dataset()
    text.UnformattedTextValue, text.AnchorPoint = patient.name, [1.0, 1.0]
    text.AnchorPointVisibility, text.AnchorPointAnnotationUnits = "Y", "PIXEL"
    graphic.GraphicData, graphic.GraphicType, graphic.NumberOfGraphicPoints = [1.0, 1.0, 2.0, 2.0], "POLYLINE", 2
    graphic.GraphicDimensions, graphic.GraphicAnnotationUnits, graphic.GraphicFilled = 2, "PIXEL", "N"
    item.GraphicLayer, item.TextObjectSequence, item.GraphicObjectSequence = "MARKS", [text], [graphic]
    return item


def _content(patient: Patient) -> Iterator[Dataset]:
    text = _item("TEXT", codes.DCM.Finding)
    text.TextValue = f"{patient.name} was seen in Oberwitz on 2015-06-18"
    yield text
    person = _item("PNAME", codes.DCM.PersonObserverName)
    person.PersonName = "Trevannion^Dr"
    yield person
    number = _item("NUM", codes.SCT.Diameter)
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12", [coded(codes.UCUM.Millimeter)]
    number.MeasuredValueSequence = [measured]
    yield number
    image = _item("IMAGE", None)
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CTImageStorage, UID(patient.foreign_uid)
    image.ReferencedSOPSequence = [reference]
    yield image
    local = _item("CODE", codes.DCM.Finding)
    local.ConceptCodeSequence = [coded(Code("4711", "99KESTRELHEIM", patient.name))]
    yield local


def _item(kind: str, name: Code | None) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    if name is not None:
        item.ConceptNameCodeSequence = [coded(name)]
    return item
