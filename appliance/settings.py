"""Every configuration key with its type, default, unit and limits. Secrets never stand here, only where they are."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple
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

from appliance.rules.checks import checked_conditions
from store_forward.room import Marks, Room

AETitle = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]
#: As a peer's calling AE title: whoever it says it is.
ANY_AE_TITLE: Final = "*"
_TIME_OF_DAY = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
EventType = Literal["study.decided", "study.amended"]
DeidentificationOption = Literal[
    "clean_pixel_data",
    "clean_descriptors",
    "clean_structured_content",
    "clean_graphics",
    "retain_modified_dates",
    "retain_patient_characteristics",
    "retain_device_identity",
    "retain_uids",
    "retain_safe_private",
]
ResultKind = Literal["report", "picture", "key_objects", "parametric_map"]
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


def _network(text: str) -> str:
    """The address or network as it is. Raises ValueError: it is neither, or has bits beside its prefix."""
    try:
        ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write an address like 192.0.2.7 or a network like 192.0.2.0/24") from None
    return text


def _certificate_identity(text: str) -> str:
    """A name in lower case, or ``sha256:`` and 64 hexadecimal digits. Raises ValueError: a digest is not that long."""
    kind, separator, digest = text.strip().lower().partition("sha256:")
    if not separator:
        return kind
    digest = digest.replace(":", "")
    if kind or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise ValueError("must be sha256: and 64 hexadecimal digits, as openssl x509 -fingerprint -sha256 prints them")
    return f"sha256:{digest}"


def _own_uid(text: str) -> str:
    """A UID as it is. Raises ValueError: it is none, or one of the standard's, which needs no mention."""
    parts = text.split(".")
    if len(text) > 64 or len(parts) < 2 or not all(part.isdecimal() and str(int(part)) == part for part in parts):
        raise ValueError("must be a UID (PS3.5 9.1), like 1.2.840.113619.4.26")
    if text.startswith("1.2.840.10008."):
        raise ValueError("is a UID of the standard; storage SOP classes of the standard are accepted without this")
    return text


Network = Annotated[str, AfterValidator(_network)]
PrivateUid = Annotated[str, AfterValidator(_own_uid)]
CertificateIdentity = Annotated[str, StringConstraints(min_length=1), AfterValidator(_certificate_identity)]


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
    """Somebody who may ask us for associations; what is left out is not asked of it."""

    ae_title: AETitle | None = Field(default=None, description="its calling AE title, `*` for any; none: `NAME`")
    called_ae_title: AETitle | None = Field(default=None, description="the title it must call us by; none: any")
    addresses: tuple[Network, ...] = Field(default=(), description="addresses and networks it may come from")
    certificates: tuple[CertificateIdentity, ...] = Field(
        default=(), description="a name in its certificate, or `sha256:` and the certificate's digest; any of these"
    )
    plain: bool = Field(default=False, description="may come without TLS over a network")
    quiet_time_s: float | None = Field(default=None, ge=0, le=3600, description="quiet time for this peer, s")
    association_timeout_s: float | None = Field(default=None, ge=1, le=86400, description="patience, s")
    report_host: str | None = Field(
        default=None, description="address that its reports on storage commitment go to; none: its own association only"
    )
    report_port: Port = Field(default=104, description="and the DICOM port there")

    @model_validator(mode="after")
    def _certificate_or_plain(self) -> CallingPeer:
        if self.plain and self.certificates:
            raise ValueError("certificates prove nothing of a peer that may come without TLS; remove one of the two")
        return self


class ReportAddress(NamedTuple):
    """Where a report on storage commitment goes; without ``tls``, plain."""

    host: str
    port: int
    tls: PacsTls | None


class DicomTls(Section):
    """DICOM over TLS (PS3.15 B.12), on a port of its own."""

    port: Port = Field(default=2762, description="port for DICOM over TLS")
    certificate: Path = Field(description="our certificate chain, PEM")
    private_key: Path = Field(description="its private key, PEM")
    client_ca: Path | None = Field(default=None, description="the authorities that vouch for those who call, PEM")
    client_crl: Path | None = Field(
        default=None, description="certificates these authorities have revoked, PEM; renew it in time; none: not asked"
    )
    require_client_certificate: bool = Field(default=True, description="refuse who shows no certificate")

    @model_validator(mode="after")
    def _somebody_vouches(self) -> DicomTls:
        if self.require_client_certificate and self.client_ca is None:
            raise ValueError(
                "client_ca is missing; name the authorities of your peers, or set require_client_certificate = false"
            )
        if self.client_crl is not None and self.client_ca is None:
            raise ValueError("client_crl needs client_ca; name the authorities that have revoked, or remove it")
        return self


