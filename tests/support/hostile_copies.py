"""Broken copies of good files of every format: cut, with bits flipped, overwritten, shuffled, with extreme numbers."""

import functools
import random
import struct
from collections.abc import Iterator

from testing.corpus import KINDS
from testing.corpus_bodies import DATA
from tests.support.hostile import Attack


@functools.cache
def originals() -> tuple[tuple[str, bytes], ...]:
    """One good file of every format, and the encrypted ones, by name."""
    rng = random.Random(1)
    words = {"latin": "Hyakkodori", "kana": "ヒヤクコドリノコエモ", "none": ""}
    made = [(f"{kind.format}.{kind.ext}", kind.build(rng, words[kind.alphabet])) for kind in KINDS]
    stored = sorted(path for path in DATA.rglob("*") if path.is_file() and path.suffix != ".md")
    return (*made, *((path.name, path.read_bytes()) for path in stored))


def mutations(count: int, seed: int = 0) -> Iterator[Attack]:
    """`count` broken copies of `originals`, in turn; the same seed gives the same ones."""
    rng = random.Random(seed)
    for number in range(count):
        name, body = originals()[number % len(originals())]
        how = rng.choice(_DAMAGES)
        yield Attack(f"{name} {how.__name__[1:]}", f"壊れ/{number:05d} {name}", how(rng, body))


def _truncated(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randrange(len(body) + 1)]


def _flipped(rng: random.Random, body: bytes) -> bytes:
    """One bit in a thousand bytes, at the least one."""
    out = bytearray(body)
    for _ in range(1 + len(out) // 1_000 if out else 0):
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _overwritten(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) + 1)
    return body[:at] + rng.choice((b"\xff", b"\0", b"<", b"(")) * rng.randrange(1, 2_000) + body[at + 200 :]


def _shuffled(rng: random.Random, body: bytes) -> bytes:
    a, b = sorted(rng.randrange(len(body) + 1) for _ in range(2))
    return body[b:] + body[a:b] + body[:a] if rng.random() < 0.3 else body[:a] + body[b:] + body[a:b]


def _numbers(rng: random.Random, body: bytes) -> bytes:
    """Extreme numbers where sizes and offsets may be."""
    out = bytearray(body)
    for _ in range(8 if len(out) > 8 else 0):
        struct.pack_into("<I", out, rng.randrange(len(out) - 4), rng.choice((0, 0x7FFFFFFF, 0xFFFFFFFF, 0x10000)))
    return bytes(out)


_DAMAGES = (_truncated, _flipped, _overwritten, _shuffled, _numbers)
