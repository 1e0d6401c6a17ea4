"""What is stored is whole, comes back as it was, and survives whoever wrote it."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest

from mcp_evals.conversation import Invocation, Message, Step, ToolCall, ToolDefinition, ToolResult, Transcript, Usage
from mcp_evals.critics import Numeric
from mcp_evals.errors import NotFoundError, StoreError, UsageError
from mcp_evals.results import CaseScore, Check, Judgement, Outcome, Run, RunSettings, Trial, TrialError
from mcp_evals.store import _MIGRATIONS, Spent, Store, _started_by_ps
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric, Suite
from mcp_evals.text_expectations import Contains

# As every file has it: with its kind.
CRITIC = Numeric(kind="numeric", field="z", tolerance=1)
SUITE = Suite(
    name="shop",
    tools=(ToolDefinition(name="t", input_schema={"type": "object", "properties": {"z": {}, "kind": {}, "a": {}}}),),
    cases=(
        Case(
            id="refund",
            user=("Refund it.", "I want my money back."),
            rubric=Rubric(fail_below=0.8),
            expect=Expect(
                calls=(ExpectedCall(tool="t", args={"z": 1}, critics=(CRITIC,), returns=None),),
                text=(Contains(contains="done"),),
            ),
        ),
        Case(id="cancel", user="Cancel it."),
    ),
)
NOON = datetime(2025, 5, 4, 12, tzinfo=UTC)
RUN = Run(
    id="20250504-aaaa",
    suite="shop",
    suite_digest=SUITE.digest,
    target="openai:gpt-5",
    settings=RunSettings(trials=2, extra={"top_k": 3}),
    case_ids=("refund", "cancel"),
    created_at=NOON,
)
TRANSCRIPT = Transcript(
    system="Be kind.",
    history=(Message(role="user", text="Grüß Gott \0"),),
    invocations=(
        Invocation(
            user="Refund it.",
            steps=(
                Step(
                    text="a lone \ud800 surrogate",
                    calls=(ToolCall(name="t", arguments={"z": 17.0, "a": None, "big": 2**80}),),
                    results=(ToolResult(content={"ok": True}),),
                    usage=Usage(input_tokens=10, output_tokens=5),
                    latency_s=0.25,
                ),
            ),
        ),
    ),
    ended="calls",
    request={"model": "gpt-5", "tools": [{"z": 1, "a": 2}]},
)
JUDGEMENT = Judgement(key="b2:1", score=1.0, reason="It says so.", judge="openai:gpt-5", cost_usd=0.5)
SCORE = CaseScore(
    verdict="failed", score=0.5, checks=(Check(name="calls", score=0.5, weight=1.0),), reason="wrong amount"
)
TRIAL = Trial(
    case_id="refund",
    index=0,
    phrasing=1,
    seed=42,
    transcript=TRANSCRIPT,
    score=SCORE,
    judgements=(JUDGEMENT,),
    usage=Usage(input_tokens=10, output_tokens=5, cached_input_tokens=3),
    cost_usd=0.125,
    duration_s=1.5,
    started_at=NOON,
    self_scored=True,
)
PASSED = CaseScore(verdict="passed", score=1.0)
OVERLOADED = TrialError(kind="rate_limit", message="429 from the provider")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "home" / "store.sqlite") as opened:
        yield opened


def trial(case_id: str = "refund", index: int = 0, **fields: Any) -> Trial:
    return Trial(case_id=case_id, index=index, **fields)


def write_sql(store: Store, statement: str, *values: Any) -> None:
    """What another program does to the file."""
    db = sqlite3.connect(store.path)
    with db:
        db.execute(statement, values)
    db.close()


def count(store: Store, table: str) -> int:
    db = sqlite3.connect(store.path)
    (found,) = db.execute(f"SELECT count(*) FROM {table}").fetchone()
    db.close()
    return found


def python(script: str, *arguments: object) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


# --- suites and runs


def test_a_suite_comes_back_as_it_was_with_what_was_given_and_what_was_not(store: Store):
    digest = store.save_suite(SUITE)

    read = store.suite(digest)

    assert (SUITE, SUITE.digest) == (read, read.digest)
    assert read.cases[0].expect.calls is not None
    assert read.cases[0].expect.calls[0].stubbed
    assert read.cases[0].rubric is not None
    assert {"fail_below"} == read.cases[0].rubric.model_fields_set
    assert ["z", "kind", "a"] == list(read.tools_of(read.cases[0])[0].parameters)


def test_a_critic_that_was_made_without_its_kind_comes_back(store: Store):
    call = ExpectedCall(tool="t", critics=(Numeric(field="z", tolerance=1),))
    suite = Suite(name="s", cases=(Case(id="c", user="u", expect=Expect(calls=(call,))),))

    assert suite == store.suite(store.save_suite(suite))


def test_a_suite_that_was_never_stored_is_not_found(store: Store):
    with pytest.raises(NotFoundError, match="no suite b2:0"):
        store.suite("b2:0")


def test_a_run_comes_back_as_it_was(store: Store):
    done = RUN.model_copy(update={"status": "completed", "finished_at": NOON, "notes": ("n",), "track": "terse"})
    store.create_run(done, SUITE)

    assert done == store.run(done.id)


def test_a_run_is_found_by_the_beginning_of_its_id(store: Store):
    store.create_run(RUN, SUITE)
    store.create_run(RUN.model_copy(update={"id": "20250504-bbbb"}), SUITE)

    assert RUN.id == store.run("20250504-a").id
    with pytest.raises(NotFoundError, match='2 runs begin with "2025"'):
        store.run("2025")


@pytest.mark.parametrize("name", ["", "x", "%", "20250504_aaaa"])
def test_a_run_that_is_not_there_is_not_found(store: Store, name: str):
    store.create_run(RUN, SUITE)

    with pytest.raises(NotFoundError, match=f'no run "{name}"; .*20250504-aaaa'):
        store.run(name)


def test_runs_come_newest_first_and_can_be_chosen(store: Store):
    for n, (suite, target) in enumerate([("shop", "a"), ("shop", "b"), ("weather", "a"), ("shop", "a")]):
        changes = {"id": f"r{n}", "suite": suite, "target": target, "created_at": NOON + timedelta(minutes=n)}
        store.create_run(RUN.model_copy(update=changes), SUITE)

    assert ["r3", "r2", "r1", "r0"] == [run.id for run in store.runs()]
    assert ["r3", "r0"] == [run.id for run in store.runs(suite="shop", target="a")]
    assert ["r3"] == [run.id for run in store.runs(limit=1)]
    assert ["r1", "r0"] == [run.id for run in store.runs(before="r2")]
    assert ["r0"] == [run.id for run in store.runs(suite="shop", target="a", before="r3")]


def test_runs_of_one_moment_are_paged_without_loss(store: Store):
    for n in range(5):
        store.create_run(RUN.model_copy(update={"id": f"r{n}"}), SUITE)

    first = store.runs(limit=3)

    assert ["r4", "r3", "r2", "r1", "r0"] == [run.id for run in (*first, *store.runs(before=first[-1].id))]


def test_a_run_can_be_changed_and_nothing_else_of_it_changes(store: Store):
    store.create_run(RUN, SUITE)

    after = store.update_run(RUN.id, status="completed", finished_at=NOON, notes=("late",))

    expected = RUN.model_copy(update={"status": "completed", "finished_at": NOON, "notes": ("late",)})
    assert (expected, expected) == (after, store.run(RUN.id))


def test_a_second_run_of_the_same_id_is_refused(store: Store):
    store.create_run(RUN, SUITE)

    with pytest.raises(StoreError, match="there is a run 20250504-aaaa already"):
        store.create_run(RUN, SUITE)


def test_a_label_names_one_run(store: Store):
    store.create_run(RUN, SUITE)
    store.create_run(RUN.model_copy(update={"id": "other"}), SUITE)
    store.set_label(RUN.id, "baseline")

    assert (RUN.id, RUN.id) == (store.labelled("baseline").id, store.run("baseline").id)
    with pytest.raises(UsageError, match='run 20250504-aaaa is named "baseline"; take the label off there first'):
        store.set_label("other", "baseline")
    with pytest.raises(NotFoundError, match='did you mean "baseline"'):
        store.labelled("baselin")

    store.set_label(RUN.id, None)
    store.set_label("other", "baseline")
    assert "other" == store.labelled("baseline").id


def test_a_label_can_be_moved_to_the_run_that_is_the_new_baseline(store: Store):
    for run_id in ("old", "new"):
        store.create_run(RUN.model_copy(update={"id": run_id}), SUITE)
    store.set_label("old", "baseline")

    store.set_label("new", "baseline", move=True)

    assert ("new", None) == (store.labelled("baseline").id, store.run("old").label)
    with pytest.raises(UsageError):
        store.set_label("new", "old", move=True)


def test_a_run_that_would_take_a_label_is_not_created(store: Store):
    store.create_run(RUN.model_copy(update={"label": "baseline"}), SUITE)

    with pytest.raises(UsageError):
        store.create_run(RUN.model_copy(update={"id": "other", "label": "baseline"}), SUITE)

    assert [RUN.id] == [run.id for run in store.runs()]


def test_a_label_cannot_hide_a_run(store: Store):
    store.create_run(RUN, SUITE)
    store.create_run(RUN.model_copy(update={"id": "other"}), SUITE)

    for label in (RUN.id, " "):
        with pytest.raises(UsageError):
            store.set_label("other", label)


# --- owners


def test_a_working_run_that_nobody_owns_is_interrupted(store: Store):
    store.create_run(RUN, SUITE)
    assert "interrupted" == store.run(RUN.id).status

    assert store.claim(RUN.id)
    assert "working" == store.run(RUN.id).status

    store.release(RUN.id)
    assert ("interrupted", "interrupted") == (store.run(RUN.id).status, store.runs()[0].status)


def test_two_stores_of_one_process_are_one_owner(store: Store):
    store.create_run(RUN, SUITE)
    with Store.open(store.path) as second:
        assert (True, True) == (store.claim(RUN.id), second.claim(RUN.id))
        assert "working" == second.run(RUN.id).status


CLAIM_AND_WAIT = """
import sys
from pathlib import Path
from mcp_evals.store import Store
store = Store.open(Path(sys.argv[1]))
print(store.claim(sys.argv[2]), flush=True)
sys.stdin.read()
"""


def test_a_run_of_another_live_process_cannot_be_claimed_and_one_of_a_dead_process_can(store: Store):
    store.create_run(RUN, SUITE)
    with python(CLAIM_AND_WAIT, store.path, RUN.id) as other:
        assert "True" == first_line(other)
        assert ("working", False) == (store.run(RUN.id).status, store.claim(RUN.id))
        with pytest.raises(UsageError, match="still working; cancel it first"):
            store.delete_run(RUN.id)
        store.release(RUN.id)
        assert "working" == store.run(RUN.id).status
        other.kill()
    assert "interrupted" == store.run(RUN.id).status

    assert store.claim(RUN.id)
    with python(CLAIM_AND_WAIT, store.path, RUN.id) as other:
        assert "False" == first_line(other)
        other.kill()


def test_a_process_that_died_and_was_not_buried_is_dead(store: Store):
    store.create_run(RUN, SUITE)
    with python(CLAIM_AND_WAIT, store.path, RUN.id) as other:
        assert "True" == first_line(other)
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)

        assert "interrupted" == store.run(RUN.id).status


def test_another_process_of_the_same_pid_is_not_the_owner(store: Store):
    store.create_run(RUN, SUITE)
    with python(CLAIM_AND_WAIT, store.path, RUN.id) as other:
        assert "True" == first_line(other)
        write_sql(store, "UPDATE run SET owner_started = 'another day'")

        assert "interrupted" == store.run(RUN.id).status
        other.kill()


@pytest.mark.parametrize(("silent_s", "status"), [(5, "working"), (90, "interrupted")])
def test_an_owner_on_another_machine_is_dead_when_it_was_silent_for_long(store: Store, silent_s: int, status: str):
    store.create_run(RUN, SUITE)
    store.claim(RUN.id)

    write_sql(
        store,
        "UPDATE run SET owner_host = 'elsewhere', owner_token = 'other', heartbeat_at = heartbeat_at - ?",
        silent_s,
    )

    assert status == store.run(RUN.id).status
    assert (status == "interrupted") is store.claim(RUN.id)


def test_a_heartbeat_is_the_owners_alone(store: Store):
    store.create_run(RUN, SUITE)
    store.claim(RUN.id)
    write_sql(store, "UPDATE run SET owner_host = 'elsewhere', owner_token = 'other', heartbeat_at = 0")

    store.heartbeat(RUN.id)

    assert "interrupted" == store.run(RUN.id).status


def test_a_heartbeat_of_the_owner_is_stored(store: Store):
    store.create_run(RUN, SUITE)
    store.claim(RUN.id)
    write_sql(store, "UPDATE run SET heartbeat_at = 0")

    store.heartbeat(RUN.id)

    assert store._db.execute("SELECT heartbeat_at FROM run").fetchone()[0] > NOON.timestamp()


@pytest.mark.skipif(not Path("/bin/ps").exists() or not Path("/proc/self").exists(), reason="needs /bin/ps and /proc")
def test_where_there_is_no_proc_the_start_of_a_process_is_asked_of_ps():
    with python("import sys; print('up', flush=True); sys.stdin.read()") as other:
        assert "up" == first_line(other)
        started = _started_by_ps(other.pid)
        other.kill()
        os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
        unburied = _started_by_ps(other.pid)

    assert started is not None
    assert NOON < datetime.strptime(f"{started} +0000", "%a %b %d %H:%M:%S %Y %z") <= datetime.now(UTC)
    assert (None, None) == (unburied, _started_by_ps(other.pid))


def test_a_finished_run_stays_finished_whoever_died(store: Store):
    store.create_run(RUN.model_copy(update={"status": "completed"}), SUITE)

    assert "completed" == store.run(RUN.id).status


# --- trials


def test_a_trial_comes_back_as_it_was(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL)

    assert TRIAL == store.trial(RUN.id, "refund", 0)
    assert [TRIAL] == list(store.trials(RUN.id))


def test_an_outcome_says_what_sums_are_made_of(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, trial("cancel", 0, error=OVERLOADED))
    store.add_trial(RUN.id, trial("refund", 1, transcript=Transcript()))
    store.add_trial(RUN.id, TRIAL)

    assert [
        Outcome(
            "refund",
            0,
            "failed",
            0.5,
            reason="wrong amount",
            usage=TRIAL.usage,
            cost_usd=0.125,
            duration_s=1.5,
            latency_s=0.25,
            self_scored=True,
        ),
        Outcome("refund", 1, "errored", None),
        Outcome("cancel", 0, "errored", None, reason="429 from the provider", error_kind="rate_limit"),
    ] == store.outcomes(RUN.id)


def test_trials_come_in_the_order_of_the_suite(store: Store):
    store.create_run(RUN, SUITE)
    for case_id, index in (("cancel", 10), ("cancel", 2), ("refund", 1), ("refund", 0)):
        store.add_trial(RUN.id, trial(case_id, index, score=PASSED))

    expected = [("refund", 0), ("refund", 1), ("cancel", 2), ("cancel", 10)]
    assert expected == [(found.case_id, found.index) for found in store.trials(RUN.id)]
    assert expected == [(found.case_id, found.index) for found in store.outcomes(RUN.id)]
    assert expected[2:] == [(found.case_id, found.index) for found in store.trials(RUN.id, "cancel")]


def test_a_scored_trial_is_not_overwritten(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL)

    with pytest.raises(StoreError, match='trial 0 of case "refund" in run 20250504-aaaa is stored already'):
        store.add_trial(RUN.id, trial(score=PASSED))

    assert TRIAL == store.trial(RUN.id, "refund", 0)


@pytest.mark.parametrize(
    "first",
    [
        trial(error=OVERLOADED),
        trial(error=OVERLOADED, transcript=TRANSCRIPT),
        trial(transcript=TRANSCRIPT),
        trial(transcript=TRANSCRIPT, score=CaseScore(verdict="errored", score=None), judgements=(JUDGEMENT,)),
    ],
)
def test_a_trial_without_a_score_is_replaced(store: Store, first: Trial):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, first)

    store.add_trial(RUN.id, trial(score=PASSED))

    assert [trial(score=PASSED)] == list(store.trials(RUN.id))


def test_a_score_is_added_to_a_stored_trial_and_later_replaced(store: Store):
    store.create_run(RUN, SUITE)
    unscored = TRIAL.model_copy(update={"score": None, "judgements": ()})
    store.add_trial(RUN.id, unscored)

    store.set_score(RUN.id, TRIAL)
    assert TRIAL == store.trial(RUN.id, "refund", 0)

    again = unscored.model_copy(update={"error": OVERLOADED})
    store.set_score(RUN.id, again)
    assert again == store.trial(RUN.id, "refund", 0)


def test_a_score_that_is_replaced_is_kept_and_one_that_stays_is_not_kept_twice(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL)

    store.set_score(RUN.id, TRIAL)
    store.set_score(RUN.id, TRIAL.model_copy(update={"score": PASSED}))
    store.set_score(RUN.id, TRIAL.model_copy(update={"score": None, "error": OVERLOADED}))
    store.set_score(RUN.id, TRIAL.model_copy(update={"score": PASSED}))

    kept = store._db.execute("SELECT score, judgements FROM earlier_evidence ORDER BY rowid").fetchall()
    assert [SCORE, PASSED] == [CaseScore.model_validate_json(row["score"]) for row in kept]
    assert [[JUDGEMENT]] * 2 == [[Judgement(**one) for one in json.loads(row["judgements"])] for row in kept]


def test_a_score_of_no_trial_is_refused(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL)

    with pytest.raises(NotFoundError, match=r'no trial 0 of case "refun" in run .*; did you mean "refund"'):
        store.set_score(RUN.id, trial("refun", score=PASSED))


def test_trials_of_no_run_are_refused(store: Store):
    with pytest.raises(NotFoundError, match='no run "nowhere"'):
        store.add_trial("nowhere", TRIAL)
    with pytest.raises(NotFoundError):
        store.trials("nowhere")
    with pytest.raises(NotFoundError):
        store.outcomes("nowhere")


def test_done_is_what_has_an_outcome(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, trial("refund", 0, score=PASSED))
    store.add_trial(RUN.id, trial("refund", 1, transcript=TRANSCRIPT))
    store.add_trial(RUN.id, trial("cancel", 0, error=OVERLOADED))
    store.add_trial(RUN.id, trial("cancel", 1, score=CaseScore(verdict="errored", score=None)))

    assert {("refund", 0), ("cancel", 0), ("cancel", 1)} == store.done_keys(RUN.id)
    assert {("refund", 0)} == store.done_keys(RUN.id, errored=False)


def test_tools_system_prompts_and_histories_are_stored_once_and_put_back_whatever_else_differs(store: Store):
    store.create_run(RUN, SUITE)
    tools = [{"name": "t", "parameters": {"z": 1, "a": [{}, 0.5, "\ud800"]}}]
    transcripts = [
        TRANSCRIPT.model_copy(
            update={
                "system": "Be kind. " * 100,
                "request": {"seed": index, "tools": tools, "stop": None, "request.": [], "": ["x"]},
            }
        )
        for index in range(20)
    ]
    for index, transcript in enumerate(transcripts):
        store.add_trial(RUN.id, trial(index=index, transcript=transcript))

    found = [stored.transcript for stored in store.trials(RUN.id)]

    assert transcripts == found
    assert [["seed", "tools", "stop", "request.", ""]] * 20 == [list(one.request or ()) for one in found if one]
    assert (4, 20) == (count(store, "part"), count(store, "transcript"))


def test_requests_whose_keys_are_ordered_otherwise_are_not_the_same(store: Store):
    store.create_run(RUN, SUITE)
    for index, schema in enumerate(({"z": 1, "a": 2}, {"a": 2, "z": 1})):
        store.add_trial(RUN.id, trial(index=index, transcript=Transcript(request={"schema": schema})))

    requests = [found.transcript.request for found in store.trials(RUN.id) if found.transcript]
    assert ['{"schema": {"z": 1, "a": 2}}', '{"schema": {"a": 2, "z": 1}}'] == [json.dumps(one) for one in requests]


def test_a_deleted_run_leaves_nothing_that_is_only_its_own(store: Store):
    store.create_run(RUN, SUITE)
    store.create_run(RUN.model_copy(update={"id": "other"}), SUITE)
    store.add_trial(RUN.id, TRIAL)
    store.add_trial("other", trial(transcript=TRANSCRIPT.model_copy(update={"history": ()})))
    store.set_score(RUN.id, TRIAL.model_copy(update={"score": PASSED}))

    store.delete_run(RUN.id)

    tables = ("run", "trial", "transcript", "evidence", "part", "transcript_part")
    assert dict.fromkeys(tables, 1) == {table: count(store, table) for table in tables}
    assert 0 == count(store, "earlier_evidence")
    assert JUDGEMENT == store.judgement(JUDGEMENT.key)


def test_a_number_too_large_for_the_file_is_refused_and_nothing_is_stored(store: Store):
    store.create_run(RUN, SUITE)

    with pytest.raises(StoreError, match="more than 63 bits"):
        store.add_trial(RUN.id, trial(seed=2**70))

    assert [] == store.outcomes(RUN.id)


def test_a_name_that_is_no_text_is_refused_and_an_error_message_is_escaped(store: Store):
    store.create_run(RUN, SUITE)
    store.update_run(RUN.id, error="broke at \ud800")
    store.add_trial(RUN.id, trial(error=TrialError(kind="internal", message="broke at \ud800")))

    with pytest.raises(StoreError, match=r"the name '\\ud800' is no valid text"):
        store.add_trial(RUN.id, trial("\ud800", score=PASSED))

    assert r"broke at \ud800" == store.run(RUN.id).error
    assert [r"broke at \ud800"] == [outcome.reason for outcome in store.outcomes(RUN.id)]


# --- judgements, documents, costs


def test_a_judgement_is_found_by_its_key(store: Store):
    store.save_judgement(JUDGEMENT)

    assert (JUDGEMENT, None) == (store.judgement("b2:1"), store.judgement("b2:2"))


def test_each_judge_has_an_answer_of_its_own(store: Store):
    other = JUDGEMENT.model_copy(update={"judge": "anthropic:claude", "score": 0.0})
    changed = JUDGEMENT.model_copy(update={"score": 0.5})
    for judgement in (JUDGEMENT, other, changed):
        store.save_judgement(judgement)

    assert (changed, other) == (store.judgement("b2:1", "openai:gpt-5"), store.judgement("b2:1", "anthropic:claude"))
    assert (changed, None) == (store.judgement("b2:1"), store.judgement("b2:1", "nobody"))


def test_all_judges_of_a_question_are_found_the_latest_first(store: Store):
    other = JUDGEMENT.model_copy(update={"judge": "anthropic:claude", "score": 0.0})
    store.save_judgement(JUDGEMENT)
    store.save_judgement(other)

    assert (other, JUDGEMENT) == store.judgements("b2:1")
    assert () == store.judgements("b2:2")


def test_a_judge_that_was_asked_twice_has_cost_twice(store: Store):
    store.create_run(RUN, SUITE)
    store.save_judgement(JUDGEMENT)
    store.save_judgement(JUDGEMENT)
    store.add_trial(RUN.id, TRIAL)

    assert 1.0 == store.judge_cost(RUN.id)


def test_a_judge_that_could_not_be_heard_is_kept_with_the_trial_and_answers_no_other(store: Store):
    silent = JUDGEMENT.model_copy(update={"score": None, "readable": 0, "cost_usd": None})
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL.model_copy(update={"judgements": (silent,)}))

    assert (silent,) == store.trial(RUN.id, "refund", 0).judgements
    assert () == store.judgements("b2:1")


def test_the_judge_is_paid_once_by_the_run_that_asked_first(store: Store):
    for run_id in ("first", "second", "unjudged"):
        store.create_run(RUN.model_copy(update={"id": run_id}), SUITE)
    store.add_trial("first", TRIAL)
    store.add_trial("first", TRIAL.model_copy(update={"index": 1}))
    store.add_trial("second", TRIAL)
    store.add_trial("unjudged", trial(score=PASSED))

    assert (0.5, 0.0, None) == tuple(store.judge_cost(run_id) for run_id in ("first", "second", "unjudged"))


def test_what_the_judge_cost_is_unknown_where_one_answer_has_no_price(store: Store):
    store.create_run(RUN, SUITE)
    free = JUDGEMENT.model_copy(update={"key": "b2:2", "cost_usd": None})
    store.add_trial(RUN.id, TRIAL.model_copy(update={"judgements": (JUDGEMENT, free)}))

    assert store.judge_cost(RUN.id) is None


def test_documents_are_kept_by_kind(store: Store):
    store.save_document("comparison", "c1", {"verdict": "better"})
    store.save_document("comparison", "c2", None)
    store.save_document("attempt", "c1", [1, "é"])
    store.save_document("comparison", "c1", {"verdict": "worse"})

    assert {"verdict": "worse"} == store.document("comparison", "c1")
    assert [("c1", {"verdict": "worse"}), ("c2", None)] == list(store.documents("comparison").items())
    with pytest.raises(NotFoundError, match=r'no attempt "c2"; there is c1'):
        store.document("attempt", "c2")


def test_past_costs_are_those_of_the_same_suite_and_target(store: Store):
    for run_id, target in (("r1", "a"), ("r2", "a"), ("r3", "b")):
        store.create_run(RUN.model_copy(update={"id": run_id, "target": target}), SUITE)
    store.add_trial("r1", trial(index=0, cost_usd=0.1))
    store.add_trial("r1", trial(index=1, cost_usd=None))
    store.add_trial("r2", trial(index=0, cost_usd=0.3))
    store.add_trial("r3", trial(index=0, cost_usd=9.0))

    assert (pytest.approx(0.2), 2) == store.past_cost("shop", "a")
    assert (None, 0) == store.past_cost("shop", "c")


def test_past_spending_is_that_of_the_suite_and_the_latest_first(store: Store):
    for run_id, suite, target in (("r1", "shop", "a"), ("r2", "shop", "b"), ("r3", "weather", "a")):
        store.create_run(RUN.model_copy(update={"id": run_id, "suite": suite, "target": target}), SUITE)
        store.add_trial(run_id, trial(index=0, usage=Usage(input_tokens=1, output_tokens=2), cost_usd=0.1))
        store.add_trial(run_id, trial(index=1, error=OVERLOADED))
        store.add_trial(run_id, trial(index=2, usage=Usage(input_tokens=3, output_tokens=4)))

    both = [Spent(Usage(input_tokens=3, output_tokens=4), None), Spent(Usage(input_tokens=1, output_tokens=2), 0.1)]
    assert both == list(store.past_spending("shop", "a"))
    assert both + both == list(store.past_spending("shop"))
    assert both[:1] == list(store.past_spending("shop", limit=1))


# --- the file


def test_what_was_stored_is_there_after_opening_again(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.create_run(RUN, SUITE)
        store.add_trial(RUN.id, TRIAL)

    with Store.open(path) as store:
        assert ([TRIAL], SUITE) == (list(store.trials(RUN.id)), store.suite(RUN.suite_digest))


def test_an_empty_file_becomes_a_store(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    path.touch()

    with Store.open(path) as store:
        store.create_run(RUN, SUITE)

        assert RUN.id == store.run(RUN.id).id


def test_a_store_of_the_first_version_is_read(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    db = sqlite3.connect(path)
    db.executescript((Path(__file__).parent / "data" / "store_m001.sql").read_text(encoding="utf-8"))
    db.close()

    with Store.open(path) as store:
        run = store.run("baseline")
        assert ("20250504-aaaa", "completed", ("refund", "cancel")) == (run.id, run.status, run.case_ids)
        assert "shop" == store.suite(run.suite_digest).name
        assert [("refund", 0, "failed", 0.125), ("cancel", 0, "errored", None)] == [
            (one.case_id, one.index, one.verdict, one.cost_usd) for one in store.outcomes(run.id)
        ]
        held = store.trial(run.id, "refund", 0)
        assert held.transcript is not None
        assert ("a lone \ud800 surrogate", {"model": "gpt-5", "tools": [{"z": 1, "a": 2}]}) == (
            held.transcript.final_text,
            held.transcript.request,
        )
        assert ["b2:1"] == [judgement.key for judgement in held.judgements]
        assert {"c1": {"verdict": "better"}} == store.documents("comparison")


def test_a_migration_that_is_new_is_applied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "store.sqlite"
    Store.open(path).close()

    def m999_moods(db: sqlite3.Connection) -> None:
        db.execute("ALTER TABLE run ADD COLUMN mood TEXT")

    monkeypatch.setattr("mcp_evals.store._MIGRATIONS", (*_MIGRATIONS, m999_moods))
    for _ in range(2):
        with Store.open(path) as store:
            assert 1 == store._db.execute("SELECT count(*) FROM migration WHERE name = 'm999_moods'").fetchone()[0]
            store._db.execute("SELECT mood FROM run")


def test_a_migration_that_fails_changes_nothing_and_those_before_it_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.create_run(RUN, SUITE)

    def m998_moods(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE mood (word TEXT)")

    def m999_breaks(db: sqlite3.Connection) -> None:
        db.execute("DROP TABLE trial")
        db.execute("INSERT INTO nowhere VALUES (1)")

    monkeypatch.setattr("mcp_evals.store._MIGRATIONS", (*_MIGRATIONS, m998_moods, m999_breaks))
    with pytest.raises(StoreError, match="no such table: nowhere"):
        Store.open(path)

    monkeypatch.setattr("mcp_evals.store._MIGRATIONS", (*_MIGRATIONS, m998_moods))
    with Store.open(path) as store:
        store.add_trial(RUN.id, TRIAL)
        assert ([TRIAL], 0) == (list(store.trials(RUN.id)), count(store, "mood"))


def test_a_store_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.create_run(RUN, SUITE)
        write_sql(store, "INSERT INTO migration VALUES ('flying_tables', '2031-01-01')")
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"written by a newer version of mcp-evals \(flying_tables\); update"):
        Store.open(path)

    assert before == path.read_bytes()


def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    path.write_text("dear diary, " * 100)

    with pytest.raises(StoreError, match="is not a database; move it away"):
        Store.open(path)

    assert "dear diary, " * 100 == path.read_text()


def test_the_database_of_another_program_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE bookmark (url TEXT)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(StoreError, match="database of another program"):
        Store.open(path)

    assert before == path.read_bytes()


def test_a_damaged_store_is_said_to_be_damaged(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.create_run(RUN, SUITE)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))

    with pytest.raises(StoreError, match="is damaged; restore a copy"):
        Store.open(path)


def test_a_row_that_this_version_cannot_read_is_said(store: Store):
    store.save_judgement(JUDGEMENT)
    write_sql(store, """UPDATE judgement SET body = '{"mood": "sunny"}'""")

    with pytest.raises(StoreError, match="a stored judgement cannot be read by this version"):
        store.judgement(JUDGEMENT.key)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").touch()

    with pytest.raises(StoreError, match=r"cannot be made .*MCP_EVALS_HOME"):
        Store.open(tmp_path / "file" / "store.sqlite")


def test_a_path_that_cannot_be_opened_is_said(tmp_path: Path):
    with pytest.raises(StoreError, match=r"cannot be opened; make .* writable"):
        Store.open(tmp_path)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder that nobody may write to; root, who may, is another user meanwhile."""
    folder = Path(tempfile.mkdtemp())
    Store.open(folder / "old.sqlite").close()
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    yield folder
    if is_root:
        os.seteuid(0)
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="there are no such folders here")
@pytest.mark.parametrize("name", ["new.sqlite", "old.sqlite", "inner/new.sqlite"])
def test_a_folder_that_cannot_be_written_is_said(closed_folder: Path, name: str):
    with pytest.raises(StoreError, match=r"cannot be .*MCP_EVALS_HOME"):
        Store.open(closed_folder / name)


