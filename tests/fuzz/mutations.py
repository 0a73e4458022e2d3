"""Damage by the dice: the same seed gives the same bytes, so a number in a report is a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

#: Numbers at which parsers stumble, as they stand in two or four little or big endian bytes.
_EDGES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
#: What stands in files and is not meant for us: ends of sequences, markers of codecs, markup, a program.
_WORDS = (
    b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
    b"\xfe\xff\x0d\xe0\x00\x00\x00\x00",
    b"\xfe\xff\xdd\xe0\x00\x00\x00\x00",
    b"\x09\x00\x10\x10SQ\x00\x00\xff\xff\xff\xff",
    b"\x09\x00\x10\x10UN\x00\x00\xff\xff\xff\xff",
    b"\xff\xd8\xff",
    b"\xff\x4f\xff\x51",
    b"\xff\xd9",
    b"../../../../etc/passwd",
    b"<script>alert(1)</script>",
    b"\x1b$)C\x1b[2J\x07\r\n",
    b"MZ\x90\x00",
    b"1e999",
    b"-1",
    b"\\" * 64,
)
_MOST_BYTES = 1 << 20

Mutation = Callable[[bytearray, Random], None]


def mutated(seeds: Sequence[bytes], number: int) -> bytes:
    """Seed ``number`` damaged in one to eight places; ``number`` alone decides what and where."""
    rng = Random(number)
    content = bytearray(seeds[number % len(seeds)])
    if rng.random() < 0.05:
        _splice(content, rng.choice(seeds), rng)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        rng.choice(_MUTATIONS)(content, rng)
    return bytes(content[:_MOST_BYTES])


def _at(content: bytearray, rng: Random) -> int:
    """Half of the time in the first kilobytes, where the header is."""
    end = min(len(content), 2048) if rng.random() < 0.5 else len(content)
    return rng.randrange(max(end, 1))


def _flip(content: bytearray, rng: Random) -> None:
    if content:
        content[_at(content, rng)] ^= 1 << rng.randrange(8)


def _edge(content: bytearray, rng: Random) -> None:
    size = rng.choice((1, 2, 4))
    value = rng.choice(_EDGES) & ((1 << 8 * size) - 1)
    at = _at(content, rng)
    content[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def _noise(content: bytearray, rng: Random) -> None:
    at = _at(content, rng)
    content[at : at + rng.randrange(1, 32)] = rng.randbytes(rng.randrange(32))


def _word(content: bytearray, rng: Random) -> None:
    at, word = _at(content, rng), rng.choice(_WORDS)
    content[at : at + (len(word) if rng.random() < 0.5 else 0)] = word


def _cut(content: bytearray, rng: Random) -> None:
    del content[_at(content, rng) :]


def _drop(content: bytearray, rng: Random) -> None:
    at = _at(content, rng)
    del content[at : at + rng.randrange(1, 256)]


def _repeat(content: bytearray, rng: Random) -> None:
    at = _at(content, rng)
    piece = content[at : at + rng.randrange(1, 128)]
    content[at:at] = piece * rng.choice((1, 2, 100))


def _splice(content: bytearray, other: bytes, rng: Random) -> None:
    content[_at(content, rng) :] = other[rng.randrange(max(len(other), 1)) :]


_MUTATIONS: tuple[Mutation, ...] = (*[_flip] * 6, *[_edge] * 4, _noise, _word, _cut, _drop, _repeat)
