"""Sealed files: what is read is what was written, and nothing else can be read."""

from __future__ import annotations

import errno
import os
import pickle
from io import BytesIO, FileIO, RawIOBase
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
import tink
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from tink import json_proto_keyset_format, secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

from store_forward.durable import overwrite
from store_forward.sealing import ERASED_BY_BYTES, Seal, SealedFile, lying, plain_path
from store_forward.streaming_aead import SEGMENT_BYTES, content_bytes, new_keyset, sealed_bytes
from tests.dicom_factory import as_bytes, chest_radiograph

KEYSET = new_keyset()
SEAL = Seal(KEYSET)
CONTENT = bytes(range(256)) * 1024
FIRST = SEGMENT_BYTES - 56
"""How much content is in the first segment; 40 more in any other."""


def sealed(path: Path, content: bytes = CONTENT, seal: Seal = SEAL) -> SealedFile:
    """A file with this content, sealed."""
    file = seal.file(path)
    with file.open("wb") as target:
        target.write(content)
    return file


@given(st.integers(0, 3 * SEGMENT_BYTES))
def test_lengths_follow_from_one_another(length: int) -> None:
    """Without opening the file, and as Tink has it."""
    target = BytesIO()
    with SEAL.writer(cast(BinaryIO, target)) as file:
        file.write(bytes(length))
    assert len(target.getvalue()) == sealed_bytes(length)
    assert content_bytes(sealed_bytes(length)) == length


LENGTHS = st.integers(0, 3 * SEGMENT_BYTES) | st.sampled_from(
    [first + more for first in (0, FIRST, FIRST + SEGMENT_BYTES - 16) for more in (0, 1)] + [FIRST - 1]
)


@pytest.fixture(scope="module")
def judge() -> Any:
    """Tink's own primitive, for the same key."""
    streaming_aead.register()
    return json_proto_keyset_format.parse(KEYSET, secret_key_access.TOKEN).primitive(streaming_aead.StreamingAead)


@given(LENGTHS, st.integers(1, 200_000))
def test_tink_reads_what_we_write(judge: Any, length: int, at_a_time: int) -> None:
    """However it comes to be written."""
    content, sealed = os.urandom(length), BytesIO()
    with SEAL.writer(cast(BinaryIO, sealed)) as file:
        for start in range(0, length, at_a_time):
            file.write(content[start : start + at_a_time])
    with judge.new_decrypting_stream(BytesIO(sealed.getvalue()), b"scanside file") as stream:
        assert stream.read() == content


@given(LENGTHS)
def test_we_read_what_tink_writes(tmp_path_factory: pytest.TempPathFactory, judge: Any, length: int) -> None:
    """As in a home that was made with it."""
    content, path = os.urandom(length), tmp_path_factory.mktemp("sealed") / "file"
    with judge.new_encrypting_stream(path.open("wb"), b"scanside file") as stream:
        stream.write(content)
    assert SEAL.file(path).read_bytes() == content


def test_a_key_that_tink_made_is_one() -> None:
    """As those of homes from before; one with other segments is none."""
    streaming_aead.register()
    form = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKeyFormat(key_size=32)
    form.params.hkdf_hash_type = common_pb2.SHA256
    form.params.derived_key_size = 32
    for segment_bytes in (SEGMENT_BYTES, 4096):
        form.params.ciphertext_segment_size = segment_bytes
        template = tink_pb2.KeyTemplate(
            type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
            value=form.SerializeToString(),
            output_prefix_type=tink_pb2.OutputPrefixType.RAW,
        )
        keyset = json_proto_keyset_format.serialize(tink.new_keyset_handle(template), secret_key_access.TOKEN)
        if segment_bytes == SEGMENT_BYTES:
            assert Seal(keyset).sealed(CONTENT)
        else:
            with pytest.raises(ValueError, match="not a keyset"):
                Seal(keyset)


@given(st.lists(st.tuples(st.integers(0, len(CONTENT) + 10), st.integers(0, 90_000)), max_size=8))
def test_any_place_can_be_read(tmp_path_factory: pytest.TempPathFactory, wanted: list[tuple[int, int]]) -> None:
    """Forth and back, over the ends of segments and behind the end."""
    with sealed(tmp_path_factory.mktemp("sealed") / "file").open() as file:
        for start, length in wanted:
            file.seek(start)
            assert file.read(length) == CONTENT[start : start + length]
            assert file.tell() == min(start + length, max(len(CONTENT), start))
        assert file.seek(-5, os.SEEK_END) == len(CONTENT) - 5
        assert file.read() == CONTENT[-5:]


def test_on_the_disk_there_is_nothing_of_it(tmp_path: Path) -> None:
    """Nor are two files with the same content alike."""
    first, second = sealed(tmp_path / "a", b"DOE^JANE" * 100), sealed(tmp_path / "b", b"DOE^JANE" * 100)
    raw = (tmp_path / "a").read_bytes()
    assert b"DOE" not in raw
    assert raw != (tmp_path / "b").read_bytes()
    assert first.read_bytes() == second.read_bytes() == b"DOE^JANE" * 100