class Dicom(Section):
    """Reception by C-STORE (PS3.4 Annex B)."""

    ae_title: AETitle = Field(default="SCANSIDE", description="our AE title")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=11112, description="DICOM port")
    require_called_ae_title: bool = Field(default=False, description="refuse associations that call another title")
    quiet_time_s: float = Field(default=2.0, ge=0, le=3600, description="after release, before a study is complete, s")
    association_timeout_s: float = Field(
        default=60.0, ge=1, le=86400, description="a study whose sender says nothing this long is complete, s"
    )
    tls: DicomTls | None = Field(default=None, description="DICOM over TLS; none: plain only")
    peers: dict[AETitle, CallingPeer] = Field(default={}, description="who may ask for associations")
    private_sop_classes: tuple[PrivateUid, ...] = Field(
        default=(), description="SOP Class UIDs of makers, stored like those of the standard"
    )
    max_associations: int = Field(default=50, ge=1, le=1000, description="at the same time")
    max_idle_connections: int = Field(default=500, ge=1, le=10_000, description="TCP or TLS without association, all")
    max_idle_connections_per_address: int = Field(default=100, ge=1, le=1000, description="of these, from one address")
    acse_timeout_s: float = Field(default=5.0, gt=0, le=120, description="until an association must be asked for, s")
    max_pdu_bytes: int = Field(default=131072, ge=4096, le=1048576, description="largest PDU we accept, bytes")

    @property
    def is_open(self) -> bool:
        """Whether anybody may ask for an association: on loopback only, and while no peer is named."""
        return is_loopback(self.host) and not self.peers

    @property
    def lets_nobody_in(self) -> str | None:
        """The words about a box that no scanner can reach, with the repair; ``None``: somebody may call."""
        if self.is_open or self.peers:
            return None
        return (
            f"host = {self.host} is beyond loopback and no peer is configured, so nobody may send; "
            "add [dicom.peers.NAME] for each scanner, with its ae_title and addresses"
        )

    @property
    def plain_is_safe(self) -> bool:
        """Whether what goes without TLS never leaves this machine."""
        return is_loopback(self.host)

    def peers_titled(self, calling_ae_title: str) -> list[tuple[str, CallingPeer]]:
        """The peers, with their names, that may call themselves so."""
        found = ((name, peer, peer.ae_title or name) for name, peer in self.peers.items())
        return [(name, peer) for name, peer, title in found if title in (calling_ae_title, ANY_AE_TITLE)]

    def quiet_time_for(self, calling_ae_title: str) -> float:
        """Seconds from association release to completion for this sender; of two peers of one title the longer."""
        own = [peer.quiet_time_s for _, peer in self.peers_titled(calling_ae_title)]
        return max((one for one in own if one is not None), default=self.quiet_time_s)

    def association_timeout_for(self, calling_ae_title: str) -> float:
        """Seconds of silence after which a sender's study is complete although it never released."""
        own = [peer.association_timeout_s for _, peer in self.peers_titled(calling_ae_title)]
        return max((one for one in own if one is not None), default=self.association_timeout_s)

    @model_validator(mode="after")
    def _every_peer_can_come(self) -> Dicom:
        for name, peer in self.peers.items():
            if self.tls is None and not peer.plain and not self.plain_is_safe:
                raise ValueError(
                    f"peers.{name} may not come without TLS, and there is no [dicom.tls]; configure that, "
                    f"or set plain = true in [dicom.peers.{name}]"
                )
            if peer.certificates and self.tls is None:
                raise ValueError(f"peers.{name}.certificates needs [dicom.tls]; configure that, or remove them")
        return self

    @model_validator(mode="after")
    def _two_ports(self) -> Dicom:
        if self.tls is not None and self.tls.port == self.port != 0:
            raise ValueError(f"tls.port = {self.port} is the plain port as well; give TLS a port of its own")
        return self

    def report_address_for(self, calling_ae_title: str) -> ReportAddress | None:
        """Where reports on storage commitment to this peer go: over TLS, unless it may come plain itself."""
        for _, peer in self.peers_titled(calling_ae_title):
            if peer.report_host:
                return ReportAddress(peer.report_host, peer.report_port, self.tls_towards(peer))
        return None

    def tls_towards(self, peer: CallingPeer) -> PacsTls | None:
        """How we call a peer: with the certificate that we show who calls, and the authorities that vouch for them."""
        own = self.tls
        if own is None or peer.plain or (self.plain_is_safe and not peer.certificates):
            return None
        return PacsTls(ca=own.client_ca, certificate=own.certificate, private_key=own.private_key)


