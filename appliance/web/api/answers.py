"""What the API answers with, typed: from these the OpenAPI description is made. Times are seconds since 1970-01-01 UTC.

Values that the page shows, too, are the same classes (``appliance.web.views`` and what it is made of).
"""

from __future__ import annotations

from pydantic import BaseModel, Field

from appliance.disk.autonomy import Autonomy
from appliance.labels import Said
from appliance.standby.view import StandbyView
from appliance.web.agreement import AgreementView
from appliance.web.box import DeviceView, ProcessView, RejectedPack, SetAside, Storage, Surroundings
from appliance.web.deliveries import DeliveryStanding, DestinationView, ParkedDelivery
from appliance.web.standing import Confirmation
from appliance.web.study import ImageFinding, InstanceRow, LostFile, Reader, TimelineEntry
from appliance.web.views import Notice
from appliance.web.worklist import FindingRow
from store_forward.deliveries import DeliveryState


class Patient(BaseModel):
    """What the images say of the patient; only for who may see it."""

    patient_name: str
    patient_id: str
    patient_age: str
    accession_number: str
    study_date: str
    study_description: str


class Outline(BaseModel):
    """One study without its patient. ``standing`` is the decision to act on, `pending` before there is one."""

    study_instance_uid: str
    state: str
    revision: int
    standing: str
    decision: str | None
    answer_decision: str | None
    reason: str | None
    answer_reason: str | None
    answer_basis: str | None
    detail: str | None
    confirmation: Confirmation | None
    modalities: str
    calling_ae_title: str
    instance_count: int
    first_received_at: float
    last_received_at: float
    latency_ms: float | None
    thumbnail: str | None
    said: Said | None
    findings: list[FindingRow]
    deliveries: list[DeliveryStanding]


class Study(Outline):
    """One study of a list. ``patient`` is null for who may not see patients."""

    patient: Patient | None


class StudyPage(BaseModel):
    """Studies, the latest arrival first. A page may be short, or empty, and yet have a next one."""

    studies: list[Study]
    next_cursor: str | None = Field(description="null at the end")


class WholeStudy(Study):
    """One study with everything that is known of it. The timeline holds the latest events when it is not whole."""

    all_said: list[Said]
    size_bytes: int
    settled_at: float | None
    deleted_at: float | None
    box: Reader | None
    cloud: Reader | None
    image_findings: list[ImageFinding]
    instances: list[InstanceRow]
    lost: list[LostFile]
    timeline: list[TimelineEntry]
    timeline_full: bool


class Lanes(BaseModel):
    """Every destination with what waits for it."""

    lanes: list[DestinationView]


class Delivery(BaseModel):
    """One delivery. ``subject`` is its Study Instance UID; ``held`` while it waits for the other box of two."""

    id: int
    state: DeliveryState
    priority: int
    kind: str
    destination: str
    subject: str
    revision: int
    payload: str
    size_bytes: int
    attempts: int
    next_at: float
    cause: str | None
    detail: str | None
    receipt: str | None
    created_at: float
    settled_at: float | None
    held: bool


class DeliveryEvent(BaseModel):
    """Something that happened to a delivery."""

    at: float
    state_from: DeliveryState | None
    state_to: DeliveryState
    cause: str | None
    detail: str | None
    duration_ms: float | None


class WholeDelivery(Delivery):
    """One delivery with its history, the latest events when that is long."""

    events: list[DeliveryEvent]


class DeliveryPage(BaseModel):
    """Deliveries, what was asked for first comes first. A page may be short, or empty, and yet have a next one."""

    deliveries: list[Delivery]
    next_cursor: str | None = Field(description="null at the end")


class Moved(BaseModel):
    """How many deliveries were moved, and how many left as they are: delivered, or under way."""

    moved: int
    left: int


class Notices(BaseModel):
    """What needs a person, problems first. One with a number stays until it is acknowledged."""

    notices: list[Notice]


class Acknowledged(BaseModel):
    """The notice that was read."""

    message: int


class Pack(BaseModel):
    """A pack that reads here, with the devices it was tried on, the one in use first. Each ran its golden set there."""

    name: str
    version: str
    digest: str
    findings: list[str]
    intended_use: str
    devices: list[DeviceView]


class Packs(BaseModel):
    """The packs in use, and those that were refused."""

    packs: list[Pack]
    rejected: list[RejectedPack]


class Devices(BaseModel):
    """Every device that was tried for a pack in use."""

    devices: list[DeviceView]


class Processes(BaseModel):
    """The processes of the box."""

    processes: list[ProcessView]


class StatusWorklist(BaseModel):
    """The most urgent studies, and the latest of those still without a decision; ``counts`` are of all studies."""

    rows: list[Outline]
    pending: list[Outline]
    pending_count: int
    counts: dict[str, int]


class Status(BaseModel):
    """What `scanside status --json` prints, too. Nothing of a patient's is in it."""

    now: float
    notices: list[Notice]
    worklist: StatusWorklist
    destinations: list[DestinationView]
    parked: list[ParkedDelivery]
    agreement: AgreementView
    surroundings: Surroundings
    devices: list[DeviceView]
    processes: list[ProcessView]
    storage: Storage
    autonomy: Autonomy
    set_aside: SetAside
    sqlite_version: str
    standby: StandbyView | None
