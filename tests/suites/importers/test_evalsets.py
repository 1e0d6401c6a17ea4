"""Eval sets and conversations of other systems become suites: every form is named, what is left out is said."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.errors import InvalidFileError, UsageError
from mcp_evals.scoring.case import score_case
from mcp_evals.scoring.metrics import score_metrics
from mcp_evals.suite import Case, Expect, ExpectedCall, MetricSettings, Rubric, Scenario, Suite, Turn
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.importers.adk_sets import ADK_VERDICT, NO_TOOLS
from mcp_evals.suites.importers.evalsets import read_eval_set
from mcp_evals.suites.importers.imported import Imported
from mcp_evals.suites.importers.transcripts import read_transcript, read_transcripts
from mcp_evals.suites.saving import write_suite
from mcp_evals.text_expectations import Contains, Judged, Similar

EVALSETS = Path(os.environ.get("MCP_EVALS_EVALSETS_DIR", Path(__file__).parents[4] / "shared" / "evalsets"))
REAL = {
    "adk-python__ecommerce__order_query.test.json": ("adk_eval_set", 1, 4, 7),
    "adk-python__home_automation__dependent_tool_calls.test.json": ("adk_eval_set", 1, 2, 2),
    "adk-python__live_non_blocking_tool_agent.evalset.json": ("adk_eval_set", 2, 3, 0),
    "adk-python__trip_planner__trip_inquiry_sub_agent.test.json": ("adk_eval_set", 1, 1, 0),
    "adk-samples__RAG__conversation.test.json": ("adk_legacy_turns", 1, 22, 20),
    "adk-samples__academic-research__seminal.test.json": ("adk_eval_set", 1, 1, 0),
    "adk-samples__brand-search__eval_data1.evalset.json": ("adk_legacy_eval_set", 1, 6, 10),
    "adk-samples__customer-service__full_conversation.test.json": ("adk_legacy_turns", 1, 10, 6),
    "adk-samples__customer-service__simple.test.json": ("adk_legacy_turns", 1, 2, 1),
    "adk-samples__data-science__simple.test.json": ("adk_legacy_turns", 1, 2, 1),
    "adk-samples__personalized-shopping__simple.test.json": ("adk_legacy_turns", 1, 1, 0),
    "adk-samples__travel-concierge__inspire.test.json": ("adk_eval_set", 1, 3, 5),
    "adk-samples__travel-concierge__intrip.test.json": ("adk_eval_set", 1, 4, 12),
    "adk-samples__travel-concierge__pretrip.test.json": ("adk_eval_set", 1, 2, 6),
    "agentevals__eval_set_helm.json": ("adk_eval_set", 1, 1, 1),
    "agentevals__evalset_helm_3_2026-02-23.json": ("adk_eval_set", 1, 1, 1),
    "agentevals__helm.json": ("jaeger_trace", 1, 1, 1),
    "agentevals__helm_3.json": ("jaeger_trace", 1, 1, 1),
}
"""Form, cases, user messages and expected calls of each real file."""
REFUSED = {
    "adk-python__trip_planner__initial.session.json": "is an ADK session without events; .* with `--session`",
    "adk-samples__RAG__test_config.json": "is a config of criteria, .* with `--config`",
}
real = pytest.mark.skipif(not EVALSETS.is_dir(), reason=f"no eval sets at {EVALSETS}; set MCP_EVALS_EVALSETS_DIR")


def read(folder: Path, value: Any, name: str = "set.json", **others: Any) -> Imported:
    """The import of a value as a file, with other values as further files."""
    (folder / name).write_text(json.dumps(value))
    files: dict[str, Path] = {}
    for option, other in others.items():
        files[option] = folder / f"{option}.json"
        files[option].write_text(json.dumps(other))
    return read_eval_set(folder / name, **files)


def refused(folder: Path, value: Any, **others: Any) -> list[tuple[str, str]]:
    """Place and message of everything that is wrong."""
    with pytest.raises(InvalidFileError) as caught:
        read(folder, value, **others)
    return [(problem.path, problem.message) for problem in caught.value.problems]


def said(text: str) -> dict[str, Any]:
    return {"parts": [{"text": text}]}


def invocation(user: str, *calls: dict[str, Any], answer: str = "fine", **more: Any) -> dict[str, Any]:
    return {
        "user_content": said(user),
        "final_response": said(answer),
        "intermediate_data": {"tool_uses": list(calls)},
        **more,
    }


def adk_set(*conversation: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"eval_set_id": "s", "eval_cases": [{"eval_id": "c", "conversation": list(conversation), **more}]}


def reference(text: str) -> Similar:
    return Similar(similar=text, weight=1.0)


# --- real files


@real
def test_every_real_file_is_named_here():
    assert {*REAL, *REFUSED} == {path.name for path in EVALSETS.glob("*.json")}


@real
@pytest.mark.parametrize("name", REAL)
def test_a_real_file_loads_in_its_form_and_loses_no_message_and_no_call(tmp_path: Path, name: str):
    found = read_eval_set(EVALSETS / name)

    asked = [len(case.all_turns) or 1 for case in found.suite.cases]
    calls = [len(turn.expect.calls or ()) for case in found.suite.cases for turn in case.all_turns]
    assert REAL[name] == (found.form, len(asked), sum(asked), sum(calls))
    write_suite(found.suite, tmp_path / "suite.yaml")
    assert found.suite == load_suite(tmp_path / "suite.yaml").suite


@real
@pytest.mark.parametrize("name", REFUSED)
def test_a_real_file_that_is_no_eval_set_says_what_to_do_with_it(name: str):
    with pytest.raises(InvalidFileError, match=REFUSED[name]):
        read_eval_set(EVALSETS / name)


@real
@pytest.mark.parametrize(
    ("eval_set", "trace"),
    [("eval_set_helm", "helm"), ("evalset_helm_3_2026-02-23", "helm_3")],
)
def test_a_real_trace_is_scored_against_its_eval_set_as_its_project_says(eval_set: str, trace: str):
    found = read_eval_set(EVALSETS / f"agentevals__{eval_set}.json", actual=EVALSETS / f"agentevals__{trace}.json")

    ((case_id, transcript),) = found.done
    (case,) = found.suite.cases
    checks = score_metrics(found.suite.metrics, case, transcript)
    assert (case.id, [1.0, 1.0]) == (case_id, [check.score for check in checks])


@real
def test_a_real_config_and_a_real_session_go_with_their_eval_sets():
    rag = read_eval_set(
        EVALSETS / "adk-samples__RAG__conversation.test.json", config=EVALSETS / "adk-samples__RAG__test_config.json"
    )
    trip = read_eval_set(
        EVALSETS / "adk-python__live_non_blocking_tool_agent.evalset.json",
        session=EVALSETS / "adk-python__trip_planner__initial.session.json",
    )

    assert {"tool_trajectory_avg_score": 0.09, "response_match_score": 0.4} == rag.suite.metrics
    # What a case says of its session itself goes before.
    own = [case.metadata["session_input"] for case in trip.suite.cases]
    assert ["live_non_blocking_tool_agent"] * 2 == [session["app_name"] for session in own]  # pyright: ignore[reportCallIssue, reportArgumentType, reportIndexIssue, reportOptionalSubscript]


# --- ADK


def test_an_adk_eval_set_becomes_turns_with_calls_results_and_answers_under_adks_criteria(tmp_path: Path):
    call = {"id": "1", "name": "weather", "args": {"city": "Oslo"}}
    asked = invocation("Oslo?", call, answer="12")
    asked["intermediate_data"]["tool_responses"] = [{"id": "1", "name": "weather", "response": {"t": 12}}]

    found = read(tmp_path, adk_set(asked, invocation("Thanks")))

    case = Case(
        id="c",
        turns=(
            Turn(
                user="Oslo?",
                expect=Expect(
                    calls=(ExpectedCall(tool="weather", args={"city": "Oslo"}, returns={"t": 12}),),
                    text=(reference("12"),),
                ),
            ),
            Turn(user="Thanks", expect=Expect(calls=(), text=(reference("fine"),))),
        ),
    )
    note = "no config was given; the criteria are ADK's own: tool_trajectory_avg_score 1, response_match_score 0.8"
    assert (note, NO_TOOLS) == found.notes
    assert "adk_eval_set" == found.form
    assert (
        Suite(
            name="set",
            rubric=ADK_VERDICT,
            metrics={"tool_trajectory_avg_score": 1.0, "response_match_score": 0.8},
            metadata={"eval_set_id": "s", "imported": {"form": "adk_eval_set", "notes": [note, NO_TOOLS]}},
            cases=(case,),
        )
        == found.suite
    )


def test_events_in_camel_case_say_the_same_as_calls_in_snake_case(tmp_path: Path):
    events = [
        {"author": "a", "content": {"parts": [{"functionCall": {"name": "f", "args": {"someKey": 1}}}]}},
        {"author": "a", "content": {"parts": [{"functionResponse": {"name": "f", "response": {"aB": 2}}}]}},
    ]
    camel = {
        "evalSetId": "s",
        "evalCases": [
            {
                "evalId": "c",
                "conversation": [
                    {
                        "userContent": said("hi"),
                        "finalResponse": said("fine"),
                        "intermediateData": {"invocationEvents": events},
                    }
                ],
            }
        ],
    }
    snake = invocation("hi", {"name": "f", "args": {"someKey": 1}})
    snake["intermediate_data"]["tool_responses"] = [{"name": "f", "response": {"aB": 2}}]

    assert read(tmp_path, adk_set(snake)).suite == read(tmp_path, camel).suite


def test_nulls_that_adk_writes_for_what_is_not_there_say_nothing(tmp_path: Path):
    part = {"text": "hi", "function_call": None, "inline_data": None, "thought": None}
    full = invocation("hi", {"id": None, "name": "f", "args": {}})
    full["user_content"] = {"role": "user", "parts": [part]}

    found = read(tmp_path, adk_set(full, session_input=None, rubrics=None))

    assert read(tmp_path, adk_set(invocation("hi", {"name": "f", "args": {}}))).suite == found.suite
    (said_again,) = read_transcript({"conversation": [full]}).transcript.invocations
    assert ("hi", "fine") == (said_again.user, said_again.final_text)


def test_a_misspelt_key_is_an_error_where_adk_forbids_it_and_a_note_where_adk_passes_over_it(tmp_path: Path):
    wrong: dict[str, Any] = {
        "userContent": said("hi"),
        "finalRespons": {},
        "intermediateData": {"toolUses": [{"args": {}}]},
    }

    assert [
        ("eval_cases[0].conversation[0].intermediateData.toolUses[0].name", "is missing"),
        ("eval_cases[0].conversation[0].finalRespons", 'unknown key; did you mean "final_response"?'),
    ] == refused(tmp_path, adk_set(wrong))
    assert 'the key "rubric" of a case is left out; did you mean "rubrics"?' in (
        read(tmp_path, adk_set(invocation("hi"), rubric=[])).notes
    )


def test_a_case_needs_either_a_conversation_or_a_scenario_and_an_id_of_its_own(tmp_path: Path):
    value = {"eval_set_id": "s", "eval_cases": [{"eval_id": "c"}]}
    twice = adk_set(invocation("hi"))
    twice["eval_cases"] *= 2

    assert [("eval_cases[0]", "must have either `conversation` or `conversation_scenario`")] == refused(tmp_path, value)
    assert [("eval_cases[1]", '"c" is already the id of another case; choose another')] == refused(tmp_path, twice)


def test_a_scenario_keeps_no_metric_that_needs_a_reference(tmp_path: Path):
    value = adk_set(invocation("hi"))
    scenario = {"starting_prompt": "x", "conversation_plan": "y", "user_persona": "NOVICE"}
    value["eval_cases"].append({"eval_id": "d", "conversation_scenario": scenario})
    criteria = {"tool_trajectory_avg_score": 1, "hallucinations_v1": 0.5}

    suite = read(tmp_path, value, config={"criteria": criteria}).suite

    assert {"hallucinations_v1": 0.5} == suite.metrics
    assert [{"tool_trajectory_avg_score": 1.0}, None] == [case.metrics for case in suite.cases]
    assert Scenario(opening="x", plan="y", persona="novice") == suite.cases[1].scenario
    assert suite.cases[1].scenario == read(tmp_path, {"scenarios": [scenario]}).suite.cases[0].scenario


def test_rubrics_are_asked_also_without_a_type_and_turn_by_turn(tmp_path: Path):
    rubric = {"rubric_id": "r", "rubric_content": {"text_property": "is short"}}
    criteria = {"rubric_based_final_response_quality_v1": {"threshold": 0.5}}

    whole = read(tmp_path, adk_set(invocation("hi"), rubrics=[rubric]), config={"criteria": criteria})
    each = read(tmp_path, adk_set(invocation("a", rubrics=[rubric]), invocation("b")))

    options: dict[str, Any] = {"rubrics": [{"id": "r", "text": "is short"}]}
    assert {
        "rubric_based_final_response_quality_v1": MetricSettings(threshold=0.5, options=options)
    } == whole.suite.cases[0].metrics
    assert "rubrics with no type, which ADK passes over, are asked of the answer" in whole.notes
    assert [(reference("fine"), Judged(judged="is short", id="r", weight=1.0)), (reference("fine"),)] == [
        turn.expect.text for turn in each.suite.cases[0].turns
    ]


def test_what_is_said_between_and_states_are_kept_in_metadata_and_told(tmp_path: Path):
    asked = invocation("hi")
    asked["intermediate_data"]["intermediate_responses"] = [["a", [{"text": "wait"}]]]

    found = read(tmp_path, adk_set(asked, session_input={"state": {"x": 1}}, final_session_state={"x": 2}))

    assert {
        "intermediate_responses": {"0": [["a", [{"text": "wait"}]]]},
        "session_input": {"state": {"x": 1}},
        "final_session_state": {"x": 2},
    } == found.suite.cases[0].metadata
    assert 3 == sum("metadata" in note for note in found.notes)


def test_a_message_without_expected_answer_scores_no_silent_zero(tmp_path: Path):
    found = read(tmp_path, [{"query": "a", "reference": "fine"}, {"query": "b"}])
    transcript = read_transcript(
        {
            "messages": [
                {"role": "user", "content": "a"},
                {"role": "assistant", "content": "fine"},
                {"role": "user", "content": "b"},
                {"role": "assistant", "content": "x"},
            ]
        }
    )

    checks = score_metrics({"response_match_score": 0.8}, found.suite.cases[0], transcript.transcript)

    assert 1.0 == checks[0].actual
    assert any("which ADK would score 0" in note for note in found.notes)


def test_both_legacy_forms_are_told_apart(tmp_path: Path):
    turns = [{"query": "hi", "reference": "yo", "expected_tool_use": [{"tool_name": "f", "tool_input": {"a": 1}}]}]
    expect = Expect(calls=(ExpectedCall(tool="f", args={"a": 1}),), text=(reference("yo"),))

    bare = read(tmp_path, turns, "hello.test.json")
    listed = read(tmp_path, [{"name": "c", "data": turns, "initial_session": {"state": {"x": 1}}}])

    assert ("adk_legacy_turns", (Case(id="hello", user="hi", expect=expect),)) == (bare.form, bare.suite.cases)
    session = {"session_input": {"state": {"x": 1}}}
    case = Case(id="c", user="hi", expect=expect, metadata=session)  # pyright: ignore[reportArgumentType]
    assert ("adk_legacy_eval_set", (case,)) == (listed.form, listed.suite.cases)
    assert [("[0].data[0].expected_tool_use[0].tool_input", "is missing")] == refused(
        tmp_path, [{"name": "c", "data": [{"query": "hi", "expected_tool_use": [{"tool_name": "f"}]}]}]
    )


def test_a_config_beside_the_file_is_found_and_a_wrong_one_is_told_whole(tmp_path: Path):
    criteria = {"tool_trajectory_avg_score": {"threshold": "0.5", "match_type": 1, "ignore_args": True}}
    (tmp_path / "test_config.json").write_text(json.dumps({"criteria": criteria, "custom_metrics": {}}))
    found = read(tmp_path, adk_set(invocation("hi")))
    wrong = {
        "tool_trajectory_avg_score": {"threshold": 1, "match_typ": "IN_ORDER"},
        "response_mach_score": 0.5,
        "token_usage_v1": 3,
        "safety_v1": True,
    }

    settings = MetricSettings(threshold=0.5, match_type="IN_ORDER", ignore_args=True)
    assert {"tool_trajectory_avg_score": settings} == found.suite.metrics
    assert (
        "the criteria are those of test_config.json beside the file",
        '"custom_metrics" of the config is left out',
    ) == found.notes
    assert [
        (
            "criteria.tool_trajectory_avg_score",
            'metric tool_trajectory_avg_score has no option "match_typ"; did you mean "match_type"?',
        ),
        ("criteria.response_mach_score", 'no metric "response_mach_score"; did you mean "response_match_score"?'),
        (
            "criteria.token_usage_v1",
            "token_usage_v1 takes no threshold: it reports a number; bound it by `expect.limits`",
        ),
        ("criteria.safety_v1", 'must be a number such as 0.8, or an object such as {"threshold": 0.8}'),
    ] == refused(tmp_path, adk_set(invocation("hi")), config={"criteria": wrong})


def test_a_judge_of_a_config_is_asked_as_often_and_its_model_is_told(tmp_path: Path):
    judge = {"judge_model": "gemini-2.5-flash", "num_samples": 5}
    criteria = {"final_response_match_v2": {"threshold": 0.8, "judge_model_options": judge}}

    found = read(tmp_path, adk_set(invocation("hi")), config={"criteria": criteria})

    assert 5 == found.suite.judge.samples
    assert (
        "the judge model gemini-2.5-flash of final_response_match_v2 is left out; name one by `judge.target`"
    ) in found.notes


# --- gemini-rs


def gemini(name: str, actual: list[Any], expected: list[Any] | None = None) -> dict[str, Any]:
    return {"name": name, "actual": actual, **({} if expected is None else {"expected": expected})}


def model(text: str, *tools: str) -> dict[str, Any]:
    return {"role": "model", "content": text, "tool_calls": [{"name": tool, "args": {}} for tool in tools]}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def test_gemini_rs_carries_both_sides_and_its_numbers_stay(tmp_path: Path):
    actual = [{"turns": [user("a"), model("", "f", "g"), model("It is b")]}, {"turns": [user("c"), model("d", "h")]}]
    expected = [{"turns": [user("a"), model("b", "f")]}, {"turns": [user("c"), model("d")]}]

    found = read(tmp_path, {"name": "g", "cases": [gemini("one", actual, expected)]})

    ((case_id, transcript),) = found.done
    (case,) = found.suite.cases
    checks = score_metrics(found.suite.metrics, case, transcript)
    values = {check.name: check.actual for check in checks if check.turn is None}
    # LCS 1 of 2 in the first; the second expects no call, which accepts any there.
    assert ("gemini_rs_eval_set", "one") == (found.form, case_id)
    assert {"trajectory_match": 0.75, "response_match": 1.0, "safety": 1.0}.items() <= values.items()
    assert Rubric(extra_calls="ignore") == case.rubric


def test_an_invocation_of_several_messages_is_scored_as_a_whole_as_gemini_rs_does(tmp_path: Path):
    talk = {"turns": [user("a"), model("b", "f"), user("c"), model("d", "g")]}

    found = read(tmp_path, gemini("one", [talk, talk], [talk, {"id": "x", "turns": [user("a"), model("d", "g")]}]))

    assert [("one/inv-0", "one"), ("one/x", "one")] == [(case.id, case.group) for case in found.suite.cases]
    values = [
        [check.actual for check in score_metrics({"trajectory_match": MetricSettings()}, case, transcript)]
        for case, (_, transcript) in zip(found.suite.cases, found.done, strict=True)
    ]
    assert [[1.0], [0.5]] == values


def test_gemini_rs_refuses_by_its_own_rules_and_the_place_is_named(tmp_path: Path):
    null = {"name": "g", "cases": [gemini("one", [{"turns": [{"role": "user", "content": None}]}])]}
    number = {"name": "g", "cases": [gemini("one", [{"id": 7, "turns": []}])]}
    missing: dict[str, Any] = {
        "name": "g",
        "cases": [gemini("one", []), {"name": "two", "actual": [], "expected": None}],
    }

    rule = "gemini-rs would refuse it: invalid type"
    assert [("cases[0].actual[0].turns[0].content", f"{rule}: null, expected a string")] == refused(tmp_path, null)
    assert [("cases[0].actual[0]", f"{rule}: integer `7`, expected a string")] == refused(tmp_path, number)
    assert [("cases[1]", f"{rule}: null, expected a sequence")] == refused(tmp_path, missing)


def test_gemini_rss_own_eval_set_file_has_what_was_done_beside_what_is_expected(tmp_path: Path):
    done: dict[str, Any] = {
        "tool_uses": [{"tool_name": "f", "tool_input": {}, "tool_output": 1}],
        "intermediate_responses": ["hm"],
    }
    asked: dict[str, Any] = {
        "invocation_id": "i",
        "user_content": "hi",
        "expected_tool_use": [{"tool_name": "f", "tool_input": {}}],
        "expected_response": "yo",
        "intermediate_data": done,
    }

    found = read(tmp_path, {"name": "s", "eval_cases": [{"eval_id": "e", "conversation": [asked]}]})

    expect = Expect(calls=(ExpectedCall(tool="f"),), text=(reference("yo"),))
    assert ("gemini_rs_evalset_file", (Case(id="e", user="hi", expect=expect),)) == (found.form, found.suite.cases)
    assert ["hm"] == [transcript.final_text for _, transcript in found.done]


def test_the_set_of_gemini_rss_command_line_becomes_one_message_and_keywords_that_share_the_score(tmp_path: Path):
    oslo = {"id": "oslo", "inputs": ["Hi.", "Weather in Oslo?"], "expected": ["rain", "12"], "tags": ["north"]}
    value = {"name": "w", "cases": [oslo, {"id": "open", "inputs": ["x"], "weight": 2}]}

    found = read(tmp_path, value)

    keywords = tuple(Contains(contains=keyword, ignore_case=True, weight=1.0) for keyword in ("rain", "12"))
    assert "gemini_rs_cli" == found.form
    assert Rubric(fail_below=0.7, warn_below=0.7) == found.suite.rubric
    assert (
        Case(id="oslo", tags=("north",), user="Hi.\nWeather in Oslo?", expect=Expect(text=keywords)),
        Case(id="open", user="x", expect=Expect()),
    ) == found.suite.cases
    assert (
        'the key "weight" of a case is left out; there is id, inputs, expected, tags',
        "the inputs of a case are one message, as gemini-rs joins them",
        "a case expects nothing, which gemini-rs passes; here it is not evaluated",
    ) == (found.notes[0], *found.notes[2:])


def test_half_of_the_keywords_are_less_than_gemini_rs_passes(tmp_path: Path):
    case = {"id": "oslo", "inputs": ["Oslo?"], "expected": ["rain", "12"]}

    suite = read(tmp_path, {"name": "w", "cases": [case]}).suite

    said = [
        read_transcript([TALK[0], {"role": "assistant", "content": text}]).transcript for text in ("12", "RAIN, 12")
    ]
    scores = [score_case(suite.cases[0], transcript, suite.rubric) for transcript in said]
    assert [("failed", 0.5), ("passed", 1.0)] == [(score.verdict, score.score) for score in scores]


def test_a_set_of_gemini_rss_command_line_says_all_that_is_wrong(tmp_path: Path):
    case = {"id": "a", "inputs": ["x"]}

    assert [("cases[1].id", '"a" is the name of several cases; choose others')] == refused(
        tmp_path, {"name": "w", "cases": [case, case]}
    )
    assert ["cases[0].inputs[0]", "name"] == sorted(
        place for place, _ in refused(tmp_path, {"cases": [{"id": "a", "inputs": [1]}]})
    )


def test_score_reads_a_gemini_rs_file_by_the_names_of_its_cases(tmp_path: Path):
    value: dict[str, Any] = {
        "name": "g",
        "cases": [gemini("one", [{"turns": [user("a"), model("b")]}]), gemini("two", [])],
    }
    value["cases"][1]["expected"] = [{"turns": [user("a")]}]
    (tmp_path / "set.json").write_text(json.dumps(value))

    assert [("one", 0, "gemini_rs_eval_set")] == [
        (line.case_id, line.trial, line.read.form) for line in read_transcripts(tmp_path / "set.json", ["one", "two"])
    ]
    with pytest.raises(InvalidFileError, match='no case "one" in the suite; did you mean "on"'):
        list(read_transcripts(tmp_path / "set.json", ["on"]))


# --- conversations

CALL = {"id": "1", "type": "function", "function": {"name": "w", "arguments": '{"c": "Oslo"}'}}
TALK: list[dict[str, Any]] = [
    {"role": "user", "content": "Oslo?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "1", "content": "12"},
    {"role": "assistant", "content": "12 degrees"},
]
GOLDEN = Expect(
    calls=(ExpectedCall(tool="w", args={"c": "Oslo"}, returns="12"),), text=(Similar(similar="12 degrees", weight=1.0),)
)


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("openai_messages", {"messages": TALK}),
        ("openai_messages", TALK),
        (
            "anthropic_messages",
            [
                {"role": "user", "content": "Oslo?"},
                {
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "1", "name": "w", "input": {"c": "Oslo"}}],
                },
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "12"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "12 degrees"}]},
            ],
        ),
        ("langchain_trajectory", {"outputs": TALK}),
    ],
)
def test_a_conversation_becomes_a_case_that_expects_it_again_and_a_recording(tmp_path: Path, form: str, value: Any):
    found = read(tmp_path, value)

    assert (form, (Case(id="set", user="Oslo?", expect=GOLDEN),)) == (found.form, found.suite.cases)
    assert [("set", ["w"])] == [(case, [call.name for call in done.trajectory]) for case, done in found.done]


def test_a_langchain_trajectory_is_held_against_its_reference(tmp_path: Path):
    other = [TALK[0], {"role": "assistant", "content": "12"}]

    found = read(tmp_path, {"outputs": other, "reference_outputs": TALK})

    assert (Case(id="set", user="Oslo?", expect=GOLDEN),) == found.suite.cases
    assert ["12"] == [done.final_text for _, done in found.done]


def test_a_graph_trajectory_is_refused_for_its_steps_are_no_calls(tmp_path: Path):
    ((place, message),) = refused(tmp_path, {"outputs": {"results": [], "steps": [["__start__", "agent"]]}})

    assert ("outputs", True) == (place, message.startswith("is a graph trajectory, whose steps are names of nodes"))


def test_what_was_done_is_paired_by_user_messages(tmp_path: Path):
    value = adk_set(invocation("oslo? "))
    value["eval_cases"].append({"eval_id": "d", "conversation": [invocation("Rome?")]})

    found = read(tmp_path, value, actual=[TALK, TALK, [{"role": "user", "content": "Paris?"}]])

    assert ["c", "c"] == [case_id for case_id, _ in found.done]
    assert (
        "1 conversations have the user messages of no case and are left out",
        "1 cases have no conversation",
    ) == found.notes[-2:]
    with pytest.raises(UsageError, match="no conversation has the user messages of a case"):
        read(tmp_path, value, actual=[[{"role": "user", "content": "Paris?"}], [{"role": "user", "content": "x"}]])


# --- refusals


def test_an_unknown_form_says_what_an_eval_set_has(tmp_path: Path):
    ((place, message),) = refused(tmp_path, {"foo": 1})

    assert ("", True) == (place, message.startswith("is no eval set, which has `eval_cases` (ADK)"))


def test_json_that_is_nested_too_deep_is_refused(tmp_path: Path):
    (tmp_path / "deep.json").write_text("[" * 5000 + "]" * 5000)

    with pytest.raises(InvalidFileError, match="nested more than 100 levels deep"):
        read_eval_set(tmp_path / "deep.json")


def test_a_call_without_a_name_cannot_be_expected(tmp_path: Path):
    assert [("", "the conversation set makes no case: tool: String should have at least 1 character")] == refused(
        tmp_path, {"calls": [{"name": "", "arguments": {}}]}
    )