def test_on_a_full_disk_what_was_stored_is_kept_and_goes_on_when_there_is_room(store: Store):
    store.create_run(RUN, SUITE)
    store.add_trial(RUN.id, TRIAL)
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    long = TRANSCRIPT.model_copy(update={"system": "x" * 100_000})

    with pytest.raises(StoreError, match="is full; what was stored is kept; free some space and resume"):
        store.add_trial(RUN.id, trial("cancel", transcript=long))
    assert [TRIAL] == list(store.trials(RUN.id))

    store._db.execute("PRAGMA max_page_count = 100000")
    store.add_trial(RUN.id, trial("cancel", transcript=long))
    assert [TRIAL, trial("cancel", transcript=long)] == list(store.trials(RUN.id))


def test_a_store_that_another_program_holds_is_said_to_be_locked(store: Store):
    store.create_run(RUN, SUITE)
    store._db.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreError, match="is locked by another program; close it"):
        store.add_trial(RUN.id, TRIAL)
    assert [] == store.outcomes(RUN.id)

    other.close()
    store.add_trial(RUN.id, TRIAL)
    assert [TRIAL] == list(store.trials(RUN.id))


def test_a_closed_store_says_so(store: Store):
    store.close()
    store.close()

    with pytest.raises(StoreError, match="closed"):
        store.runs()


