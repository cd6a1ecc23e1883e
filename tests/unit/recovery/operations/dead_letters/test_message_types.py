"""Which messages can be sent to a queue again, and why others are refused."""

import json
import time

import pytest

from recovery.operations.dead_letters.message_types import NO_CORRELATION_ID, load_types
from testing.aws import s3_event, s3_record
from worker.core.base.errors import ConfigError

MAPS = {
    "type": "maps", "city": "京都", "correlation_id": "c-1", "lat": 35.0, "lng": 135.7, "radius": 500, "category": "food",
    "enqueued_at": 1_795_000_000,
}  # fmt: skip
WEB = {
    "type": "web", "city": "京都", "correlation_id": "c-1", "source_url": "https://例え.jp/a?b", "source_name": "n",
    "source_type": "blog", "crawl_depth": 0, "enqueued_at": 1_795_000_000.5,
}  # fmt: skip
TYPES = load_types()


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (json.dumps(MAPS), "maps"),
        (json.dumps(WEB), "web"),
        (s3_event(s3_record("files", "a b.txt")), "s3-event"),
        (json.dumps({"bucket": "files", "key": "a.txt"}), "s3-event"),
        (json.dumps({"Type": "Notification", "Message": s3_event(s3_record("files", "a.txt"))}), "s3-event"),
        (json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"}), "s3-event"),
    ],
)
def test_a_valid_message_is_of_its_type_and_has_no_fault(body, name):
    assert (TYPES.of(body), TYPES.fault(body)) == (name, None)


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        (MAPS, {"lat": 90.1}, "maps: lat: does not fit maximum: 90"),
        (MAPS, {"lat": -90.1}, "maps: lat: does not fit minimum: -90"),
        (MAPS, {"lng": 181}, "maps: lng: does not fit maximum: 180"),
        (MAPS, {"radius": 0}, "maps: radius: does not fit "),
        (MAPS, {"lat": True}, 'maps: lat: does not fit type: "number"'),
        (MAPS, {"city": ""}, "maps: city:"),
        (MAPS, {"correlation_id": ""}, NO_CORRELATION_ID),
        (MAPS, {"correlation_id": None}, NO_CORRELATION_ID),
        (MAPS, {"correlation_id": 7}, 'maps: correlation_id: does not fit type: "string"'),
        (WEB, {"source_url": "ftp://a"}, "web: source_url:"),
        (WEB, {"source_url": "https://a b"}, "web: source_url:"),
        (WEB, {"crawl_depth": -1}, "web: crawl_depth: does not fit minimum: 0"),
        (WEB, {"crawl_depth": 1.5}, 'web: crawl_depth: does not fit type: "integer"'),
        (WEB, {"enqueued_at": "now"}, 'web: enqueued_at: does not fit type: "number"'),
    ],
)
def test_a_wrong_field_is_named_with_the_rule_that_it_breaks(base, change, message):
    assert (TYPES.fault(json.dumps({**base, **change})) or "").startswith(message)


@pytest.mark.parametrize("name", sorted((MAPS.keys() | WEB.keys()) - {"type"}))
@pytest.mark.parametrize("value", ["s3cret", ["s3cret"], {"s3cret": 1}])
def test_a_fault_says_nothing_of_what_a_body_has(name, value):
    base = MAPS if name in MAPS else WEB
    assert "s3cret" not in (TYPES.fault(json.dumps({**base, name: value})) or "")


@pytest.mark.parametrize("base", [MAPS, WEB])
def test_every_field_of_a_frontier_message_is_required(base):
    for name in base.keys() - {"type"}:
        fault = TYPES.fault(json.dumps({key: value for key, value in base.items() if key != name}))
        assert fault is not None
        assert name in fault


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("noise", "the body is not JSON"),
        ("[1]", "the body is of no known type; the types are maps, s3-event, web"),
        ('{"type": "other"}', "the body is of no known type"),
        ('{"Records": {}}', "Records is an object"),
        ('{"key": "a.txt"}', "S3_BUCKET is not set"),
        ('{"Records": [{"eventName": "ObjectCreated:Put"}]}', "s3"),
    ],
)
def test_a_body_of_no_declared_type_is_refused_with_a_reason(body, message):
    assert message in (TYPES.fault(body) or "")


