"""An S3 Inventory: its keys of present versions, decoded as its format says, and whatever is no inventory is refused."""

import gzip
import hashlib
import json
import sys
import threading
import tracemalloc
from io import BytesIO

import pytest

from recovery.operations.backfilling import columnar as columnar_module
from recovery.operations.backfilling.inventory import MAX_MANIFEST_BYTES, Inventory
from recovery.operations.backfilling.request import SourceError
from testing.memory import BUCKET, DOWN
from tests.support.backfilled import COLUMNS, Bucket, put_inventory, row
from worker.core.base.errors import StoreError
from worker.core.s3.objects import Place

MANIFEST = Place(BUCKET, "lists/manifest.json")
NASTY = ["a b", "100%+ &.txt", "a,b", 'a"b', "a\nb", "契約", "\U0001f338", "+", "%2F", "a//b", "dir/"]


@pytest.fixture
def bodies(fakes):
    return fakes.s3.bodies


def source(fakes, prefix="", bucket=BUCKET):
    return Inventory(fakes.s3, MANIFEST, Place(bucket, prefix), stop=threading.Event())


def read(found, **position):
    return [one.key for page in found.pages(position, threading.Event()) for one in page.candidates]


def test_keys_of_csv_files_are_decoded_as_from_a_form(fakes, bodies):
    put_inventory(bodies, [row(key) for key in NASTY])
    assert read(source(fakes)) == NASTY


def test_only_present_versions_count(fakes, bodies):
    put_inventory(bodies, [row("a"), row("b", latest="false"), row("gone", deleted="true"), row("c", latest="")])
    assert read(source(fakes)) == ["a", "c"]


def test_only_keys_of_the_place_are_taken_and_the_others_are_counted(fakes, bodies):
    put_inventory(bodies, [row("a/1"), row("b/1"), row("a/2"), row("b/2", latest="false"), row("b/3", deleted="true")])
    assert read(source(fakes, "a/")) == ["a/1", "a/2"]
    bucket = Bucket(fakes)
    bucket.put("a/1", "a/2", "b/1")
    assert bucket.results(source(fakes, "a/")) == {"sent": 2, "elsewhere": 1}


@pytest.mark.parametrize("columns", ["Bucket, Key", "bucket,key", "Key, ETag, Size"])
def test_other_columns_do_not_matter(fakes, bodies, columns):
    cells = [[f"{name.strip()}-x" for name in columns.split(",")]]
    put_inventory(bodies, cells, columns=columns)
    assert read(source(fakes)) == [name for name in cells[0] if name.lower().startswith("key")]


def test_it_goes_on_in_the_middle_of_a_file_and_at_the_next(fakes, bodies):
    rows = [row(f"{number:04}") for number in range(4_600)]
    put_inventory(bodies, rows, files=2)
    found = source(fakes)
    pages = list(found.pages({}, threading.Event()))
    assert [page.after for page in pages][:4] == [
        {"file": 0, "rows": 1_000}, {"file": 0, "rows": 2_000}, {"file": 0, "rows": 2_300}, {"file": 1, "rows": 0},
    ]  # fmt: skip
    for number, page in enumerate(pages):
        rest = [one.key for later in pages[number + 1 :] for one in later.candidates]
        assert read(found, **page.after) == rest
    assert len(read(found)) == 4_600
    fakes.faults.calls.clear()
    read(found, file=1, rows=0)
    assert fakes.faults.calls == ["s3.read"]


def test_a_backfill_takes_only_keys_and_asks_s3_for_what_the_index_holds(fakes, bodies):
    bucket = Bucket(fakes)
    bucket.put("current", "stale", "missing")
    fakes.indexed("current")
    fakes.index.documents[BUCKET, "stale"] = 1, {"etag": "another"}
    put_inventory(bodies, [row(key) for key in ("current", "stale", "missing")])
    assert bucket.results(source(fakes)) == {"sent": 2, "current": 1}
    assert bucket.jobs() == ["stale", "missing"]


