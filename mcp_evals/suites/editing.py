"""Change one case in the text of a suite file and leave every other character as it is: comments, order, line breaks.

In YAML only the keys of the case that change are written anew; in JSON the case, in JSON lines its line. Whether the
outcome is a suite is for others to check.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from mcp_evals.errors import InvalidFileError, UsageError
from mcp_evals.suites.documents import Form
from mcp_evals.suites.json_text import json_spans, parse_strict, read_json
from mcp_evals.suites.messages import as_list, as_object
from mcp_evals.suites.places import Place, Span
from mcp_evals.suites.yaml_text import read_yaml, yaml_spans
from mcp_evals.suites.yaml_writing import yaml_entry, yaml_flow, yaml_item, yaml_object


class Edited(NamedTuple):
    """A text with a case put in."""

    text: str
    """The whole text."""
    created: bool
    """The case is new, rather than changed."""


def put_case(text: str, form: Form, case: Mapping[str, Any], file: str = "") -> Edited:
    """The text of a suite file with a case in it, in the place of the one with its id, or else as the last.

    Raises:
        UsageError: the file is written in a way that does not let this one case be changed alone.
        InvalidFileError: the text cannot be read.
    """
    if form == "jsonl":
        return _put_line(text, dict(case))
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = text.replace("\r\n", "\n")
    edited = (_put_yaml if form == "yaml" else _put_json)(plain, dict(case), file)
    return edited._replace(text=edited.text.replace("\n", newline))


def _index_of(cases: list[Any], case: dict[str, Any]) -> int | None:
    same = (index for index, other in enumerate(cases) if as_object(other).get("id") == case.get("id"))
    return next(same, None)


# --- JSON lines


def _put_line(text: str, case: dict[str, Any]) -> Edited:
    line = json.dumps(case, ensure_ascii=False)
    lines = text.split("\n")
    name = json.dumps(case.get("id"), ensure_ascii=False)
    for index, old in enumerate(lines):
        # Most lines are passed over without being read.
        if (name in old or "\\" in old) and _id_in(old) == case.get("id"):
            lines[index] = line + ("\r" if old.endswith("\r") else "")
            return Edited("\n".join(lines), created=False)
    newline = "\r\n" if "\r\n" in text else "\n"
    start = text if not text or text.endswith("\n") else text + newline
    return Edited(f"{start}{line}{newline}", created=True)


def _id_in(line: str) -> Any:
    try:
        return as_object(parse_strict(line)).get("id")
    except ValueError:  # said when the whole file is checked
        return None


# --- JSON


def _put_json(text: str, case: dict[str, Any], file: str) -> Edited:
    document = as_object(read_json(text, file))
    cases = as_list(document.get("cases"))
    step = re.search(r"\n([ \t]+)\S", text)
    indent = step[1] if step else None
    if not cases:
        whole = json.dumps({**document, "cases": [case]}, indent=indent, ensure_ascii=False)
        return Edited(whole + ("\n" if text.endswith("\n") else ""), created=True)
    spans = json_spans(text)
    index = _index_of(cases, case)
    span = spans["cases", len(cases) - 1 if index is None else index]
    line_start = text.rfind("\n", 0, span.start) + 1
    margin = re.match(r"[ \t]*", text[line_start:])
    own_line = margin is not None and line_start + margin.end() == span.start
    one_line = not own_line or "\n" not in text[span.start : span.end]
    written = json.dumps(case, indent=None if one_line else indent, ensure_ascii=False)
    if own_line and margin is not None:
        written = written.replace("\n", f"\n{margin[0]}")
    if index is not None:
        return Edited(text[: span.start] + written + text[span.end :], created=False)
    separator = f",\n{margin[0]}" if own_line and margin is not None else ", "
    return Edited(text[: span.end] + separator + written + text[span.end :], created=True)


# --- YAML


def _put_yaml(text: str, case: dict[str, Any], file: str) -> Edited:
    document = as_object(read_yaml(text, file))
    cases = as_list(document.get("cases"))
    editor = _YamlEditor(text, yaml_spans(text))
    index = _index_of(cases, case)
    if not cases:
        editor.put_first_case(case)
    elif index is None:
        editor.append_item(("cases",), len(cases), case)
    else:
        editor.change(("cases", index), cases[index], case)
    edited = editor.text()
    expected = {**document, "cases": [*cases, case] if index is None else [*cases[:index], case, *cases[index + 1 :]]}
    if not _reads_as(edited, expected):
        # Anchors and merge keys can tie other cases to this one.
        raise UsageError(
            f'case "{case.get("id")}" cannot be written without changing others; edit {file or "the file"} by hand'
        )
    return Edited(edited, created=index is None)


def _same(left: Any, right: Any) -> bool:
    return json.dumps(left, sort_keys=True) == json.dumps(right, sort_keys=True)


def _reads_as(text: str, expected: Any) -> bool:
    try:
        return _same(read_yaml(text, ""), expected)
    except InvalidFileError:
        return False


class _Change(NamedTuple):
    start: int
    end: int
    text: str


class _YamlEditor:
    """Collects changes to a YAML text, the least that make one value out of another."""

    def __init__(self, text: str, spans: dict[Place, Span]) -> None:
        self._text, self._spans = text, spans
        self._changes: list[_Change] = []
        self._last: dict[Place, Place] = {place[:-1]: place for place in spans if place}

    def text(self) -> str:
        """The text with all changes."""
        text = self._text
        # From the end; of several at one place the first noted comes to stand first.
        ordered = sorted(enumerate(self._changes), key=lambda found: (found[1].start, found[1].end, found[0]))
        for _, change in reversed(ordered):
            text = text[: change.start] + change.text + text[change.end :]
        return text

    def change(self, place: Place, old: Any, new: Any) -> None:
        """Make `new` out of the value `old` at a place."""
        if _same(old, new):
            return
        span = self._spans[place]
        is_block = bool(old and new) and not span.flow
        if is_block and isinstance(old, dict) and isinstance(new, dict) and self._is_plain(place, as_object(old)):
            self._change_object(place, as_object(old), as_object(new))
        elif is_block and isinstance(old, list) and isinstance(new, list):
            self._change_list(place, as_list(old), as_list(new))
        else:
            self._replace(place, new)

    def append_item(self, place: Place, count: int, item: Any) -> None:
        """Put an item behind the last of a list that has some."""
        last = (*place, count - 1)
        if self._spans[place].flow:
            end = self._spans[last].end
            self._changes.append(_Change(end, end, f", {yaml_flow(item)}"))
            return
        dash, column = self._column(self._spans[place].start), self._column(self._spans[last].start)
        written = yaml_item(item, column, short_lines=self._spans[last].flow or place[-1:] != ("cases",))
        blank = "\n" if self._blank_before(last) else ""
        gap = " " * max(column - dash - 1, 1)
        self._insert_behind(last, f"\n{blank}{' ' * dash}-{gap}{written}")

    def put_first_case(self, case: dict[str, Any]) -> None:
        """Put a case into a file that has none."""
        item = f"\n  - {yaml_object(case, 4)}"
        span = self._spans.get(("cases",))
        if span is None:
            end = len(self._text.rstrip())
            self._changes.append(_Change(end, end, f"\ncases:{item}"))
        else:
            line_end = self._line_end(span.end)
            rest = self._text[span.end : line_end].strip()
            start = len(self._text[: span.start].rstrip())
            self._changes.append(_Change(start, line_end, f"{'  ' if rest else ''}{rest}{item}"))

    # --- objects and lists

    def _is_plain(self, place: Place, old: dict[str, Any]) -> bool:
        """Whether every key stands in the object itself, rather than in one that is merged into it."""
        return all((*place, key) in self._spans for key in old) and (*place, "<<") not in self._spans

    def _change_object(self, place: Place, old: dict[str, Any], new: dict[str, Any]) -> None:
        column = self._column(self._spans[place].start)
        keys = list(old)
        if not {*old} & {*new}:
            self._replace(place, new)
            return
        kept = next(key for key in keys if key in new)
        if kept != keys[0]:
            # The first key may share its line with a dash, so the next one moves up to it.
            start, end = self._spans[*place, keys[0]].entry, self._spans[*place, kept].entry
            self._changes.append(_Change(start, end, ""))
        for key in keys[keys.index(kept) :]:
            if key in new:
                self.change((*place, key), old[key], new[key])
            else:
                self._remove_lines((*place, key))
        for key, value in new.items():
            if key not in old:
                self._insert_behind(place, f"\n{' ' * column}{yaml_entry(key, value, column)}")

    def _change_list(self, place: Place, old: list[Any], new: list[Any]) -> None:
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            self.change((*place, index), before, after)
        for index in range(len(new), len(old)):
            self._remove_lines((*place, index))
        for item in new[len(old) :]:
            self.append_item(place, len(old), item)

    def _replace(self, place: Place, new: Any) -> None:
        span, step = self._spans[place], place[-1]
        if self._spans[place[:-1]].flow:
            self._changes.append(_Change(span.start, span.end, yaml_flow(new)))
            return
        end = self._content_end(place)
        if isinstance(step, int):
            start, written = (
                span.start,
                yaml_item(new, self._column(span.start), short_lines=span.flow or len(place) > 2),
            )
        else:
            start, written = span.entry, yaml_entry(step, new, self._column(span.entry))
        if "\n" in written:
            end = self._line_end(end)
        self._changes.append(_Change(start, end, written))

    # --- places in the text

    def _remove_lines(self, place: Place) -> None:
        start = self._text.rfind("\n", 0, self._spans[place].entry)
        self._changes.append(_Change(start, self._line_end(self._content_end(place)), ""))

    def _insert_behind(self, place: Place, written: str) -> None:
        end = self._line_end(self._content_end(place))
        self._changes.append(_Change(end, end, written))

    def _content_end(self, place: Place) -> int:
        """Where the last thing inside a value ends, without blanks and comments behind it."""
        while not self._spans[place].flow and place in self._last:
            place = self._last[place]
        span = self._spans[place]
        return span.start + len(self._text[span.start : span.end].rstrip())

    def _line_end(self, offset: int) -> int:
        found = self._text.find("\n", offset)
        return len(self._text) if found < 0 else found

    def _column(self, offset: int) -> int:
        return offset - self._text.rfind("\n", 0, offset) - 1

    def _blank_before(self, place: Place) -> bool:
        """Whether a blank line stands before an item and another one before that."""
        index = place[-1]
        if not isinstance(index, int) or index == 0:
            return False
        end = self._content_end((*place[:-1], index - 1))
        return re.search(r"\n[ \t]*\n", self._text[end : self._spans[place].start]) is not None
