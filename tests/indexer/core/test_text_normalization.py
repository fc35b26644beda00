"""Letters that are the same for a person, and the words that a text has."""

from __future__ import annotations

import unicodedata

import pytest

from indexer.core.text_normalization import plain, same, sought, tokens, writings


@pytest.mark.parametrize("form", ["NFC", "NFD", "NFKC", "NFKD"])
@pytest.mark.parametrize("word", ["brûlée", "Zürich", "がぎぐ", "한국어", "Ångström", "Việt Nam"])
def test_a_text_is_the_same_however_its_letters_are_put_together(word: str, form: str) -> None:
    written = unicodedata.normalize(form, word)
    assert same(written) == same(word)
    assert tokens(written) == tokens(word)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("ＤＯＧ", "dog"), ("Straße", "strasse"), ("ﾃﾞｼﾞｶﾒ", "デジカメ"), ("ﬁlm", "film")],
)
def test_width_case_and_ligatures_make_no_difference(written: str, wanted: str) -> None:
    assert same(written) == wanted


def test_accents_go_where_a_script_has_its_letters_without_them() -> None:
    assert plain("Crème brûlée, Ёлка, שָׁלוֹם") == "creme brulee, елка, שלום"
    assert plain("がぎ हिन्दी") == "がぎ हिन्दी"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("A man's IMG_0017.jpg", ["a", "man", "s", "img", "0017", "jpg"]),
        ("京都旅行2019", ["京", "都", "旅", "行", "2019"]),
        ("iPhone写真", ["iphone", "写", "真"]),
        ("부산에서", ["부", "산", "에", "서"]),
        ("ชีวิต", ["ชี", "วิ", "ต"]),
        ("हिन्दी फोटो", ["हिन्दी", "फोटो"]),
        ("…", []),
    ],
)
def test_letters_of_scripts_without_spaces_are_tokens(text: str, wanted: list[str]) -> None:
    assert tokens(text) == wanted


def test_a_query_is_parted_at_particles() -> None:
    assert sought("京都の桜祭り") == [("京 都",), ("桜 祭 り",)]
    assert sought("京都的樱花") == [("京 都",), ("樱 花",)]
    assert sought("부산에서 dogs") == [("부 산 에 서", "부 산"), ("dogs",)]
    assert sought("のり") == [("の り",)]
    assert sought("IMG_0017 dog") == [("img 0017",), ("dog",)]


def test_writings_are_told_once() -> None:
    assert writings("abc") == ("abc",)
    assert len(writings("é")) == 2
