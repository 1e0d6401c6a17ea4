"""Conversations in everybody's form become one transcript."""

import json
from pathlib import Path
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, ToolResult, Transcript, Usage
from mcp_evals.errors import InvalidFileError, NotFoundError
from mcp_evals.suites.importers.transcripts import read_transcript, read_transcripts, without_history

OSLO = {"city": "Oslo"}
CALL = ToolCall(name="get_weather", arguments={"city": "Oslo"}, id="1")
ANSWERED = Transcript(
    system="Be brief.",
    invocations=(
        Invocation(
            user="Oslo?",
            steps=(
                Step(text="Let me look.", calls=(CALL,), results=(ToolResult(content="12 degrees", call_id="1"),)),
                Step(text="It is 12 degrees."),
            ),
        ),
    ),
)


def read(value: Any) -> tuple[str, Transcript]:
    found = read_transcript(value)
    return found.form, found.transcript


def complaints(value: Any) -> list[str]:
    with pytest.raises(InvalidFileError) as raised:
        read_transcript(value)
    return [str(problem) for problem in raised.value.problems]


# --- the same conversation in every form

OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": "Oslo?"}]},
    {
        "role": "assistant",
        "content": "Let me look.",
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}],
    },
    {"role": "tool", "tool_call_id": "1", "content": "12 degrees"},
    {"role": "assistant", "content": "It is 12 degrees.", "refusal": None},
]  # fmt: skip
RESPONSES = {
    "object": "response",
    "instructions": "Be brief.",
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Oslo?"}]}],
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Let me look."}]},
        {"type": "function_call", "id": "fc", "call_id": "1", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "1", "output": "12 degrees"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It is 12 degrees."}]},
    ],
}
ANTHROPIC = {
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": "Oslo?"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "text", "text": "Let me look."},
                {"type": "tool_use", "id": "1", "name": "get_weather", "input": OSLO},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": [{"type": "text", "text": "12 degrees"}]}]},
        {"role": "assistant", "content": [{"type": "text", "text": "It is 12 degrees."}]},
    ],
}  # fmt: skip
GEMINI = {
    "systemInstruction": {"parts": [{"text": "Be brief."}]},
    "contents": [
        {"role": "user", "parts": [{"text": "Oslo?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Hm.", "thought": True},
                {"text": "Let me look."},
                {"functionCall": {"id": "1", "name": "get_weather", "args": OSLO}, "thoughtSignature": "s"},
            ],
        },
        {
            "role": "user",
            "parts": [{"function_response": {"id": "1", "name": "get_weather", "response": "12 degrees"}}],
        },
        {"role": "model", "parts": [{"text": "It is 12 "}, {"text": "degrees."}]},
    ],
}
LANGCHAIN = [
    {"type": "system", "content": "Be brief."},
    {"type": "human", "content": "Oslo?", "id": "m1"},
    {
        "type": "ai",
        "content": [{"type": "text", "text": "Let me look."}, {"type": "tool_use", "id": "1", "name": "get_weather", "input": {}}],
        "tool_calls": [{"type": "tool_call", "id": "1", "name": "get_weather", "args": OSLO}],
    },
    {"type": "tool", "data": {"content": "12 degrees", "tool_call_id": "1", "type": "tool"}},
    {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", "AIMessage"],
        "kwargs": {"content": "It is 12 degrees."},
    },
]  # fmt: skip
SESSION = [
    {"type": "summary", "summary": "x"},
    {"type": "user", "isMeta": True, "message": {"role": "user", "content": "<caveat>"}},
    {"type": "user", "uuid": "u1", "message": {"role": "user", "content": "Oslo?"}},
    {"type": "assistant", "message": {"id": "m1", "role": "assistant", "content": [{"type": "text", "text": "Let me look."}]}},
    {"type": "user", "isSidechain": True, "message": {"role": "user", "content": "of a sub-agent"}},
    {
        "type": "assistant",
        "message": {"id": "m1", "role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "get_weather", "input": OSLO}]},
    },
    {
        "type": "user",
        "message": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "12 degrees"}]},
    },
    {"type": "assistant", "message": {"id": "m2", "role": "assistant", "content": [{"type": "text", "text": "It is 12 degrees."}]}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "form", "system"),
    [
        (OPENAI, "openai_messages", True),
        ({"messages": OPENAI, "tools": []}, "openai_messages", True),
        (json.dumps(OPENAI), "openai_messages", True),
        ("\n".join(json.dumps(message) for message in OPENAI), "openai_messages", True),
        (RESPONSES, "openai_responses", True),
        ([*RESPONSES["input"], *RESPONSES["output"]], "openai_responses", False),
        (ANTHROPIC, "anthropic_messages", True),
        (ANTHROPIC["messages"], "anthropic_messages", False),
        (GEMINI, "gemini", True),
        (LANGCHAIN, "langchain", True),
        ({"messages": LANGCHAIN}, "langchain", True),
        (SESSION, "claude_code", False),
        ("\n".join(json.dumps(entry) for entry in SESSION), "claude_code", False),
        (ANSWERED.model_dump(mode="json"), "mcp_evals", True),
        (ANSWERED, "mcp_evals", True),
    ],
)
def test_one_conversation_in_every_form_is_one_transcript(value: Any, form: str, system: bool):
    expected = ANSWERED if system else ANSWERED.model_copy(update={"system": None})

    assert (form, expected) == read(value)


