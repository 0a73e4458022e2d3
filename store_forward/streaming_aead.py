"""The bytes of a sealed file: Tink's AES-GCM-HKDF streaming AEAD, written and read with OpenSSL's AES-GCM and HKDF.

A file begins with a header: its own length in one byte, a salt of 32 bytes, and 7 bytes that begin every nonce.
HKDF-SHA256 makes the file's key of the home's, the salt and the purpose. Segments of 64 KiB follow, of which the header
is part of the first, each with a tag of 16 bytes; the nonce ends in the segment's number, 4 bytes, big-endian, and
in 1 for the last. Source: "AES-GCM-HKDF streaming AEAD" in Tink's documentation; the tests hold this to Tink itself,
both ways.
"""

from __future__ import annotations

import base64
import errno
import io
import json
import os
import secrets
import struct
from typing import Any, BinaryIO, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SEGMENT_BYTES: Final = 1 << 16
_KEY_BYTES: Final = 32
_NONCE_START_BYTES: Final = 7
_HEADER_BYTES: Final = 1 + _KEY_BYTES + _NONCE_START_BYTES
_TAG_BYTES: Final = 16
_CONTENT_BYTES: Final = SEGMENT_BYTES - _TAG_BYTES  # of every segment but the first, which has the header, too
_PURPOSE: Final = b"scanside file"
_NONCE_END: Final = struct.Struct(">I?")  # number of the segment, whether it is the last
_DAMAGED: Final = "the sealed file is damaged, or sealed with another key"

#: A keyset holds an AesGcmHkdfStreamingKey of protocol buffers: params (2) with segment size (1), size of a file's key
#: (2) and hash (3: SHA256); then the key (3), the only part that differs.
_KEY_FORM: Final = bytes.fromhex("1208 08808004 1020 1803 1a20")
_KEY_TYPE: Final = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


def new_keyset() -> str:
    """A new key to seal with, as text that must itself be kept secret: a Tink keyset in JSON."""
    key_id = secrets.randbelow(2**32 - 1) + 1
    value = base64.b64encode(_KEY_FORM + secrets.token_bytes(_KEY_BYTES)).decode("ascii")
    data = {"typeUrl": _KEY_TYPE, "value": value, "keyMaterialType": "SYMMETRIC"}
    key = {"keyData": data, "status": "ENABLED", "keyId": key_id, "outputPrefixType": "RAW"}
    return json.dumps({"primaryKeyId": key_id, "key": [key]})


def key_of(keyset: str) -> bytes:
    """The 32 bytes that :func:`new_keyset` drew. Raises ValueError when it is no such keyset."""
    try:
        (key,) = json.loads(keyset)["key"]
        value = base64.b64decode(key["keyData"]["value"], validate=True)
        is_ours = key["keyData"]["typeUrl"] == _KEY_TYPE and key["outputPrefixType"] == "RAW"
    except (LookupError, TypeError, ValueError) as error:
        raise ValueError("not a keyset to seal files with") from error
    if not (is_ours and value.startswith(_KEY_FORM) and len(value) == len(_KEY_FORM) + _KEY_BYTES):
        raise ValueError("not a keyset to seal files with")
    return value[len(_KEY_FORM) :]


