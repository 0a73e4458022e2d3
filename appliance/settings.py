"""Every configuration key with its type, default, unit and limits. Secrets never stand here, only where they are."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)

from store_forward.room import Marks, Room

AETitle = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]
_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
EventType = Literal["study.decided", "study.amended"]
Port = Annotated[int, Field(ge=0, le=65535)]


def whole_url(url: str) -> str:
    """The URL as it is. Raises ValueError: it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must look like https://box.example.org/dicom-web")
    return url


def web_origin(origin: str) -> str:
    """The origin as browsers send it. Raises ValueError: it has a path or is no address."""
    parts = urlsplit(origin)
    if parts.scheme not in ("http", "https") or not parts.hostname or origin != f"{parts.scheme}://{parts.netloc}":
        raise ValueError("must be an origin such as https://viewer.example.org, without a path or a closing slash")
    return origin


WebOrigin = Annotated[str, AfterValidator(web_origin)]


def is_loopback(host: str) -> bool:
    """Whether a host name or address never leaves this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def safe_url(url: str) -> str:
    """The URL as it is. Raises ValueError: it is none, or plain http beyond loopback."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must look like https://host:port")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is for the loopback address only; use https")
    return url


class Section(BaseModel):
    """A table of the TOML file; an unknown key is an error, not a surprise."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CallingPeer(Section):
    """What differs for one calling AE title."""

    quiet_time_s: float | None = Field(default=None, ge=0, le=3600, description="quiet time for this peer, s")
    association_timeout_s: float | None = Field(default=None, ge=1, le=86400, description="patience, s")


class Dicom(Section):
    """Reception by C-STORE (PS3.4 Annex B)."""

    ae_title: AETitle = Field(default="SCANSIDE", description="our AE title")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=11112, description="DICOM port")
    require_called_ae_title: bool = Field(default=False, description="refuse associations that call another title")
    calling_ae_titles: tuple[AETitle, ...] = Field(default=(), description="who may send; empty: anybody")
    quiet_time_s: float = Field(default=2.0, ge=0, le=3600, description="after release, before a study is complete, s")
    association_timeout_s: float = Field(
        default=60.0, ge=1, le=86400, description="a study whose sender says nothing this long is complete, s"
    )
    peers: dict[AETitle, CallingPeer] = Field(default={}, description="per calling AE title: the two times above")
    max_associations: int = Field(default=50, ge=1, le=1000, description="at the same time")
    max_idle_connections_per_address: int = Field(default=20, ge=1, le=1000, description="TCP without association")
    acse_timeout_s: float = Field(default=5.0, gt=0, le=120, description="until an association must be asked for, s")
    max_pdu_bytes: int = Field(default=131072, ge=4096, le=1048576, description="largest PDU we accept, bytes")

    def quiet_time_for(self, calling_ae_title: str) -> float:
        """Seconds from association release to completion for this sender."""
        peer = self.peers.get(calling_ae_title)
        own = peer.quiet_time_s if peer else None
        return self.quiet_time_s if own is None else own

    def association_timeout_for(self, calling_ae_title: str) -> float:
        """Seconds of silence after which a sender's study is complete although it never released."""
        peer = self.peers.get(calling_ae_title)
        own = peer.association_timeout_s if peer else None
        return self.association_timeout_s if own is None else own


class WatchedFolder(Section):
    """A folder whose files are taken in like received instances."""

    path: Path | None = Field(default=None, description="the folder; none: not watched")
    settle_s: float = Field(default=1.0, ge=0, le=600, description="a file unchanged this long is whole, s")


