"""Google ADK's metrics that a judge model answers, as version 2.13 reads and counts the answers, faults included.

The answers are input: nothing here asks a model. Kept for comparison; `judge` is how we read and count them ourselves.
ADK finds words by patterns that take time beyond all bounds on some answers; here each is one pass with the same finds.
"""

import re
import statistics
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from mcp_evals.scoring.adk import AdkError, AdkResult, AdkRubricScore, AdkScore, adk_status, check_lengths, plain_sum
from mcp_evals.scoring.judge import JudgeAnswer, JudgeFault

RUBRIC_TYPES: Final = {
    "rubric_based_final_response_quality_v1": "FINAL_RESPONSE_QUALITY",
    "rubric_based_tool_use_quality_v1": "TOOL_USE_QUALITY",
    "rubric_based_multi_turn_trajectory_quality_v1": "TRAJECTORY_QUALITY",
}
"""By metric, the type of those rubrics of an invocation that it looks at; one of another type or of none it ignores."""


class AdkRubric(NamedTuple):
    """A yes-or-no question about an invocation."""

    rubric_id: str
    """Name of the rubric."""
    text: str
    """What must be true."""
    type: str | None = None
    """Kind of metric that it is for."""


def final_response_match_v2(
    answers: Sequence[Sequence[JudgeAnswer]], expected: Sequence[object] | None, *, threshold: float
) -> AdkResult:
    """Share of the invocations with a readable verdict whose response a majority of the samples calls valid.

    `answers` are the samples of each invocation. One that failed leaves its invocation unevaluated; a tie is invalid.

    Raises:
        AdkError: nothing is expected, or for another number of invocations.
    """
    if expected is None:
        raise AdkError("expected_invocations is needed by this metric.")
    check_lengths(answers, expected)
    scores = [
        None if _any_failed(samples) else _majority([_validity(text) for text in _texts(samples)])
        for samples in answers
    ]
    known = [score for score in scores if score is not None]
    overall = plain_sum(known) / len(known) if known else None
    return AdkResult(
        overall,
        adk_status(overall, threshold),
        tuple(AdkScore(score, adk_status(score, threshold)) for score in scores),
        judge_calls=sum(map(len, answers)),
    )


def rubric_based(
    answers: Sequence[Sequence[JudgeAnswer]],
    rubrics: Sequence[AdkRubric],
    invocation_rubrics: Sequence[Sequence[AdkRubric]] = (),
    *,
    rubric_type: str,
    threshold: float,
) -> AdkResult:
    """Mean of all yes-or-no verdicts on rubrics, each the majority of its samples; a tie is no.

    All answers are read with the rubrics of the last invocation: that is how 2.13 does it.

    Raises:
        AdkError: an invocation has no rubric, or two of one id.
    """
    effective: Sequence[AdkRubric] = ()
    for index in range(len(answers)):
        own = invocation_rubrics[index] if index < len(invocation_rubrics) else ()
        effective = _effective_rubrics(rubrics, [rubric for rubric in own if rubric.type == rubric_type])
    rows = [_rubric_score(samples, effective, threshold) for samples in answers]
    pooled = [rubric for row in rows for rubric in row.rubric_scores or ()]
    overall = _mean_rubric(pooled)
    by_id = {rubric.rubric_id: [r for r in pooled if r.rubric_id == rubric.rubric_id] for rubric in pooled}
    return AdkResult(
        overall,
        adk_status(overall, threshold),
        tuple(rows),
        tuple(AdkRubricScore(rubric_id, _mean_rubric(scores), _AGGREGATED) for rubric_id, scores in by_id.items()),
        judge_calls=sum(map(len, answers)),
    )


def rubric_based_multi_turn(
    answers: Sequence[JudgeAnswer], rubrics: Sequence[AdkRubric], *, turns: int, threshold: float
) -> AdkResult:
    """As `rubric_based`, once over the whole conversation: the last turn carries the score, the others have none.

    Raises:
        AdkError: there is no rubric, or two of one id.
    """
    rubric_type = RUBRIC_TYPES["rubric_based_multi_turn_trajectory_quality_v1"]
    result = rubric_based([answers], rubrics, rubric_type=rubric_type, threshold=threshold)
    earlier = (AdkScore(None, "NOT_EVALUATED"),) * (turns - 1)
    return result._replace(per_invocation=(*earlier, *result.per_invocation))


def hallucinations_v1(
    answers: Sequence[Sequence[JudgeAnswer]], *, responses: Sequence[int] | None = None, threshold: float
) -> AdkResult:
    """Mean share of labelled sentences that are supported or need no support.

    `answers` are, for each invocation, the segmenter's and the validator's in turn; where the segmenter found no
    sentence, no validator was asked. `responses` says how many texts of each invocation were examined, else one.
    """
    used, scores = 0, list[float | None]()
    for index, invocation in enumerate(answers):
        waiting = iter(invocation)
        shares = list[float | None]()
        for _ in range(1 if responses is None else responses[index]):
            share, asked = _grounded_share(waiting)
            shares.append(share)
            used += asked
        scores.append(_mean_of_known(shares))
    overall = _mean_of_known(scores)
    rows = tuple(AdkScore(score, adk_status(score, threshold), ()) for score in scores)
    return AdkResult(overall, adk_status(overall, threshold), rows, judge_calls=used)


