"""Reading suites: what a case takes from elsewhere in its file, and every complaint, word for word."""

import json
from pathlib import Path

import pytest

from mcp_evals.conversation import Message, ToolCall, ToolDefinition, ToolResult
from mcp_evals.errors import InvalidFileError, Problem
from mcp_evals.suite import Expect, Rubric
from mcp_evals.suites.reading import LoadedSuite, read_suite

FIRST = "name: x\ncases:\n"


def read(text: str, name: str = "s.yaml") -> LoadedSuite:
    return read_suite(text.encode(), Path(name))


def complaints(text: str, name: str = "s.yaml") -> list[str]:
    with pytest.raises(InvalidFileError) as raised:
        read(text, name)
    return [str(problem) for problem in raised.value.problems]


# --- the three ways to write a suite

YAML = """version: 1
name: support-bot
system: You are the support agent.
rubric: {fail_below: 0.7, warn_below: 0.9}
cases:
  - id: refund
    tags: [money]
    user: Refund order 1234.
    expect:
      calls:
        - {tool: refund, args: {order_id: "1234", amount: 19.99}, critics: [{field: amount, kind: numeric, tolerance: 0.01}]}
      text: [{contains: refunded}]
  - {id: hello, user: [Hello!, Good day!]}
"""
HEAD = {"version": 1, "name": "support-bot", "system": "You are the support agent.", "rubric": {"fail_below": 0.7, "warn_below": 0.9}}  # fmt: skip
CASES = [
    {
        "id": "refund",
        "tags": ["money"],
        "user": "Refund order 1234.",
        "expect": {
            "calls": [
                {
                    "tool": "refund",
                    "args": {"order_id": "1234", "amount": 19.99},
                    "critics": [{"field": "amount", "kind": "numeric", "tolerance": 0.01}],
                }
            ],
            "text": [{"contains": "refunded"}],
        },
    },
    {"id": "hello", "user": ["Hello!", "Good day!"]},
]


def test_yaml_json_and_json_lines_give_the_same_suite():
    from_yaml = read(YAML).suite
    from_json = read(json.dumps({**HEAD, "cases": CASES}), "s.json").suite
    from_lines = read("\n".join(json.dumps(line) for line in [HEAD, *CASES]), "s.jsonl").suite

    assert from_yaml == from_json == from_lines
    assert ["refund", "hello"] == [case.id for case in from_yaml.cases]
    assert from_yaml.digest == from_json.digest == from_lines.digest


def test_json_lines_that_begin_with_a_case_are_called_as_their_file():
    loaded = read('{"id": "a", "user": "u"}\n\n{"id": "b", "user": "v"}\n', "folder/smoke.jsonl")

    assert ("smoke", ["a", "b"]) == (loaded.suite.name, [case.id for case in loaded.suite.cases])


def test_five_thousand_lines_are_five_thousand_cases():
    text = '{"name": "big"}\n' + "".join(json.dumps({**CASES[0], "id": f"c{n}"}) + "\n" for n in range(5000))

    loaded = read(text, "big.jsonl")

    assert 5000 == len(loaded.suite.cases)
    assert 5001 == loaded.lines.line_of(("cases", 4999, "expect"))


# --- what a case takes from elsewhere


def test_an_extending_case_goes_on_from_the_earlier_conversation_and_takes_what_it_does_not_give():
    loaded = read(
        FIRST
        + """
  - id: a
    user: [first, primary]
    history: [{role: user, text: before}]
    tags: [t]
    system: S
    rubric: {fail_below: 0.5}
    metrics: {m: 0.5}
    max_steps: 3
    tools: [{name: f}]
    description: not taken
    group: g
    expect: {require: [f]}
  - {id: b, extends: a, user: second, history: [{role: assistant, text: between}], tags: [own]}
  - {id: c, extends: b, user: third, expect: {calls: []}}
"""
    )
    _, b, c = loaded.suite.cases

    assert (Message(role="user", text="before"), Message(role="user", text="first"), Message(role="assistant", text="between")) == b.history  # fmt: skip
    assert (*b.history, Message(role="user", text="second")) == c.history
    assert (("own",), "S", Rubric(fail_below=0.5), {"m": 0.5}, 3, Expect(require=("f",))) == (
        b.tags, b.system, b.rubric, b.metrics, b.max_steps, b.expect,
    )  # fmt: skip
    assert (ToolDefinition(name="f"),) == b.tools
    assert (Expect(calls=()), ("own",), "S") == (c.expect, c.tags, c.system)
    assert ("", None, None) == (b.description, b.group, b.extends)
    assert ["a", "b"] == [case.extends for case in loaded.written.cases[1:]]


