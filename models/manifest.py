"""``manifest.json``: everything about a pack that is not the network itself, checked as one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from models.decision import Thresholds
from models.preprocessing import InputSpec
from models.scope import Scope

SCHEMA_VERSION = 1

Role = Literal["box", "cloud"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: A plain name inside the pack's folder: no separators, no leading dot, so it can never point outside.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]


class Manifest(BaseModel):
    """The manifest of one model pack.

    The network has the input ``input.name`` and the outputs ``logits (1, k)`` and ``maps (1, k, h, w)``, one
    ``k`` for each of ``findings``. Calibration: ``probability = sigmoid(logit / temperature + bias)``.
    ``golden`` is an ``npz`` with ``image (n, 1, size, size)`` float32 and ``probability (n, k)``; a backend
    may differ from it by ``golden_tolerance`` at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)?$")
    task: str = Field(min_length=1, max_length=64)
    role: Role
    precision: Literal["int8", "fp32"]
    network: FileName
    files: dict[FileName, Sha256]
    input: InputSpec
    scope: Scope
    findings: tuple[str, ...] = Field(min_length=1)
    temperature: float = Field(gt=0.0, allow_inf_nan=False)
    bias: float = Field(default=0.0, allow_inf_nan=False)
    thresholds: Thresholds
    figures: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    licence: str
    intended_use: str
    golden: FileName
    golden_tolerance: float = Field(gt=0.0, le=0.5)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        for field, name in (("network", self.network), ("golden", self.golden)):
            if name not in self.files:
                raise ValueError(f"{field} is {name}, which is not listed in files")
        if len(set(self.findings)) != len(self.findings):
            raise ValueError("findings must have different names")
        return self