class Commitment(Section):
    """Storage commitment that others ask of us (PS3.4 Annex J)."""

    offer: Literal["when_kept", "always", "never"] = Field(
        default="when_kept",
        description="whether we commit: while no image is deleted; always, and then retention counts; never",
    )
    wait_s: float = Field(
        default=0.5, ge=0, le=60, description="an association that is still open after so long gets the report, s"
    )
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one report and its answer, s")
    max_requests: int = Field(default=10_000, ge=1, le=1_000_000, description="not yet reported on, at the same time")
    give_up_days: float = Field(default=7.0, gt=0, le=365, description="a report nobody takes for so long, days")


class WatchedFolder(Section):
    """A folder whose files are taken in like received instances."""

    path: Path | None = Field(default=None, description="the folder; none: not watched")
    settle_s: float = Field(default=1.0, ge=0, le=600, description="a file unchanged this long is whole, s")


class Limits(Section):
    """Everything has a limit; going over one is a named outcome."""

    max_instance_bytes: int = Field(default=2_147_483_648, ge=1024, description="one instance, bytes")
    max_study_instances: int = Field(default=20_000, ge=1, description="instances of one study")
    max_message_bytes: int = Field(
        default=8_388_608, ge=65_536, description="one DIMSE message that is not an image, held in memory, bytes"
    )
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
    ca: Path | None = Field(default=None, description="the authorities that vouch for it, PEM; none: the system's")
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


class Deidentification(Section):
    """How images are made safe before they go to the cloud; also what ``scanside deidentify`` does."""

    profile: Literal["known", "basic"] = Field(
        default="known", description="the allow-list alone, or the Basic Profile of PS3.15 Annex E with `options`"
    )
    options: tuple[DeidentificationOption, ...] = Field(
        default=("clean_pixel_data",), description="options of Annex E; with `known`, `clean_pixel_data` alone"
    )
    captures: bool = Field(
        default=False, description="ultrasound, secondary captures and the like may go once words in them are blanked"
    )
    most_frames: int = Field(
        default=64, ge=1, le=10_000, description="frames of one image searched for words; one with more stays"
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Deidentification:
        if self.profile == "known" and set(self.options) - {"clean_pixel_data"}:
            raise ValueError(
                'with profile = "known" the only option is clean_pixel_data; write profile = "basic" for the others'
            )
        if self.captures and "clean_pixel_data" not in self.options:
            raise ValueError("captures = true needs the option clean_pixel_data, which finds the words in them")
        return self


class PacsTls(Section):
    """TLS on the way to a PACS (PS3.15 B.12)."""

    ca: Path | None = Field(default=None, description="the authorities that vouch for it, PEM; none: the system's")
    name: str | None = Field(default=None, min_length=1, description="the name in its certificate; none: its `host`")
    certificate: Path | None = Field(default=None, description="our certificate chain, PEM; none: it asks for none")
    private_key: Path | None = Field(default=None, description="its private key, PEM")

    @model_validator(mode="after")
    def _certificate_with_key(self) -> PacsTls:
        if (self.certificate is None) != (self.private_key is None):
            missing = "certificate" if self.certificate is None else "private_key"
            raise ValueError(f"certificate and private_key go together; {missing} is missing")
        return self


class Pacs(Section):
    """A PACS that gets results."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name here")
    host: str = Field(description="its address")
    port: Port = Field(description="its DICOM port")
    ae_title: AETitle = Field(description="its AE title")
    results: tuple[ResultKind, ...] = Field(
        default=("report", "picture", "key_objects"), min_length=1, description="which kinds it gets"
    )
    timeout_s: float = Field(default=20.0, gt=0, le=600, description="one exchange, s")
    tls: PacsTls | None = Field(default=None, description="TLS on the way there and back; none: plain")
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
    """A DICOMweb server that gets results by STOW-RS."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name here")
    url: Annotated[str, AfterValidator(safe_url)] = Field(
        description="https address of its DICOMweb services, to which /studies is added"
    )
    token_file: Path | None = Field(default=None, description="file with the bearer token to show; none: no token")
    token_variable: str | None = Field(default=None, description="or this environment variable")
    results: tuple[ResultKind, ...] = Field(
        default=("report", "picture", "key_objects"), min_length=1, description="which kinds it gets"
    )
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