class Limits(Section):
    """Everything has a limit; going over one is a named outcome."""

    max_instance_bytes: int = Field(default=2_147_483_648, ge=1024, description="one instance, bytes")
    max_study_instances: int = Field(default=20_000, ge=1, description="instances of one study")
    max_pixels: int = Field(default=100_000_000, ge=1, description="pixels of one image")
    max_decoded_bytes: int = Field(default=1_073_741_824, ge=1024, description="one image after decoding, bytes")
    max_pack_bytes: int = Field(default=536_870_912, ge=1024, description="one model pack, unpacked, bytes")
    worker_memory_bytes: int = Field(default=6_442_450_944, ge=536_870_912, description="triage worker, address space")
    free_disk_floor_bytes: int = Field(default=1_073_741_824, ge=0, description="refuse new images below this, bytes")
    free_disk_bulk_bytes: int | None = Field(
        default=None, ge=0, description="take and make nothing that can wait below this; none: twice the floor"
    )
    free_disk_warn_bytes: int | None = Field(
        default=None, ge=0, description="warn below this, bytes; none: four times the floor"
    )
    triage_attempts: int = Field(default=3, ge=1, le=20, description="then a study is not_triaged")
    triage_timeout_s: float = Field(default=120.0, gt=0, le=3600, description="one study, s")
    restarts_per_minute: int = Field(default=30, ge=1, le=600, description="of one process, then it waits")

    @property
    def free_disk(self) -> Marks:
        """The three marks of free disk, bytes."""
        floor, bulk, warn = self.free_disk_floor_bytes, self.free_disk_bulk_bytes, self.free_disk_warn_bytes
        return Marks(4 * floor if warn is None else warn, 2 * floor if bulk is None else bulk, floor)

    @model_validator(mode="after")
    def _marks_in_order(self) -> Limits:
        floor, bulk, warn = self.free_disk_floor_bytes, self.free_disk_bulk_bytes, self.free_disk_warn_bytes
        if bulk is not None and bulk < floor:
            raise ValueError("free_disk_bulk_bytes must not be below free_disk_floor_bytes")
        if warn is not None and warn < self.free_disk.of(Room.NO_BULK):
            raise ValueError(
                "free_disk_warn_bytes must not be below free_disk_bulk_bytes (if not given, twice the floor)"
            )
        return self


class Retention(Section):
    """When files of a study are deleted. Decision, history and receipts are always kept."""

    keep_days: float | None = Field(
        default=None, ge=0, le=36_500, description="after a study is settled and delivered; none: keep all, days"
    )


class Triage(Section):
    """Which packs read, and what happens with images no pack is for."""

    out_of_scope: Literal["not_triaged", "escalate"] = Field(
        default="not_triaged", description="what becomes of images no pack is for"
    )
    packs: Path | None = Field(default=None, description="folder of further packs; none: the shipped ones only")


class Cloud(Section):
    """The cloud sync endpoint this box sends to."""

    url: str | None = Field(default=None, description="https address of the endpoint; none: no cloud")
    token_file: Path | None = Field(default=None, description="file with the bearer token")
    token_variable: str = Field(default="SCANSIDE_CLOUD_TOKEN", description="or this environment variable")
    box_id: str = Field(default="box", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="this box's name at the cloud")
    escalate: Literal["image", "features", "features_first"] = Field(
        default="image", description="what goes up: the image; its features alone; these first and the image as bulk"
    )
    chunk_bytes: int = Field(
        default=262_144, ge=1024, le=67_108_864, description="first chunk of an upload; later ones fit the link, bytes"
    )
    largest_chunk_bytes: int = Field(
        default=8_388_608, ge=1024, le=67_108_864, description="no chunk of an upload is larger, bytes"
    )
    max_uploads: int = Field(default=2, ge=1, le=8, description="of equal priority, each on its own connection")
    most_kbit_per_s: int | None = Field(
        default=None, ge=8, le=10_000_000, description="all uploads together send no more, kbit/s; none: no cap"
    )
    bulk_from: str | None = Field(
        default=None, pattern=_TIME_OF_DAY, description="bulk goes from this local time, HH:MM; none: at any time"
    )
    bulk_until: str | None = Field(
        default=None,
        pattern=_TIME_OF_DAY,
        description="until this local time, HH:MM; escalations always go",
    )
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one request, s")
    answer_wait_s: float = Field(default=10.0, ge=0, le=60, description="long poll for answers, s")
    backoff_cap_s: float = Field(default=300.0, ge=1, le=86400, description="longest pause between tries, s")

    @model_validator(mode="after")
    def _chunks_fit(self) -> Cloud:
        if self.chunk_bytes > self.largest_chunk_bytes:
            raise ValueError(f"chunk_bytes = {self.chunk_bytes} is over largest_chunk_bytes; raise that, or lower this")
        return self

    @model_validator(mode="after")
    def _window_is_whole(self) -> Cloud:
        if (self.bulk_from is None) != (self.bulk_until is None):
            missing = "bulk_from" if self.bulk_from is None else "bulk_until"
            raise ValueError(f"bulk_from and bulk_until go together; {missing} is missing")
        if self.bulk_from is not None and self.bulk_from == self.bulk_until:
            raise ValueError("bulk_from and bulk_until are the same; leave both out for any time of day")
        return self

    @field_validator("url")
    @classmethod
    def _no_plain_http_over_a_network(cls, url: str | None) -> str | None:
        return None if url is None else safe_url(url)


