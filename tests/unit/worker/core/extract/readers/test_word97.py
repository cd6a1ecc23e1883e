"""Word 97 to 2003, in its compound file."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testing.corpus_bodies import DATA, SAMPLES
from worker.core.extract.faults import CorruptError, EncryptedError
from worker.core.extract.readers.compound import Compound
from worker.core.extract.readers.word97 import word_text

VISIT = SAMPLES / "議事録/2026-04 東京都 訪問記録.doc"


def test_japanese_is_read() -> None:
    text = word_text(Compound(VISIT.read_bytes()))
    assert text.startswith("訪問記録 (2026年4月21日)\n訪問先: 東京都")


def test_english_is_read() -> None:
    assert "Miyakodori" in word_text(Compound((DATA / "correspondence.doc").read_bytes()))


def test_a_password_is_noticed() -> None:
    with pytest.raises(EncryptedError):
        word_text(Compound((DATA / "encrypted.doc").read_bytes()))


@pytest.mark.parametrize("size", [0, 8, 100, 511, 512, 600, 5000])
def test_a_file_that_breaks_off_is_corrupt(size: int) -> None:
    with pytest.raises(CorruptError):
        word_text(Compound(VISIT.read_bytes()[:size]))


def test_a_chain_in_a_circle_ends() -> None:
    body = bytearray(VISIT.read_bytes())
    first_fat = struct.unpack_from("<I", body, 76)[0]
    struct.pack_into("<128I", body, (first_fat + 1) * 512, *([0] * 128))
    with pytest.raises(CorruptError):
        word_text(Compound(bytes(body)))


@given(st.integers(0, 60_000), st.binary(min_size=1, max_size=64))
def test_whatever_is_overwritten_ends_in_text_or_a_known_fault(at: int, noise: bytes) -> None:
    body = bytearray(VISIT.read_bytes())
    body[at % len(body) : at % len(body) + len(noise)] = noise
    try:
        text = word_text(Compound(bytes(body)))
    except (CorruptError, EncryptedError):
        return
    assert len(text) <= len(body)
