"""gemini-rs's files by the rules of its reader; tests/parity compares them with recordings."""

import json

import pytest

from mcp_evals.scoring.gemini_files import (
    CriterionCheck,
    GeminiCase,
    GeminiError,
    GeminiInvocation,
    GeminiTurn,
    JudgeCriterion,
    read_case,
    read_evalset,
    read_set,
    read_test_config,
)

INVOCATION = {"invocation_id": "i", "user_content": "hi"}


def evalset(**invocation: object) -> str:
    case = {"eval_id": "c", "conversation": [{**INVOCATION, **invocation}]}
    return json.dumps({"name": "s", "eval_cases": [case]})


def test_what_is_left_out_has_its_default():
    case = read_case({"name": "n", "actual": [{"turns": [{"role": "user", "content": "hi"}]}]})

    assert GeminiCase("n", (GeminiInvocation((GeminiTurn("user", "hi"),)),)) == case


def test_a_struct_may_be_written_as_the_list_of_its_fields():
    listed = read_case(["n", [["1", [["user", "hi"]]]]])

    assert GeminiCase("n", (GeminiInvocation((GeminiTurn("user", "hi"),), "1"),)) == listed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"name": "n", "actual": None}, "invalid type: null, expected a sequence"),
        ({"name": "n", "actual": [], "expected": None}, "invalid type: null, expected a sequence"),
        ({"name": True, "actual": []}, "invalid type: boolean `true`, expected a string"),
        ({"name": 1.5, "actual": []}, "invalid type: floating point `1.5`, expected a string"),
        ({"name": "n", "actual": ["x"]}, 'invalid type: string "x", expected struct Invocation'),
        (
            {"name": "n", "actual": [{"turns": [[]]}]},
            "invalid length 0, expected struct InvocationTurn with 4 elements",
        ),
        (["n", [], [], None, 1], "trailing characters"),
        ({"actual": [{}], "name": 1}, "missing field `turns`"),
        ([], "invalid length 0, expected struct EvalCase with 4 elements"),
        (None, "invalid type: null, expected struct EvalCase"),
    ],
)
def test_a_refusal_says_what_serde_says(value: object, message: str):
    with pytest.raises(GeminiError) as refusal:
        read_case(value)  # type: ignore[arg-type]

    assert message == str(refusal.value)


def test_a_set_is_read_with_its_cases():
    found = read_set({"name": "s", "cases": [{"name": "n", "actual": []}], "description": None})

    assert ["n"] == [case.name for case in found.cases]


def test_a_file_gives_what_was_done_and_what_was_expected():
    text = evalset(
        expected_tool_use=[{"tool_name": "a", "tool_input": {"x": 1}}],
        expected_response="done",
        intermediate_data={
            "tool_uses": [{"tool_name": "b", "tool_input": None, "tool_output": 3}],
            "intermediate_responses": ["let me see"],
        },
    )

    ((actual, expected),) = read_evalset(text).eval_pairs()

    user = GeminiTurn("user", "hi")
    did = GeminiTurn("model", "", ({"name": "b", "args": None},), (3,))
    assert (GeminiInvocation((user, did, GeminiTurn("model", "let me see")), "i"),) == actual
    call = GeminiTurn("model", "", ({"name": "a", "args": {"x": 1}},))
    assert (GeminiInvocation((user, call, GeminiTurn("model", "done")), "i"),) == expected


def test_a_call_that_was_made_needs_its_output():
    text = evalset(intermediate_data={"tool_uses": [{"tool_name": "b", "tool_input": {}}]})

    with pytest.raises(GeminiError, match="Parse error: Invalid evalset JSON: missing field `tool_output`"):
        read_evalset(text)


def test_a_threshold_stands_alone_or_with_a_judge():
    config = read_test_config('{"criteria": {"a": 1, "b": {"threshold": 0.5, "num_samples": 3, "other": 1}}}')

    assert {"a": 1.0, "b": JudgeCriterion(0.5, None, 3)} == config.criteria
    assert {"a": CriterionCheck(False, 0.0, 1.0), "b": CriterionCheck(True, 0.5, 0.5)} == config.check_all({"b": 0.5})
    assert not config.all_pass({"b": 0.5})


@pytest.mark.parametrize("criterion", ['"0.5"', "true", "{}", '{"threshold": 1, "num_samples": -1}', "[]"])
def test_another_criterion_is_none(criterion: str):
    with pytest.raises(GeminiError, match="did not match any variant of untagged enum CriterionConfig"):
        read_test_config(f'{{"criteria": {{"a": {criterion}}}}}')


@pytest.mark.parametrize("text", ["", "nope", '{"criteria": {}} x', '{"criteria": NaN}', "[" * 100_000])
def test_what_is_no_json_is_refused(text: str):
    with pytest.raises(GeminiError, match="Parse error: Invalid test config JSON: "):
        read_test_config(text)