class Rule(Section):
    """What is done with images whose header meets every condition; see appliance/rules/verdict.py for the order."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$", description="its name, for history and page")
    match: Annotated[dict[str, Any], AfterValidator(checked_conditions)] = Field(
        default={},
        description="DICOM keywords, each with a text, a number, a list of these, `true`, `false` or a table",
    )
    senders: tuple[AETitle, ...] = Field(
        default=(), description="calling AE titles it is for, or `FOLDER`, `MEDIA`; `*` and `?` allowed; empty: all"
    )
    triage: Literal["include", "exclude", "phantom"] | None = Field(
        default=None, description="read the image; do not; or do not and send nothing; none: the rule does not say"
    )
    send_to: tuple[str, ...] | None = Field(
        default=None, description="names of the `[[pacs]]` that get the results; none: the rule does not say"
    )
    priority: Literal["urgent", "bulk"] | None = Field(
        default=None, description="send at priority 0, or 3 unless found urgent; none: the rule does not say"
    )

    @model_validator(mode="after")
    def _says_something(self) -> Rule:
        if not self.match and not self.senders:
            raise ValueError('it has neither match nor senders; for every image write match = { SOPInstanceUID = "*" }')
        if self.triage is None and self.send_to is None and self.priority is None:
            raise ValueError("it says nothing; give triage, send_to or priority")
        if self.triage == "phantom" and (self.send_to is not None or self.priority is not None):
            raise ValueError(
                'of a phantom nothing is sent; leave out send_to and priority, or write triage = "exclude"'
            )
        return self


class Page(Section):
    """The local status page."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: Port = Field(default=8080, description="HTTP port; with a certificate, HTTPS")
    show_patient: bool = Field(
        default=True, description="show patient name and identifier; false: to nobody, whatever a user may see"
    )
    certificate: Path | None = Field(default=None, description="TLS certificate chain, PEM; none: plain HTTP")
    private_key: Path | None = Field(default=None, description="TLS private key, PEM")
    public_url: Annotated[str, AfterValidator(web_origin)] | None = Field(
        default=None, description="the origin that browsers see, as behind a reverse proxy; none: as asked for"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=(), description="reverse proxies whose X-Forwarded-For names the browser's address"
    )
    session_idle_s: float = Field(
        default=3600.0, ge=60, le=86_400, description="nothing done for so long ends a session, s"
    )
    session_s: float = Field(
        default=43_200.0, ge=60, le=2_592_000, description="a session ends so long after sign-in in any case, s"
    )

    @property
    def is_secure(self) -> bool:
        """Whether browsers come by https, so that cookies need never go without."""
        return self.certificate is not None or (self.public_url or "").startswith("https:")

    @property
    def is_local(self) -> bool:
        """Whether only this machine reaches it, as far as the configuration can tell."""
        return is_loopback(self.host) and self.public_url is None and not self.trusted_proxies

    @model_validator(mode="after")
    def _certificate_with_key(self) -> Page:
        if (self.certificate is None) != (self.private_key is None):
            missing = "certificate" if self.certificate is None else "private_key"
            raise ValueError(f"certificate and private_key go together; {missing} is missing")
        return self