def dumped(part: dict[str, Any]) -> dict[str, Any]:
    """A part with every key that google-genai's `model_dump()` writes."""
    keys = ("media_resolution", "code_execution_result", "executable_code", "file_data", "function_call", "function_response", "inline_data", "text", "thought", "thought_signature", "video_metadata")  # fmt: skip
    snake = {"functionCall": "function_call", "thoughtSignature": "thought_signature"}
    return {**dict.fromkeys(keys), **{snake.get(key, key): value for key, value in part.items()}}


def test_nulls_in_a_full_dump_of_google_genai_are_nothing():
    contents: list[Any] = GEMINI["contents"]  # pyright: ignore[reportAssignmentType]
    full = [{"role": said["role"], "parts": [dumped(part) for part in said["parts"]]} for said in contents]

    assert ("gemini", ANSWERED.model_copy(update={"system": None})) == read({"contents": full})


def test_a_gemini_response_without_parts_says_nothing():
    response = {"candidates": [{"content": {"role": "model", "parts": None}, "finish_reason": "MAX_TOKENS"}]}

    assert ("gemini_response", "") == (read(response)[0], read(response)[1].invocations[0].final_text)


def test_adk_invocations_are_read_as_written_by_hand_and_as_recorded():
    by_hand = {
        "user_content": {"role": "user", "parts": [{"text": "Oslo?"}]},
        "intermediate_data": {
            "tool_uses": [{"id": "1", "name": "get_weather", "args": OSLO}],
            "tool_responses": [{"id": "1", "name": "get_weather", "response": "12 degrees"}],
            "intermediate_responses": [["agent", [{"text": "Nearly there."}]]],
        },
        "final_response": {"parts": [{"text": "It is 12 degrees."}]},
    }
    recorded = {
        "userContent": {"parts": [{"text": "Oslo?"}]},
        "intermediateData": {
            "invocationEvents": [
                {"author": "agent", "content": {"role": "model", "parts": [{"function_call": {"id": "1", "name": "get_weather", "args": OSLO}}]}},
                {"author": "agent", "content": {"role": "user", "parts": [{"function_response": {"id": "1", "response": "12 degrees"}}]}},
                {"author": "agent"},
                {"author": "agent", "content": {"role": "model", "parts": [{"text": "It is 12 degrees."}]}},
            ]
        },
        "finalResponse": {"parts": [{"text": "It is 12 degrees."}]},
    }  # fmt: skip
    called = Step(calls=(CALL,), results=(ToolResult(content="12 degrees", call_id="1"),))
    first = Invocation(user="Oslo?", steps=(called, Step(text="Nearly there."), Step(text="It is 12 degrees.")))
    second = Invocation(user="Oslo?", steps=(called, Step(text="It is 12 degrees.")))

    assert ("adk", Transcript(invocations=(first, second))) == read(
        {"eval_id": "e", "conversation": [by_hand, recorded]}
    )
    assert ("adk", Transcript(invocations=(second,))) == read(recorded)
    assert ("adk", Transcript(invocations=(first, first))) == read([by_hand, by_hand])


