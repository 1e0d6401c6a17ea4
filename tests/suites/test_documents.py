"""Reading YAML, JSON and JSON lines: types, places, and everything that is refused."""

import pytest

from mcp_evals.errors import InvalidFileError, NotFoundError, UsageError
from mcp_evals.suites.documents import Form, JsonLine, form_of, json_lines, parse_document, read_document


def value_of(text: str, form: Form = "yaml"):
    assert form != "jsonl"
    return parse_document(text, form, f"s.{form}").value


def complaint(content: str | bytes, form: Form = "yaml") -> str:
    assert form != "jsonl"
    with pytest.raises(InvalidFileError) as raised:
        parse_document(content, form, f"s.{form}")
    return str(raised.value)


# --- types


def test_yaml_is_held_to_the_types_of_json():
    text = "[no, yes, 2024-05-01, 0123, 0x1F, 0o17, 1_000, 12:30, +5, 5, -2.5, 1e3, .5, 5., true, TRUE, null, ~, '5', !!str 5]"

    assert [
        "no", "yes", "2024-05-01", "0123", "0x1F", "0o17", "1_000", "12:30", "+5",
        5, -2.5, 1000.0, 0.5, 5.0, True, True, None, None, "5", "5",
    ] == value_of(text)  # fmt: skip


def test_yaml_keys_are_text_as_they_are_written():
    assert {"1": "a", "true": "b", "~": "c", "2024-05-01": "d"} == value_of("1: a\ntrue: b\n~: c\n2024-05-01: d\n")


def test_aliases_and_merge_keys_are_filled_in_and_own_keys_win():
    text = "base: &b {x: 1, y: 2}\nmore: &m {z: 3}\none: {<<: *b, y: 9}\nboth: {<<: [*b, *m]}\nsame: *b\n"

    assert {
        "base": {"x": 1, "y": 2},
        "more": {"z": 3},
        "one": {"x": 1, "y": 9},
        "both": {"x": 1, "y": 2, "z": 3},
        "same": {"x": 1, "y": 2},
    } == value_of(text)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter():
    assert {"a": 1, "b": ["x"]} == parse_document(b"\xef\xbb\xbfa: 1\r\nb:\r\n  - x\r\n", "yaml").value


# --- what YAML is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml: is empty"),
        ("# only a comment\n", "s.yaml: is empty"),
        ("a: 1\nb: 2\na: 3\n", "s.yaml:3: a: this key is there twice; remove one"),
        ("a: .nan\n", "s.yaml:1: a: .nan is not a JSON number; put it in quotes if it is text"),
        ("a: [-.inf]\n", "s.yaml:1: a[0]: -.inf is not a JSON number; put it in quotes if it is text"),
        ("a: 1e999\n", "s.yaml:1: a: 1e999 is too large for a number; put it in quotes if it is text"),
        ("a: !!python/object:os.system x\n", "s.yaml:1: a: the tag !!python/object:os.system is not allowed; write a plain value"),
        ("a: !secret x\n", "s.yaml:1: a: the tag !secret is not allowed; write a plain value"),
        ("a: *b\n", "s.yaml:1: a: nothing before *b is called &b"),
        ("a: &a [*a]\n", "s.yaml:1: a[0]: nothing before *a is called &a"),
        ("a: {<<: 5}\n", 's.yaml:1: a["<<"]: `<<` takes in an object, or a list of objects; there is something else'),
        ("? [a]\n: 1\n", "s.yaml:1: a key must be text"),
        ("a: 1\n---\nb: 2\n", "s.yaml:2: a second document begins; write each suite into a file of its own"),
        ("a: b: c\n", "s.yaml:1: not YAML: mapping values are not allowed here; text with a colon and a space in it needs quotes"),
        ("a:\n\t- b\n", "s.yaml:2: not YAML: found character '\\t' that cannot start any token; indent with spaces"),
        ("a: b\nc\n", "s.yaml:3: not YAML: could not find expected ':'; is a colon missing, or the indentation wrong?"),
        ("a: [1\n", "s.yaml:2: not YAML: expected ',' or ']', but got '<stream end>'"),
        ("a: 1\nb: \x07\n", "s.yaml:2: not YAML: the character U+0007 is not allowed"),
        ('a: "\\UFFFFFFFF"\n', "s.yaml: not YAML: an escape such as \\UFFFFFFFF stands for no character"),
        ("[" * 150, "s.yaml:1: nested more than 100 levels deep"),
    ],
)  # fmt: skip
def test_yaml_that_is_refused_says_where_and_why(text: str, message: str):
    assert message == complaint(text)


def test_a_hundred_levels_are_read_and_one_more_is_not():
    deep = "[" * 100 + "1" + "]" * 100

    assert value_of(deep) == value_of(deep, "json")
    assert "s.yaml:1: nested more than 100 levels deep" == complaint(f"[{deep}]")
    assert "s.json: nested more than 100 levels deep" == complaint(f"[{deep}]", "json")
    assert "s.json: nested more than 100 levels deep" == complaint("[" * 100_000, "json")


def test_anchors_that_explode_are_refused_before_they_do():
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 12)]
    text = "\n".join(["l0: &l0 [lol, lol, lol]", *levels])

    assert "s.yaml:7: l6[4]: aliases such as *l5 repeat more than 20 MB of text" == complaint(text)


def test_a_long_text_repeated_by_aliases_is_bounded_too():
    text = f"a: &a {'x' * 200_000}\nb: [{', '.join(['*a'] * 1000)}]"

    assert "s.yaml:2: b[99]: aliases such as *a repeat more than 20 MB of text" == complaint(text)


