"""Porter's stemmer for English, as NLTK extends it: `policies` -> `polici`, `running` -> `run`.

M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980, with NLTK's departures marked where they stand.
Knows words only; what a word is, and which words are worth stemming, its caller decides.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple


def porter_stem(word: str) -> str:
    """The stem of a lower-case word; words of one or two letters are their own stem."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (_step_1a, _step_1b, _step_1c, _step_2, _step_3, _step_4, _step_5a, _step_5b):
        word = step(word)
    return word


# NLTK's pool: forms that never reach the rules.
_IRREGULAR: Final = {
    "sky": "sky",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "inning": "inning",
    "innings": "inning",
    "outing": "outing",
    "outings": "outing",
    "canning": "canning",
    "cannings": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}


class _Rule(NamedTuple):
    suffix: str
    replacement: str
    holds: Callable[[str], bool]
    """Asked of what precedes the suffix."""


def _rewrite(word: str, rules: Iterable[_Rule]) -> str:
    """Apply the first rule whose suffix fits; if its condition fails, no later rule gets a chance."""
    for suffix, replacement, holds in rules:
        if word.endswith(suffix):
            stem = word.removesuffix(suffix)
            return stem + replacement if holds(stem) else word
    return word


def _shape(word: str) -> str:
    """A letter for each letter: `v` for a vowel, `c` for a consonant; `y` is a vowel after a consonant."""
    shape: list[str] = []
    for letter in word:
        vowel = letter in "aeiou" or (letter == "y" and shape[-1:] == ["c"])
        shape.append("v" if vowel else "c")
    return "".join(shape)


def _measure(stem: str) -> int:
    """Porter's m: how often a vowel is followed by a consonant."""
    return _shape(stem).count("vc")


def _always(_: str) -> bool:
    return True


def _m_above_0(stem: str) -> bool:
    return _measure(stem) > 0


def _m_above_1(stem: str) -> bool:
    return _measure(stem) > 1


def _ends_cvc(stem: str) -> bool:
    """Porter's *o, which NLTK extends to a whole stem of a vowel and a consonant (`us` in `using`)."""
    shape = _shape(stem)
    return (shape.endswith("cvc") and stem[-1] not in "wxy") or shape == "vc"


def _ends_double_consonant(stem: str) -> bool:
    return len(stem) > 1 and stem[-1] == stem[-2] and _shape(stem)[-1] == "c"


_STEP_1A: Final = (
    _Rule("sses", "ss", _always),
    _Rule("ies", "i", _always),
    _Rule("ss", "ss", _always),
    _Rule("s", "", _always),
)


def _step_1a(word: str) -> str:
    if len(word) == 4 and word.endswith("ies"):  # NLTK: `dies` and `ties` keep their e
        return word[:-1]
    return _rewrite(word, _STEP_1A)


def _step_1b(word: str) -> str:
    if word.endswith("ied"):  # NLTK
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _m_above_0(word[:-3]) else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and "v" in _shape(stem):
            return _mend(stem)
    return word


def _mend(stem: str) -> str:
    """Give a stem that lost -ed or -ing the ending that its word has: `hop(p)`, `fil(e)`."""
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if _ends_double_consonant(stem):
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _ends_cvc(stem) else stem


def _step_1c(word: str) -> str:
    # NLTK asks for a consonant before the y (`happy`, not `enjoy`), where Porter asks for a vowel anywhere.
    if word.endswith("y") and len(word) > 2 and _shape(word)[-2] == "c":
        return word[:-1] + "i"
    return word


def _m_above_0_with_l(stem: str) -> bool:
    """NLTK counts the l of -logi to the stem."""
    return _m_above_0(stem + "l")


_STEP_2: Final = (
    *(
        _Rule(suffix, replacement, _m_above_0)
        for suffix, replacement in {
            "ational": "ate",
            "tional": "tion",
            "enci": "ence",
            "anci": "ance",
            "izer": "ize",
            "bli": "ble",  # NLTK; Porter has abli -> able
            "alli": "al",
            "entli": "ent",
            "eli": "e",
            "ousli": "ous",
            "ization": "ize",
            "ation": "ate",
            "ator": "ate",
            "alism": "al",
            "iveness": "ive",
            "fulness": "ful",
            "ousness": "ous",
            "aliti": "al",
            "iviti": "ive",
            "biliti": "ble",
            "fulli": "ful",  # NLTK
        }.items()
    ),
    _Rule("logi", "log", _m_above_0_with_l),  # NLTK
)


def _step_2(word: str) -> str:
    if word.endswith("alli") and _m_above_0(word[:-4]):  # NLTK: `rationally` goes on as `rational`
        word = word[:-2]
    return _rewrite(word, _STEP_2)


_STEP_3: Final = tuple(
    _Rule(suffix, replacement, _m_above_0)
    for suffix, replacement in {
        "icate": "ic",
        "ative": "",
        "alize": "al",
        "iciti": "ic",
        "ical": "ic",
        "ful": "",
        "ness": "",
    }.items()
)


def _step_3(word: str) -> str:
    return _rewrite(word, _STEP_3)


def _m_above_1_after_s_or_t(stem: str) -> bool:
    return _m_above_1(stem) and stem[-1] in "st"


_STEP_4: Final = (
    *(
        _Rule(suffix, "", _m_above_1)
        for suffix in ("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent")
    ),
    _Rule("ion", "", _m_above_1_after_s_or_t),
    *(_Rule(suffix, "", _m_above_1) for suffix in ("ou", "ism", "ate", "iti", "ous", "ive", "ize")),
)


def _step_4(word: str) -> str:
    return _rewrite(word, _STEP_4)


def _step_5a(word: str) -> str:
    if not word.endswith("e"):
        return word
    stem = word[:-1]
    measure = _measure(stem)
    return stem if measure > 1 or (measure == 1 and not _ends_cvc(stem)) else word


def _step_5b(word: str) -> str:
    return word[:-1] if word.endswith("ll") and _m_above_1(word[:-1]) else word