def test_single_fields_of_a_rubric_lie_over_those_of_the_extended_case():
    loaded = read(
        FIRST + "  - {id: a, user: u, rubric: {fail_below: 0.5, missing_calls: ignore}}\n"
        "  - {id: b, user: v, extends: a, rubric: {missing_calls: fail, warn_below: 0.95}}\n"
    )

    assert Rubric(fail_below=0.5, missing_calls="fail", warn_below=0.95) == loaded.suite.cases[1].rubric
    with pytest.raises(InvalidFileError) as caught:
        read(
            FIRST + "  - {id: a, user: u, rubric: {fail_below: 0.9}}\n"
            "  - {id: b, user: v, extends: a, rubric: {warn_below: 0.85}}\n"
        )
    assert "cases[1].rubric: with what it takes from" in str(caught.value)


def test_what_is_different_on_a_track_is_taken_with_the_expectation_that_it_replaces():
    loaded = read(
        FIRST + "  - {id: a, user: u, expect: {require: [f]}, by_track: {t: {expect: {require: [g]}}}}\n"
        "  - {id: b, user: v, extends: a}\n  - {id: c, user: w, extends: a, expect: {require: [h]}}\n"
    )

    assert [Expect(require=("g",)), Expect(require=("g",)), Expect(require=("h",))] == [
        case.on_track("t").expect for case in loaded.suite.cases
    ]


def test_a_case_of_several_turns_is_extended_by_all_of_them():
    loaded = read(FIRST + "  - {id: a, turns: [{user: one}, {user: two}]}\n  - {id: b, extends: a, user: three}\n")

    assert (Message(role="user", text="one"), Message(role="user", text="two")) == loaded.suite.cases[1].history


def test_expectations_of_turns_keep_those_of_the_extended_case_and_of_the_suite_away():
    loaded = read(
        "name: x\ndefaults: {expect: {forbid: [z]}}\ncases:\n  - {id: a, user: u, expect: {require: [f]}}\n"
        "  - {id: b, extends: a, turns: [{user: v, expect: {calls: []}}]}\n"
    )

    assert [Expect(require=("f",)), Expect()] == [case.expect for case in loaded.suite.cases]


def test_defaults_give_tags_to_all_and_an_expectation_to_cases_without_one():
    loaded = read(
        "name: x\ndefaults: {tags: [smoke], expect: {forbid: [rm]}, max_steps: 4}\ncases:\n"
        "  - {id: a, user: u}\n  - {id: b, user: u, tags: [own, smoke], expect: {}}\n"
    )

    assert [("smoke",), ("own", "smoke")] == [case.tags for case in loaded.suite.cases]
    assert [Expect(forbid=("rm",)), Expect()] == [case.expect for case in loaded.suite.cases]
    assert [(), ("own", "smoke")] == [case.tags for case in loaded.written.cases]


@pytest.mark.parametrize(
    ("cases", "problem"),
    [
        ("  - {id: a, user: u, extends: a}\n", 's.yaml:3: cases[0].extends: no earlier case "a"'),
        ("  - {id: b, user: u, extends: oslo}\n  - {id: oslo, user: u}\n", 's.yaml:3: cases[0].extends: no earlier case "oslo"'),
        ("  - {id: oslo, user: u}\n  - {id: b, user: u, extends: olso}\n", 's.yaml:4: cases[1].extends: no earlier case "olso"; did you mean "oslo"?'),
        ("  - {id: e, input: {}}\n  - {id: b, user: u, extends: e}\n", 's.yaml:4: cases[1].extends: "e" has no user message to go on from'),
    ],
)  # fmt: skip
def test_only_an_earlier_conversation_can_be_extended(cases: str, problem: str):
    assert [problem] == complaints(FIRST + cases)


