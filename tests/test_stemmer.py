"""Stems a reader can check by hand: Porter's own examples, step by step, and NLTK's departures from them."""

import pytest

from mcp_evals.stemmer import porter_stem


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("caresses", "caress"),
        ("ponies", "poni"),
        ("cats", "cat"),
        ("agreed", "agre"),
        ("feed", "feed"),
        ("plastered", "plaster"),
        ("bled", "bled"),
        ("sing", "sing"),
        ("conflated", "conflat"),
        ("troubled", "troubl"),
        ("hopping", "hop"),
        ("falling", "fall"),
        ("hissing", "hiss"),
        ("filing", "file"),
        ("happy", "happi"),
        ("relational", "relat"),
        ("conditional", "condit"),
        ("rational", "ration"),
        ("digitizer", "digit"),
        ("triplicate", "triplic"),
        ("hopefulness", "hope"),
        ("replacement", "replac"),
        ("adjustment", "adjust"),
        ("adoption", "adopt"),
        ("communism", "commun"),
        ("probate", "probat"),
        ("rate", "rate"),
        ("cease", "ceas"),
        ("controll", "control"),
        ("roll", "roll"),
    ],
)
def test_porters_examples_have_porters_stems(word: str, stem: str):
    assert stem == porter_stem(word)


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("as", "as"),
        ("skies", "sky"),
        ("dying", "die"),
        ("innings", "inning"),
        ("proceed", "proceed"),
        ("dies", "die"),
        ("died", "die"),
        ("cried", "cri"),
        ("enjoy", "enjoy"),
        ("shy", "shi"),
        ("using", "use"),
        ("rationally", "ration"),
        ("possibly", "possibl"),
        ("hopefully", "hope"),
        ("apology", "apolog"),
    ],
)
def test_nltks_departures_are_followed(word: str, stem: str):
    assert stem == porter_stem(word)


def test_digits_count_as_consonants():
    assert ["1234", "3d", "mp3", "90"] == [porter_stem(word) for word in ("1234s", "3d", "mp3s", "90")]
