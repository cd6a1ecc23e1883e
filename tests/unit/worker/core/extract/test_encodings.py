"""Bodies that are stored with a Content-Encoding."""

import gzip
import random
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
import zstandard

from worker.core.extract.encodings import Bounds, decoded, names_of
from worker.core.extract.faults import CorruptError

TEXT = "東京都の見積書 ".encode() * 5_000


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


ENCODED = {
    "gzip": gzip.compress(TEXT), "x-gzip": gzip.compress(TEXT[:9_000]) + gzip.compress(TEXT[9_000:]),
    "deflate": zlib.compress(TEXT), "DEFLATE": raw_deflate(TEXT), "br": brotli.compress(TEXT), "zstd": zstandard.compress(TEXT),
    "gzip, br": brotli.compress(gzip.compress(TEXT)), "identity, aws-chunked, gzip": gzip.compress(TEXT),
}  # fmt: skip


@pytest.fixture
def bounds(tmp_path: Path) -> Bounds:
    return Bounds(1024**2, 64 * 1024, tmp_path)


@pytest.mark.parametrize("header", ENCODED)
@pytest.mark.parametrize("as_file", [False, True])
def test_what_was_encoded_comes_back_in_a_file_if_it_is_large(bounds: Bounds, header: str, as_file: bool) -> None:
    body: bytes | Path = ENCODED[header]
    if as_file:
        (stored := bounds.temp_dir / "stored").write_bytes(ENCODED[header])
        body = stored
    found = decoded(body, names_of(header), bounds)
    assert isinstance(found, Path)
    assert found.read_bytes() == TEXT
    found.unlink()
    small = decoded(body, names_of(header), Bounds(1024**2, 1024**2, bounds.temp_dir))
    assert small == TEXT
    assert [path.name for path in bounds.temp_dir.iterdir()] == (["stored"] if as_file else [])


@pytest.mark.parametrize(
    ("header", "bomb"),
    [
        ("gzip", gzip.compress(bytes(50 * 1024**2))), ("deflate", zlib.compress(bytes(50 * 1024**2))),
        ("br", brotli.compress(bytes(50 * 1024**2), quality=5)), ("zstd", zstandard.compress(bytes(50 * 1024**2))),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(50 * 1024**2)))),
    ],
    ids=["gzip", "deflate", "br", "zstd", "twice"],
)  # fmt: skip
def test_a_bomb_is_given_up_at_the_limit_and_leaves_no_file(bounds: Bounds, header: str, bomb: bytes) -> None:
    assert decoded(bomb, names_of(header), bounds) is None
    assert list(bounds.temp_dir.iterdir()) == []


@pytest.mark.parametrize("header", ["gzip", "deflate", "br", "zstd", "compress", "gzip, lzma", "gzip, " * 9])
@pytest.mark.parametrize("body", [b"plain text", random.Random(1).randbytes(3_000)], ids=["text", "noise"])
def test_what_is_not_so_encoded_is_corrupt_and_leaves_no_file(bounds: Bounds, header: str, body: bytes) -> None:
    with pytest.raises(CorruptError):
        decoded(body, names_of(header), bounds)
    assert list(bounds.temp_dir.iterdir()) == []


@pytest.mark.parametrize("header", [name for name in ENCODED if "," not in name])
def test_what_is_cut_short_is_corrupt(bounds: Bounds, header: str) -> None:
    with pytest.raises(CorruptError):
        decoded(ENCODED[header][: len(ENCODED[header]) // 2], names_of(header), bounds)
    assert list(bounds.temp_dir.iterdir()) == []


@pytest.mark.parametrize("size", [1, 1_000_000, 5_000_000])
@pytest.mark.parametrize(
    ("header", "encode"),
    [
        ("gzip", gzip.compress), ("deflate", raw_deflate), ("br", partial(brotli.compress, quality=5)),
        ("zstd", zstandard.compress),
    ],
)  # fmt: skip
def test_a_body_of_any_size_comes_back_whole(
    tmp_path: Path, size: int, header: str, encode: Callable[[bytes], bytes]
) -> None:
    data = b"".join(b"%d," % number for number in range(size // 5 + 1))[:size]
    assert decoded(encode(data), [header], Bounds(2 * size, 2 * size, tmp_path)) == data


def test_nothing_stays_nothing(bounds: Bounds) -> None:
    assert decoded(b"", ["gzip"], bounds) == b""


@pytest.mark.parametrize("header", [None, "", "identity", "aws-chunked", "UTF-8", " , "])
def test_a_header_that_changes_nothing_names_no_encoding(header: str | None) -> None:
    assert names_of(header) == []
