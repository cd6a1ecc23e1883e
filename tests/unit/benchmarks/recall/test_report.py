import re

from benchmarks.recall.compare import Asked, Measured
from benchmarks.recall.cost import Cost
from benchmarks.recall.explanations import Explanation, explanations
from benchmarks.recall.report import cost_table, explained, misses, table

FOUND = Asked("the lighthouse burned", "Tika", "", {"worker": True, "before": False})
LOST = Asked("quietly\nwhile nobody", "Tika", "", {"worker": False, "before": False})
ATTACHED = Asked("in the attachment", "Tika", "/a.txt", {"worker": False, "before": False})
WHY = [Explanation(True, re.compile("eml$"), re.compile("^/"), "attachments are files of their own")]
FILES = [
    Measured("b/x.docx", "docx", {"worker": "ok", "before": "ok"}, [FOUND, LOST]),
    Measured("a/y.eml", "eml", {"worker": "corrupt: odd", "before": "ok"}, [ATTACHED]),
]


def squeezed(lines):
    return [" ".join(line.split()) for line in lines]


def test_phrases_of_embedded_documents_are_counted_apart_and_mistakes_of_tools_are_left_out():
    mistake = Explanation(False, re.compile("docx$"), re.compile("quietly"), "the tool leaves out a comma")

    assert squeezed(table(FILES, ["worker", "before"], [mistake])) == [
        "format files phrases worker before right embedded worker before",
        "docx 1 2 1 50.00% 0 0.00% 100.00%",
        "eml 1 0 1 0 0.00% 0 0.00%",
        "all 2 2 1 50.00% 0 0.00% 100.00% 1 0 0.00% 0 0.00%",
    ]


def test_each_miss_is_shown_with_who_says_that_it_is_there_and_why():
    assert list(misses(FILES, "worker", WHY)) == [
        "b/x.docx  (ok)",
        "    'quietly while nobody'  (Tika)",
        "a/y.eml  (corrupt: odd)",
        "    'in the attachment'  (Tika, in /a.txt): attachments are files of their own",
    ]


def test_misses_are_counted_by_their_reason():
    assert squeezed(explained(FILES, "worker", WHY)) == [
        "1 not found: not explained",
        "1 not found: attachments are files of their own",
    ]


def test_every_reason_can_be_read():
    assert all(one.because and not one.because.endswith(".") for one in explanations())


def test_costs_are_milliseconds_a_file():
    costs = [
        Cost("worker", "docx", 10, 0.05, 0.06, []),
        Cost("Tika", "docx", 10, 0.3, 0.2, []),
        Cost("worker", "pdf", 30, 0.35, 0.34, []),
        Cost("Tika", "pdf", 30, 1.3, 1.4, []),
    ]

    assert squeezed(cost_table(costs)) == [
        "ms a file worker cpu wall Tika cpu wall",
        "docx 5.0 6.0 30.0 20.0",
        "pdf 11.7 11.3 43.3 46.7",
        "all 10.0 10.0 40.0 40.0",
    ]
