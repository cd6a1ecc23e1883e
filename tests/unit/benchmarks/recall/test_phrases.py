import pytest

from benchmarks.recall.phrases import Block, Searchable, sampled

ENGLISH = "The quarterly report says that the lighthouse burned quietly while nobody at all was looking at it"
JAPANESE = "株式会社緑屋の東京本社営業部は見積書を提出しました。個人情報保護方針もあわせてご確認ください。"


def test_five_different_phrases_are_taken_and_they_are_in_the_text():
    found = [sample.words for sample in sampled([Block(ENGLISH)], "seed")]

    assert len(set(found)) == 5
    assert all(words in ENGLISH and 3 <= len(words.split()) <= 8 for words in found)


def test_the_same_seed_gives_the_same_phrases_and_another_one_others():
    blocks = [Block(ENGLISH), Block(JAPANESE)]

    assert sampled(blocks, "a") == sampled(blocks, "a") != sampled(blocks, "b")


def test_japanese_phrases_are_six_to_twelve_characters_of_one_run():
    found = [sample.words for sample in sampled([Block(JAPANESE)], "seed")]

    assert len(found) == 5
    assert all(words in JAPANESE and 6 <= len(words) <= 12 and "。" not in words for words in found)


def test_short_cells_are_asked_for_where_there_is_nothing_longer():
    found = sampled([Block("Amount"), Block("見積金額"), Block("7")], "seed")

    assert sorted(sample.words for sample in found) == ["Amount", "見積金額"]


def test_a_word_is_not_divided_at_an_invisible_character():
    (found,) = sampled([Block("Donaudampf\u00adschifffahrt light\u200bhouse")], "seed")

    assert found.words == "Donaudampf\u00adschifffahrt light\u200bhouse"


def test_a_phrase_keeps_the_part_it_comes_from():
    assert {sample.part for sample in sampled([Block(ENGLISH, "notes")], "seed")} == {"notes"}


def test_only_confirmed_phrases_are_taken():
    other = Searchable(["the lighthouse burned quietly while"])

    found = sampled([Block(ENGLISH)], "seed", other.has)

    assert found
    assert all(other.has(sample.words) for sample in found)


@pytest.mark.parametrize("text", ["a b\ufffdroken word", "the inter-\nnational trade", "1 2 3"])
def test_what_says_nothing_about_a_reader_is_not_asked(text):
    assert sampled([Block(text)], "seed") == []


@pytest.mark.parametrize(
    "text",
    [
        "ＴＨＥ  Lighthouse\nburned",
        "the light\u00adhouse burned",
        "before the lighthouse, burned after",
    ],
)
def test_what_the_search_ignores_is_ignored(text):
    assert Searchable([text]).has("the lighthouse burned")


@pytest.mark.parametrize("text", ["the lighthouse burnt", "thelighthouse burned", "the light house burned", ""])
def test_other_words_are_not_the_phrase(text):
    assert not Searchable([text]).has("the lighthouse burned")


def test_white_space_between_cjk_characters_does_not_count():
    assert Searchable(["見積書 株式会社\n緑屋"]).has("書株式会社緑屋")
    assert Searchable(["見積書株式会社"]).has("見積書 株式会社")
    assert not Searchable(["見積書 株式会社"]).has("見積株式会社")


def test_a_phrase_over_two_texts_is_not_found():
    assert not Searchable(["the lighthouse", "burned"]).has("the lighthouse burned")