def test_a_case_that_extends_a_broken_one_is_not_blamed_for_it():
    assert ['s.yaml:3: cases[0].usr: unknown key; did you mean "user"?'] == complaints(
        FIRST + "  - {id: a, usr: u}\n  - {id: b, user: u, extends: a}\n"
    )


# --- history as others write it


def test_history_may_be_written_as_openai_and_anthropic_do():
    loaded = read(
        FIRST
        + """
  - id: a
    user: u
    history:
      - {role: developer, content: Be brief.}
      - {role: user, text: ours}
      - {role: assistant, content: null, tool_calls: [{id: c1, type: function, function: {name: f, arguments: '{"a": 1}'}}]}
      - {role: tool, tool_call_id: c1, content: answer}
      - {role: assistant, content: [{type: text, text: Hm.}, {type: tool_use, id: c2, name: g, input: {b: 2}}]}
      - {role: user, content: [{type: tool_result, tool_use_id: c2, content: done, is_error: true}, {type: text, text: And?}]}
"""
    )

    assert (
        Message(role="system", text="Be brief."),
        Message(role="user", text="ours"),
        Message(role="assistant", calls=(ToolCall(name="f", arguments={"a": 1}, id="c1"),)),
        Message(role="tool", results=(ToolResult(content="answer", call_id="c1"),)),
        Message(role="assistant", text="Hm.", calls=(ToolCall(name="g", arguments={"b": 2}, id="c2"),)),
        Message(role="tool", results=(ToolResult(content="done", call_id="c2", is_error=True),)),
        Message(role="user", text="And?"),
    ) == loaded.suite.cases[0].history


def test_messages_that_cannot_be_read_are_named():
    assert [
        's.yaml:7: cases[0].history[1]: the role must be one of system, developer, user, assistant, model, tool, function, not "bot"',
        "s.yaml:8: cases[0].history[2]: there is no place for content of type input_audio",
        's.yaml:9: cases[0].history[3].role: must be one of "system", "user", "assistant" or "tool", not the text "bot"',
    ] == complaints(
        FIRST
        + """
  - id: a
    history:
      - {role: user, content: [{type: tool_result, tool_use_id: c, content: r}, {type: text, text: two messages}]}
      - {role: bot, content: x}
      - {role: user, content: [{type: input_audio}]}
      - {role: bot, text: x}
    user: u
"""
    )


# --- complaints, word for word


