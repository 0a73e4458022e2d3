"""A pack that is missing or altered: no score, said on every surface, and the study can be read once it is mended."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update

from appliance.commands.check import examine
from appliance.schema import StudyState, devices, findings, studies
from models.reasons import Reason
from store_forward.database import writing
from tests.bad_input.doors import decide, kept, not_triaged
from tests.dicom_factory import as_bytes
from tests.small_box import SmallBox, image
from tests.tiny_pack import change_manifest, write_tiny_pack


def one_bit(pack: Path) -> None:
    """A network file with one bit changed."""
    content = bytearray((pack / "network.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (pack / "network.onnx").write_bytes(content)


def stranger(pack: Path) -> None:
    """A file that the manifest does not name."""
    (pack / "extra.bin").write_bytes(b"?")


def unreadable_manifest(pack: Path) -> None:
    """A manifest that is cut off."""
    (pack / "manifest.json").write_text((pack / "manifest.json").read_text()[:100])


def no_network(pack: Path) -> None:
    """A network file that is gone."""
    (pack / "network.onnx").unlink()


def wrong_answers(pack: Path) -> None:
    """A pack that is whole, but whose numbers do not come out here."""
    change_manifest(pack, bias=[3.0])


DAMAGE: list[tuple[Callable[[Path], None], Reason, str]] = [
    (one_bit, Reason.no_pack, "network.onnx is not the file the manifest names (SHA-256). Copy the whole pack again"),
    (stranger, Reason.no_pack, "extra.bin is not in the manifest. Remove what does not belong"),
    (unreadable_manifest, Reason.no_pack, "Correct the manifest or install another pack"),
    (no_network, Reason.no_pack, "network.onnx is missing. Copy the whole pack again"),
    (wrong_answers, Reason.no_backend, "nothing here can run tiny"),
]


@pytest.mark.parametrize(("damage", "reason", "said"), DAMAGE, ids=[one[0].__name__ for one in DAMAGE])
def test_an_altered_pack(
    box: SmallBox,
    packs: Path,
    damage: Callable[[Path], None],
    reason: Reason,
    said: str,
) -> None:
    """not_triaged with its reason; page and check name the pack and the repair; mended, the study is read."""
    damage(packs / "tiny")
    study = box.receive(image("urgent"))
    not_triaged(decide(box, study), reason)
    assert box.count(findings) == 0
    assert any(said in row.detail for row in box.rows(devices))
    wrong = [one.detail for one in examine(box.settings, rehash=False) if not one.ok]
    assert any(said in detail for detail in wrong)
    kept(box, as_bytes(image("urgent")))

    shutil.rmtree(packs / "tiny")
    write_tiny_pack(packs / "tiny")
    with writing(box.engine) as connection:
        connection.execute(update(studies).values(state=StudyState.COMPLETE))
    assert decide(box, study).decision == "urgent"


def test_no_pack_at_all(box: SmallBox, packs: Path) -> None:
    """An empty installation takes images in, and says that it cannot read them."""
    shutil.rmtree(packs)
    study = box.receive(image())
    not_triaged(decide(box, study), Reason.no_pack)
    kept(box, as_bytes(image()))


def test_an_altered_pack_does_not_stop_the_others(box: SmallBox, packs: Path) -> None:
    """Refused is only what is wrong."""
    one_bit(write_tiny_pack(packs / "another", name="another"))
    study = box.receive(image("urgent"))
    assert (decide(box, study).decision, box.study(study).pack) == ("urgent", "tiny")
    assert any("network.onnx" in row.detail for row in box.rows(devices))