class Oidc(Section):
    """People sign in to the status page at the hospital's OpenID provider; what they may here their groups say."""

    issuer: Annotated[str, AfterValidator(safe_url)] | None = Field(
        default=None, description="the provider, as its metadata name it; none: name and password only"
    )
    client_id: str = Field(default="", description="what the provider calls this box")
    client_secret_file: Path | None = Field(default=None, description="file with the client's secret, if it has one")
    client_secret_variable: str = Field(
        default="SCANSIDE_OIDC_SECRET", description="environment variable with the secret, where there is no file"
    )
    ca: Path | None = Field(default=None, description="the authorities that vouch for it, PEM; none: the system's")
    name: str = Field(default="OpenID Connect", min_length=1, max_length=40, description="what people call it")
    scopes: tuple[str, ...] = Field(default=("openid", "profile"), description="what it is asked for")
    name_claim: str = Field(default="preferred_username", description="claim of the ID token with the user's name")
    groups_claim: str = Field(default="groups", description="claim of the ID token with the user's groups or roles")
    viewer: tuple[str, ...] = Field(default=(), description="groups who may look")
    operator: tuple[str, ...] = Field(default=(), description="groups who may act on studies")
    administrator: tuple[str, ...] = Field(default=(), description="groups who may change the box")
    names: tuple[str, ...] = Field(default=(), description="groups who see patients' names")

    @model_validator(mode="after")
    def _whole(self) -> Oidc:
        if self.issuer is not None and not self.client_id:
            raise ValueError("client_id is missing; it stands where the provider was told of this box")
        if self.issuer is not None and not (self.viewer or self.operator or self.administrator):
            raise ValueError("no group has a role; name some in viewer, operator or administrator")
        if "openid" not in self.scopes:
            raise ValueError("scopes must have openid, or the provider says nothing of who somebody is")
        return self


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
    certificates_only: bool = Field(default=False, description="let in only boxes that have been enrolled, no token")
    certificate_days: float = Field(default=90.0, gt=0, le=3650, description="how long a box's certificate counts")
    max_upload_bytes: int = Field(default=4_294_967_296, ge=1024, description="one upload, bytes")

    @model_validator(mode="after")
    def _tls_unless_loopback(self) -> CloudEndpoint:
        if (self.certificate is None) != (self.private_key is None):
            missing = "certificate" if self.certificate is None else "private_key"
            raise ValueError(f"certificate and private_key go together; {missing} is missing")
        if self.certificate is None and not is_loopback(self.host):
            raise ValueError(f"host = {self.host!r} is beyond loopback and needs certificate and private_key")
        if self.certificates_only and self.certificate is None:
            raise ValueError("certificates_only needs certificate and private_key of the endpoint itself")
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


class AuditSyslog(Section):
    """A syslog server that is told every event of the audit trail, over TLS (RFC 5425)."""

    host: str = Field(description="its address")
    port: Port = Field(default=6514, description="its port")
    tls: PacsTls = Field(default=PacsTls(), description="whom to trust there, and our own certificate")


class Audit(Section):
    """Who did what: the trail on the box is always kept."""

    syslog: AuditSyslog | None = Field(default=None, description="where it is told as well; none: nowhere")


class AtRest(Section):
    """What lies on the box's disk."""

    encrypt: bool = Field(default=True, description="whether a home that is made now is sealed; one that is stays so")
    key_file: Path | None = Field(
        default=None,
        description="the box's key, 64 hexadecimal digits, best on another medium than the home; without it the "
        "systemd credential scanside-box-key, else box.key in the home",
    )


class Settings(Section):
    """The whole configuration."""

    home: Path = Field(default=Path("var"), description="where spool and database live")
    dicom: Dicom = Dicom()
    commitment: Commitment = Commitment()
    watched_folder: WatchedFolder = WatchedFolder()
    limits: Limits = Limits()
    retention: Retention = Retention()
    triage: Triage = Triage()
    cloud: Cloud = Cloud()
    deidentification: Deidentification = Deidentification()
    pacs: tuple[Pacs, ...] = ()
    stow: tuple[StowServer, ...] = ()
    webhook: tuple[Webhook, ...] = ()
    rule: tuple[Rule, ...] = ()
    page: Page = Page()
    oidc: Oidc = Oidc()
    dicomweb: DicomWeb = DicomWeb()
    standby: Standby = Standby()
    audit: Audit = Audit()
    at_rest: AtRest = AtRest()
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

    @field_validator("rule")
    @classmethod
    def _rules_fit(cls, rules: tuple[Rule, ...], others: ValidationInfo) -> tuple[Rule, ...]:
        names = [rule.name for rule in rules]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"name = {twice[0]!r} is taken; every [[rule]] needs a name of its own")
        if not {"pacs", "stow"} <= others.data.keys():
            return rules  # what is wrong with those is said already
        archives = [one.name for one in (*others.data["pacs"], *others.data["stow"])]
        for rule in rules:
            if unknown := [name for name in rule.send_to or () if name not in archives]:
                there = ", ".join(archives) or "none at all"
                raise ValueError(
                    f"rule {rule.name!r} sends to {unknown[0]!r}, which is no [[pacs]] or [[stow]]; there is {there}"
                )
        return rules

    @property
    def commits(self) -> bool:
        """Whether we take requests for storage commitment; an image that retention will delete is not kept."""
        return self.commitment.offer == "always" or (
            self.commitment.offer == "when_kept" and self.retention.keep_days is None
        )

    def report_address_for(self, calling_ae_title: str) -> ReportAddress | None:
        """Where reports on storage commitment to a peer go; a PACS gets them where its results go."""
        of_pacs = (ReportAddress(one.host, one.port, one.tls) for one in self.pacs if one.ae_title == calling_ae_title)
        return self.dicom.report_address_for(calling_ae_title) or next(of_pacs, None)