def test_events_of_an_adk_session_are_read():
    events = [
        {"author": "user", "content": {"role": "user", "parts": [{"text": "Oslo?"}]}},
        {"author": "agent", "content": {"role": "model", "parts": [{"text": "It is 12 degrees."}]}},
    ]

    assert (
        "adk",
        Transcript(invocations=(Invocation(user="Oslo?", steps=(Step(text="It is 12 degrees."),)),)),
    ) == read({"id": "s", "events": events})


# --- single responses

USED = Usage(input_tokens=20, output_tokens=5, cached_input_tokens=8)


@pytest.mark.parametrize(
    ("value", "form", "step"),
    [
        (
            {
                "object": "chat.completion",
                "model": "gpt",
                "choices": [{"finish_reason": "tool_calls", "message": OPENAI[2]}],
                "usage": {"prompt_tokens": 20, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 8}},
            },
            "openai_completion",
            Step(text="Let me look.", calls=(CALL,), usage=USED, model="gpt", stop_reason="tool_calls"),
        ),
        (
            {
                "output": RESPONSES["output"][:3],
                "model": "gpt",
                "usage": {"input_tokens": 20, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 8}},
            },
            "openai_responses",
            Step(text="Let me look.", calls=(CALL,), usage=USED, model="gpt"),
        ),
        (
            {
                "type": "message",
                "role": "assistant",
                "model": "claude",
                "content": ANTHROPIC["messages"][1]["content"],
                "stop_reason": "tool_use",
                "usage": {"input_tokens": 10, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 2, "output_tokens": 5},
            },
            "anthropic_response",
            Step(
                text="Let me look.",
                calls=(CALL,),
                usage=USED.model_copy(update={"cache_write_tokens": 2}),
                model="claude",
                stop_reason="tool_use",
            ),
        ),
        (
            {
                "candidates": [{"content": GEMINI["contents"][1]}],
                "modelVersion": "gemini",
                "usageMetadata": {"promptTokenCount": 20, "candidatesTokenCount": 2, "thoughtsTokenCount": 3, "cachedContentTokenCount": 8},
            },
            "gemini_response",
            Step(text="Let me look.", calls=(CALL,), usage=USED, model="gemini"),
        ),
        (ANTHROPIC["messages"][1]["content"], "anthropic_messages", Step(text="Let me look.", calls=(CALL,))),
        (OPENAI[2], "openai_messages", Step(text="Let me look.", calls=(CALL,))),
        (
            {"type": "ai", "content": "x", "usage_metadata": {"input_tokens": 20, "output_tokens": 5, "input_token_details": {"cache_read": 8}}},
            "langchain",
            Step(text="x", usage=USED),
        ),
    ],
)  # fmt: skip
def test_one_response_is_one_step(value: Any, form: str, step: Step):
    # A single LangChain message has no `role`, so it comes in a list.
    assert (form, Transcript(invocations=(Invocation(user="", steps=(step,)),))) == read(
        [value] if form == "langchain" else value
    )


# --- the short form


@pytest.mark.parametrize(
    ("value", "step"),
    [
        ({"calls": [{"name": "f", "arguments": {"a": 1}}], "text": "x"}, Step(text="x", calls=(ToolCall(name="f", arguments={"a": 1}),))),
        ({"calls": [{"tool": "f", "args": '{"a": 1}'}]}, Step(calls=(ToolCall(name="f", arguments={"a": 1}),))),
        ([{"name": "f", "input": {}}, {"name": "g"}], Step(calls=(ToolCall(name="f"), ToolCall(name="g")))),
        ([{"id": "1", "type": "function", "function": {"name": "f", "arguments": ""}}], Step(calls=(ToolCall(name="f", id="1"),))),
        ([], Step()),
        ({"calls": []}, Step()),
        ({"text": "x"}, Step(text="x")),
        ({"text": "x", "usage": {"output_tokens": 5}, "latency_s": 0.5}, Step(text="x", usage=Usage(output_tokens=5), latency_s=0.5)),
    ],
)  # fmt: skip
def test_calls_and_text_alone_are_enough(value: Any, step: Step):
    assert ("calls", Transcript(invocations=(Invocation(user="", steps=(step,)),))) == read(value)