class Pacs(Section):
    """A PACS that gets the report and the secondary capture."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name here")
    host: str = Field(description="its address")
    port: Port = Field(description="its DICOM port")
    ae_title: AETitle = Field(description="its AE title")
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one exchange, s")
    commitment: Literal["when_offered", "never", "required"] = Field(
        default="when_offered", description="whether a result is delivered only when the PACS has committed to keep it"
    )
    commitment_wait_s: float = Field(
        default=3600.0, ge=1, le=86_400, description="no report on a commitment for so long: ask again, s"
    )
    commitment_hold_s: float = Field(
        default=1.0, ge=0, le=60, description="a report may come on the same association for so long, s"
    )
    report_hosts: tuple[str, ...] = Field(
        default=(), description="further addresses that its reports on commitment may come from"
    )


class StowServer(Section):
    """A DICOMweb server that gets the report and the secondary capture by STOW-RS."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name here")
    url: Annotated[str, AfterValidator(safe_url)] = Field(
        description="https address of its DICOMweb services, to which /studies is added"
    )
    token_file: Path | None = Field(default=None, description="file with the bearer token to show; none: no token")
    token_variable: str | None = Field(default=None, description="or this environment variable")
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one request, s")


class Webhook(Section):
    """An address that is told, as signed JSON, what was decided about each study."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name here")
    url: Annotated[str, AfterValidator(safe_url)] = Field(description="https address that takes the POST")
    secret_file: Path | None = Field(default=None, description="file with the signing secret, whsec_ and base64")
    secret_variable: str | None = Field(default=None, description="or this environment variable")
    events: tuple[EventType, ...] = Field(
        default=("study.decided", "study.amended"), min_length=1, description="which of these it is told"
    )
    study: Literal["pseudonym", "uid"] = Field(
        default="pseudonym", description="how a study is named: as the cloud knows it, or by its Study Instance UID"
    )
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one request, s")

    @model_validator(mode="after")
    def _has_a_secret(self) -> Webhook:
        if (self.secret_file is None) == (self.secret_variable is None):
            raise ValueError("give secret_file or secret_variable, one of the two")
        return self


class Page(Section):
    """The local status page."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=8080, description="HTTP port")
    show_patient: bool = Field(default=True, description="show patient name and identifier")