def test_a_newer_inventory_has_another_name(fakes, bodies):
    put_inventory(bodies, [row("a")])
    first = source(fakes).name
    assert source(fakes).name == first
    put_inventory(bodies, [row("a")], creationTimestamp="1514944900000")
    assert source(fakes).name != first


# -- what is refused -----------------------------------------------------------------------------------------------------


def test_an_inventory_of_another_bucket_is_refused(fakes, bodies):
    put_inventory(bodies, [row("a")], source="other")
    with pytest.raises(SourceError, match="is an inventory of other, not of files"):
        source(fakes)


@pytest.mark.parametrize(
    "raw", [b"", b"no json", b"[]", b"{}", b'{"files": 3}', b'{"files": [{}]}', b"\xff", b'"text"', b"null"]
)
def test_what_is_no_manifest_is_refused(fakes, bodies, raw):
    bodies["lists/manifest.json"] = raw
    with pytest.raises(SourceError, match=r"s3://files/lists/manifest.json: it is not the manifest of an S3 Inventory"):
        source(fakes)


@pytest.mark.parametrize("name", ["sourceBucket", "destinationBucket", "fileFormat", "fileSchema", "files"])
def test_a_manifest_of_which_a_member_is_missing_or_wrong_is_refused(fakes, bodies, name):
    put_inventory(bodies, [row("a")])
    bodies["lists/manifest.json"] = json.dumps({**json.loads(bodies["lists/manifest.json"]), name: 3}).encode()
    with pytest.raises(SourceError, match=r"it is not the manifest|is an inventory of 3"):
        source(fakes)


def test_a_file_too_large_for_a_manifest_is_not_even_read(fakes, bodies, monkeypatch):
    put_inventory(bodies, [row("a")])
    read_one = fakes.s3.read

    def huge(bucket, key, *, admit):
        admit(MAX_MANIFEST_BYTES + 1)
        return read_one(bucket, key)

    monkeypatch.setattr(fakes.s3, "read", huge)
    with pytest.raises(SourceError, match="it has 67,108,865 bytes: it is not the manifest"):
        source(fakes)


def test_an_unknown_format_is_refused_with_those_that_are_supported(fakes, bodies):
    put_inventory(bodies, [row("a")], form="AVRO")
    with pytest.raises(SourceError, match="its format is AVRO; supported are CSV, PARQUET, ORC"):
        source(fakes)


def test_a_manifest_or_file_that_does_not_exist_is_named(fakes, bodies):
    with pytest.raises(SourceError, match=r"s3://files/lists/manifest.json does not exist"):
        source(fakes)
    put_inventory(bodies, [row("a")])
    del bodies["lists/data/0.csv.gz"]
    with pytest.raises(SourceError, match=r"s3://files/lists/data/0.csv.gz does not exist"):
        read(source(fakes))


def test_a_denial_is_named_and_an_outage_is_none_of_the_inventory(fakes, bodies):
    put_inventory(bodies, [row("a")])
    fakes.s3.denied.add("lists/manifest.json")
    with pytest.raises(SourceError, match="cannot be read: denied"):
        source(fakes)
    fakes.faults.add("s3.read", DOWN)
    with pytest.raises(StoreError):
        source(fakes)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"no gzip", "cannot be read as CSV: Not a gzipped file"),
        (gzip.compress(b'"files","a"\n', mtime=0), "a row has 2 columns instead of 6"),
        (gzip.compress(b'"files","a","v","true","false","4"\n', mtime=0)[:-9], "cannot be read as CSV"),
        (gzip.compress(b'"files","%FF","v","true","false","4"\n', mtime=0), "cannot be read as CSV"),
        (gzip.compress(b'"files","a\xff","v","true","false","4"\n', mtime=0), "cannot be read as CSV"),
    ],
)
def test_a_file_that_is_not_what_it_should_be_ends_the_run(fakes, bodies, raw, said):
    bucket = Bucket(fakes)
    put_inventory(bodies, [row("a")], raw=raw)
    report = bucket.run(source(fakes))
    assert isinstance(report.failure, SourceError)
    assert said in str(report.failure)
    assert "s3://files/lists/data/0.csv.gz" in str(report.failure)


