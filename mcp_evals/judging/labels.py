"""Files in which people say whether criteria hold: JSON lines or tables, as they were exported or as they write them."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import Field, ValidationError, field_validator, model_validator

from mcp_evals.errors import InvalidFileError, Problem, did_you_mean
from mcp_evals.model import Model, parse_json
from mcp_evals.scoring.judge import OpenQuestion, verdict_word


class Label(Model):
    """What a person says of a criterion: a line of a file of labels."""

    key: str = ""
    """Content address of the question; made from the texts where it is not given."""
    id: str | None = None
    """Name of the criterion."""
    criterion: str = Field(min_length=1)
    """What must be true."""
    subject: str | None = None
    """What it is counted under; None: the criterion."""
    conversation: str = ""
    """What went before the answer."""
    answer: str
    """What is judged."""
    reason: str = ""
    """Why."""
    verdict: bool | None = None
    """Whether the criterion holds; None: not labelled."""

    @field_validator("verdict", mode="before")
    @classmethod
    def _read_word(cls, value: Any) -> Any:
        return read_label(value)

    @field_validator("id", "subject", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        # A table has no other way of leaving a place empty.
        return None if value == "" else value

    @model_validator(mode="after")
    def _key_fits(self) -> "Label":
        if self.key and self.key != self.question.key:
            raise ValueError("the key does not belong to these texts; leave both as they were, or leave the key out")
        return self

    @property
    def question(self) -> OpenQuestion:
        """What was labelled."""
        return OpenQuestion(
            criterion=self.criterion,
            id=self.id,
            subject=self.subject,
            conversation=self.conversation,
            answer=self.answer,
        )


def label_of(question: OpenQuestion) -> Label:
    """A line to be labelled; it does not say how a judge decided."""
    return Label(
        key=question.key,
        id=question.id,
        criterion=question.criterion,
        subject=question.subject,
        conversation=question.conversation,
        answer=question.answer,
    )


def read_label(value: Any) -> Any:
    """A person's yes or no in the forms that people write; what is none of them is left as it is."""
    if isinstance(value, bool) or value is None:
        return value
    word = str(value).strip().lower()
    known = {"": None, "1": True, "0": False, "1.0": True, "0.0": False, "y": True, "n": False}
    if word in known:
        return known[word]
    read = verdict_word(word)
    return value if read is None else read


def read_labels(text: str, *, file: str, table: bool) -> tuple[Label, ...]:
    """The labelled lines of JSON lines, or of a CSV `table` with a header; each question once.

    Raises:
        InvalidFileError: lines are wrong, or contradict each other; all of them at once.
    """
    found: dict[str, Label] = {}
    problems: list[Problem] = []
    for number, row in rows_of(text, file=file, table=table):
        if isinstance(row, Problem):
            problems.append(row)
            continue
        try:
            label = Label.model_validate(row)
        except ValidationError as error:
            problems.append(Problem(told(error), line=number, file=file))
            continue
        if label.verdict is None:
            continue
        earlier = found.setdefault(label.question.key, label)
        if earlier.verdict != label.verdict:
            twice = "this question is labelled twice, once yes and once no; settle it"
            problems.append(Problem(twice, line=number, file=file))
    if not found and not problems:
        problems.append(Problem("has no label: write true or false into `verdict`", file=file))
    if problems:
        raise InvalidFileError(problems)
    return tuple(found.values())


def rows_of(text: str, *, file: str, table: bool) -> Iterator[tuple[int, Mapping[str, Any] | Problem]]:
    """The rows of JSON lines, or of a CSV `table` with a header, by line; a row that is none is a problem."""
    if table:
        yield from _table_rows(text, file)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                value = parse_json(line)
            except ValueError as error:
                yield number, Problem(f"not JSON: {error}", line=number, file=file)
                continue
            is_object = isinstance(value, dict)
            yield number, value if is_object else Problem("is no JSON object", line=number, file=file)


def _table_rows(text: str, file: str) -> Iterator[tuple[int, Mapping[str, Any] | Problem]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval=None)
    try:
        for row in reader:
            surplus = Problem("has more cells than there are columns", line=reader.line_num, file=file)
            yield reader.line_num, surplus if "" in row else {k: v for k, v in row.items() if v is not None}
    except csv.Error as error:
        problem = f"is no table: {error}; long texts go better into JSON lines"
        yield reader.line_num, Problem(problem, line=reader.line_num, file=file)


def told(error: ValidationError) -> str:
    """What is wrong with a row, in a line."""
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    hint = did_you_mean(place, tuple(Label.model_fields)) if first["type"] == "extra_forbidden" else ""
    return f"{place}: {first['msg']}{hint}" if place else first["msg"]