def test_reading_goes_on_while_trials_are_added(store: Store):
    store.create_run(RUN, SUITE)
    for index in range(3):
        store.add_trial(RUN.id, trial(index=index, error=OVERLOADED))

    seen: list[int] = []
    for found in store.trials(RUN.id):
        seen.append(found.index)
        store.add_trial(RUN.id, trial("cancel", found.index, score=PASSED))

    assert ([0, 1, 2], 6) == (seen, len(store.outcomes(RUN.id)))


def test_threads_share_one_store(store: Store):
    store.create_run(RUN, SUITE)

    def write(case_id: str) -> None:
        for index in range(50):
            store.add_trial(RUN.id, trial(case_id, index, transcript=TRANSCRIPT))
            store.set_score(RUN.id, trial(case_id, index, score=PASSED))
            store.outcomes(RUN.id)

    threads = [Thread(target=write, args=(case_id,)) for case_id in ("a", "b", "c", "d")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert {(case_id, index) for case_id in "abcd" for index in range(50)} == store.done_keys(RUN.id)


WRITE_TRIALS = """
import sys
from pathlib import Path
from mcp_evals.conversation import Invocation, Step, Transcript
from mcp_evals.results import CaseScore, Trial
from mcp_evals.store import Store
path, run_id, case_id, number = sys.argv[1:]
store = Store.open(Path(path))
for index in range(int(number)):
    steps = (Step(text=f"{index} " * 2000),)
    transcript = Transcript(invocations=(Invocation(user="hi", steps=steps),), request={"model": "m"})
    score = CaseScore(verdict="passed", score=1.0, reason=str(index))
    store.add_trial(run_id, Trial(case_id=case_id, index=index, transcript=transcript, score=score))
    if index == 20:
        print("going", flush=True)
store.close()
"""


def test_two_processes_write_at_once_and_nothing_is_lost(store: Store):
    store.create_run(RUN, SUITE)
    writers = [python(WRITE_TRIALS, store.path, RUN.id, case_id, 100) for case_id in ("refund", "cancel")]
    for writer in writers:
        writer.communicate(timeout=60)

    assert [0, 0] == [writer.returncode for writer in writers]
    assert {(case_id, index) for case_id in ("refund", "cancel") for index in range(100)} == store.done_keys(RUN.id)


def test_all_who_open_a_new_store_at_once_get_it(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    opened: list[Store] = []
    start = Barrier(8)

    def open_it() -> None:
        start.wait()
        opened.append(Store.open(path))

    threads = [Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    opened[0].create_run(RUN, SUITE)

    assert [RUN.id] * 8 == [store.run(RUN.id).id for store in opened]
    for store in opened:
        store.close()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_after_a_kill_every_stored_trial_is_whole(tmp_path: Path):
    path = tmp_path / "store.sqlite"
    with Store.open(path) as store:
        store.create_run(RUN, SUITE)
    with python(WRITE_TRIALS, path, RUN.id, "refund", 1_000_000) as writer:
        assert "going" == first_line(writer)
        writer.send_signal(signal.SIGKILL)
    assert -signal.SIGKILL == writer.returncode

    with Store.open(path) as store:
        found = list(store.trials(RUN.id))
        assert list(range(len(found))) == [one.index for one in found]
        assert len(found) >= 21
        for one in found:
            assert one.transcript is not None
            assert one.score is not None
            assert (f"{one.index} " * 2000, {"model": "m"}, str(one.index)) == (
                one.transcript.final_text,
                one.transcript.request,
                one.score.reason,
            )
        assert "interrupted" == store.run(RUN.id).status
        store.add_trial(RUN.id, trial("refund", len(found), score=PASSED))