def test_a_file_that_differs_from_its_checksum_is_damaged(fakes, bodies):
    put_inventory(bodies, [row("a")])
    bodies["lists/data/0.csv.gz"] = gzip.compress(b"")
    with pytest.raises(SourceError, match="is damaged: its MD5 is not the manifest's"):
        read(source(fakes))


def test_columns_without_a_key_are_refused(fakes, bodies):
    put_inventory(bodies, [["x"]], columns="Bucket")
    with pytest.raises(SourceError, match="its columns are Bucket, and none of them is Key"):
        read(source(fakes))


@pytest.mark.parametrize(
    ("key", "said"), [("", "a key of 0 bytes; S3's keys have 1 to 1,024"), ("契" * 342, "a key of 1,026 bytes")]
)
@pytest.mark.parametrize("form", ["CSV", "PARQUET", "ORC"])
def test_a_row_whose_key_cannot_be_one_ends_the_run_with_its_file_and_number(fakes, bodies, form, key, said):
    keys = ["a", "x" * 1024, key]
    if form == "CSV":
        put_inventory(bodies, [row(one) for one in keys])
    else:
        columnar(bodies, form, {"key": keys})
    bucket = Bucket(fakes)
    report = bucket.run(source(fakes))
    assert isinstance(report.failure, SourceError)
    assert f"s3://files/lists/data/0.csv.gz: row 3 has {said}" in str(report.failure)
    assert not bucket.jobs()


@pytest.mark.parametrize("form", ["PARQUET", "ORC"])
@pytest.mark.parametrize(("key", "said"), [(None, "NoneType"), (5, "int"), (b"a", "bytes")])
def test_a_columnar_row_whose_key_is_no_text_ends_the_run(fakes, bodies, form, key, said):
    columnar(bodies, form, {"key": [key if key is not None else "a", key]})
    failure = Bucket(fakes).run(source(fakes)).failure
    assert isinstance(failure, SourceError)
    assert f"has {said} instead of a key" in str(failure)


@pytest.mark.parametrize("key", [5, "", None, ["x"], "x" * 1025])
def test_a_manifest_whose_file_has_no_key_is_refused(fakes, bodies, key):
    put_inventory(bodies, [row("a")])
    bodies["lists/manifest.json"] = json.dumps(
        {**json.loads(bodies["lists/manifest.json"]), "files": [{"key": key}]}
    ).encode()
    with pytest.raises(SourceError, match=r"manifest.json: a file in it has .* key"):
        source(fakes)


def test_a_manifest_whose_checksum_is_no_text_is_refused(fakes, bodies):
    put_inventory(bodies, [row("a")])
    manifest = json.loads(bodies["lists/manifest.json"])
    manifest["files"][0]["MD5checksum"] = 5
    bodies["lists/manifest.json"] = json.dumps(manifest).encode()
    with pytest.raises(SourceError, match="the MD5 of a file in it is int"):
        source(fakes)


@pytest.mark.parametrize("raised", ["ArrowNotImplementedError", "ArrowKeyError", "ArrowException"])
def test_whatever_pyarrow_raises_ends_the_run_with_the_file(fakes, bodies, monkeypatch, raised):
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: it is in requirements-dev.lock")
    columnar(bodies, "PARQUET", {"key": ["a"]})

    def fails(stream):
        raise getattr(pa.lib, raised)("unsupported")

    monkeypatch.setattr(columnar_module, "_parquet", fails)
    with pytest.raises(SourceError, match=r"0.csv.gz: it cannot be read as PARQUET: .*unsupported"):
        read(source(fakes))