def test_aliases_inside_of_aliases_do_not_get_around_the_limit_of_depth():
    levels = [f"l{n}: &l{n} {'[' * 60}*l{n - 1}{']' * 60}" for n in range(1, 50)]

    assert "s.yaml: nested more than 100 levels deep, with what aliases repeat" == complaint(
        "\n".join(["l0: &l0 x", *levels])
    )


def test_all_problems_of_a_document_come_at_once_up_to_a_hundred():
    text = "".join(f"k{n}: .nan\n" for n in range(150))

    lines = complaint(text).split("\n")

    assert 101 == len(lines)
    assert "s.yaml:100: k99: .nan is not a JSON number; put it in quotes if it is text" == lines[99]
    assert "s.yaml: and 50 more problems" == lines[100]


# --- what JSON is refused


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("  \n", "s.json: is empty"),
        ('{"a": 1,\n "a": 2}', "s.json:2: a: this key is there twice; remove one"),
        ('{"a": {"b": [1,\n NaN]}}', "s.json:2: a.b[1]: NaN is not JSON"),
        ('[1e999, -Infinity]', "s.json:1: [0]: 1e999 is too large for a number; put it in quotes if it is text\ns.json:1: [1]: -Infinity is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "s.json:1: a: 99999999999999999999… (+4980 characters) is too large for a number; put it in quotes if it is text"),
        ('{"a": 1} {"b": 2}', "s.json:1: not JSON: Extra data (one value is expected; several belong into a .jsonl file, one a line)"),
        ("{\n// no\n}", "s.json:2: not JSON: Expecting property name enclosed in double quotes (JSON has no comments and no comma after the last entry)"),
        ("[" * 500 + "NaN" + "]" * 500, "s.json:1: nested more than 100 levels deep"),
    ],
)  # fmt: skip
def test_json_that_is_refused_says_where_and_why(text: str, message: str):
    assert message == complaint(text, "json")


# --- encodings


def test_latin_1_names_the_byte_its_offset_and_its_line():
    content = "name: x\ncases: []\ndescription: café\n".encode("latin-1")

    assert "s.yaml:3: byte 0xe9 at offset 34 is not UTF-8; save the file as UTF-8" == complaint(content)


def test_the_offset_counts_a_byte_order_mark():
    assert "s.yaml:1: byte 0xe9 at offset 9 is not UTF-8; save the file as UTF-8" == complaint(
        b"\xef\xbb\xbfa: caf\xe9"
    )


def test_utf_16_is_named():
    assert "s.json: is UTF-16; save it as UTF-8" == complaint('{"a": 1}'.encode("utf-16"), "json")


# --- JSON lines


def test_a_bad_line_does_not_stop_the_lines_after_it():
    lines = [b'{"a": 1}\n', b"\n", b'{"a": \n', b'{"b": caf\xe9}\n', b'{"a": 1, "a": 2}\n', b"[NaN]\n", b'{"c": 3}']

    read = list(json_lines(lines, "s.jsonl"))

    assert [(1, {"a": 1}), (7, {"c": 3})] == [(line.number, line.value) for line in read if line.problem is None]
    assert [
        (
            "s.jsonl:3: not JSON: Expecting value (text needs double quotes; JSON has no comments and no comma after the last "
            "entry) (column 6)"
        ),
        "s.jsonl:4: byte 0xe9 at offset 26 is not UTF-8; save the file as UTF-8",
        's.jsonl:5: the key "a" is there twice; remove one',
        "s.jsonl:6: NaN is not JSON",
    ] == [str(line.problem) for line in read if line.problem is not None]


def test_lines_may_be_text_too():
    assert [JsonLine(2, 5)] == list(json_lines(["", "5"]))


# --- places


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("name: x\ncases:\n  - id: a\n    expect:\n      calls:\n        - tool: f\n          args: {city: Oslo}\n", "yaml"),
        ('{"name": "x",\n"cases": [\n{"id": "a",\n"expect": {\n"calls": [\n{"tool": "f",\n"args": {"city": "Oslo"}}]}}]}', "json"),
    ],
)  # fmt: skip
def test_every_place_has_its_line_and_an_unknown_one_that_of_what_is_around_it(text: str, form: Form):
    assert form != "jsonl"
    places = parse_document(text, form).places

    assert [1, 2, 3, 4, 7, 7, 4] == [
        places.line_of(place)
        for place in [
            ("name",),
            ("cases",),
            ("cases", 0, "id"),
            ("cases", 0, "expect"),
            ("cases", 0, "expect", "calls", 0, "args", "city"),
            ("cases", 0, "expect", "calls", 0, "args", "town"),
            ("cases", 0, "expect", "text", 5),
        ]
    ]


# --- files


def test_a_file_of_50_megabytes_is_not_read(tmp_path):
    path = tmp_path / "big.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)

    with pytest.raises(InvalidFileError) as raised:
        read_document(path)

    assert f"{path}: has 50 MB, more than the 20 MB that are read; write it as .jsonl, one case a line, or split it" == str(raised.value)  # fmt: skip


def test_a_folder_a_missing_file_and_a_nul_in_the_name_are_no_files(tmp_path):
    for path in (tmp_path, tmp_path / "none.yaml", tmp_path / "a\0b.yaml"):
        with pytest.raises(NotFoundError) as raised:
            read_document(path)
        assert f"no file {path}" == str(raised.value)


def test_the_ending_of_the_name_says_how_a_file_is_written(tmp_path):
    assert ["yaml", "yaml", "json", "jsonl", "jsonl"] == [
        form_of(tmp_path / name) for name in ("a.yaml", "a.YML", "a.json", "a.jsonl", "a.ndjson")
    ]
    with pytest.raises(UsageError) as raised:
        form_of(tmp_path / "suite.txt")
    assert f"{tmp_path}/suite.txt: the name must end in .yaml, .yml, .json, .jsonl or .ndjson" == str(raised.value)
