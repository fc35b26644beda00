"""Languages of queries: codes as people write them, and those that NLLB's tokenizer has.

NLLB puts a token of the language before a text, so its model must be told which one it is. Codes
are those of FLORES-200, language and script: `deu_Latn`. Other tokenizers have no such token.

Source: Costa-jussà et al. 2022, No Language Left Behind (arXiv 2207.04672), section 3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from indexer.core.encoder import Encoder, Vectors
from indexer.core.errors import UsageError

ENGLISH = "eng_Latn"

_FLORES = {
    **{"am": "amh_Ethi", "ar": "arb_Arab", "bg": "bul_Cyrl", "bn": "ben_Beng", "bo": "bod_Tibt"},
    **{"ca": "cat_Latn", "cs": "ces_Latn", "da": "dan_Latn", "de": "deu_Latn", "el": "ell_Grek"},
    **{"en": "eng_Latn", "es": "spa_Latn", "et": "est_Latn", "eu": "eus_Latn", "fa": "pes_Arab"},
    **{"fi": "fin_Latn", "fr": "fra_Latn", "ga": "gle_Latn", "gl": "glg_Latn", "gu": "guj_Gujr"},
    **{"he": "heb_Hebr", "hi": "hin_Deva", "hr": "hrv_Latn", "hu": "hun_Latn", "hy": "hye_Armn"},
    **{"id": "ind_Latn", "is": "isl_Latn", "it": "ita_Latn", "ja": "jpn_Jpan", "ka": "kat_Geor"},
    **{"kk": "kaz_Cyrl", "km": "khm_Khmr", "kn": "kan_Knda", "ko": "kor_Hang", "lo": "lao_Laoo"},
    **{"lt": "lit_Latn", "lv": "lvs_Latn", "mk": "mkd_Cyrl", "ml": "mal_Mlym", "mr": "mar_Deva"},
    **{"ms": "zsm_Latn", "mt": "mlt_Latn", "my": "mya_Mymr", "nb": "nob_Latn", "ne": "npi_Deva"},
    **{"nl": "nld_Latn", "nn": "nno_Latn", "no": "nob_Latn", "or": "ory_Orya", "pa": "pan_Guru"},
    **{"pl": "pol_Latn", "pt": "por_Latn", "ro": "ron_Latn", "ru": "rus_Cyrl", "si": "sin_Sinh"},
    **{"sk": "slk_Latn", "sl": "slv_Latn", "sq": "als_Latn", "sr": "srp_Cyrl", "sv": "swe_Latn"},
    **{"sw": "swh_Latn", "ta": "tam_Taml", "te": "tel_Telu", "th": "tha_Thai", "tl": "tgl_Latn"},
    **{"tr": "tur_Latn", "uk": "ukr_Cyrl", "ur": "urd_Arab", "vi": "vie_Latn", "zh": "zho_Hans"},
    **{"zh-tw": "zho_Hant", "zh-hk": "yue_Hant"},
}
"""By the usual code of two letters."""


@runtime_checkable
class LanguageEncoder(Encoder, Protocol):
    """An encoder that may have to be told the language of a text."""

    def languages(self) -> Collection[str]:
        """Return the languages that can be told, in FLORES codes; none where that is not needed."""
        ...

    def encode_in(self, texts: Sequence[str], language: str) -> Vectors:
        """Embed texts of one of these languages. Shape (texts, dim), unit norm."""
        ...


def flores_code(named: str, known: Collection[str]) -> str:
    """Return the code of a language as a tokenizer has it.

    Args:
        named: two letters ("de", "zh-TW"), or a FLORES code ("deu_Latn").
        known: the codes of the tokenizer.

    Raises:
        UsageError: it is no such language.
    """
    plain = named.strip().lower().replace("_", "-")
    own = {code.lower().replace("_", "-"): code for code in known}
    found = own.get(plain) or _FLORES.get(plain) or _FLORES.get(plain.partition("-")[0], "")
    if found not in known:
        raise UsageError(
            f"the model knows no language '{named}'; give two letters, such as de, or a code of "
            "FLORES-200, such as deu_Latn"
        )
    return found
