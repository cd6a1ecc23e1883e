"""Which texts are read to show passages of them."""

from worker.core.index.passages import MAX_TEXT_CHARS, TOGETHER_CHARS, hit_of, of_other_forms, to_be_read
from worker.core.index.query import parse


def hit(name, **source):
    return {"_id": name, "_source": source}


def of_length(name, chars):
    return hit(name, extraction={"indexed_chars": chars})


def test_small_texts_are_read_together_and_large_ones_alone():
    small = [of_length(f"s{number}", TOGETHER_CHARS // 4) for number in range(5)]
    large = [of_length(f"l{number}", 2 * TOGETHER_CHARS) for number in range(2)]
    assert list(to_be_read([*small, *large])) == [["s0", "s1", "s2", "s3"], ["s4"], ["l0"], ["l1"]]


def test_texts_are_read_while_there_is_room_and_a_smaller_one_may_still_fit():
    found = [of_length("a", MAX_TEXT_CHARS - 10), of_length("b", 11), of_length("c", 10)]
    assert list(to_be_read(found)) == [["a"], ["c"]]


def test_a_document_that_does_not_say_how_much_is_indexed_may_say_how_long_its_text_or_file_is_or_nothing():
    found = [
        hit("a", char_count=5),
        hit("b", file_size=5),
        hit("c"),
        hit("d", extraction=None, file_size="large"),
        hit("e", char_count=0),
    ]
    assert list(to_be_read(found)) == [["a", "b"], ["c"], ["d"]]


def test_a_hit_of_any_shape_is_shown():
    words = parse("a").words
    assert hit_of({"_id": "x", "_source": {"file_name": ["a"]}}, words, ["p"]).highlights == [
        "\ue000a\ue001",
        "p",
    ]
    assert hit_of({"_id": "x"}, words, []).key == "x"


def test_what_opensearch_has_marked_is_shown_in_a_passage_of_the_text():
    text = "前の文。" * 40 + "彼は東京まで走った。" + "後の文。" * 40
    highlight = {"content.ja": ["彼は東京まで\ue000走っ\ue001た。"]}
    [passage] = of_other_forms({"_id": "x", "highlight": highlight}, text)
    assert "前の文。彼は東京まで\ue000走っ\ue001た。後の文。" in passage
    assert 120 <= len(passage) <= 212


def test_what_opensearch_has_marked_elsewhere_is_not_shown():
    assert of_other_forms({"_id": "x", "highlight": {"content.ja": ["\ue000別\ue001"]}}, "text") == []
    assert of_other_forms({"_id": "x"}, "text") == []
