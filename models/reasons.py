"""Why an image or a study was not triaged: a closed set, each with a sentence that says what to do."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Machine-readable reason codes. Stored, reported and counted, so a code never changes its meaning."""

    not_dicom = "not_dicom"
    not_an_image = "not_an_image"
    no_pixel_data = "no_pixel_data"
    too_large = "too_large"
    unsupported_transfer_syntax = "unsupported_transfer_syntax"
    unreadable_pixels = "unreadable_pixels"
    multi_frame = "multi_frame"
    no_place = "no_place"
    blank_image = "blank_image"
    not_human = "not_human"
    wrong_modality = "wrong_modality"
    wrong_body_part = "wrong_body_part"
    wrong_view = "wrong_view"
    age_unknown = "age_unknown"
    age_out_of_range = "age_out_of_range"
    too_small = "too_small"
    wrong_photometric_interpretation = "wrong_photometric_interpretation"
    wrong_picture = "wrong_picture"
    no_pack = "no_pack"
    no_backend = "no_backend"
    pack_unreadable = "pack_unreadable"
    model_failed = "model_failed"
    no_images = "no_images"
    partly_covered = "partly_covered"
    worker_gave_up = "worker_gave_up"
    features_not_understood = "features_not_understood"
    excluded_by_rule = "excluded_by_rule"
    phantom = "phantom"


#: The image is sound, but no installed pack was made for it. Only these may become an escalation.
SCOPE_REASONS = frozenset(
    {
        Reason.not_human,
        Reason.wrong_modality,
        Reason.wrong_body_part,
        Reason.wrong_view,
        Reason.age_unknown,
        Reason.age_out_of_range,
        Reason.too_small,
        Reason.wrong_photometric_interpretation,
        Reason.wrong_picture,
        Reason.no_pack,
    }
)

#: A rule of the site says that the object is not to be read.
RULED_OUT = frozenset({Reason.excluded_by_rule, Reason.phantom})

#: Objects that do not count when a study is decided.
UNCOUNTED = RULED_OUT | {Reason.not_an_image}

#: One sentence for a person, with what to do about it.
EXPLANATIONS: dict[Reason, str] = {
    Reason.not_dicom: "the file is not DICOM or is cut off; send the image again from its source",
    Reason.not_an_image: "the object is a report, a note or another object without a picture; nothing to do",
    Reason.no_pixel_data: "the image came without its pixels; send it again from its source",
    Reason.too_large: "the image is larger than this box may open; have it read as usual, or raise the limit",
    Reason.unsupported_transfer_syntax: (
        "the pixels are compressed in a way this box cannot read; send them in another transfer syntax"
    ),
    Reason.unreadable_pixels: "the pixels are damaged or do not fit their header; send the image again",
    Reason.multi_frame: "the image has several frames, the packs read single images; have it read as usual",
    Reason.no_place: (
        "the slices do not say where they lie, or are not parallel and of one size; send the series as the scanner "
        "made it"
    ),
    Reason.blank_image: "the image shows no contrast at all; check the exposure and send it again",
    Reason.not_human: "the header names an animal and the packs were made for people; have it read as usual",
    Reason.wrong_modality: "no installed pack reads this modality; have it read as usual",
    Reason.wrong_body_part: (
        "no installed pack reads this body part; correct Body Part Examined if wrong, else read as usual"
    ),
    Reason.wrong_view: ("no installed pack reads this view; correct View Position if it is wrong, else read as usual"),
    Reason.age_unknown: "the pack needs the patient's age and the header has none; enter it at the scanner",
    Reason.age_out_of_range: "the patient's age is not what the pack was made for; have it read as usual",
    Reason.too_small: "the image has fewer pixels than the pack needs; send the original, not a reduced copy",
    Reason.wrong_photometric_interpretation: (
        "the pack does not read this kind of picture, for example colour; send the original grey image"
    ),
    Reason.wrong_picture: (
        "the picture does not look like those the pack was made for: another body part, turned, inverted, written "
        "over or reduced; check the image and its header, else read as usual"
    ),
    Reason.no_pack: "no model pack is installed; install one and triage again",
    Reason.no_backend: "a pack fits, but nothing on this box runs it correctly; see the devices on the page",
    Reason.pack_unreadable: (
        "the disk did not give a model pack that may be the one for this image; it is asked for again, and then the "
        "study is read again by itself; check the disk"
    ),
    Reason.model_failed: "the model gave no usable answer; have the image read as usual and report the pack",
    Reason.no_images: "the study holds no image to read; nothing to do",
    Reason.partly_covered: (
        "part of the study could not be read, so nothing can be said of the whole; have it read as usual"
    ),
    Reason.worker_gave_up: ("reading failed three times and was given up; have it read as usual and look at the log"),
    Reason.features_not_understood: (
        "the cloud could not read the features that were sent; the image is sent instead, if it may leave the box"
    ),
    Reason.excluded_by_rule: "a rule of this site says that this is not to be read here; have it read as usual",
    Reason.phantom: "a rule of this site says that this is a phantom or a test of quality; nothing is sent of it",
}
