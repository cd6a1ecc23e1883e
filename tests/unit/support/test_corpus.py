"""The corpus and the samples are what the acceptance test and the demo think they are."""

import re
from collections import Counter

import pytest

from testing.corpus import BAD_KINDS, KINDS, Sample, corpus
from testing.corpus_bodies import CARRIED, SAMPLES

_ENCODINGS = {
    "txt": "utf-8",
    "txt-utf8-bom": "utf-8-sig",
    "txt-cp932": "cp932",
    "txt-eucjp": "euc-jp",
    "txt-jis": "iso-2022-jp",
    "txt-utf16": "utf-16",
    "log-cp932": "cp932",
    "csv-cp932": "cp932",
    "csv-utf16": "utf-16",
    "html-sjis": "cp932",
    "eml-jis": "iso-2022-jp",
}
_MAX_SAMPLES_BYTES = 1_500_000


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return corpus(500, bad=40)


def test_the_same_seed_makes_the_same_objects_and_another_makes_others(samples: list[Sample]) -> None:
    assert corpus(500, bad=40) == samples
    assert not {s.marker for s in corpus(60, bad=0, seed=1) if s.marker} & {s.marker for s in samples}


def test_as_many_objects_are_made_and_are_bad_as_were_asked_for(samples: list[Sample]) -> None:
    assert len(samples) == 500
    assert Counter(s.bad for s in samples if s.bad).total() == 40
    assert {s.bad for s in samples} == {None, "encrypted", "corrupt"}


def test_every_format_appears(samples: list[Sample]) -> None:
    assert {s.format for s in samples if not s.bad} == {kind.format for kind in KINDS}
    assert len({s.key.rsplit(".", 1)[1] for s in samples}) >= 15


def test_no_key_and_no_marker_is_used_twice(samples: list[Sample]) -> None:
    markers = [s.marker for s in samples if s.marker]
    assert len(set(markers)) == len(markers) > 350
    assert len({s.key for s in samples}) == len(samples)


def test_a_marker_cannot_be_found_by_the_name_of_its_object(samples: list[Sample]) -> None:
    assert not [s.key for s in samples if s.marker and s.marker in s.key]


def test_keys_are_within_the_limits_of_s3_and_some_beyond_those_of_an_index_id(samples: list[Sample]) -> None:
    sizes = [len(s.key.encode()) for s in samples]
    assert max(sizes) <= 1024
    assert max(sizes) > 512
    assert not [s.key for s in samples if re.search(r"^/|//|/$|(^|/)\.{1,2}(/|$)", s.key)]


@pytest.mark.parametrize("fmt", _ENCODINGS)
def test_a_text_holds_its_marker_in_its_encoding(fmt: str, samples: list[Sample]) -> None:
    sample = next(s for s in samples if s.format == fmt and not s.bad)
    assert sample.marker in sample.body.decode(_ENCODINGS[fmt])


@pytest.mark.parametrize("fmt", ["doc", "doc-ja", "xls", "ppt", "msg"])
def test_an_old_binary_file_keeps_its_size_and_carries_the_marker_alone(fmt: str, samples: list[Sample]) -> None:
    bodies = [s for s in samples if s.format == fmt and not s.bad]
    assert len({len(s.body) for s in bodies}) == 1
    assert all(s.marker.encode("utf-16-le") in s.body for s in bodies)
    assert not [s.key for s in bodies if CARRIED.encode("utf-16-le") in s.body]


def test_bad_files_look_like_what_they_claim_to_be() -> None:
    heads = {"pdf": b"%PDF-", "zip": b"PK\x03\x04", "ole": b"\xd0\xcf\x11\xe0"}
    bad = corpus(len(BAD_KINDS), bad=len(BAD_KINDS))
    assert len(bad) == len(BAD_KINDS)
    assert all(s.body.startswith(tuple(heads.values())) for s in bad)


def test_the_samples_folder_is_small_and_holds_one_broken_file() -> None:
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < _MAX_SAMPLES_BYTES
    assert len({path.suffix for path in files}) >= 20
    assert [path.name for path in files if "破損" in path.name] == ["契約書 (破損).pdf"]