def test_the_short_form_may_say_what_was_asked():
    assert ("calls", Transcript(system="S", invocations=(Invocation(user="u", steps=(Step(text="x"),)),))) == read(
        {"system": "S", "user": "u", "text": "x"}
    )


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ({"calls": [], "txt": "x"}, ['txt: unknown key; did you mean "text"?']),
        ({"calls": [{"nam": "f"}, {"name": "g"}, 5]}, [
            'calls[0]: must be a call such as {"name": "get_weather", "arguments": {"city": "Oslo"}}, not {"nam": "f"}',
            'calls[2]: must be a call such as {"name": "get_weather", "arguments": {"city": "Oslo"}}, not 5',
        ]),
        ({"calls": {}, "text": 5}, ["calls: must be a list", "text: must be text"]),
        ({"calls": [], "latency_s": "fast"}, ["latency_s: must be a number of seconds"]),
    ],
)  # fmt: skip
def test_mistakes_in_the_short_form_are_named(value: Any, problems: list[str]):
    assert problems == complaints(value)


# --- what models and harnesses really write


@pytest.mark.parametrize("arguments", ['{"city": "Os', "[1]", "Oslo", '{"x": NaN}', '"text"'])
def test_malformed_arguments_stay_the_text_that_they_are(arguments: str):
    _, transcript = read([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": arguments}}]}])

    assert (ToolCall(name="f", arguments=arguments),) == transcript.trajectory


def test_a_tool_name_nobody_defined_is_kept():
    _, transcript = read({"calls": [{"name": "ls<|channel|>commentary"}, {"name": ""}]})

    assert ["ls<|channel|>commentary", ""] == [call.name for call in transcript.trajectory]


def test_results_stand_beside_their_calls_whatever_order_they_come_in():
    calls = [{"id": name, "function": {"name": name, "arguments": "{}"}} for name in "abc"]
    _, transcript = read(
        [
            {"role": "assistant", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "c", "content": "of c"},
            {"role": "tool", "tool_call_id": "a", "content": [{"type": "text", "text": "of a"}]},
            {"role": "tool", "tool_call_id": "z", "content": "of nobody"},
        ]
    )

    assert ["of a", "of c"] == [result.content for result in transcript.steps[0].results]
    assert ("tool results without a call are left out",) == transcript.notes


def test_ids_that_are_used_again_belong_to_the_latest_call():
    turn = [
        {"role": "assistant", "tool_calls": [{"id": "call_0", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_0", "content": "r"},
    ]
    _, transcript = read([*turn, *turn])

    assert [1, 1] == [len(step.results) for step in transcript.steps]


def test_results_without_ids_go_to_the_calls_in_order():
    parts = [{"functionCall": {"name": "f"}}, {"functionCall": {"name": "g"}}]
    answers = [
        {"functionResponse": {"name": "f", "response": {"r": 1}}},
        {"functionResponse": {"name": "g", "response": {"r": 2}}},
    ]
    _, transcript = read([{"role": "model", "parts": parts}, {"role": "function", "parts": answers}])

    assert [{"r": 1}, {"r": 2}] == [result.content for result in transcript.steps[0].results]


def test_parallel_calls_of_one_response_are_one_step_and_the_next_response_another():
    items = [
        {"type": "function_call", "call_id": "1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "1", "output": "x"},
        {"type": "function_call_output", "call_id": "2", "output": [{"type": "output_text", "text": "y"}]},
        {"type": "function_call", "call_id": "3", "name": "h", "arguments": "{}"},
        {"type": "mcp_call", "id": "4", "name": "i", "arguments": "{}", "error": "down"},
    ]
    _, transcript = read(items)

    assert [["f", "g"], ["h", "i"]] == [[call.name for call in step.calls] for step in transcript.steps]
    assert [["x", "y"], ["down"]] == [[result.content for result in step.results] for step in transcript.steps]
    assert transcript.steps[1].results[0].is_error


def test_a_failed_tool_is_an_error_result():
    _, transcript = read(
        [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "1", "content": "no", "is_error": True}],
            },
        ]
    )

    assert (ToolResult(content="no", call_id="1", is_error=True),) == transcript.steps[0].results


def test_what_has_no_place_is_named_in_the_notes():
    _, transcript = read(
        [
            {"role": "user", "content": [{"type": "text", "text": "u"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}, {"type": "input_audio"}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "1", "name": "f", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "1", "content": "r"}, {"type": "text", "text": "<reminder>"}]},
            {"role": "system", "content": "late"},
        ]
    )  # fmt: skip

    assert ["u"] == [invocation.user for invocation in transcript.invocations]
    assert (
        "content of type input_audio is left out",
        "images of user messages are left out",
        "text beside tool results is left out",
        "system messages after the first question are left out",
    ) == transcript.notes


def test_half_a_character_is_replaced_and_a_pair_of_halves_is_one():
    _, transcript = read({"text": "a\ud83d b\ud83d\ude00"})

    assert "a\ufffd b😀" == transcript.final_text


# --- what is refused


def test_an_unknown_form_says_what_was_seen_and_what_can_be_read():
    for value, seen in [
        ({"foo": 1, "bar": 2}, "an object with the keys foo, bar"),
        ([[1]], "a list of which the first is a list of which the first is 1"),
        (5, "5"),
        ({}, "an empty object"),
        ([[]], "a list of which the first is an empty list"),
        (None, "null"),
    ]:
        (problem,) = complaints(value)
        assert problem.startswith(
            f"is no transcript in a known form: it is {seen}. Give one of these:\n- calls alone: {{"
        )
        for line in problem.split("\n")[1:]:
            assert line.startswith("- ")


def test_every_example_in_the_message_can_itself_be_read():
    (problem,) = complaints(5)

    examples = [line.split(": ", 1)[1].split(", or a response")[0] for line in problem.split("\n")[1:]]

    assert [
        "calls",
        "openai_messages",
        "openai_responses",
        "anthropic_messages",
        "gemini",
        "langchain",
        "adk",
        "gemini_rs",
        "otlp_trace",
        "mcp_evals",
    ] == [read_transcript(example).form for example in examples]
    for example in examples:
        assert [("get_weather", {"city": "Oslo"})] == [
            (call.name, call.arguments) for call in read_transcript(example).transcript.trajectory
        ]


@pytest.mark.parametrize(
    ("value", "problems"),
    [
        ([{"type": {}, "calls": []}], ["[0]: the role must be one of system, developer, user, assistant, model, tool, function, not null"]),
        ([{"role": "bot", "content": "x"}, {"role": "user", "content": 5}, 7], [
            '[0]: the role must be one of system, developer, user, assistant, model, tool, function, not "bot"',
            "[1]: `content` must be text or a list of blocks, not 5",
            '[2]: must be a message such as {"role": "user", "content": "…"}, not 7',
        ]),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, ['messages[0]: a content block must be an object with a `type`, not {"text": "x"}']),
        ({"messages": []}, ["messages: must be a list of messages"]),
        ({"messages": "x"}, ["messages: must be a list of messages"]),
        ({"contents": [{"role": "model", "parts": "x"}]}, ['contents[0]: `parts` must be a list of objects such as {"text": "…"}']),
        ({"output": [{"type": "dream"}]}, ['output[0]: needs `role` and `content`; "dream" is no known type of an item']),
        ({"choices": []}, ["choices: must have a `message` in the first choice"]),
        ({"invocations": [{"usr": "u"}]}, ["invocations[0].user: is missing", 'invocations[0].usr: unknown key; did you mean "user"?']),
        ([{"type": "chat", "data": {"content": "x"}}], ["[0]: a LangChain message must be of type human, ai, system, tool, function"]),
        (float("nan"), ["is no JSON: Out of range float values are not JSON compliant"]),
        ({"text": {1, 2}}, ["is no JSON: Object of type set is not JSON serializable"]),
    ],
)  # fmt: skip
def test_mistakes_inside_of_a_known_form_are_named(value: Any, problems: list[str]):
    assert problems == [problem.removesuffix(": nan") for problem in complaints(value)]


def test_text_that_is_not_json_is_told_how_to_be_an_answer():
    (problem,) = complaints("It is 12 degrees.")

    assert problem.startswith(
        'is text that is not JSON (Expecting value: line 1 column 1 (char 0)); for the words of an answer alone write {"text": "…"}. '
    )


def test_a_hundred_levels_are_the_limit():
    deep: Any = "x"
    for _ in range(120):
        deep = [deep]

    assert ["nested more than 100 levels deep"] == complaints({"calls": [{"name": "f", "arguments": {"a": deep}}]})


# --- history


def test_messages_that_the_case_began_with_are_taken_out_of_the_conversation():
    _, transcript = read(
        [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "one"},
            {"role": "user", "content": "second"},
            {"role": "assistant", "content": "two"},
        ]
    )
    history = (Message(role="user", text="first"), Message(role="assistant", text="one"))

    cut = without_history(transcript, history)

    assert (history, ["second"]) == (cut.history, [invocation.user for invocation in cut.invocations])
    assert transcript == without_history(transcript, ())
    assert transcript == without_history(transcript, (Message(role="user", text="other"),))
    assert transcript == without_history(
        transcript, (Message(role="user", text="first"), Message(role="user", text="second"))
    )


