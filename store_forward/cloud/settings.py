"""The endpoint's settings. Everything has a limit; going over one is a named outcome."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, model_validator

from store_forward.features import FEATURES_TYPE, IMAGES_TYPE


class CloudSettings(BaseModel):
    """What the endpoint and its analysis need to know; sizes in bytes, times in seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    home: Path
    host: str = "127.0.0.1"
    port: int = Field(default=8443, ge=0, le=65535)
    token: str | None = Field(
        default=None, min_length=8, repr=False, description="what boxes without a certificate must show; none: nothing"
    )
    certificates_only: bool = Field(default=False, description="only boxes with a certificate of ours are let in")
    certificate_days: float = Field(default=90.0, gt=0, le=3650, description="how long a box's certificate counts")
    certificate: Path | None = Field(default=None, description="TLS certificate chain, PEM")
    private_key: Path | None = Field(default=None, description="TLS private key, PEM")

    free_floor_bytes: int = Field(default=1_073_741_824, ge=0, description="no upload takes free disk below this")
    free_bulk_bytes: int = Field(default=2_147_483_648, ge=0, description="no bulk upload is begun below this")
    free_warn_bytes: int = Field(default=4_294_967_296, ge=0, description="the log warns below this")
    max_upload_bytes: int = Field(default=4_294_967_296, ge=1, description="one payload")
    max_chunk_bytes: int = Field(default=67_108_864, ge=1, description="body of one request")
    max_uploads: int = Field(default=256, ge=1, description="unfinished uploads at the same time")
    max_connections: int = Field(default=200, ge=1, description="at the same time, all boxes together")
    content_types: tuple[str, ...] = Field(default=(IMAGES_TYPE, FEATURES_TYPE), description="what payloads may be")
    silence_s: float = Field(
        default=30.0, gt=0, le=600, description="pause inside a request body before it is given up"
    )
    upload_age_s: float = Field(default=604_800.0, gt=0, description="an upload idle this long is removed")
    sweep_every_s: float = Field(default=600.0, gt=0, description="how often that is looked for")
    max_answers: int = Field(default=100, ge=1, le=10_000, description="answers in one reply")
    max_wait_s: float = Field(default=60.0, ge=0, le=600, description="longest wait for an answer in one request")
    answer_poll_s: float = Field(default=0.25, gt=0, le=60, description="how often a waiting request looks")

    max_instances: int = Field(default=20_000, ge=1, description="entries in one payload")
    max_unpacked_bytes: int = Field(default=8_589_934_592, ge=1, description="all entries of one payload, unpacked")
    max_pixels: int = Field(default=100_000_000, ge=1, description="pixels of one image")
    max_decoded_bytes: int = Field(default=1_073_741_824, ge=1, description="one image after decoding")
    analysis_attempts: int = Field(default=3, ge=1, le=20, description="then a case is answered not_triaged")
    analysis_timeout_s: float = Field(default=600.0, gt=0, description="one case; the process is killed at it")
    analysis_memory_bytes: int = Field(default=12_884_901_888, ge=536_870_912, description="address space")
    analysis_poll_s: float = Field(default=0.25, gt=0, le=60, description="how often an idle analysis looks")
    packs: Path | None = Field(default=None, description="folder of further model packs; none: the shipped ones only")

    installed_packs: Path | None = Field(default=None, description="where scanside models installs packs")

    @model_validator(mode="after")
    def _tls_is_whole(self) -> CloudSettings:
        if (self.certificate is None) != (self.private_key is None):
            raise ValueError("certificate and private_key go together")
        if self.certificates_only and self.certificate is None:
            raise ValueError("certificates_only needs TLS: certificate and private_key")
        if self.token is None and not self.certificates_only:
            raise ValueError("without a token only certificates_only lets boxes in")
        return self

    @property
    def database(self) -> Path:
        """The endpoint's own database file."""
        return self.home / "cloud.sqlite"

    @property
    def authority(self) -> Path:
        """Where the authority that vouches for boxes lies."""
        return self.home / "authority"

    @property
    def spool(self) -> Path:
        """Where finished payloads lie."""
        return self.home / "spool"

    @property
    def uploads(self) -> Path:
        """Where unfinished ones lie; on the same filesystem as the spool."""
        return self.home / "uploads"
