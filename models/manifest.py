"""``manifest.json``: everything about a pack that is not the network itself, checked as one."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from models.decision import Thresholds
from models.preprocessing import InputSpec
from models.scope import Scope

SCHEMA_VERSION = 2

Role = Literal["box", "cloud"]
Activation = Literal["sigmoid", "softmax"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
#: A plain name inside the pack's folder: no separators, no leading dot, so it can never point outside.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}$")]


class HeadDescription(BaseModel):
    """The head of a box pack and how its logits are to be taken, as those of the network are by the manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: FileName
    temperature: float = Field(gt=0.0, allow_inf_nan=False)
    bias: tuple[FiniteFloat, ...]
    thresholds: Thresholds


class Manifest(BaseModel):
    """The manifest of one model pack.

    The network has the input ``input.name`` and the outputs ``logits (1, k)`` and ``maps (1, k, h, w)``, the mean of
    a map being its logit. With the activation ``sigmoid`` there is one of them for each of ``findings``, and any
    number of findings may be present; with ``softmax`` the first is for ``normal``, the rest for ``findings``, and
    exactly one is true. Calibration: ``probability = activation(logit / temperature + bias)``. The decision rests on
    the findings in ``acts_on`` alone. With a ``gate`` there is a third output, ``features (1, f)``, and the file of
    that name judges by it whether the picture is of the intended kind. The ``head``, if there is one, goes on from
    these features at the cloud.
    ``heat_map_proven`` says that the deletion test has shown its maps to point at what they are drawn for; the map of a
    pack that does not say so is drawn nowhere.
    ``golden`` is an ``npz`` with ``image (n, 1, size, size)`` float32 and ``probability (n, k)``; a backend
    may differ from it by ``golden_tolerance`` at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[2]
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)?$")
    task: str = Field(min_length=1, max_length=64)
    role: Role
    precision: Literal["int8", "fp32"]
    network: FileName
    files: dict[FileName, Sha256]
    input: InputSpec
    scope: Scope
    normal: str = Field(min_length=1, max_length=64)
    findings: tuple[str, ...] = Field(min_length=1)
    acts_on: tuple[str, ...] = Field(min_length=1)
    activation: Activation
    temperature: float = Field(gt=0.0, allow_inf_nan=False)
    bias: tuple[FiniteFloat, ...]
    gate: FileName | None = None
    head: HeadDescription | None = None
    heat_map_proven: bool = False
    thresholds: Thresholds
    figures: dict[str, Any] = Field(default_factory=dict)
    calibration: dict[str, Any] = Field(default_factory=dict)
    licence: str
    intended_use: str
    golden: FileName
    golden_tolerance: float = Field(gt=0.0, le=0.5)

    @model_validator(mode="after")
    def _consistent(self) -> Manifest:
        head = self.head and self.head.file
        for field, name in (("network", self.network), ("golden", self.golden), ("gate", self.gate), ("head", head)):
            if name is not None and name not in self.files:
                raise ValueError(f"{field} is {name}, which is not listed in files")
        if len({self.normal, *self.findings}) != len(self.findings) + 1:
            raise ValueError("normal and findings must all have different names")
        if not set(self.acts_on) <= set(self.findings):
            raise ValueError("acts_on may only name findings")
        if len(self.bias) != self.outputs:
            raise ValueError(f"bias needs {self.outputs} numbers, one for each output of the network")
        if self.head is not None and self.gate is None:
            raise ValueError("a head needs a gate: the features come with it")
        if self.head is not None and len(self.head.bias) != self.outputs:
            raise ValueError(f"the head's bias needs {self.outputs} numbers, one for each output of the network")
        return self

    @property
    def outputs(self) -> int:
        """How many logits the network has."""
        return len(self.findings) + (self.activation == "softmax")
