"""The zip quine is one, by Python's own zipfile, and gets as far as a parser."""

import io
import zipfile

import pytest

from tests.support.hostile import _MADE
from tests.support.hostile_quine import zip_quine
from worker.core.extract.kinds import kind_of


@pytest.mark.parametrize("name", ["a", "word/document.xml", "META-INF/container.xml", "書類/議事録", "x" * 26])
def test_the_only_member_of_a_zip_quine_is_the_zip_quine(name):
    body = zip_quine(name)
    with zipfile.ZipFile(io.BytesIO(body)) as opened:
        assert opened.namelist() == [name]
        assert opened.testzip() is None
        assert opened.read(name) == body


@pytest.mark.parametrize("name", ["", "x" * 27])
def test_a_name_for_which_there_is_no_room_is_refused(name):
    with pytest.raises(ValueError, match="bytes"):
        zip_quine(name)


def test_every_zip_quine_among_the_hostile_files_goes_to_the_parser_of_containers():
    quines = [(ext, make()) for what, ext, make in _MADE if what == "zip quine"]
    assert len(quines) == 3
    assert {kind_of(body, f"a.{ext}", None).route for ext, body in quines} == {"zip"}