# --- files of transcripts

LINES = """{"recording": {"suite": "x"}}
{"case": "a", "transcript": {"text": "one"}}

{"case": "b", "transcript": [], "model": "whatever"}
{"case": "a", "transcript": {"text": "two"}}
{"case": "a", "trial": 7, "transcript": {"text": "three"}}
"""


def test_each_line_is_a_trial_of_its_case(tmp_path: Path):
    (tmp_path / "t.jsonl").write_text(LINES)

    for source in (tmp_path / "t.jsonl", LINES):
        assert [(2, "a", 0, "one"), (4, "b", 0, ""), (5, "a", 1, "two"), (6, "a", 7, "three")] == [
            (line.line, line.case_id, line.trial, line.read.transcript.final_text) for line in read_transcripts(source)
        ]


def test_wrong_lines_stop_nothing_and_are_all_named_at_the_end():
    text = """{"case": "a", "transcript": {"text": "one"}}
nonsense
{"case": "a"}
{"case": 5, "trial": -1, "transcript": []}
{"case": "olso", "transcript": []}
{"case": "oslo", "transcript": {"messages": [{"role": "bot"}]}}
{"case": "oslo", "transcript": {"calls": [], "txt": ""}}
{"recording": {}}
{"case": "oslo", "transcript": {"text": "two"}}
"""
    read_lines: list[tuple[int, str]] = []

    with pytest.raises(InvalidFileError) as raised:
        read_lines.extend((line.line, line.case_id) for line in read_transcripts(text, known=["a", "oslo"]))

    assert [(1, "a"), (9, "oslo")] == read_lines
    assert [
        "transcripts:2: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last entry) (column 1)",
        'transcripts:3: must be an object {"case": ID, "transcript": …}',
        "transcripts:4: case: must be the id of a case, as text",
        "transcripts:4: trial: must be a whole number from 0",
        'transcripts:5: case: no case "olso"; did you mean "oslo"?',
        'transcripts:6: transcript.messages[0]: the role must be one of system, developer, user, assistant, model, tool, function, not "bot"',
        'transcripts:7: transcript.txt: unknown key; did you mean "text"?',
        'transcripts:8: must be an object {"case": ID, "transcript": …}',
    ] == [str(problem) for problem in raised.value.problems]


def test_a_missing_file_is_not_found(tmp_path: Path):
    with pytest.raises(NotFoundError):
        list(read_transcripts(tmp_path / "none.jsonl"))
