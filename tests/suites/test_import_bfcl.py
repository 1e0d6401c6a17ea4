"""Cases and outputs of the Berkeley Function-Calling Leaderboard become suites and transcripts, by its checker's rules."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, ToolDefinition, Transcript, Usage
from mcp_evals.critics import Exact, Present
from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.scoring.case import score_case
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric, Suite
from mcp_evals.suites.files import load_suite
from mcp_evals.suites.importers.bfcl import read_bfcl, read_bfcl_outputs
from mcp_evals.suites.saving import write_suite
from mcp_evals.targets.recorded import RecordedTrial, read_recording, write_recording
from tests.fakes import called

PROPERTIES = {
    "city": {"type": "string"},
    "days": {"type": "integer"},
    "unit": {"type": "string", "default": "C"},
    "hours": {"type": "array", "items": {"type": "number"}},
    "place": {"type": "object", "properties": {"name": {"type": "string"}, "zip": {"type": "string"}}},
    "limit": {"type": "integer", "default": 10},
}
WEATHER = {
    "name": "get_weather",
    "description": "Forecast.",
    "parameters": {"type": "object", "properties": PROPERTIES},
}


def row_of(arguments: Any = None, **fields: Any) -> dict[str, Any]:
    expected = [] if arguments is None else [{"name": "get_weather", "arguments": arguments}]
    return {
        "id": "simple_0",
        "category": "simple",
        "messages": [{"role": "user", "content": "Oslo?"}],
        "tools": [{"type": "function", "function": WEATHER}],
        "expected_calls": expected,
        "expect_no_call": False,
        "call_order": "any",
        **fields,
    }


def written(path: Path, *rows: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def passes(folder: Path, allowed: dict[str, Any], **given: Any) -> bool:
    """Whether a call of the weather tool passes, where `city` is Oslo on both sides."""
    suite = read_bfcl(written(folder / "cases.jsonl", row_of({"city": ["Oslo"], **allowed})))
    (case,) = suite.cases
    said = called(("get_weather", {"city": "Oslo", **given}))
    return score_case(case, said, suite.rubric_of(case), tools=suite.tools_of(case)).verdict == "passed"


# --- JSON lines


def test_allowed_values_become_wildcards_and_a_category_a_tag(tmp_path: Path):
    allowed = {
        "city": ["Oslo", "oslo city"],
        "days": [3, ""],
        "hours": [[1.0, 2.0]],
        "place": [{"name": ["x"], "zip": ["1", ""]}],
    }

    suite = read_bfcl(written(tmp_path / "cases.jsonl.gz", row_of(allowed)))

    args = {
        "city": {"one_of": ["Oslo", "oslo city"]},
        "days": {"optional": {"one_of": [3]}},
        "hours": {"one_of": [[1.0, 2.0]]},
        "place": {"one_of": [{"name": {"one_of": ["x"]}, "zip": {"optional": {"one_of": ["1", ""]}}}]},
        "unit": {"optional": {"one_of": []}},
        "limit": {"optional": {"one_of": []}},
    }
    call = ExpectedCall(
        tool="get_weather", args=args, critics=tuple(Exact(field=field, text="bfcl") for field in allowed)
    )
    case = Case(
        id="simple_0",
        tags=("simple",),
        user="Oslo?",
        tools=(ToolDefinition.model_validate(WEATHER),),
        expect=Expect(calls=(call,)),
    )
    rubric = Rubric(fail_below=1.0, warn_below=1.0, tool_names="exact")
    assert Suite(name="cases", rubric=rubric, cases=(case,)) == suite


def test_no_call_and_any_call_are_expected_as_such(tmp_path: Path):
    rows = row_of(id="a", expect_no_call=True), row_of(id="b", expected_calls=None, expect_any_call=True)

    suite = read_bfcl(written(tmp_path / "cases.jsonl", *rows))

    assert [Expect(calls=()), Expect(any_call=True)] == [case.expect for case in suite.cases]


def test_system_messages_are_the_prompt_and_earlier_messages_the_history(tmp_path: Path):
    said = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Oslo?")]
    messages = [{"role": role, "content": content} for role, content in said]

    (case,) = read_bfcl(written(tmp_path / "cases.jsonl", row_of({}, messages=messages))).cases

    history = (Message(role="user", text="Hi"), Message(role="assistant", text="Hello"))
    assert ("Be brief.", history, "Oslo?") == (case.system, case.history, case.user)


def test_one_category_can_be_read_alone_and_one_that_is_not_there_is_told(tmp_path: Path):
    path = written(tmp_path / "cases.jsonl", row_of({}), row_of({}, id="p", category="parallel"))

    assert ("cases-parallel", ["p"]) == (
        (suite := read_bfcl(path, "parallel")).name,
        [case.id for case in suite.cases],
    )
    with pytest.raises(UsageError, match='no case of category "paralel"; did you mean "parallel"'):
        read_bfcl(path, "paralel")


def test_the_suite_is_the_same_when_it_was_written_and_loaded(tmp_path: Path):
    suite = read_bfcl(written(tmp_path / "cases.jsonl", row_of({"city": ["Oslo"], "unit": ["F", "C"]})))

    write_suite(suite, tmp_path / "suite.yaml")

    assert suite == load_suite(tmp_path / "suite.yaml").suite


# --- the checker's rules


@pytest.mark.parametrize(
    ("allowed", "given", "right"),
    [
        ({"place": [{"name": ["St. Olav's gate"]}]}, {"place": {"name": 'st olav"s  Gate'}}, True),
        ({"place": [{"name": ["x"], "zip": ["1", ""]}]}, {"place": {"name": "x"}}, True),
        ({"place": [{"name": ["x"], "zip": ["1"]}]}, {"place": {"name": "x"}}, False),
        ({"place": [{"name": ["x"]}]}, {"place": {"name": "x", "zip": "1"}}, False),
        ({"days": [3, 4]}, {"days": 4}, True),
        ({"days": [3]}, {"days": "3"}, False),
        ({"days": [1]}, {"days": True}, False),
        ({"hours": [[1.0, 2.0]]}, {"hours": [1, 2]}, True),
        ({"hours": [[1.0, 2.0]]}, {"hours": [2, 1]}, False),
        ({}, {"days": 3}, False),
    ],
)
def test_texts_compare_without_case_and_punctuation_and_everything_else_as_json(
    tmp_path: Path, allowed: dict[str, Any], given: dict[str, Any], right: bool
):
    assert right == passes(tmp_path, allowed, **given)


@pytest.mark.parametrize(
    ("allowed", "given", "right"),
    [
        ({"days": [3, ""]}, {}, True),
        ({"days": [3, ""]}, {"days": 3}, True),
        ({"days": [3, ""]}, {"days": 4}, False),
        ({"days": [3, ""]}, {"days": ""}, False),
        ({"days": [""]}, {}, True),
        ({"days": [""]}, {"days": 3}, False),
        ({"unit": ["F", ""]}, {"unit": ""}, True),
        ({"hours": [[1.0], ""]}, {"hours": []}, True),
        ({"nowhere": ["x", ""]}, {}, True),
        ({"nowhere": ["x", ""]}, {"nowhere": "x"}, False),
    ],
)
def test_an_argument_that_may_be_left_out_may_also_be_the_empty_text_or_list_but_nothing_else(
    tmp_path: Path, allowed: dict[str, Any], given: dict[str, Any], right: bool
):
    assert right == passes(tmp_path, allowed, **given)


@pytest.mark.parametrize(
    ("allowed", "given", "right"),
    [
        ({"unit": ["C"]}, {}, False),
        ({"unit": ["C"]}, {"unit": "c"}, True),
        ({"unit": ["F", ""]}, {}, True),
        ({}, {"limit": 10}, False),
        ({}, {}, True),
        ({"limit": [""]}, {"limit": 10}, False),
    ],
)
def test_a_default_stands_for_no_argument_and_no_argument_for_a_default(
    tmp_path: Path, allowed: dict[str, Any], given: dict[str, Any], right: bool
):
    assert right == passes(tmp_path, allowed, **given)


def test_a_variable_in_the_place_of_another_type_is_compared_to_the_letter(tmp_path: Path):
    allowed = {"hours": ["opening.hours"]}

    assert passes(tmp_path, allowed, hours="opening.hours")
    assert not passes(tmp_path, allowed, hours="openingHours")


def test_an_argument_with_a_default_that_must_be_given_is_written_with_a_critic_that_wants_to_see_it(tmp_path: Path):
    (case,) = read_bfcl(written(tmp_path / "cases.jsonl", row_of({"unit": ["C"], "limit": [10, ""]}))).cases

    assert case.expect.calls is not None
    (call,) = case.expect.calls
    assert {"unit": {"optional": {"one_of": ["C"]}}, "limit": {"optional": {"one_of": [10]}}} == call.args
    critics = Exact(field="unit", text="bfcl"), Present(field="unit"), Exact(field="limit", text="bfcl")
    assert critics == call.critics


def test_an_answer_that_no_call_can_meet_is_met_by_none(tmp_path: Path):
    suite = read_bfcl(written(tmp_path / "cases.jsonl", row_of([[], ""])))

    (case,) = suite.cases
    score = score_case(case, called(("get_weather", {})), suite.rubric_of(case), tools=suite.tools_of(case))
    assert "failed" == score.verdict


# --- the package's files

QUESTION = {
    "id": "parallel_0",
    "question": [[{"role": "user", "content": "Oslo and Rome?"}]],
    "function": [
        {
            "name": "weather.get",
            "description": "Forecast.",
            "parameters": {
                "type": "dict",
                "properties": {
                    "at": {"type": "tuple", "items": {"type": "float"}},
                    "opts": {"type": "HashMap", "properties": {"type": {"type": "any"}}, "default": {"type": "dict"}},
                    "loud": {"type": "Boolean"},
                },
                "required": ["at"],
            },
        }
    ],
}
ANSWER = {
    "id": "parallel_0",
    "ground_truth": [{"weather.get": {"at": [[1.0, 2.0]]}}, {"weather.get": {"at": [[3.0, 4.0]]}}],
}


def test_a_file_of_the_package_is_read_with_its_answers_and_the_types_that_json_schema_knows(tmp_path: Path):
    path = written(tmp_path / "BFCL_v4_parallel.json", QUESTION)
    written(tmp_path / "possible_answer" / path.name, ANSWER)

    (case,) = read_bfcl(path).cases

    schema = {
        "type": "object",
        "properties": {
            "at": {"type": "array", "items": {"type": "number"}},
            "opts": {"type": "object", "properties": {"type": {"type": "string"}}, "default": {"type": "dict"}},
            "loud": {"type": "boolean"},
        },
        "required": ["at"],
    }
    assert (ToolDefinition(name="weather_get", description="Forecast.", input_schema=schema),) == case.tools
    assert ("parallel",) == case.tags
    assert case.expect.calls is not None
    assert [("weather_get", {"one_of": [[1.0, 2.0]]}), ("weather_get", {"one_of": [[3.0, 4.0]]})] == [
        (call.tool, call.args["at"]) for call in case.expect.calls
    ]


@pytest.mark.parametrize(
    ("name", "expect"),
    [("BFCL_v4_live_irrelevance.json", Expect(calls=())), ("BFCL_v4_live_relevance.json", Expect(any_call=True))],
)
def test_files_about_relevance_need_no_answers(tmp_path: Path, name: str, expect: Expect):
    (case,) = read_bfcl(written(tmp_path / name, QUESTION)).cases

    assert expect == case.expect


def test_missing_answers_are_told(tmp_path: Path):
    path = written(tmp_path / "BFCL_v4_parallel.json", QUESTION, {**QUESTION, "id": "parallel_1"})

    with pytest.raises(NotFoundError, match=r"possible_answer.BFCL_v4_parallel\.json"):
        read_bfcl(path)
    written(tmp_path / "possible_answer" / path.name, ANSWER)
    with pytest.raises(InvalidFileError, match=r'parallel\.json:2: id: there is no answer to "parallel_1"'):
        read_bfcl(path)


def test_a_category_with_several_turns_is_refused_with_the_reason(tmp_path: Path):
    turns = {"id": "multi_turn_base_0", "question": [[], []], "involved_classes": ["Files"]}

    with pytest.raises(InvalidFileError, match="several turns"):
        read_bfcl(written(tmp_path / "BFCL_v4_multi_turn_base.json", turns))


# --- wrong files


def test_all_mistakes_of_a_file_come_at_once_each_with_its_line(tmp_path: Path):
    wrong = row_of({"city": "Oslo"}, id="wrong")
    mute, idle = row_of({}, id="mute", messages=[]), row_of(id="idle")
    path = written(tmp_path / "cases.jsonl", row_of({}), row_of({}), wrong, mute, idle)

    with pytest.raises(InvalidFileError) as caught:
        read_bfcl(path)

    assert [(2, "id"), (3, "expected_calls[0].arguments"), (4, "messages"), (5, "expected_calls")] == [
        (problem.line, problem.path.removesuffix(".city")) for problem in caught.value.problems
    ]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("cases.jsonl", b"", "has no case"),
        ("cases.jsonl", b"\n\n", "has no case"),
        ("cases.jsonl", b"{]\n", "1: not JSON"),
        ("cases.jsonl.gz", b"plain", "cannot be read"),
        ("cases.jsonl.gz", gzip.compress(b"{}\n" * 1000, mtime=0)[:-9], "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, name: str, content: bytes, told: str):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(InvalidFileError, match=told):
        read_bfcl(tmp_path / name)


def test_a_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"no file .*cases\.jsonl"):
        read_bfcl(tmp_path / "cases.jsonl")


# --- outputs


def test_outputs_become_transcripts_that_can_be_recorded(tmp_path: Path):
    made = {"calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "ls", "arguments": "{oops"}]}
    silent = {"id": "b", "calls": None, "text": "I cannot.", "input_token_count": [[5]], "latency": [[0.5]]}
    counts = {"input_token_count": 117, "output_token_count": 19, "latency": 2}
    path = written(tmp_path / "outputs_m.jsonl.gz", {"id": "a", **made, "text": None, **counts}, silent)

    found = dict(read_bfcl_outputs(path))
    write_recording(
        tmp_path / "m.jsonl", {}, (RecordedTrial(case=case, transcript=said) for case, said in found.items())
    )

    calls = ToolCall(name="get_weather", arguments={"city": "Oslo"}), ToolCall(name="ls", arguments="{oops")
    usage = Usage(input_tokens=117, output_tokens=19)
    steps = Step(calls=calls, usage=usage, latency_s=2.0), Step(text="I cannot.")
    expected = {
        "a": Transcript(invocations=(Invocation(user="", steps=steps[:1]),), ended="calls"),
        "b": Transcript(invocations=(Invocation(user="", steps=steps[1:]),), ended="answer"),
    }
    assert expected == found
    assert expected == {trial.case: trial.transcript for trial in read_recording(tmp_path / "m.jsonl").trials}


def test_outputs_that_are_wrong_are_told_when_all_are_read(tmp_path: Path):
    path = written(tmp_path / "outputs.jsonl", {"id": "a"}, {"id": "b", "calls": None}, {"id": "c", "calls": [{}]})
    read: list[str] = []

    with pytest.raises(InvalidFileError) as caught:
        read.extend(case for case, _ in read_bfcl_outputs(path))

    assert [(1, "calls"), (3, "calls[0].name")] == [(problem.line, problem.path) for problem in caught.value.problems]