def per_turn_user_simulator_quality_v1(
    user_turns: Sequence[str | None],
    starting_prompt: str,
    answers: Sequence[Sequence[JudgeAnswer]],
    *,
    threshold: float,
) -> AdkResult:
    """Share of user turns that are valid: the first by equality, the others and the end by the judge's majority.

    `answers` are the samples for each turn but the first, then those for the stop signal, which replace the last turn's
    result where they fail it.

    Raises:
        AdkError: there is no turn, or the judge failed.
    """
    if not user_turns:
        raise AdkError("list index out of range", kind="IndexError")
    if len(answers) != len(user_turns):
        raise AdkError(f"{len(user_turns)} user turns need as many sets of answers, the last for the stop signal")
    opening = user_turns[0]
    scores = [None if opening is None else float(opening.strip() == starting_prompt.strip())]
    for samples in answers:
        for answer in samples:
            if isinstance(answer, JudgeFault) and not answer.silent:
                raise AdkError(answer.message, kind=answer.kind)
        scores.append(_majority([_turn_validity(text) for text in _texts(samples)]))
    *turns, stop = scores
    rows = [AdkScore(score, adk_status(score, threshold)) for score in turns]
    if adk_status(stop, threshold) == "FAILED":
        rows[-1] = AdkScore(stop, "FAILED")
    overall = plain_sum(row.score for row in rows if row.score is not None and row.status == "PASSED") / len(rows)
    return AdkResult(overall, adk_status(overall, threshold), tuple(rows), judge_calls=sum(map(len, answers)))


# --- counting


_AGGREGATED: Final = (
    "This is an aggregated score derived from individual entries. Please refer to individual entries in each"
    " invocation for actual rationale from the model."
)


def _any_failed(samples: Sequence[JudgeAnswer]) -> bool:
    return any(isinstance(sample, JudgeFault) for sample in samples)


def _texts(samples: Sequence[JudgeAnswer]) -> list[str | None]:
    return [None if isinstance(sample, JudgeFault) else sample for sample in samples]


def _majority(votes: Sequence[float | None]) -> float | None:
    known = [vote for vote in votes if vote is not None]
    return float(2 * sum(known) > len(known)) if known else None


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(statistics.mean(known)) if known else None


def _mean_rubric(rubrics: Sequence[AdkRubricScore]) -> float | None:
    return _mean_of_known([rubric.score for rubric in rubrics])


# --- valid or not


_POSITIVE: Final = {"valid", "true"}
_NEGATIVE: Final = {"invalid", "almost", "false", "partially_valid", "partially valid", "partially"}
_UP_TO_BLANK: Final = re.compile(r'(\s*)\[*(\s*)"*([^"^\]\s]*)"*(\s*)\]*(\s*)')
_UP_TO_QUOTE: Final = re.compile(r'(\s*)\[*(\s*)"*([^"\]]*)"*(\s*)\]*(\s*)')


def _validity(text: str | None) -> float | None:
    if text is None:
        return None
    label = _field(text, '"is_the_agent_response_valid":', _UP_TO_BLANK)
    if label is not None:
        return _vote(label.strip().rstrip(",}"))
    label = _field(text, '"is_the_agent_response_invalid":', _UP_TO_BLANK)
    return None if label is None else float(label.strip().rstrip(",}") not in {"true", "invalid"})


def _turn_validity(text: str | None) -> float | None:
    label = _field(text or "", '"is_valid":', _UP_TO_QUOTE)
    return None if label is None else _vote(label.strip("}").replace(",", "").strip().lower())


def _vote(label: str) -> float | None:
    return 1.0 if label in _POSITIVE else 0.0 if label in _NEGATIVE else None


def _field(text: str, key: str, value: re.Pattern[str]) -> str | None:
    """What follows the first `key` that has a value, up to a comma, a brace or a line's end; None where none has."""
    at = text.find(key)
    while at >= 0:
        # Never fails and never backs up: each part takes what it can, and the rest here decides what to give back.
        found = value.match(text, at + len(key))
        assert found is not None  # noqa: S101  every part may be empty
        *before, label, after, after_bracket = found.groups()
        if text[found.end() : found.end() + 1] in {",", "}"} or "\n" in after + after_bracket:
            return label
        cut = max(label.rfind(end) for end in ",}\n")
        if cut >= 0:
            return label[:cut]
        if "\n" in "".join(before):
            return ""
        at = text.find(key, at + 1)
    return None


# --- rubrics


_ID: Final = re.compile(r"^[^\S\n]*ID: (.*)$", re.MULTILINE)
_PROPERTY: Final = re.compile(r"^[^\S\n]*Property: (.*)$", re.MULTILINE)
_RATIONALE: Final = re.compile(r"(?<=Rationale: ).*")
_VERDICT: Final = re.compile(r"(?<=Verdict: ).*")
_PLAIN_QUOTES: Final = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014", "''\"\"--")
_DECORATION: Final = " *_`#>-\u2022\"'"