def test_a_folder_of_sealed_files(tmp_path: Path) -> None:
    """What is below it is written and read sealed, however it is come to; text, which is neither, is refused."""
    folder = SEAL.folder(tmp_path / "top")
    lying(folder / "below").mkdir(parents=True)
    with (folder / "below" / "file").open("xb") as target:
        target.write(CONTENT)
    with pytest.raises(FileExistsError):
        (folder / "below" / "file").open("xb")
    assert (tmp_path / "top" / "below" / "file").read_bytes() != CONTENT
    (below,) = folder.iterdir()
    assert (below.name, below.is_dir(), (folder / "none").is_dir()) == ("below", True, False)
    (found,) = folder.glob("*/f*")
    assert (found, lying(found)) == (folder / "below" / "file", tmp_path / "top" / "below" / "file")
    assert found.read_bytes() == pickle.loads(pickle.dumps(found)).read_bytes() == CONTENT
    assert SEAL.sealed(CONTENT) != CONTENT
    with pytest.raises(ValueError, match="not opened as 'r'"):
        found.open("r")  # type: ignore[arg-type]
    assert found.read_bytes() == CONTENT


def _flip(raw: bytes) -> bytes:
    return raw[:5000] + bytes([raw[5000] ^ 1]) + raw[5001:]


@pytest.mark.parametrize(
    "spoil",
    [
        _flip,
        lambda raw: raw[:-1],
        lambda raw: raw[:SEGMENT_BYTES],  # a whole segment, but not the last
        lambda raw: raw[: SEGMENT_BYTES + 5],  # … and less than any segment has
        lambda raw: raw[: SEGMENT_BYTES + 16],  # … and what looks like an empty one
        lambda raw: raw[:SEGMENT_BYTES] + raw[2 * SEGMENT_BYTES :],
        lambda raw: raw + bytes(16),
        lambda raw: b"",
        lambda raw: raw[:10],
        lambda raw: raw[:50],
        lambda raw: b"\x27" + raw[1:],
    ],
)
def test_what_was_changed_cannot_be_read(tmp_path: Path, spoil: Any) -> None:
    """And it is told from a disk that fails."""
    file = sealed(tmp_path / "file")
    (tmp_path / "file").write_bytes(spoil((tmp_path / "file").read_bytes()))
    with pytest.raises(OSError, match="damaged") as raised:
        file.read_bytes()
    assert raised.value.errno == errno.EBADMSG


def test_another_key_reads_nothing(tmp_path: Path) -> None:
    """Not even whether it is a file of ours."""
    sealed(tmp_path / "file")
    with pytest.raises(OSError, match="another key"):
        Seal(new_keyset()).file(tmp_path / "file").read_bytes()


def test_without_its_start_nobody_reads_it(tmp_path: Path) -> None:
    """The file's own key is gone with it, whoever has that of the home."""
    file = sealed(tmp_path / "file")
    overwrite(tmp_path / "file", ERASED_BY_BYTES)
    assert (tmp_path / "file").stat().st_size == sealed_bytes(len(CONTENT))
    with pytest.raises(OSError, match="damaged"):
        file.read_bytes()


def test_who_opens_paths_by_himself_is_told(tmp_path: Path) -> None:
    """Instead of being given what is on the disk."""
    file = sealed(tmp_path / "file", as_bytes(chest_radiograph()))
    with pytest.raises(TypeError):
        dcmread(file)
    with pytest.raises(TypeError, match=r"its open\(\)"):
        open(file, "rb")  # noqa: PTH123, SIM115
    with file.open() as stream:
        assert dcmread(stream).Modality
    with plain_path(file) as plain:
        assert dcmread(plain).Modality
        assert not plain.is_relative_to(tmp_path)
    with plain_path(tmp_path / "file") as same:
        assert same == tmp_path / "file"


def test_as_a_path_it_tells_of_its_content(tmp_path: Path) -> None:
    """Length, presence, name; and what is made from it is a path like any other."""
    file = sealed(tmp_path / "file")
    assert (file.name, file.exists(), file.is_file()) == ("file", True, True)
    found, raw = file.stat(), (tmp_path / "file").stat()
    assert (found.st_size, found.st_mtime_ns, found.st_mode) == (len(CONTENT), raw.st_mtime_ns, raw.st_mode)
    file.unlink()
    file.unlink(missing_ok=True)
    assert not file.exists()


def test_it_goes_to_another_process_with_its_key(tmp_path: Path) -> None:
    """As to those that open files of strangers."""
    file = sealed(tmp_path / "file")
    assert pickle.loads(pickle.dumps(file)).read_bytes() == CONTENT


class Full(RawIOBase):
    """A disk that takes so much and no more."""

    def __init__(self, room: int) -> None:
        self._room = room

    def writable(self) -> bool:
        """It is written to."""
        return True

    def write(self, data: Any) -> int:
        """As much as there is room for."""
        if self._room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken = min(len(data), self._room)
        self._room -= taken
        return taken


@pytest.mark.parametrize("room", [0, 10, 70_000, sealed_bytes(len(CONTENT)) - 1])
def test_a_full_disk_is_heard_of(room: int) -> None:
    """At the latest when the file is closed: nothing is taken for written that was not."""
    file = SEAL.writer(cast(BinaryIO, Full(room)))
    with pytest.raises(OSError, match="No space") as raised, file:
        for start in range(0, len(CONTENT), 1000):
            file.write(CONTENT[start : start + 1000])
    assert raised.value.errno == errno.ENOSPC


def test_a_disk_that_fails_is_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the error it is, not as damage."""

    class Failing(FileIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    sealed(tmp_path / "file")
    monkeypatch.setattr(Path, "open", lambda path, *_, **__: Failing(str(path)))
    with pytest.raises(OSError) as raised, SEAL.open(tmp_path / "file") as file:
        file.read()
    assert raised.value.errno == errno.EIO


def test_not_a_key() -> None:
    """Said when it is opened."""
    with pytest.raises(ValueError, match="not a keyset"):
        Seal("{}")