@pytest.mark.parametrize(
    ("case", "problem"),
    [
        ("{user: u}", "cases[0].id: is missing"),
        ("{id: '', user: u}", 'cases[0].id: must have some text, not the text ""'),
        ('{id: "a\\nb", user: u}', 'cases[0].id: must be one line without control characters, not the text "a\\nb"'),
        ("{id: 7, user: u}", 'cases[0].id: must be text, not the number 7; put it in quotes: "7"'),
        ("{id: a}", "cases[0]: asks nothing: give `user`, `turns`, `scenario` or `input`"),
        ("{id: a, user: u, turns: [{user: v}]}", "cases[0]: give only one of `user`, `turns` and `scenario`, not user and turns"),
        ("{id: a, user: 5}", 'cases[0].user: must be text or a list, not the number 5; put it in quotes: "5"'),
        ("{id: a, user: []}", "cases[0].user: must have an item, not an empty list"),
        ("{id: a, user: [u, 5]}", 'cases[0].user[1]: must be text, not the number 5; put it in quotes: "5"'),
        ("{id: a, user: u, tags: money}", 'cases[0].tags: must be a list, not the text "money"; put it in brackets: ["money"]'),
        ("{id: a, user: u, max_steps: 2.5}", "cases[0].max_steps: must be a whole number, not the number 2.5"),
        ("{id: a, user: u, max_steps: '2'}", 'cases[0].max_steps: must be a whole number, not the text "2"; write it without quotes'),
        ("{id: a, user: u, max_steps: 0}", "cases[0].max_steps: must be at least 1, not the number 0"),
        ("{id: a, user: u, expcet: {}}", 'cases[0].expcet: unknown key; did you mean "expect"?'),
        ("{id: a, user: u, expect: {order: any}}", "cases[0].expect: `order` and `credit` need `calls`"),
        ("{id: a, user: u, expect: {calls: [], any_call: yes}}", 'cases[0].expect.any_call: must be true or false, not the text "yes"'),
        ("{id: a, user: u, expect: {order: inorder, calls: []}}", 'cases[0].expect.order: must be one of "any", "in_order" or "exact", not the text "inorder"; did you mean "in_order"?'),
        ("{id: a, user: u, expect: {limits: {tokens: 5}}}", "cases[0].expect.limits.tokens: unknown key; did you mean \"total_tokens\"?"),
        ("{id: a, user: u, expect: {calls: [{args: {}}]}}", "cases[0].expect.calls[0].tool: is missing"),
        ("{id: a, user: u, expect: {calls: [{tool: f, args: [1]}]}}", "cases[0].expect.calls[0].args: must be an object, not a list"),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x}]}]}}", 'cases[0].expect.calls[0].critics[0]: needs the key "kind"'),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x, kind: numerc}]}]}}", 'cases[0].expect.calls[0].critics[0]: there is no kind "numerc"; did you mean "numeric"?'),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x, kind: numeric}]}]}}", "cases[0].expect.calls[0].critics[0]: give either `tolerance`, or `low` and `high`"),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x, kind: range, low: a}]}]}}", 'cases[0].expect.calls[0].critics[0].low: must be a number, not the text "a"'),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x, kind: exact, weight: hgh}]}]}}", 'cases[0].expect.calls[0].critics[0].weight: must be a number or one of "minimal", "very_low", "low", "medium", "high", "very_high" or "critical", not the text "hgh"; did you mean "high"?'),
        ("{id: a, user: u, expect: {calls: [{tool: f, critics: [{field: x, kind: exact, weight: -1}]}]}}", "cases[0].expect.calls[0].critics[0].weight: must be at least 0, not the number -1"),
        ("{id: a, user: u, expect: {text: [{contain: x}]}}", 'cases[0].expect.text[0]: needs one of the keys equals, contains, not_contains, pattern, similar, json_schema, judged; did you mean "contains"?'),
        ("{id: a, user: u, expect: {text: [{contains: 5}]}}", 'cases[0].expect.text[0].contains: must be text, not the number 5; put it in quotes: "5"'),
        ("{id: a, user: u, expect: {text: [{contains: x, ignorecase: true}]}}", 'cases[0].expect.text[0].ignorecase: unknown key; did you mean "ignore_case"?'),
        ("{id: a, user: u, expect: {text: [{pattern: '('}]}}", "cases[0].expect.text[0]: not a regular expression: missing ) at position 1"),
        ("{id: a, user: u, tools: [shop]}", 'cases[0].tools[0]: must be an object, not the text "shop"'),
        ("{id: a, user: u, tools: [{server: shop, onyl: [f]}]}", 'cases[0].tools[0].onyl: unknown key; did you mean "only"?'),
        ("{id: a, user: u, tools: [{file: 5}]}", 'cases[0].tools[0].file: must be text, not the number 5; put it in quotes: "5"'),
        ("{id: a, user: u, tools: [{description: d}]}", "cases[0].tools[0].name: is missing"),
        ("{id: a, user: u, metrics: {m: high}}", 'cases[0].metrics.m: must be an object or a number, not the text "high"'),
        ("{id: a, user: u, metrics: {m: {treshold: 1}}}", 'cases[0].metrics.m.treshold: unknown key; did you mean "threshold"?'),
        ("{id: a, user: u, rubric: {fail_below: 0.95}}", "cases[0].rubric: `fail_below` 0.95 must not be greater than `warn_below` 0.9"),
        ("{id: a, user: u, by_track: {t: {expct: {}}}}", 'cases[0].by_track.t.expct: unknown key; did you mean "expect"?'),
        ('{id: "a", user: "\\ud83d"}', "cases[0].user: has half of a character that UTF-16 writes in two, such as \\ud83d; write it whole"),
        ("Hello", 'cases[0]: must be an object, not the text "Hello"'),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_case_is_said_in_plain_words(case: str, problem: str):
    assert [f"s.yaml:3: {problem}"] == complaints(f"{FIRST}  - {case}\n")


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("- a\n", ["s.yaml: must be an object with the keys `name` and `cases`"]),
        ("---\n", ["s.yaml: is empty"]),
        ("cases: []\n", ["s.yaml:1: name: is missing"]),
        ("name: x\ncases: {}\n", ["s.yaml:2: cases: must be a list of cases"]),
        ("name: x\nversion: 2\n", ["s.yaml:2: version: must be 1, not the number 2"]),
        ("name: x\nversion: '1'\n", ['s.yaml:2: version: must be 1, not the text "1"']),
        ("name: x\nrubrik: {}\n", ['s.yaml:2: rubrik: unknown key; did you mean "rubric"?']),
        ("name: x\ntracks:\n  t: tools.json\n", ['s.yaml:3: tracks.t: must be a list, not the text "tools.json"; put it in brackets: ["tools.json"]']),
    ],
)  # fmt: skip
def test_what_is_wrong_with_the_suite_is_said_in_plain_words(text: str, problems: list[str]):
    assert problems == complaints(text)


