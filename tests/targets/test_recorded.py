"""Recordings: written, read, and said again."""

from pathlib import Path

import pytest

from mcp_evals.conversation import Invocation, Step, Task, ToolCall, Transcript
from mcp_evals.errors import InvalidFileError, NotFoundError, TargetError
from mcp_evals.targets.base import NoToolbox
from mcp_evals.targets.recorded import RecordedTarget, RecordedTrial, Recording, read_recording, write_recording


def said(text: str) -> Transcript:
    step = Step(text=text, calls=(ToolCall(name="look", arguments="{broken", id="a"),), latency_s=0.5)
    return Transcript(invocations=(Invocation(user="Größe?\u2028", steps=(step,)),), ended="calls")


TRIALS = (
    RecordedTrial(case="a", transcript=said("one")),
    RecordedTrial(case="a", trial=1, transcript=said("two")),
    RecordedTrial(case="b", transcript=said("three")),
)


def task(case: str, trial: int = 0) -> Task:
    return Task(run_id="r", case_id=case, trial=trial)


def test_a_recording_that_is_written_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "r.jsonl"

    count = write_recording(path, {"target": "openai:m", "made": 2026}, TRIALS)

    assert count == 3
    assert read_recording(path) == Recording({"target": "openai:m", "made": 2026}, TRIALS)
    assert len(path.read_text(encoding="utf-8").split("\n")) == 5


def test_a_file_that_cannot_be_finished_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    write_recording(path, {}, TRIALS)

    def breaking() -> object:
        yield TRIALS[0]
        raise RuntimeError("out of trials")

    with pytest.raises(RuntimeError):
        write_recording(path, {}, breaking())

    assert read_recording(path).trials == TRIALS
    assert [found.name for found in tmp_path.iterdir()] == ["r.jsonl"]


def test_a_recording_needs_no_header_and_may_have_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('\ufeff{"case": "a", "transcript": {}}\r\n\r\n{"case": "a", "trial": 1, "transcript": {}}', "utf-8")

    recording = read_recording(path)

    assert recording == Recording(
        {},
        (RecordedTrial(case="a", transcript=Transcript()), RecordedTrial(case="a", trial=1, transcript=Transcript())),
    )


def test_all_that_is_wrong_with_a_recording_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(
        '{"case": "a", "transcript": {}}\n'
        "{broken\n"
        '{"case": "a", "transcript": {"invocation": []}}\n'
        '{"recording": {}}\n'
        '{"case": "a", "trial": 0, "transcript": {}}\n'
        '{"case": "a", "trial": NaN, "transcript": {}}\n'
    )

    with pytest.raises(InvalidFileError) as caught:
        read_recording(path)

    problems = [(problem.line, problem.message) for problem in caught.value.problems]
    assert [line for line, _ in problems] == [2, 3, 4, 5, 6]
    assert problems[0][1].startswith("not JSON: ")
    assert problems[1][1] == "transcript.invocation: Extra inputs are not permitted"
    assert problems[3][1] == 'trial 0 of case "a" stands here twice; number them with `trial`'
    assert problems[4][1] == "not JSON: NaN is not JSON"
    assert str(caught.value).startswith(f"{path}:2: not JSON: ")


def test_a_recording_that_is_not_there_or_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(NotFoundError, match="no recording"):
        read_recording(tmp_path / "nowhere.jsonl")
    with pytest.raises(InvalidFileError, match="cannot be read"):
        read_recording(tmp_path / "binary")
    with pytest.raises(InvalidFileError, match="cannot be read"):
        read_recording(tmp_path)


@pytest.mark.anyio
async def test_each_trial_is_answered_with_its_own_transcript() -> None:
    target = RecordedTarget(TRIALS)

    transcripts = [await target.run(task(case, trial), NoToolbox()) for case, trial in (("b", 0), ("a", 1), ("a", 0))]

    assert transcripts == [said("three"), said("two"), said("one")]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            task("a", 2),
            'trial 2 of case "a" is not in the recording, which has 2 of it; ask for at most 2 trials',
        ),
        (task("bb"), 'case "bb" is not in the recording; did you mean "b"?'),
    ],
)
async def test_a_trial_that_was_not_recorded_is_an_error_that_says_what_there_is(asked: Task, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        await RecordedTarget(TRIALS).run(asked, NoToolbox())

    assert (caught.value.kind, str(caught.value)) == ("not_recorded", message)