class DicomWeb(Section):
    """DICOMweb under /dicom-web of the status page's address: STOW-RS, QIDO-RS and WADO-RS (PS3.18)."""

    enabled: bool = Field(default=False, description="open it; beyond loopback it then needs a token")
    token_file: Path | None = Field(default=None, description="file with the bearer token that has to be shown")
    token_variable: str = Field(default="SCANSIDE_DICOMWEB_TOKEN", description="or this environment variable")
    public_url: Annotated[str, AfterValidator(whole_url)] | None = Field(
        default=None, description="address of /dicom-web that answers name, as behind a proxy; none: as it was asked"
    )
    allowed_origins: tuple[WebOrigin, ...] = Field(
        default=(), description="viewers on other addresses that a browser may use it from (CORS)"
    )
    max_request_bytes: int = Field(default=17_179_869_184, ge=1024, description="one STOW-RS request, bytes")
    max_stores: int = Field(default=8, ge=1, le=100, description="STOW-RS requests at the same time")
    max_results: int = Field(default=1000, ge=1, le=100_000, description="answers to one QIDO-RS request")
    silence_s: float = Field(default=60.0, gt=0, le=3600, description="a STOW-RS request that says nothing is cut, s")
    opening_timeout_s: float = Field(
        default=30.0, gt=0, le=600, description="reading out of one file: header, frame or picture, s"
    )


class CloudEndpoint(Section):
    """Only for ``scanside cloud``: the endpoint itself."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=8443, description="HTTPS port")
    token_file: Path | None = Field(default=None, description="file with the bearer token boxes must show")
    token_variable: str = Field(default="SCANSIDE_CLOUD_TOKEN", description="or this environment variable")
    certificate: Path | None = Field(default=None, description="TLS certificate chain, PEM")
    private_key: Path | None = Field(default=None, description="TLS private key, PEM")
    max_upload_bytes: int = Field(default=4_294_967_296, ge=1024, description="one upload, bytes")

    @model_validator(mode="after")
    def _tls_unless_loopback(self) -> CloudEndpoint:
        if (self.certificate is None) != (self.private_key is None):
            missing = "certificate" if self.certificate is None else "private_key"
            raise ValueError(f"certificate and private_key go together; {missing} is missing")
        if self.certificate is None and not is_loopback(self.host):
            raise ValueError(f"host = {self.host!r} is beyond loopback and needs certificate and private_key")
        return self


class Standby(Section):
    """Two boxes that take the same studies: one answers, the other stands by."""

    of: str | None = Field(default=None, description="address of the first box's page; this box is then its standby")
    token_file: Path | None = Field(default=None, description="file with the secret both boxes share; none: alone")
    token_variable: str = Field(default="SCANSIDE_STANDBY_TOKEN", description="or this environment variable")
    silent_after_s: float = Field(
        default=60.0, ge=1, le=86_400, description="a box not heard for this long does not count any more, s"
    )
    wait_s: float = Field(
        default=15.0, ge=0, le=600, description="the first's longest wait for its standby's word at a start, s"
    )

    @field_validator("of")
    @classmethod
    def _is_an_address(cls, of: str | None) -> str | None:
        parts = urlsplit(of or "http://none")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must look like http://host:8080, the address of the first box's page")
        return of


class Settings(Section):
    """The whole configuration."""

    home: Path = Field(default=Path("var"), description="where spool and database live")
    dicom: Dicom = Dicom()
    watched_folder: WatchedFolder = WatchedFolder()
    limits: Limits = Limits()
    retention: Retention = Retention()
    triage: Triage = Triage()
    cloud: Cloud = Cloud()
    pacs: tuple[Pacs, ...] = ()
    stow: tuple[StowServer, ...] = ()
    webhook: tuple[Webhook, ...] = ()
    page: Page = Page()
    dicomweb: DicomWeb = DicomWeb()
    standby: Standby = Standby()
    cloud_endpoint: CloudEndpoint = CloudEndpoint()

    @field_validator("pacs", "stow", "webhook")
    @classmethod
    def _distinct_destinations(
        cls, found: tuple[Pacs | StowServer | Webhook, ...], others: ValidationInfo
    ) -> tuple[Pacs | StowServer | Webhook, ...]:
        before = (*others.data.get("pacs", ()), *others.data.get("stow", ()))  # those that stand before this one
        names = ["cloud", *(peer.name for peer in before), *(peer.name for peer in found)]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"name = {twice[0]!r} is taken; every [[pacs]], [[stow]] and [[webhook]] needs a name of its own, "
                "not 'cloud'"
            )
        return found
