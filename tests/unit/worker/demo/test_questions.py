"""The demo searches for words that are rare in the texts, and shows only searches that find one of them in a passage."""

from worker.core.index import HIGHLIGHT_END, HIGHLIGHT_START, Hit, SearchResult
from worker.core.index.text import fold
from worker.demo.questions import MAX_TRIED, questions

TEXTS = [
    "The report of the quarter describes the wheelbarrows in the northern yard, and a report of trucks.",
    "The report of the quarter mentions only an unlabelled gearbox near the northern yard and trucks.",
    "東京都の入荷予定は特急貨物列車で運ばれる。東京都の倉庫。",
    "東京都の倉庫に未検品の木箱が残っている。",
]


def searching(texts: list[str]):
    """A search over texts, in which every text that has the word is a hit with a passage."""

    def search(word: str) -> SearchResult:
        hits = [
            Hit("b", str(number), 1.0, {}, [fold(text).replace(word, f"{HIGHLIGHT_START}{word}{HIGHLIGHT_END}")])
            for number, text in enumerate(texts)
            if word in fold(text)
        ]
        return SearchResult(len(hits), hits)

    return search


def test_rare_words_are_found_in_english_and_japanese_and_each_in_one_text():
    found = questions(TEXTS, ["a.txt"], searching(TEXTS))
    assert found == ["wheelbarrows", "特急貨物列車", "unlabelled"]
    assert all(sum(word in text for text in TEXTS) == 1 for word in found)


def test_a_word_of_a_name_is_not_searched_for():
    found = questions(TEXTS, ["Wheelbarrows 2026.pdf", "特急貨物列車.txt"], searching(TEXTS))
    assert not {"wheelbarrows", "特急貨物列車"} & set(found)
    assert len(found) == 3


def test_a_word_without_a_passage_is_not_shown():
    assert questions(TEXTS, [], lambda word: SearchResult(1, [Hit("b", "k", 1.0, {}, [f"a name with {word}"])])) == []


def test_without_texts_nothing_is_asked():
    assert questions([], [], searching([])) == []
    assert questions(["12 34 56", ""], [], searching([])) == []


def test_only_so_many_searches_are_tried():
    asked = []
    texts = [
        "every " + "".join(chr(97 + (n // 26**place) % 26) for place in range(6)) + " has some words"
        for n in range(900)
    ]

    def search(word: str) -> SearchResult:
        asked.append(word)
        return SearchResult(0, [])

    assert questions(texts, [], search) == []
    assert len(asked) == MAX_TRIED
