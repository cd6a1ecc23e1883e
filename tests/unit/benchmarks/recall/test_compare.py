import json
from dataclasses import asdict, replace

from benchmarks.recall.compare import Asked, Measured, measured, told_before, told_by
from benchmarks.recall.independent import Tool
from benchmarks.recall.ours import Ours
from benchmarks.recall.phrases import Block

TEXT = "the lighthouse burned quietly while nobody was looking"


class Says:
    """A version of the worker that reads this in every file."""

    def __init__(self, *texts: str, status: str = "ok", error: str | None = None) -> None:
        self.answer = Ours(status, error, list(texts))

    def read(self, _path):
        return self.answer


def tool(name, text, formats=None):
    return Tool(name, formats, lambda _path: [Block(text)])


def failing(name):
    def read(_path):
        raise ValueError("no such stream")

    return Tool(name, None, read)


def one(tmp_path, name, tools, known=None, **readers):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(TEXT.encode())
    phrases = {path: known} if known else {}
    (found,) = measured([path], tmp_path, told_by(tools, phrases), readers or {"worker": Says(TEXT)})
    return found


def test_each_version_is_asked_for_the_same_phrases(tmp_path):
    found = one(
        tmp_path, "a.docx", [tool("A", TEXT)], worker=Says(TEXT), before=Says("", status="corrupt", error="odd")
    )

    assert len(found.phrases) == 5
    assert all(asked.found == {"worker": True, "before": False} for asked in found.phrases)
    assert found.status == {"worker": "ok", "before": "corrupt: odd"}


def test_a_phrase_in_the_title_is_found(tmp_path):
    found = one(tmp_path, "a.docx", [tool("A", TEXT)], worker=Says("", TEXT))

    assert all(asked.found["worker"] for asked in found.phrases)


def test_a_tool_that_fails_is_named_and_the_others_are_used(tmp_path):
    found = one(tmp_path, "a.docx", [failing("A"), tool("B", TEXT)])

    assert found.failed == {"A": "ValueError: no such stream"}
    assert {asked.said_by for asked in found.phrases} == {"B"}


def test_in_a_pdf_only_what_two_tools_agree_on_is_asked(tmp_path):
    found = one(
        tmp_path, "a.pdf", [tool("A", TEXT + " elsewhere glued"), tool("B", TEXT), tool("C", "other words here")]
    )

    assert {asked.said_by for asked in found.phrases} == {"A and B"}
    assert not any("glued" in asked.words for asked in found.phrases)


def test_where_only_one_tool_can_read_a_pdf_its_word_is_marked(tmp_path):
    found = one(tmp_path, "a.pdf", [failing("A"), tool("B", TEXT)])

    assert {asked.said_by for asked in found.phrases} == {"B alone"}


def test_a_tool_is_not_asked_for_formats_that_it_does_not_read(tmp_path):
    assert one(tmp_path, "a.docx", [tool("A", TEXT, frozenset({"xlsx"}))]).phrases == []


def test_a_folder_named_after_a_charset_decides_how_a_text_is_read(tmp_path):
    found = one(tmp_path, "EUC-JP/a.txt", [tool("A", "quite other words of another charset")])

    assert {asked.said_by for asked in found.phrases} == {"Python's euc_jp"}


def test_what_the_maker_of_a_file_says_is_asked(tmp_path):
    found = one(tmp_path, "a.docx", [], known=["lighthouse burned", "朝顔便り"])

    assert [(asked.words, asked.found["worker"]) for asked in found.phrases] == [
        ("lighthouse burned", True),
        ("朝顔便り", False),
    ]


def test_what_its_maker_says_is_searched_for_as_a_search_does_by_beginnings_of_words(tmp_path):
    found = one(tmp_path, "a.docx", [], known=["lighthouse burn"])

    assert found.phrases[0].found == {"worker": True}


def test_the_phrases_of_an_earlier_measurement_are_asked_again(tmp_path):
    asked = Asked("lighthouse burned", "A", "notes", {"worker": False})
    earlier = Measured("a.docx", "docx", {"worker": "corrupt"}, [asked], {"B": "odd"})
    (tmp_path / "found.json").write_text(json.dumps({"files": [asdict(earlier)]}))
    paths = [tmp_path / "a.docx", tmp_path / "new.docx"]

    again, new = measured(paths, tmp_path, told_before(tmp_path / "found.json", tmp_path), {"worker": Says(TEXT)})

    assert again == Measured("a.docx", "docx", {"worker": "ok"}, [replace(asked, found={"worker": True})], {"B": "odd"})
    assert new.phrases == []