def test_an_id_that_is_there_twice_names_both_lines():
    assert ['s.yaml:7: cases[2].id: "a" is already the id of the case in line 3; choose another'] == complaints(
        FIRST + "  - id: a\n    user: u\n  - {id: b, user: u}\n  - user: u\n    id: a\n"
    )
    assert ['s.jsonl:4: cases[2].id: "a" is already the id of the case in line 2; choose another'] == complaints(
        '{"name": "x"}\n{"id": "a", "user": "u"}\n{"id": "b", "user": "u"}\n{"id": "a", "user": "u"}\n', "s.jsonl"
    )


def test_all_problems_come_at_once_in_the_order_of_the_file():
    assert [
        's.yaml:1: rubrik: unknown key; did you mean "rubric"?',
        's.yaml:4: cases[0].expect.calls[1].args: must be an object, not the text "x"',
        "s.yaml:5: cases[1].id: is missing",
        's.yaml:6: cases[2].extends: no earlier case "zz"',
    ] == complaints(
        "rubrik: {}\nname: x\ncases:\n"
        "  - {id: a, user: u, expect: {calls: [{tool: f}, {tool: f, args: x}]}}\n  - {user: u}\n  - {id: c, user: u, extends: zz}\n"
    )


def test_json_lines_name_the_line_of_each_problem():
    text = '{"name": "x", "cases": []}\n{"id": "a", "user": 5}\nnonsense\n{"id": "b"}\n5\n'

    assert [
        "s.jsonl:1: cases: belong into lines of their own, one a line",
        's.jsonl:2: cases[0].user: must be text or a list, not the number 5; put it in quotes: "5"',
        (
            "s.jsonl:3: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last "
            "entry) (column 1)"
        ),
        "s.jsonl:4: cases[1]: asks nothing: give `user`, `turns`, `scenario` or `input`",
        "s.jsonl:5: cases[2]: must be an object, not the number 5",
    ] == complaints(text, "s.jsonl")
    assert ["s.jsonl: is empty"] == complaints("\n\n", "s.jsonl")


def test_a_problem_can_be_placed_after_loading():
    loaded = read(YAML)

    assert Problem("so", "cases[0].expect.calls[0].args.amount", 11, "s.yaml") == loaded.problem(
        "so", ("cases", 0, "expect", "calls", 0, "args", "amount")
    )