def _effective_rubrics(criterion: Sequence[AdkRubric], invocation: Sequence[AdkRubric]) -> list[AdkRubric]:
    by_id: dict[str, AdkRubric] = {}
    for scope, rubrics in (("criterion", criterion), ("invocation", invocation)):
        for rubric in rubrics:
            if rubric.rubric_id in by_id:
                raise AdkError(
                    f"Rubric with rubric_id '{rubric.rubric_id}' already exists. Rubric defined in {scope} conflicts"
                    " with an existing rubric."
                )
            by_id[rubric.rubric_id] = rubric
    if not by_id:
        raise AdkError("Rubrics are required.")
    return list(by_id.values())


def _rubric_score(samples: Sequence[JudgeAnswer], rubrics: Sequence[AdkRubric], threshold: float) -> AdkScore:
    if _any_failed(samples):
        return AdkScore(None, "NOT_EVALUATED")
    votes: dict[str, list[AdkRubricScore]] = {}
    for text in _texts(samples):
        for verdict in _rubric_verdicts(text or "", rubrics):
            votes.setdefault(verdict.rubric_id, []).append(verdict)
    verdicts = tuple(_first_of_majority(cast) for cast in votes.values())
    score = _mean_rubric(verdicts)
    return AdkScore(score, adk_status(score, threshold), verdicts)


def _first_of_majority(votes: Sequence[AdkRubricScore]) -> AdkRubricScore:
    winner = _majority([vote.score for vote in votes])
    return next(vote for vote in votes if vote.score == winner)


def _rubric_verdicts(text: str, rubrics: Sequence[AdkRubric]) -> list[AdkRubricScore]:
    properties, ids = list(_PROPERTY.finditer(text)), list(_ID.finditer(text))
    rationales, verdicts = _RATIONALE.findall(text), _VERDICT.findall(text)
    if not len(properties) == len(rationales) == len(verdicts):
        return []
    by_id = {rubric.rubric_id: rubric for rubric in rubrics}
    by_text = {_normalized(rubric.text): rubric for rubric in rubrics}
    found: list[AdkRubricScore] = []
    position = 0
    for line, rationale, verdict in zip(properties, rationales, verdicts, strict=True):
        # An id belongs to the property that it directly precedes.
        rubric_id = ""
        while position < len(ids) and ids[position].start() < line.start():
            rubric_id = ids[position][1].strip()
            position += 1
        rubric = (by_id.get(rubric_id) if rubric_id else None) or by_text.get(_normalized(line[1]))
        if rubric is not None:
            found.append(AdkRubricScore(rubric.rubric_id, _yes_or_no(verdict), rationale.strip()))
    return found


def _yes_or_no(verdict: str) -> float | None:
    lowered = verdict.lower()
    return 1.0 if "yes" in lowered else 0.0 if "no" in lowered else None


def _normalized(text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).translate(_PLAIN_QUOTES)
    return re.sub(r"\s+", " ", plain).strip(_DECORATION).lower()


# --- grounded or not


_LABELS: Final = {"supported": 1, "not_applicable": 1, "unsupported": 0, "contradictory": 0, "disputed": 0}
_SENTENCE: Final = re.compile("sentence:", re.IGNORECASE)
_NEXT_SENTENCE: Final = re.compile("\nsentence:", re.IGNORECASE)
_LABEL: Final = re.compile("\nlabel:", re.IGNORECASE)
_AFTER_LABEL: Final = [
    re.compile(f"\n{name}:", re.IGNORECASE) for name in ("rationale", "supporting_excerpt", "contradicting_excerpt")
]


def _grounded_share(answers: Iterator[JudgeAnswer]) -> tuple[float | None, int]:
    """The share, and how many answers it took."""
    segments = next(answers, None)
    if not isinstance(segments, str) or not _has_sentences(segments):
        return None, 1
    labels = next(answers, None)
    return (_supported_share(labels) if isinstance(labels, str) else None), 2


def _has_sentences(text: str) -> bool:
    start = text.find("<sentence>")
    return start >= 0 and text.find("</sentence>", start) >= 0


def _supported_share(text: str) -> float | None:
    votes = [_LABELS[label] for label in _labels(text.strip()) if label in _LABELS]
    return float(statistics.mean(votes)) if votes else None


def _labels(text: str) -> list[str]:
    """The label of each block; a block that lacks a line takes it from the next, and so swallows it."""
    found: list[str] = []
    start = _SENTENCE.search(text)
    while start is not None:
        label = _LABEL.search(text, start.end())
        mark = label
        label_end = None
        for line in _AFTER_LABEL:
            mark = None if mark is None else line.search(text, mark.end())
            label_end = mark.start() if mark is not None and label_end is None else label_end
        if label is None or mark is None or label_end is None:
            break
        found.append(text[label.end() : label_end].strip().lower())
        following = _NEXT_SENTENCE.search(text, mark.end())
        start = None if following is None else _SENTENCE.search(text, following.start())
    return found