def sealed_bytes(content: int) -> int:
    """How long the sealed file of so much content is."""
    in_segments = content + _HEADER_BYTES
    return in_segments + _TAG_BYTES * -(-in_segments // _CONTENT_BYTES)


def content_bytes(sealed: int) -> int:
    """How much is in a sealed file of this length; 0 for one that is too short to be one."""
    return max(sealed - _HEADER_BYTES - _TAG_BYTES * -(-sealed // SEGMENT_BYTES), 0)


def _file_cipher(key: bytes, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), _KEY_BYTES, salt, _PURPOSE).derive(key))


class SealingWriter(io.RawIOBase):
    """What is written goes sealed into a file; it is complete when this is closed.

    Raises what the file raises, and nothing but that from then on.
    """

    def __init__(self, key: bytes, file: BinaryIO, close: bool) -> None:
        """``close``: the file, too, when this is closed."""
        salt, self._nonce_start = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_NONCE_START_BYTES)
        self._cipher = _file_cipher(key, salt)
        self._file = file
        self._close = close
        self._failed: OSError | None = None
        self._number = 0
        self._plain = memoryview(bytearray(_CONTENT_BYTES))
        self._waiting = 0  # bytes of a segment that is not full, or may be the last
        self._sealed = memoryview(bytearray(SEGMENT_BYTES))
        self._sealed[:_HEADER_BYTES] = bytes([_HEADER_BYTES]) + salt + self._nonce_start

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, data: Any) -> int:
        """Take all of ``data``. Raises OSError."""
        left = memoryview(data).cast("B")
        size = len(left)
        while (room := self._room()) < len(left):
            if self._waiting:
                self._keep(left[:room])
                self._seal(self._plain[: self._waiting], last=False)
                self._waiting = 0
            else:
                self._seal(left[:room], last=False)
            left = left[room:]
        self._keep(left)
        return size

    def close(self) -> None:
        """Write what is left. Raises OSError."""
        if self.closed:
            return
        super().close()
        try:
            self._seal(self._plain[: self._waiting], last=True)
        finally:
            if self._close:
                self._file.close()

    def _room(self) -> int:
        whole = _CONTENT_BYTES if self._number else _CONTENT_BYTES - _HEADER_BYTES
        return whole - self._waiting

    def _keep(self, content: memoryview) -> None:
        end = self._waiting + len(content)
        self._plain[self._waiting : end] = content
        self._waiting = end

    def _seal(self, content: memoryview, last: bool) -> None:
        nonce = self._nonce_start + _NONCE_END.pack(self._number, last)
        start = 0 if self._number else _HEADER_BYTES
        end = start + len(content) + _TAG_BYTES
        self._cipher.encrypt_into(nonce, content, None, self._sealed[start:end])
        self._number += 1
        self._put(self._sealed[:end])

    def _put(self, data: bytes | memoryview) -> None:
        if self._failed is not None:
            raise self._failed
        try:
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            self._failed = error
            raise


class SealedReader(io.RawIOBase):
    """The content of a sealed file, to be read from any place: each segment stands for itself."""

    def __init__(self, key: bytes, file: BinaryIO) -> None:
        """``file`` is without a buffer, and closed when this is."""
        self._key = key
        self._file = file
        self._sealed_bytes = os.fstat(file.fileno()).st_size
        self._last = max(self._sealed_bytes - 1, 0) // SEGMENT_BYTES
        self._at = 0
        self._cipher: AESGCM | None = None
        self._nonce_start = b""
        self._held: int | None = None  # the segment whose content is at hand
        self._content = b""
        self.name = file.name

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Where in the content the next byte is read from."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the content; nothing is read for that. Raises OSError for one before its start."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: content_bytes(self._sealed_bytes)}[whence]
        if start + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read on, to the end of a segment at most.

        Raises OSError; EBADMSG: these are not the bytes that were sealed.
        """
        data = self._next(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """The rest of it. Raises OSError as :meth:`readinto` does."""
        parts = list[bytes]()
        while part := self._next(SEGMENT_BYTES):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Nothing more will be read."""
        self._file.close()
        super().close()

    def _next(self, most: int) -> bytes:
        if self._cipher is None:
            self._cipher = self._file_cipher()
        number, start = divmod(self._at + _HEADER_BYTES, _CONTENT_BYTES)
        start -= 0 if number else _HEADER_BYTES
        if number > self._last:
            return b""
        if self._held != number:
            self._content = self._opened(self._cipher, number)
            self._held = number
        data = self._content[start : start + most]
        self._at += len(data)
        return data

    def _opened(self, cipher: AESGCM, number: int) -> bytes:
        start = number * SEGMENT_BYTES
        end = min(start + SEGMENT_BYTES, self._sealed_bytes)
        if number == 0:
            start = _HEADER_BYTES
        sealed = self._read(start, end - start)
        nonce = self._nonce_start + _NONCE_END.pack(number, number == self._last)
        try:
            return cipher.decrypt(nonce, sealed, None)
        except InvalidTag as error:
            raise OSError(errno.EBADMSG, _DAMAGED) from error

    def _file_cipher(self) -> AESGCM:
        """Of a file as long as one of ours can be: cut behind a segment, it would end without the last one."""
        header = self._read(0, _HEADER_BYTES)  # before its length is judged: what the disk does not give is not damaged
        least = 1 if self._last else _HEADER_BYTES
        whole = self._sealed_bytes >= self._last * SEGMENT_BYTES + least + _TAG_BYTES
        if not whole or header[0] != _HEADER_BYTES:
            raise OSError(errno.EBADMSG, _DAMAGED)
        self._nonce_start = header[1 + _KEY_BYTES :]
        return _file_cipher(self._key, header[1 : 1 + _KEY_BYTES])

    def _read(self, start: int, size: int) -> bytes:
        """All of it. Raises OSError: EBADMSG when the file ends before."""
        self._file.seek(start)
        found = b""
        while len(found) < size:
            more = self._file.read(size - len(found))
            if not more:
                raise OSError(errno.EBADMSG, _DAMAGED)
            found = found + more if found else more
        return found