def test_an_event_with_only_a_key_is_valid_if_a_default_bucket_is_set():
    assert load_types(default_bucket="files").fault('{"key": "a.txt"}') is None


@pytest.mark.parametrize("url", ["http://" + "a" * 500_000 + " ", "http://" + "a" * 500_000 + "\n" + "b" * 500_000])
def test_a_long_address_that_is_none_is_refused_at_once(url):
    began = time.monotonic()
    assert "source_url" in (TYPES.fault(json.dumps({**WEB, "source_url": url})) or "")
    assert time.monotonic() - began < 2


def test_control_characters_in_a_fault_are_escaped():
    fault = TYPES.fault(json.dumps({**MAPS, "lat": "\x1b[2Jnorth\nof"}))
    assert fault is not None
    assert fault.isprintable()


def test_a_custom_folder_replaces_the_included_types(tmp_path):
    (tmp_path / "order.json").write_text('{"x-recognized-by": {"required": ["order"]}, "required": ["order", "sum"]}')
    types = load_types(tmp_path)
    assert types.names == ["order"]
    assert types.fault('{"order": 1}') == "order: 'sum' is a required property"


def test_what_a_type_needs_is_needed_of_objects_alone_as_json_schema_says(tmp_path):
    (tmp_path / "order.json").write_text('{"x-recognized-by": {"required": ["order"]}}')
    needs = load_types(tmp_path)
    assert [needs.of(body) for body in ('{"order": null}', '{"sum": 1}', "[]")] == ["order", "unknown", "order"]
    (tmp_path / "order.json").write_text('{"x-recognized-by": true}')
    assert load_types(tmp_path).of('{"sum": 1}') == "order"


@pytest.mark.parametrize("text", ['{"type": 7, "x-recognized-by": {}}', "{}", "noise"])
def test_the_error_for_an_invalid_declaration_names_its_file(tmp_path, text):
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(ConfigError, match=r"bad\.json"):
        load_types(tmp_path)


def test_the_label_of_a_message_consists_of_the_label_fields_of_its_type(tmp_path):
    assert TYPES.label(json.dumps(MAPS)) == "京都"
    assert TYPES.label(json.dumps({**WEB, "source_name": 5})) == "京都 https://例え.jp/a?b"
    assert [TYPES.label(body) for body in ("noise", "[]", '{"city": "京都"}')] == ["", "", ""], "of no declared type"
    (tmp_path / "order.json").write_text('{"x-recognized-by": {"required": ["order"]}, "x-label-fields": ["order"]}')
    assert load_types(tmp_path).label('{"order": "o-1"}') == "o-1"


def test_the_error_for_invalid_label_fields_names_the_file(tmp_path):
    (tmp_path / "bad.json").write_text('{"x-recognized-by": {}, "x-label-fields": "city"}')
    with pytest.raises(ConfigError, match=r"bad\.json: x-label-fields"):
        load_types(tmp_path)


def test_only_s3_events_and_types_that_say_so_are_retried_and_only_if_they_are_valid(tmp_path):
    assert TYPES.is_retried('{"key": "a.txt", "bucket": "files"}')
    assert [TYPES.is_retried(body) for body in (json.dumps(MAPS), '{"Records": 7}', "noise", '{"what": 1}')] == [
        False
    ] * 4
    order = {"x-recognized-by": {"required": ["order"]}, "properties": {"order": {"type": "string"}}, "x-retry": True}
    (tmp_path / "order.json").write_text(json.dumps(order))
    own = load_types(tmp_path)
    assert [own.is_retried(body) for body in ('{"order": "o-1"}', '{"order": 1}')] == [True, False]
    (tmp_path / "order.json").write_text(json.dumps({**order, "x-retry": "yes"}))
    with pytest.raises(ConfigError, match=r"order\.json: x-retry is 'yes'; it must be true or false"):
        load_types(tmp_path)


def test_the_error_for_an_empty_folder_names_the_setting(tmp_path):
    with pytest.raises(ConfigError, match="MESSAGE_TYPES_DIR"):
        load_types(tmp_path)