def test_a_file_without_line_ends_is_not_read_into_memory(fakes, bodies):
    put_inventory(bodies, [row("a")], raw=gzip.compress(b'"' + b"x" * 64_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="line 1 has more than 65,536 characters"):
            read(source(fakes))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_quote_that_never_ends_is_refused_before_it_is_in_memory(fakes, bodies):
    put_inventory(bodies, [row("a")], raw=gzip.compress(b'"' + b"x\n" * 10_000_000))
    tracemalloc.start()
    try:
        with pytest.raises(SourceError, match="field larger than field limit"):
            read(source(fakes))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_a_file_of_one_short_and_one_long_line_names_the_line(fakes, bodies):
    put_inventory(bodies, [row("a"), [*row("b")[:-1], "4" * 65_536]])
    with pytest.raises(SourceError, match="line 2 has more than 65,536 characters"):
        read(source(fakes))


# -- Parquet and ORC -----------------------------------------------------------------------------------------------------


def columnar(bodies, form, columns):
    """An inventory with one file of these columns."""
    pa = pytest.importorskip("pyarrow", reason="pyarrow is not installed: it is in requirements-dev.lock")
    table, out = pa.table(columns), BytesIO()
    if form == "PARQUET":
        from pyarrow.parquet import write_table
    else:
        from pyarrow.orc import write_table
    write_table(table, out)
    put_inventory(bodies, [], form=form, raw=out.getvalue(), columns="message s3.inventory { … }")


@pytest.mark.parametrize("form", ["PARQUET", "ORC"])
def test_keys_of_columnar_files_are_taken_as_they_are(fakes, bodies, form):
    columnar(bodies, form, {
        "bucket": [BUCKET] * 13, "key": [*NASTY, "old", "gone"], "is_latest": [True] * 11 + [False, True],
        "is_delete_marker": [False] * 12 + [True], "size": [1] * 13,
    })  # fmt: skip
    assert read(source(fakes)) == NASTY


@pytest.mark.parametrize("form", ["PARQUET", "ORC"])
def test_columnar_files_go_on_in_the_middle_and_need_no_column_but_the_key(fakes, bodies, form):
    keys = [f"{number:05}" for number in range(25_000)]
    columnar(bodies, form, {"key": keys})
    found = source(fakes)
    assert read(found) == keys
    assert read(found, file=0, rows=12_000) == keys[12_000:]


@pytest.mark.parametrize("form", ["PARQUET", "ORC"])
def test_of_a_columnar_file_a_few_rows_at_a_time_are_in_memory(fakes, bodies, form):
    """Memory of Python: what pyarrow holds itself is a tenth of that."""
    columnar(bodies, form, {"key": [f"{number:07}" for number in range(200_000)]})
    found = source(fakes)
    pages = found.pages({}, threading.Event())
    tracemalloc.start()
    try:
        assert [one.key for one in next(pages).candidates][:2] == ["0000000", "0000001"]
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("form", ["PARQUET", "ORC"])
def test_columnar_files_without_a_key_or_of_another_format_are_refused(fakes, bodies, form):
    columnar(bodies, form, {"bucket": [BUCKET]})
    with pytest.raises(SourceError, match="its columns are bucket, and none of them is key"):
        read(source(fakes))
    put_inventory(bodies, [], form=form, raw=b"no such file")
    with pytest.raises(SourceError, match=f"cannot be read as {form}"):
        read(source(fakes))


def test_without_pyarrow_it_says_what_to_install(fakes, bodies, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    put_inventory(bodies, [], form="ORC", raw=b"x")
    with pytest.raises(SourceError, match="ORC is read by pyarrow, which is not installed"):
        read(source(fakes))


def test_the_helper_writes_what_s3_writes(bodies):
    """As in the User Guide: the destination is an ARN, and the checksum is in hexadecimal digits."""
    put_inventory(bodies, [row("a b")])
    manifest = json.loads(bodies["lists/manifest.json"])
    [file] = manifest["files"]
    assert gzip.decompress(bodies[file["key"]]) == b'"files","a+b","v1","true","false","4"\n'
    assert (manifest["fileSchema"], file["MD5checksum"]) == (COLUMNS, hashlib.md5(bodies[file["key"]]).hexdigest())
