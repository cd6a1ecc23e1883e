"""The check of the Japanese texts: a translation has the values of its text, because a page with others ends with an error."""

import pytest
from babel.messages.catalog import Catalog

from recovery.manager.settings import ManagerSettings
from tools.catalogue import check, found_texts


@pytest.mark.parametrize(
    ("text", "translation", "is_right"),
    [
        ("%(count)s wait", "%(count)s 件が待機中", True),
        ("{there}, and {why}", "{why}。{there}", True),
        (("%(n)s file", "%(n)s files"), ("%(n)s 件",), True),
        (("one file", "%(n)s files"), ("%(n)s 件",), True),
        ("%(count)s wait", "待機中", False),
        ("%(count)s wait", "%(number)s 件が待機中", False),
        ("percent signs", "% の記号", False),
        ("{there}", "{here}", False),
    ],
)
def test_a_translation_has_the_values_of_its_text(text, translation, is_right):
    wanted, catalogue = Catalog(), Catalog(locale="ja")
    wanted.add(text)
    catalogue.add(text, translation)
    assert (check(wanted, catalogue) == []) == is_right


@pytest.mark.parametrize("name", ["manager_auth", "sqs_queue_url"])
def test_what_a_setting_is_for_has_to_be_translated(name):
    text = str(ManagerSettings.model_fields[name].description)
    wanted, catalogue = found_texts(), found_texts()
    assert text in wanted
    for one in catalogue:
        one.string = one.id
    catalogue.delete(text)
    assert check(wanted, catalogue) == [f"console.po: {text!r} is not translated"]
