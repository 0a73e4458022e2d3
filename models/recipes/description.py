"""The TOML file that says what a network trained elsewhere is for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator

from models.errors import PackRejected
from models.manifest import Activation
from models.preprocessing import InputSpec
from models.recipes.adoption import GivenInput
from models.recipes.task import Task, Words
from models.scope import Scope

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
Label = Annotated[str, Field(min_length=1, max_length=64)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class InputDescription(_Strict):
    """What the network was trained on: squares of ``size_px``, values 0..1, then ``(value - mean) / std``."""

    size_px: int = Field(ge=32, le=2048)
    mean: tuple[FiniteFloat, ...] = (0.0,)
    std: tuple[Annotated[float, Field(gt=0.0)], ...] = (1.0,)
    low_pass_sigma_px: float = Field(default=0.0, ge=0.0, le=8.0)
    low_percentile: float = Field(default=0.0, ge=0.0, lt=50.0)
    high_percentile: float = Field(default=100.0, gt=50.0, le=100.0)

    @model_validator(mode="after")
    def _one_or_three(self) -> InputDescription:
        if {len(self.mean), len(self.std)} - {1, 3}:
            raise ValueError("mean and std need one number for all channels, or three")
        return self


class Description(_Strict):
    """``classes`` are the labels, the normal one first; ``scores`` their order at the network's output.

    A network with a single score has the activation ``sigmoid``, two classes, and ``scores`` left out. Only with
    ``heat_map_proven`` is the pack's heat map drawn.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")
    version: str = Field(pattern=r"^\d+\.\d+\.\d+([-+.][0-9A-Za-z.-]+)?$")
    classes: tuple[Label, ...] = Field(min_length=2)
    scores: tuple[Label, ...] = ()
    activation: Activation = "softmax"
    acts_on: tuple[str, ...] = ()
    group: str | None = None
    missed: Share = 0.02
    false_alarms: Share = 0.02
    prevalence: Share = 2 / 3
    settled: Share = 0.7
    heat_map_proven: bool = False
    intended_use: str = Field(min_length=10)
    population: str = ""
    data: str = ""
    licence: str = Field(min_length=1)
    limits: tuple[str, ...] = ()
    input: InputDescription
    scope: Scope

    @model_validator(mode="after")
    def _consistent(self) -> Description:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("classes must all have different names")
        if self.activation == "sigmoid" and len(self.classes) != 2:
            raise ValueError("sigmoid is for two classes and one score; use softmax for more")
        if self.activation == "sigmoid" and self.scores:
            raise ValueError("sigmoid has one score, so leave scores out")
        if self.scores and sorted(self.scores) != sorted(self.classes):
            raise ValueError("scores must name every class once, in the order of the network's output")
        if not set(self.acts_on) <= set(self.classes[1:]):
            raise ValueError("acts_on may only name classes after the first, which is the normal one")
        return self

    @property
    def order(self) -> tuple[int, ...]:
        """Which of the network's scores stands for which output."""
        if self.activation == "sigmoid":
            return (0,)
        named = self.scores or self.classes
        return tuple(named.index(label) for label in self.classes)

    @property
    def given(self) -> GivenInput:
        """The input the network was trained on."""
        return GivenInput(self.input.size_px, self.input.mean, self.input.std)

    @property
    def task(self) -> Task:
        """The same as a task for the recipes, with nothing to train."""
        own = self.input
        return Task(
            name=self.name,
            version=self.version,
            classes=self.classes,
            activation=self.activation,
            acts_on=self.acts_on or self.classes[1:],
            spec=InputSpec(
                size_px=own.size_px,
                low_pass_sigma_px=own.low_pass_sigma_px,
                low_percentile=own.low_percentile,
                high_percentile=own.high_percentile,
            ),
            scope=self.scope.model_dump(),
            words=Words(self.intended_use, self.population, self.data, self.licence, self.limits),
            group=self.group,
            missed=self.missed,
            false_alarms=self.false_alarms,
            prevalence=self.prevalence,
            settled=self.settled,
            heat_map_proven=self.heat_map_proven,
        )


def read_description(path: Path) -> Description:
    """Read and check the file.

    Raises:
        PackRejected: it cannot be read, is no TOML, or says something that does not fit; all of that at once.
    """
    repair = "Correct the description; docs/how-to/make-a-pack.md has a whole one"
    try:
        with path.open("rb") as stream:
            return Description.model_validate(tomllib.load(stream))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PackRejected(path.name, f"it cannot be read as TOML ({error})", repair) from None
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        words = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the whole'}: {one['msg']}" for one in problems)
        raise PackRejected(path.name, words, repair) from None
