"""What is written as YAML reads back as the same value, and reads well."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_evals.suites.yaml_text import read_yaml
from mcp_evals.suites.yaml_writing import yaml_flow, yaml_object

TRICKY = [
    "no", "0123", "1e3", ".5", "5.", "~", "null", "True", ".nan", "---", "...", "<<", "=", "a: b", "x #y", "- a", "a:", "", " a ",
    "2024-01-01", "a\n b\n", "\na", "a\n\n", " a\nb", "a\nb", "a\n\tb", "é😀", "\x85\u2028\ufeff\x7f", "# heading\nx", "'", '"',
]  # fmt: skip
texts = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.text(" \n\t#:-|>'\"{}[],.0e1nulyes~&*!%@`=<\\/", max_size=20),
)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), texts)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(texts, inner, max_size=4)),
    max_leaves=10,
)
keys = st.one_of(texts, st.sampled_from(["cases", "calls", "expect", "text"]))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(keys, values, min_size=1))
def test_what_is_written_reads_back_as_the_same_value(value: dict[str, object]):
    text = yaml_object(value) + "\n"

    assert json.dumps(value) == json.dumps(read_yaml(text, ""))
    assert json.dumps(value) == json.dumps(read_yaml(yaml_flow(value), ""))


def test_short_things_stand_in_one_line_and_what_people_edit_does_not():
    suite = {
        "version": 1,
        "system": "Be brief.\nBe kind.\n",
        "rubric": {"fail_below": 0.8},
        "cases": [
            {
                "id": "refund",
                "tags": ["money"],
                "user": "Refund order 1234, the parcel never came.",
                "expect": {
                    "calls": [
                        {"tool": "get_order", "args": {"order_id": "1234"}},
                        {"tool": "refund", "args": {"reason": "The parcel never came. " * 4, "amount": 19.99}},
                    ],
                    "text": [{"contains": "yes: refunded"}],
                },
            },
            {"id": "b", "user": "u"},
        ],
    }

    assert """version: 1
system: |
  Be brief.
  Be kind.
rubric: {fail_below: 0.8}
cases:
  - id: refund
    tags: [money]
    user: Refund order 1234, the parcel never came.
    expect:
      calls:
        - {tool: get_order, args: {order_id: "1234"}}
        - tool: refund
          args:
            reason: "The parcel never came. The parcel never came. The parcel never came. The parcel never came. "
            amount: 19.99
      text:
        - {contains: "yes: refunded"}
  - id: b
    user: u""" == yaml_object(suite)
