"""Tell the language of a query from its letters, or from the dictionaries that give spelling hints.

A few words say little, so this is a guess; `--language` overrules it.
"""

from __future__ import annotations

from retrieval.search.spell_hints import language_of_words, script_of, words_of

_SCRIPTS = {
    **{"Chinese": "zh", "Japanese": "ja", "Korean": "ko", "Cyrillic": "ru", "Greek": "el"},
    **{"Hebrew": "he", "Arabic": "ar", "Devanagari": "hi", "Bengali": "bn", "Tamil": "ta"},
    **{"Telugu": "te", "Thai": "th", "Georgian": "ka", "Armenian": "hy", "Gujarati": "gu"},
    **{"Kannada": "kn", "Malayalam": "ml", "Gurmukhi": "pa", "Sinhala": "si", "Khmer": "km"},
    **{"Lao": "lo", "Myanmar": "my", "Ethiopic": "am", "Oriya": "or", "Tibetan": "bo"},
}
"""The language that is written most with letters of a script."""

_OWN_LETTERS = {"uk": "іїєґ", "fa": "پچژگ", "ur": "ٹڈڑے"}
"""Letters that tell a language from the larger one of its script; Urdu has Persian's, too."""

ENGLISH = "en"


def language_of(text: str) -> str:
    """Return the language of a query in two letters; English where nothing speaks against it."""
    words = words_of(text)
    scripts = [script for word in words if (script := script_of(word))]
    if not scripts:
        return language_of_words(words) or ENGLISH
    if "Japanese" in scripts:  # Japanese is written with Chinese signs, too
        return "ja"
    found = _SCRIPTS.get(scripts[0], ENGLISH)
    letters = {"ru": ("uk",), "ar": ("ur", "fa")}.get(found, ())
    return next((each for each in letters if set(_OWN_LETTERS[each]) & set(text.lower())), found)
