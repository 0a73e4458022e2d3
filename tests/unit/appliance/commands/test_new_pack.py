"""``scanside models new``: from a network and labelled images to a pack in use, by the commands of the how-to."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from hardware.openvino_session import open_openvino
from models.decision import Decision
from models.opening import open_runner
from models.pack import load_pack
from models.preprocessing import InputSpec, to_tensor
from models.reasons import Reason
from models.recipes.adoption import GivenInput, adopt
from models.recipes.gate_fitting import MILD, changed
from models.synthetic import ct_slice, hand
from models.triage import Triage
from tests.dicom_factory import chest_radiograph
from tests.docs.blocks import ROOT
from tests.given_networks import KINDS, SIZE_PX, Form, classifier, drawn, trained_head
from tests.unit.appliance.commands.conftest import Ended, Scanside

HOW_TO = (ROOT / "docs" / "how-to" / "make-a-pack.md").read_text(encoding="utf-8")
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ORDER = ("effusion", "normal", "other")
PATIENTS, TRAINING = 220, 120
#: What a small test has to ask less for than the how-to does.
SMALLER = {"size_px = 224": f"size_px = {SIZE_PX}", "missed = 0.02": "settled = 0.2\nmissed = 0.4"}
SMALLER |= {"false_alarms = 0.05": "false_alarms = 0.4", "min_side_px = 512": "min_side_px = 64"}


def how_to_commands() -> Iterator[list[str]]:
    """What the how-to tells a reader to type, without ``scanside`` in front."""
    for example in re.findall(r"^```sh\n(.*?)^```", HOW_TO, re.DOTALL | re.MULTILINE):
        for line in example.splitlines():
            if line.startswith("scanside "):
                yield shlex.split(line)[1:]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all that the how-to asks for: description, network, images, labels, others."""
    folder = tmp_path_factory.mktemp("given")
    (text,) = re.findall(r"^```toml\n(.*?)^```", HOW_TO, re.DOTALL | re.MULTILINE)
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "chest.toml").write_text(text, encoding="utf-8")
    (folder / "images").mkdir()
    (folder / "others").mkdir()
    lines = ["file,label,patient"]
    for patient in range(PATIENTS):
        kind = KINDS[(patient % 4) % 3]  # half of them are normal
        for index in range(2):
            name = f"{patient:03d}-{index}.png"
            cv2.imwrite(str(folder / "images" / name), drawn(kind, seed=10_000 + 2 * patient + index))
            lines.append(f"{name},{kind},P{patient}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    rng = np.random.default_rng(0)
    for index in range(60):
        other = (ct_slice() if index % 2 else hand()) / 16.0
        turned = np.rot90(other * rng.uniform(0.7, 1.0), index % 4)
        cv2.imwrite(str(folder / "others" / f"{index}.png"), np.clip(turned, 0, 255).astype(np.uint8))
    _train(folder / "network.onnx")
    return folder


def _train(target: Path) -> None:
    """A network with three channels and scores in the how-to's order, fitted on pictures that are not in the folder."""
    form = Form(activation="Softmax", channels=3, names=("input", "output"))
    onnx.save(classifier(form, scores=3), target)
    adopt(target, GivenInput(SIZE_PX, MEAN, STD), (0, 1, 2), target.with_suffix(".raw"))
    session = open_openvino(target.with_suffix(".raw"))
    spec = InputSpec(size_px=SIZE_PX, low_pass_sigma_px=0.0, low_percentile=0.0, high_percentile=100.0)
    kinds = [KINDS[seed % 3] for seed in range(TRAINING)]
    plain = np.stack([drawn(kind, seed) for seed, kind in enumerate(kinds)])
    pictures = [plain, *(changed(plain, {name: change}, 0) for name, change in MILD.items())]
    features = np.concatenate(
        [session.run(to_tensor(picture, spec))["features"] for picture in np.concatenate(pictures)]
    )
    onnx.save(classifier(form, scores=3, head=trained_head(features, kinds * len(pictures), ORDER)), target)


def _read(triage: Triage, pixels: NDArray[np.uint8], age: str = "040Y") -> tuple[Decision, Reason | None]:
    dataset = chest_radiograph(pixels=pixels.astype(np.uint16) * 16, PatientAge=age)
    result = triage.image(dataset)
    return result.decision, result.reason


def test_the_how_to_as_it_is_written(scanside: Scanside, given: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command works, and the pack reads what it was made for and refuses the rest."""
    monkeypatch.chdir(given)
    commands = list(how_to_commands())
    assert [" ".join(words[:2]) for words in commands] == [
        "models new", "models verify", "evaluate packs/chest-effusion", "models install", "models activate",
    ]  # fmt: skip
    ended = [scanside(*words) for words in commands]
    assert [(one.status, one.err if one.status else "") for one in ended] == [(0, "")] * len(commands)
    said = ended[0].out.splitlines()
    assert said[0].startswith("packs/chest-effusion: ")
    assert said[-2:] == [
        "  scanside models install packs/chest-effusion-1.0.0.scanpack",
        f"  scanside models activate chest-effusion@{ended[1].out.split()[2][:12]}",
    ]
    assert "reads from now on" in ended[-1].out
    assert {path.name for path in (given / "packs").iterdir()} == {"chest-effusion", "chest-effusion-1.0.0.scanpack"}
    assert (given / "curves" / "roc.svg").exists()

    pack = load_pack(given / "packs" / "chest-effusion")
    assert pack.manifest.precision == "int8"
    assert (pack.manifest.normal, *pack.manifest.findings) == KINDS
    figures = pack.manifest.figures["test"]
    assert min(figures["auc"], figures["fp32_auc"]) > 0.95
    assert pack.manifest.figures["gate"]["accepted_test"] > 0.9
    card = (pack.folder / "card.md").read_text(encoding="utf-8")
    assert "The network came trained" in card
    assert "Portable radiographs were not studied." in card

    triage = Triage([open_runner(pack).runner])
    assert _read(triage, drawn("normal", seed=1)) == (Decision.routine, None)
    # thirty ill calibration pictures are too few to show a bound for urgent
    assert _read(triage, drawn("effusion", seed=2))[0] in (Decision.urgent, Decision.escalate)
    assert _read(triage, drawn("other", seed=3))[0] in (Decision.routine, Decision.escalate)
    assert _read(triage, drawn("normal", seed=1)[::-1]) == (Decision.not_triaged, Reason.wrong_picture)
    assert _read(triage, 255 - drawn("normal", seed=1)) == (Decision.not_triaged, Reason.wrong_picture)
    assert _read(triage, drawn("normal", seed=1), "004Y") == (Decision.not_triaged, Reason.age_out_of_range)
    found = triage.image(chest_radiograph(pixels=drawn("effusion", seed=4).astype(np.uint16) * 16, PatientAge="040Y"))
    assert found.shown == "effusion"
    assert found.heat_map is not None
    row, column = np.unravel_index(found.heat_map.argmax(), found.heat_map.shape)
    assert 40 < row < 85, "the spot lies in the lower half"
    assert 25 < column < 70


def _new(scanside: Scanside, given: Path, tmp_path: Path, **changes: Path) -> Ended:
    options = {"network": given / "network.onnx", "images": given / "images", "labels": given / "labels.csv"}
    words = [word for name, path in (options | changes).items() for word in (f"--{name}", path) if name != "chest"]
    return scanside("models", "new", changes.get("chest", given / "chest.toml"), *words, "--out", tmp_path / "out")


def _labels(given: Path, tmp_path: Path, kind: str) -> Path:
    lines = (given / "labels.csv").read_text(encoding="utf-8").splitlines()
    changed = {
        "unknown label": [*lines[:9], "000-0.png,oedema,P0"],
        "no patient": [line.rpartition(",")[0] for line in lines[:9]],
        "empty patient": [*lines[:9], "000-0.png,normal,"],
        "gone": [*lines[:9], "gone.png,normal,P0"],
        "only normal": [line for line in lines if "effusion" not in line][:30],
        "empty": [],
        "no rows": lines[:1],
    }[kind]
    path = tmp_path / "labels.csv"
    path.write_text("\n".join(changed), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("unknown label", "the labels ['oedema'] are none of ['normal', 'effusion', 'other']"),
        ("no patient", "labels.csv needs the columns file, label, patient; ['patient'] missing"),
        ("empty patient", "line 10 of labels.csv does not fill every column"),
        ("gone", "gone.png is listed but cannot be read as an image"),
        ("only normal", "has none of effusion; more images are needed"),
        ("empty", "labels.csv has no line"),
        ("no rows", "labels.csv has no line"),
    ],
)
def test_labels_that_do_not_fit(scanside: Scanside, given: Path, tmp_path: Path, kind: str, why: str) -> None:
    """Status 1, one sentence, nothing left behind."""
    ended = _new(scanside, given, tmp_path, labels=_labels(given, tmp_path, kind))
    assert (ended.status, ended.out) == (1, "")
    assert why in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["network", "images", "labels", "foreign", "chest"])
def test_what_is_not_there(scanside: Scanside, given: Path, tmp_path: Path, option: str) -> None:
    """Each path that can be wrong is named."""
    ended = _new(scanside, given, tmp_path, **{option: tmp_path / "gone"})
    assert (ended.status, ended.out) == (1, "")
    assert "gone" in ended.err or "000-0.png" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", ["chest-effusion", "chest-effusion-1.0.0.scanpack"])
def test_nothing_is_overwritten(scanside: Scanside, given: Path, tmp_path: Path, name: str) -> None:
    """A pack of that name in the folder stays as it is."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine", encoding="utf-8")
    ended = _new(scanside, given, tmp_path)
    assert ended.status == 1
    assert f"{name} exists; name another folder or remove it" in ended.err
    assert (tmp_path / "out" / name).read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("missing", ["nncf", "mapie", "sklearn", "scipy"])
def test_without_the_extra(
    scanside: Scanside, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """One sentence with what to install; every other command does not need it."""
    for name in [one for one in sys.modules if one.startswith(("models.recipes", "appliance.commands.new_pack"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in [one for one in sys.modules if one.split(".")[0] == missing]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, missing, None)
    ended = _new(scanside, given, tmp_path)
    assert ended.status == 1
    assert ended.err.startswith(f"models new needs {missing}")
    assert "pip install 'scanside[packs]'" in ended.err
    assert scanside("models", "list").status == 0


def test_training_is_not_needed(given: Path) -> None:
    """What the command imports leaves PyTorch out, and everything that trains."""
    script = "import sys, appliance.commands.new_pack; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
