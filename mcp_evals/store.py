"""Keep suites, runs and trials on disk: one SQLite file, plain tables, one short transaction a call.

A trial is stored the moment it exists, so that resume, scoring again and replay need nothing but this file.
Knows no target, no scoring rule and no statistics.

The tables, with every column explained, stand in the migrations at the end of this file; SQLite shows them with their
comments: `sqlite3 mcp-evals.sqlite .schema`.
"""

import json
import os
import platform
import secrets
import sqlite3
import subprocess
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache, lru_cache
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import RLock
from typing import Any, Final, NamedTuple, Self, TypeVar

from pydantic import JsonValue, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from mcp_evals.conversation import Transcript, Usage
from mcp_evals.errors import NotFoundError, StoreError, UsageError, did_you_mean
from mcp_evals.model import Model
from mcp_evals.results import CaseScore, Judgement, Outcome, Run, Trial, TrialError
from mcp_evals.suite import Suite

SUITES_KEPT: Final = 4
"""Suites that are kept in memory once they were read."""
BUSY_TIMEOUT_MS: Final = 10_000
HEARTBEAT_LIMIT_S: Final = 60.0
"""An owner that cannot be looked at and was silent for longer is dead."""
LONG_TEXT: Final = 200
"""Characters from which on transcripts share a text instead of repeating it."""

_M = TypeVar("_M", bound=Model)


class PastCost(NamedTuple):
    """What trials of a suite against a target came to cost."""

    mean_cost_usd: float | None
    """Mean over the trials of known price; None: there is none."""
    n_trials: int
    """Trials of known price."""


class Spent(NamedTuple):
    """What one trial took."""

    usage: Usage
    """Tokens of the target."""
    cost_usd: float | None
    """What they cost; None: unknown."""


class Store:
    """The store. Any thread may call; every call is one transaction, and a call that fails changes nothing."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self.path = path
        self._db = db
        # Threads share the one connection: without the lock they would share its transaction too.
        self._lock = RLock()
        self._suites: dict[str, Suite] = {}

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the store at `path`; create it, and its folder, where there is none.

        Raises:
            StoreError: it cannot be used; nothing was changed.
        """
        with _explained(path):
            try:
                path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            except OSError as error:
                raise StoreError(
                    f"the folder {path.parent} cannot be made ({error.strerror}); name another with MCP_EVALS_HOME"
                ) from error
            db = sqlite3.connect(
                path,
                timeout=BUSY_TIMEOUT_MS / 1000,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                db.row_factory = sqlite3.Row
                _refuse_foreign(db, path)
                _write_ahead(db)
                # No wait for the disk at every trial: a power cut may cost the last seconds, a killed process nothing.
                db.execute("PRAGMA synchronous = NORMAL")
                db.execute("PRAGMA foreign_keys = ON")
                _migrate(db)
            except BaseException:
                db.close()
                raise
        return cls(path, db)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        with self._lock:
            self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- suites

    def save_suite(self, suite: Suite) -> str:
        """Store a suite as it is now and return its digest, by which it is found again."""
        with self._writing() as db:
            return _save_suite(db, suite, suite.digest)

    def suite(self, digest: str) -> Suite:
        """The suite of that digest.

        Raises:
            NotFoundError: there is none.
        """
        known = self._suites.get(digest)
        if known is not None:
            return known
        with self._reading() as db:
            row = db.execute("SELECT body FROM suite WHERE digest = ?", (digest,)).fetchone()
        if row is None:
            raise NotFoundError(f"no suite {digest} in {self.path}")
        suite = _model(Suite, row["body"])
        # A digest is the suite's content: what was read once stays true. A few, for a suite may have thousands of cases.
        with self._lock:
            self._suites = dict([*self._suites.items(), (digest, suite)][-SUITES_KEPT:])
        return suite

    # --- runs

    def create_run(self, run: Run, suite: Suite) -> None:
        """Store the head of a new run and its suite.

        Raises:
            UsageError: another run has its label.
            StoreError: there is a run of that id.
        """
        if run.label is not None:
            _check_label(run.label)
        with self._writing() as db:
            self._refuse_taken(db, run.label, run.id)
            if db.execute("SELECT 1 FROM run WHERE id = ?", (run.id,)).fetchone():
                raise StoreError(f"there is a run {run.id} already; give the new one another id")
            _save_suite(db, suite, run.suite_digest)
            columns = _columns_of_run(run)
            # Column names are those of the model, never a caller's.
            sql = f"INSERT INTO run ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            db.execute(sql, tuple(columns.values()))

    def run(self, run_id: str) -> Run:
        """The run of that id, label, or beginning of an id that no other has.

        Raises:
            NotFoundError: there is none, or more than one.
        """
        with self._reading() as db:
            return _as_seen(_run_row(db, run_id))

    def runs(
        self, suite: str | None = None, target: str | None = None, limit: int = 20, before: str | None = None
    ) -> tuple[Run, ...]:
        """Runs, newest first; `before`, the last run of a page, gives the next one.

        Raises:
            NotFoundError: `before` names no run.
        """
        with self._reading() as db:
            rows = db.execute(
                "SELECT * FROM run WHERE (?1 IS NULL OR suite = ?1) AND (?2 IS NULL OR target = ?2)"
                " AND (?3 IS NULL OR (created_at, rowid) < (SELECT created_at, rowid FROM run WHERE id = ?3))"
                " ORDER BY created_at DESC, rowid DESC LIMIT ?4",
                (suite, target, None if before is None else _run_row(db, before)["id"], limit),
            ).fetchall()
        return tuple(_as_seen(row) for row in rows)

    def update_run(self, run_id: str, **changes: Any) -> Run:
        """Change fields of a run's head and return it.

        Raises:
            NotFoundError: no such run.
        """
        with self._writing() as db:
            before = _run_of(_run_row(db, run_id))
            after = Run.model_validate({**dict(before), **changes})
            if after.id != before.id:
                raise UsageError("the id of a run stays as it is")
            self._refuse_taken(db, after.label, after.id)
            columns = {name: value for name, value in _columns_of_run(after).items() if name in changes}
            if columns:
                sql = f"UPDATE run SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?"  # noqa: S608  as above
                db.execute(sql, (*columns.values(), after.id))
        return after

    def delete_run(self, run_id: str) -> None:
        """Delete a run with its trials; judgements stay, because they are paid for.

        Raises:
            NotFoundError: no such run.
            UsageError: it is still working.
        """
        with self._writing() as db:
            run = _as_seen(_run_row(db, run_id))
            if run.status == "working":
                raise UsageError(f"run {run.id} is still working; cancel it first")
            db.execute("DELETE FROM run WHERE id = ?", (run.id,))
            db.execute("DELETE FROM part WHERE NOT EXISTS (SELECT 1 FROM transcript_part WHERE digest = part.digest)")

    def set_label(self, run_id: str, label: str | None, *, move: bool = False) -> None:
        """Name a run, or take its name away; `move` takes the name from the run that has it, as a new baseline does.

        Raises:
            UsageError: another run has that label, or that id.
        """
        if label is not None:
            _check_label(label)
        with self._writing() as db:
            run = _run_row(db, run_id)["id"]
            if move:
                db.execute("UPDATE run SET label = NULL WHERE label = ?", (label,))
            self._refuse_taken(db, label, run)
            db.execute("UPDATE run SET label = ? WHERE id = ?", (label, run))

    def labelled(self, label: str) -> Run:
        """The run of that label.

        Raises:
            NotFoundError: there is none.
        """
        with self._reading() as db:
            row = db.execute("SELECT * FROM run WHERE label = ?", (label,)).fetchone()
            known = [found["label"] for found in db.execute("SELECT label FROM run WHERE label IS NOT NULL")]
        if row is None:
            raise NotFoundError(f'no run is labelled "{label}"{did_you_mean(label, known)}')
        return _as_seen(row)

    # --- who works on a run

    def claim(self, run_id: str) -> bool:
        """Make this process the owner of a run; False: another live process owns it."""
        me = _this_process(os.getpid())
        with self._writing() as db:
            row = _run_row(db, run_id)
            owner = _owner_of(row)
            if owner is not None and owner.token != me.token and _alive(owner):
                return False
            db.execute(
                "UPDATE run SET owner_host = ?, owner_pid = ?, owner_started = ?, owner_token = ?, heartbeat_at = ?"
                " WHERE id = ?",
                (me.host, me.pid, me.started, me.token, time.time(), row["id"]),
            )
        return True

    def heartbeat(self, run_id: str) -> None:
        """Say that this process still works on its run."""
        with self._writing() as db:
            db.execute(
                "UPDATE run SET heartbeat_at = ? WHERE id = ? AND owner_token = ?",
                (time.time(), run_id, _this_process(os.getpid()).token),
            )

    def release(self, run_id: str) -> None:
        """Give up a run that this process owns."""
        with self._writing() as db:
            db.execute(
                "UPDATE run SET owner_host = NULL, owner_pid = NULL, owner_started = NULL, owner_token = NULL,"
                " heartbeat_at = NULL WHERE id = ? AND owner_token = ?",
                (run_id, _this_process(os.getpid()).token),
            )

    # --- trials

    def add_trial(self, run_id: str, trial: Trial) -> None:
        """Store a trial; it takes the place of one that errored or was never scored.

        Raises:
            NotFoundError: no such run.
            StoreError: the trial is stored already, with a score.
        """
        with self._writing() as db:
            _check_run(db, run_id)
            key = (run_id, trial.case_id, trial.index)
            known = db.execute(
                "SELECT id, verdict FROM trial WHERE run_id = ? AND case_id = ? AND number = ?", key
            ).fetchone()
            if known is not None:
                if known["verdict"] not in {None, "errored"}:
                    raise StoreError(
                        f'trial {trial.index} of case "{trial.case_id}" in run {run_id} is stored already with its '
                        "score; score it again, or start a new run"
                    )
                db.execute("DELETE FROM trial WHERE id = ?", (known["id"],))
            columns = {"run_id": run_id, **_columns_of_trial(trial), **_columns_of_result(trial)}
            sql = f"INSERT INTO trial ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608  ours
            trial_id = db.execute(sql, tuple(columns.values())).lastrowid
            assert trial_id is not None  # noqa: S101  an INSERT has one
            _save_transcript(db, trial_id, trial.transcript)
            _save_evidence(db, run_id, trial_id, trial)

    def set_score(self, run_id: str, trial: Trial) -> None:
        """Store score, error and judgements of a trial that is stored already.

        Raises:
            NotFoundError: no such run or trial.
        """
        columns = _columns_of_result(trial)
        with self._writing() as db:
            trial_id = _trial_id(db, run_id, trial.case_id, trial.index)
            sql = f"UPDATE trial SET {', '.join(f'{name} = ?' for name in columns)} WHERE id = ?"  # noqa: S608  ours
            db.execute(sql, (*columns.values(), trial_id))
            _save_evidence(db, run_id, trial_id, trial)

    def trials(self, run_id: str, case_id: str | None = None) -> Iterator[Trial]:
        """The trials of a run, or of one of its cases, in the suite's order; one at a time in memory.

        Raises:
            NotFoundError: no such run.
        """
        with self._reading() as db:
            run = _run_of(_run_row(db, run_id))
            keys = db.execute(
                "SELECT case_id, number FROM trial WHERE run_id = ?1 AND (?2 IS NULL OR case_id = ?2)",
                (run.id, case_id),
            ).fetchall()
        place = {case: n for n, case in enumerate(run.case_ids)}
        keys.sort(key=lambda key: (place.get(key["case_id"], len(place)), key["case_id"], key["number"]))
        return self._each(run.id, [(key["case_id"], key["number"]) for key in keys])

    def trial(self, run_id: str, case_id: str, index: int) -> Trial:
        """One trial.

        Raises:
            NotFoundError: no such run or trial.
        """
        with self._reading() as db:
            run = _run_row(db, run_id)["id"]
            _trial_id(db, run, case_id, index)
            stored = _whole_trial(db, run, case_id, index)
        assert stored is not None  # noqa: S101  its id was found
        return _trial_of(stored)

    def outcomes(self, run_id: str) -> list[Outcome]:
        """The trials of a run without transcript and evidence, in the suite's order.

        Raises:
            NotFoundError: no such run.
        """
        with self._reading() as db:
            run = _run_of(_run_row(db, run_id))
            rows = db.execute("SELECT * FROM trial WHERE run_id = ?", (run.id,)).fetchall()
        place = {case: n for n, case in enumerate(run.case_ids)}
        found = [_outcome_of(row) for row in rows]
        return sorted(found, key=lambda one: (place.get(one.case_id, len(place)), one.case_id, one.index))

    def done_keys(self, run_id: str, errored: bool = True) -> set[tuple[str, int]]:
        """Case and number of the trials that have an outcome; without the errored ones where `errored` is False.

        A trial that has a transcript and no score yet is not done.

        Raises:
            NotFoundError: no such run.
        """
        with self._reading() as db:
            rows = db.execute(
                "SELECT case_id, number FROM trial WHERE run_id = ? AND verdict IS NOT NULL"
                " AND (? OR verdict <> 'errored')",
                (_run_row(db, run_id)["id"], errored),
            )
            return {(row["case_id"], row["number"]) for row in rows}

    # --- judgements

    def judgement(self, key: str, judge: str | None = None) -> Judgement | None:
        """A judge's answer to the question of that key, or the latest of any judge, if it was ever asked."""
        with self._reading() as db:
            row = db.execute(
                "SELECT body FROM judgement WHERE key = ?1 AND (?2 IS NULL OR judge = ?2) ORDER BY asked_at DESC LIMIT 1",
                (key, judge),
            ).fetchone()
        return None if row is None else _model(Judgement, row["body"])

    def judgements(self, key: str) -> tuple[Judgement, ...]:
        """Every judge's answer to the question of that key, the latest first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT body FROM judgement WHERE key = ? ORDER BY asked_at DESC, rowid DESC", (key,)
            ).fetchall()
        return tuple(_model(Judgement, row["body"]) for row in rows)

    def save_judgement(self, judgement: Judgement) -> None:
        """Store a judge's answer; it takes the place of its earlier one to the same question, whose cost stays counted."""
        with self._writing() as db:
            _save_judgement(db, judgement)

    def judge_cost(self, run_id: str) -> float | None:
        """What the judge cost a run; None: no judge, or an unknown price.

        An answer that an earlier run had paid for costs nothing.

        Raises:
            NotFoundError: no such run.
        """
        with self._reading() as db:
            run = _run_row(db, run_id)["id"]
            judged = db.execute(
                "SELECT 1 FROM evidence JOIN trial ON trial.id = trial_id WHERE run_id = ? AND judgements <> '[]' LIMIT 1",
                (run,),
            ).fetchone()
            costs = [row["cost_usd"] for row in db.execute("SELECT cost_usd FROM judgement WHERE paid_by = ?", (run,))]
        return None if judged is None or None in costs else float(sum(costs))

    # --- documents and costs

    def save_document(self, kind: str, id: str, value: JsonValue) -> None:  # noqa: A002  it is one
        """Store any JSON, such as a comparison; it takes the place of an earlier one."""
        with self._writing() as db:
            db.execute(
                "INSERT INTO document (kind, id, body, saved_at) VALUES (?1, ?2, ?3, ?4)"
                " ON CONFLICT (kind, id) DO UPDATE SET body = ?3, saved_at = ?4",
                (kind, id, _json(value), _now()),
            )

    def document(self, kind: str, id: str) -> JsonValue:  # noqa: A002  as above
        """A stored document.

        Raises:
            NotFoundError: there is none.
        """
        with self._reading() as db:
            row = db.execute("SELECT body FROM document WHERE kind = ? AND id = ?", (kind, id)).fetchone()
            known = [found["id"] for found in db.execute("SELECT id FROM document WHERE kind = ?", (kind,))]
        if row is None:
            raise NotFoundError(f'no {kind} "{id}"{did_you_mean(id, known)}')
        return json.loads(row["body"])

    def documents(self, kind: str) -> dict[str, JsonValue]:
        """All documents of a kind by id, the one saved last first."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT id, body FROM document WHERE kind = ? ORDER BY saved_at DESC, rowid DESC", (kind,)
            ).fetchall()
        return {row["id"]: json.loads(row["body"]) for row in rows}

    def past_cost(self, suite: str, target: str) -> PastCost:
        """What past trials of a suite against a target cost."""
        with self._reading() as db:
            mean, count = db.execute(
                "SELECT avg(cost_usd), count(cost_usd) FROM trial JOIN run ON run.id = run_id"
                " WHERE suite = ? AND target = ?",
                (suite, target),
            ).fetchone()
        return PastCost(mean, count)

    def past_spending(self, suite: str, target: str | None = None, limit: int = 200) -> tuple[Spent, ...]:
        """What the latest trials of a suite took, against one target or any: what an estimate rests on."""
        with self._reading() as db:
            rows = db.execute(
                "SELECT trial.* FROM trial JOIN run ON run.id = run_id"
                " WHERE suite = ?1 AND (?2 IS NULL OR target = ?2) AND output_tokens IS NOT NULL"
                " ORDER BY trial.id DESC LIMIT ?3",
                (suite, target, limit),
            ).fetchall()
        return tuple(Spent(_usage_of(row) or Usage(), row["cost_usd"]) for row in rows)

    # --- inside

    def _each(self, run_id: str, keys: list[tuple[str, int]]) -> Iterator[Trial]:
        for key in keys:
            with self._reading() as db:
                stored = _whole_trial(db, run_id, *key)
            # Between two of them, anybody may delete the run.
            if stored is not None:
                yield _trial_of(stored)

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            yield self._db

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        with self._lock, _explained(self.path):
            # Immediate: a transaction that turns from reading to writing cannot wait for another writer.
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.rollback()
                raise

    @staticmethod
    def _refuse_taken(db: sqlite3.Connection, label: str | None, run_id: str) -> None:
        row = db.execute("SELECT id FROM run WHERE (label = ?1 OR id = ?1) AND id <> ?2", (label, run_id)).fetchone()
        if row is not None:
            raise UsageError(f'run {row["id"]} is named "{label}"; take the label off there first, or choose another')


# --- rows and values


def _save_suite(db: sqlite3.Connection, suite: Suite, digest: str) -> str:
    if db.execute("SELECT 1 FROM suite WHERE digest = ?", (digest,)).fetchone():
        return digest
    # What is not set says something too: a rubric of a case lies over the suite's only where it is given.
    body = _as_given(suite.model_dump(mode="json"), suite.model_dump(mode="json", exclude_unset=True))
    db.execute(
        "INSERT OR IGNORE INTO suite (digest, name, body, saved_at) VALUES (?, ?, ?, ?)",
        (digest, suite.name, _json(body), _now()),
    )
    return digest


def _as_given(full: Any, given: Any) -> Any:
    """What was given, with the `kind` of everything that has one: a union is read by it."""
    if isinstance(given, dict):
        named: dict[str, Any] = {"kind": full["kind"]} if "kind" in full and "kind" not in given else {}
        return named | {key: _as_given(full[key], value) for key, value in given.items()}  # pyright: ignore[reportUnknownVariableType]
    if isinstance(given, list):
        return [_as_given(*pair) for pair in zip(full, given, strict=True)]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return given


def _columns_of_run(run: Run) -> dict[str, Any]:
    return {
        **dict(run),
        "settings": _json(run.settings.model_dump(mode="json")),
        "case_ids": _json(run.case_ids),
        "notes": _json(run.notes),
        "created_at": _utc(run.created_at),
        "finished_at": _utc(run.finished_at) if run.finished_at else None,
        "error": _storable(run.error),
    }


def _run_of(row: sqlite3.Row) -> Run:
    columns = {name: row[name] for name in Run.model_fields}
    return _value(Run, {**columns, **{name: json.loads(row[name]) for name in ("settings", "case_ids", "notes")}})


def _as_seen(row: sqlite3.Row) -> Run:
    """A run whose owner died is interrupted, whatever the owner last wrote."""
    run = _run_of(row)
    if run.status == "working":
        owner = _owner_of(row)
        if owner is None or not _alive(owner):
            return run.model_copy(update={"status": "interrupted"})
    return run


def _run_row(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    for column in ("id", "label"):
        row = db.execute(f"SELECT * FROM run WHERE {column} = ?", (name,)).fetchone()  # noqa: S608  one of the two
        if row is not None:
            return row
    starting = db.execute(
        "SELECT * FROM run WHERE ?1 <> '' AND substr(id, 1, length(?1)) = ?1 ORDER BY created_at DESC", (name,)
    ).fetchall()
    if len(starting) == 1:
        return starting[0]
    if starting:
        ids = [row["id"] for row in starting]
        shown = ", ".join(ids[:8]) + (f" and {len(ids) - 8} more" if len(ids) > 8 else "")
        raise NotFoundError(f'{len(ids)} runs begin with "{name}": {shown}; write more of the id')
    known = db.execute("SELECT id, label FROM run ORDER BY created_at DESC LIMIT 1000").fetchall()
    names = [row["id"] for row in known] + [row["label"] for row in known if row["label"]]
    raise NotFoundError(f'no run "{name}"{did_you_mean(name, names)}')


def _check_run(db: sqlite3.Connection, run_id: str) -> None:
    if db.execute("SELECT 1 FROM run WHERE id = ?", (run_id,)).fetchone() is None:
        _run_row(db, run_id)
        raise NotFoundError(f'"{run_id}" is not the whole id of a run')


def _trial_id(db: sqlite3.Connection, run_id: str, case_id: str, index: int) -> int:
    row = db.execute(
        "SELECT id FROM trial WHERE run_id = ? AND case_id = ? AND number = ?", (run_id, case_id, index)
    ).fetchone()
    if row is None:
        _check_run(db, run_id)
        known = db.execute("SELECT DISTINCT case_id FROM trial WHERE run_id = ?", (run_id,)).fetchall()
        names = [found["case_id"] for found in known]
        hint = "" if case_id in names else did_you_mean(case_id, names)
        raise NotFoundError(f'no trial {index} of case "{case_id}" in run {run_id}{hint}')
    return row["id"]


def _columns_of_trial(trial: Trial) -> dict[str, Any]:
    usage = trial.usage or Usage()
    return {
        "case_id": trial.case_id,
        "number": trial.index,
        "phrasing": trial.phrasing,
        "seed": trial.seed,
        **dict(usage),
        "cost_usd": trial.cost_usd,
        "duration_s": trial.duration_s,
        "latency_s": trial.transcript.latency_s if trial.transcript else None,
        "started_at": _utc(trial.started_at) if trial.started_at else None,
        "self_scored": trial.self_scored,
    }


def _columns_of_result(trial: Trial) -> dict[str, Any]:
    score, error = trial.score, trial.error
    return {
        "verdict": None if score is None and error is None else trial.verdict,
        "score": score.score if score else None,
        "reason": _storable(error.message if error else score.reason if score else None),
        "error_kind": error.kind if error else None,
    }


def _save_transcript(db: sqlite3.Connection, trial_id: int, transcript: Transcript | None) -> None:
    if transcript is None:
        return
    fields = transcript.model_dump(mode="json", exclude_defaults=True, exclude={"request"})
    long = {name: fields.pop(name) for name in ("system", "history") if _is_long(fields.get(name))}
    if transcript.request is not None:
        # Part by part: a seed of its own must not make every request another one.
        long |= {f"request.{key}": value for key, value in transcript.request.items() if _is_long(value)}
        # The empty place keeps the order of the keys.
        fields["request"] = {key: None if _is_long(value) else value for key, value in transcript.request.items()}
    db.execute("INSERT INTO transcript (trial_id, body) VALUES (?, ?)", (trial_id, _json(fields)))
    for place, value in long.items():
        body = _json(value)
        # Not the digest of `model`: that sorts keys, and the order of a tool schema's keys is part of what was sent.
        digest = blake2b(body.encode(), digest_size=16).hexdigest()
        db.execute("INSERT OR IGNORE INTO part (digest, body) VALUES (?, ?)", (digest, body))
        db.execute("INSERT INTO transcript_part (trial_id, place, digest) VALUES (?, ?, ?)", (trial_id, place, digest))


def _is_long(value: Any) -> bool:
    """Whether a part of a transcript is worth a place of its own."""
    return (
        value not in ([], {}) if isinstance(value, list | dict) else isinstance(value, str) and len(value) > LONG_TEXT
    )


def _save_evidence(db: sqlite3.Connection, run_id: str, trial_id: int, trial: Trial) -> None:
    score = None if trial.score is None else _json(trial.score.model_dump(mode="json", exclude_defaults=True))
    judgements = _json([judgement.model_dump(mode="json", exclude_defaults=True) for judgement in trial.judgements])
    db.execute(
        "INSERT INTO earlier_evidence (trial_id, score, judgements, scored_at, version)"
        " SELECT trial_id, score, judgements, scored_at, version FROM evidence"
        " WHERE trial_id = ? AND score IS NOT NULL AND (score IS NOT ? OR judgements <> ?)",
        (trial_id, score, judgements),
    )
    db.execute(
        "INSERT INTO evidence (trial_id, score, judgements, scored_at, version) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (trial_id) DO UPDATE SET score = ?2, judgements = ?3, scored_at = ?4, version = ?5",
        (trial_id, score, judgements, _now(), _version()),
    )
    for judgement in trial.judgements:
        address = (judgement.key, judgement.judge)
        known = db.execute("SELECT 1 FROM judgement WHERE key = ? AND judge = ?", address).fetchone()
        # A judge that could not be heard is asked again another time.
        if known is None and judgement.score is not None:
            _save_judgement(db, judgement)
        db.execute(
            "UPDATE judgement SET paid_by = ? WHERE key = ? AND judge = ? AND paid_by IS NULL", (run_id, *address)
        )


def _save_judgement(db: sqlite3.Connection, judgement: Judgement) -> None:
    db.execute(
        "INSERT INTO judgement (key, judge, body, cost_usd, asked_at) VALUES (?1, ?2, ?3, ?4, ?5)"
        " ON CONFLICT (key, judge) DO UPDATE SET body = ?3, cost_usd = cost_usd + ?4, asked_at = ?5",
        (
            judgement.key,
            judgement.judge,
            _json(judgement.model_dump(mode="json", exclude_defaults=True)),
            judgement.cost_usd,
            _now(),
        ),
    )


class _StoredTrial(NamedTuple):
    row: sqlite3.Row
    parts: dict[str, str]
    """JSON by place."""


_WHOLE_TRIAL: Final = (
    "SELECT trial.*, transcript.body AS transcript, evidence.score AS evidence, judgements"
    " FROM trial LEFT JOIN transcript ON transcript.trial_id = trial.id"
    " LEFT JOIN evidence ON evidence.trial_id = trial.id"
    " WHERE run_id = ? AND case_id = ? AND number = ?"
)
_PARTS: Final = "SELECT place, body FROM transcript_part JOIN part USING (digest) WHERE trial_id = ?"


def _whole_trial(db: sqlite3.Connection, run_id: str, case_id: str, index: int) -> _StoredTrial | None:
    row = db.execute(_WHOLE_TRIAL, (run_id, case_id, index)).fetchone()
    return None if row is None else _StoredTrial(row, dict(db.execute(_PARTS, (row["id"],)).fetchall()))


def _transcript_of(stored: _StoredTrial) -> Transcript | None:
    if stored.row["transcript"] is None:
        return None
    fields = json.loads(stored.row["transcript"])
    request = fields.pop("request", None)
    for place, body in stored.parts.items():
        if place.startswith("request."):
            request[place.removeprefix("request.")] = json.loads(body)
        else:
            fields[place] = json.loads(body)
    # The request is not validated a second time: with many tools that takes longer than all the rest.
    return _value(Transcript, fields).model_copy(update={"request": request})


def _trial_of(stored: _StoredTrial) -> Trial:
    row = stored.row
    error = TrialError(kind=row["error_kind"], message=row["reason"]) if row["error_kind"] is not None else None
    return Trial(
        case_id=row["case_id"],
        index=row["number"],
        phrasing=row["phrasing"],
        seed=row["seed"],
        transcript=_transcript_of(stored),
        score=_model(CaseScore, row["evidence"]) if row["evidence"] is not None else None,
        error=error,
        judgements=tuple(_value(Judgement, judgement) for judgement in json.loads(row["judgements"])),
        usage=_usage_of(row),
        cost_usd=row["cost_usd"],
        duration_s=row["duration_s"],
        started_at=row["started_at"],
        self_scored=row["self_scored"],
    )


def _outcome_of(row: sqlite3.Row) -> Outcome:
    return Outcome(
        case_id=row["case_id"],
        index=row["number"],
        verdict=row["verdict"] or "errored",
        score=row["score"],
        reason=row["reason"],
        error_kind=row["error_kind"],
        usage=_usage_of(row),
        cost_usd=row["cost_usd"],
        duration_s=row["duration_s"],
        latency_s=row["latency_s"],
        self_scored=bool(row["self_scored"]),
    )


def _usage_of(row: sqlite3.Row) -> Usage | None:
    tokens = {name: row[name] for name in Usage.model_fields}
    return None if all(count is None for count in tokens.values()) else Usage(**tokens)


def _check_label(label: str) -> None:
    if not label.strip():
        raise UsageError("a label needs at least one letter; give none to take a label away")


def _model(kind: type[_M], text: str) -> _M:
    return _value(kind, json.loads(text))


def _value(kind: type[_M], stored: Any) -> _M:
    try:
        return kind.model_validate(stored)
    except ValidationError as error:
        raise StoreError(
            f"a stored {kind.__name__.lower()} cannot be read by this version of mcp-evals ({error.errors()[0]['msg']}); "
            "use the version that wrote it"
        ) from error


def _json(value: Any) -> str:
    try:
        return to_json(value, inf_nan_mode="constants").decode()
    except PydanticSerializationError:
        # Models do write lone surrogates, which are no UTF-8; escaped, they come back as they were.
        return json.dumps(value, separators=(",", ":"))


def _storable(text: str | None) -> str | None:
    """As it is, but for what is no UTF-8."""
    return text if text is None else text.encode(errors="backslashreplace").decode()


def _utc(moment: datetime) -> str:
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    # One width and one zone, so that the order of the texts is the order of the moments.
    return aware.astimezone(UTC).isoformat(timespec="microseconds")


def _now() -> str:
    return _utc(datetime.now(UTC))


@cache
def _version() -> str | None:
    try:
        return version("mcp-evals-server")
    except PackageNotFoundError:
        return None


# --- processes


class _Owner(NamedTuple):
    host: str
    pid: int
    started: str | None
    """When the process started, in the system's own words: another process of the same pid has another."""
    token: str
    """Drawn once by each process."""
    heartbeat_at: float
    """Seconds since 1970."""


@lru_cache
def _this_process(pid: int) -> _Owner:
    # By pid, so that a forked child is a process of its own.
    return _Owner(platform.node(), pid, _started(pid), secrets.token_hex(8), time.time())


def _owner_of(row: sqlite3.Row) -> _Owner | None:
    if row["owner_token"] is None:
        return None
    names = ("owner_host", "owner_pid", "owner_started", "owner_token", "heartbeat_at")
    return _Owner(*(row[name] for name in names))


def _alive(owner: _Owner) -> bool:
    me = _this_process(os.getpid())
    if owner.token == me.token:
        return True
    if owner.host != me.host or me.started is None:
        return time.time() - owner.heartbeat_at <= HEARTBEAT_LIMIT_S
    started = _started(owner.pid) if owner.pid != me.pid else None
    return started is not None and started == owner.started


def _started(pid: int) -> str | None:
    """When a live process of this machine started; None: there is none, or the system does not tell."""
    if os.name == "nt":
        return None
    try:
        # The name, in brackets, may hold anything; after it come the state and, 19 fields on, the start.
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _started_by_ps(pid)
    return None if fields[0] in {"Z", "X"} else fields[19]


def _started_by_ps(pid: int) -> str | None:
    try:
        told = subprocess.run(  # noqa: S603  a number is all that is put in
            ["/bin/ps", "-o", "stat=", "-o", "lstart=", "-p", str(pid)],
            capture_output=True, text=True, check=False, timeout=5, env={"LC_ALL": "C", "TZ": "UTC"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    state, _, started = told.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()


# --- opening, and what can go wrong


@contextmanager
def _explained(path: Path) -> Generator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(_explanation(error, path)) from error
    except OverflowError as error:
        raise StoreError("a number has more than 63 bits and cannot be stored; give a smaller one") from error
    except UnicodeEncodeError as error:
        raise StoreError(f"the name {error.object!a} is no valid text and cannot be stored; give another") from error


def _explanation(error: sqlite3.Error, path: Path) -> str:
    # The low byte is the kind of error, the others say more.
    known: int | None = getattr(error, "sqlite_errorcode", None)
    found = _EXPLANATIONS.get(known & 0xFF) if known is not None else None
    return found.format(path=path, folder=path.parent) if found else f"{path}: {error}"


_EXPLANATIONS: Final[Mapping[int, str]] = {
    sqlite3.SQLITE_FULL: "the disk of {path} is full; what was stored is kept; free some space and resume",
    sqlite3.SQLITE_BUSY: "{path} is locked by another program; close it, or wait until it is done, and try again",
    sqlite3.SQLITE_LOCKED: "{path} is locked by another program; close it, or wait until it is done, and try again",
    sqlite3.SQLITE_NOTADB: "{path} is not a database; move it away, or name another folder with MCP_EVALS_HOME",
    sqlite3.SQLITE_CORRUPT: "{path} is damaged; restore a copy, or move it away and start a new one",
    sqlite3.SQLITE_READONLY: "{path} cannot be written; allow it, or name another folder with MCP_EVALS_HOME",
    sqlite3.SQLITE_PERM: "{path} cannot be opened; allow it, or name another folder with MCP_EVALS_HOME",
    sqlite3.SQLITE_CANTOPEN: "{path} cannot be opened; make {folder} writable, or name another folder with MCP_EVALS_HOME",
    sqlite3.SQLITE_IOERR: "the disk of {path} is full or failing; what was stored is kept; free some space, or look at the disk, and resume",
}


def _refuse_foreign(db: sqlite3.Connection, path: Path) -> None:
    tables = {row["name"] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "migration" not in tables:
        raise StoreError(
            f"{path} is the database of another program; move it away, or name another folder with MCP_EVALS_HOME"
        )
    unknown = _applied(db) - {step.__name__.strip("_") for step in _MIGRATIONS} if tables else set[str]()
    if unknown:
        raise StoreError(
            f"{path} was written by a newer version of mcp-evals ({', '.join(sorted(unknown))}); "
            "update mcp-evals, or name another folder with MCP_EVALS_HOME"
        )


def _write_ahead(db: sqlite3.Connection) -> None:
    """Turn on write-ahead logging; it lasts, so only the first who opens the file has to."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while db.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            db.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            # SQLite does not wait here when two open a new file at once.
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return  # also on a file system that cannot do it: the store works there too, only slower


def _applied(db: sqlite3.Connection) -> set[str]:
    return {row["name"] for row in db.execute("SELECT name FROM migration")}


def _migrate(db: sqlite3.Connection) -> None:
    """Apply the migrations that are missing, each with its record in one transaction."""
    if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'migration'").fetchone() and len(_applied(db)) == len(
        _MIGRATIONS
    ):
        return
    for step in _MIGRATIONS:
        name = step.__name__.strip("_")
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL)")
            # Another process may have been faster.
            if name not in _applied(db):
                step(db)
                db.execute("INSERT INTO migration (name, applied_at) VALUES (?, ?)", (name, _now()))
            db.execute("COMMIT")
        except BaseException:
            db.rollback()
            raise


# --- migrations: applied once each, in this order; one that was ever published stays as it is


def _m001_first_tables(db: sqlite3.Connection) -> None:
    for statement in _FIRST_TABLES:
        db.execute(statement)


_FIRST_TABLES: Final = (
    """CREATE TABLE suite (      -- suites as they were when they ran
        digest TEXT PRIMARY KEY, -- content address
        name TEXT NOT NULL,
        body TEXT NOT NULL,      -- JSON
        saved_at TEXT NOT NULL   -- UTC
    )""",
    """CREATE TABLE run (          -- one row a run; times are UTC, JSON is said
        id TEXT PRIMARY KEY,
        suite TEXT NOT NULL,
        suite_digest TEXT NOT NULL REFERENCES suite (digest), -- the suite that scored it
        track TEXT,
        target TEXT NOT NULL,
        settings TEXT NOT NULL,    -- JSON
        case_ids TEXT NOT NULL,    -- JSON list, in the suite's order
        status TEXT NOT NULL,      -- working, completed, failed, cancelled
        created_at TEXT NOT NULL,
        finished_at TEXT,
        label TEXT UNIQUE,         -- name that the user gave
        error TEXT,                -- why the run as a whole stopped
        notes TEXT NOT NULL,       -- JSON list
        owner_host TEXT,           -- the process that works on it: none while nobody does
        owner_pid INTEGER,
        owner_started TEXT,        -- when that process started, in the system's words
        owner_token TEXT,          -- drawn once by each process
        heartbeat_at REAL          -- seconds since 1970
    )""",
    "CREATE INDEX run_by_suite ON run (suite, target)",
    """CREATE TABLE trial (           -- one row a trial, without anything long: sums read only this
        id INTEGER PRIMARY KEY,
        run_id TEXT NOT NULL REFERENCES run (id) ON DELETE CASCADE,
        case_id TEXT NOT NULL,
        number INTEGER NOT NULL,      -- number of the trial of its case, from 0
        phrasing INTEGER NOT NULL,    -- which way of asking
        seed INTEGER,
        verdict TEXT,                 -- passed, warned, failed, errored; none while not scored
        score REAL,
        reason TEXT,                  -- of the verdict, or the error's message
        error_kind TEXT,              -- none where the trial could be held
        input_tokens INTEGER,         -- tokens of the target; none: unknown
        output_tokens INTEGER,
        cached_input_tokens INTEGER,
        cache_write_tokens INTEGER,
        cost_usd REAL,                -- none: unknown
        duration_s REAL NOT NULL,
        latency_s REAL,               -- seconds spent waiting for the model
        started_at TEXT,              -- UTC
        self_scored INTEGER NOT NULL, -- 1: the subject gave itself the score
        UNIQUE (run_id, case_id, number)
    )""",
    """CREATE TABLE transcript ( -- what was said
        trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
        body TEXT NOT NULL     -- JSON, without its parts
    )""",
    """CREATE TABLE part (         -- what many transcripts share, once each: tools, system prompts, histories
        digest TEXT PRIMARY KEY, -- BLAKE2b-16 of the body as it stands
        body TEXT NOT NULL       -- JSON, keys in the order sent
    )""",
    """CREATE TABLE transcript_part ( -- which parts belong to a transcript
        trial_id INTEGER NOT NULL REFERENCES transcript (trial_id) ON DELETE CASCADE,
        place TEXT NOT NULL,        -- system, history, or request.KEY
        digest TEXT NOT NULL REFERENCES part (digest),
        PRIMARY KEY (trial_id, place)
    ) WITHOUT ROWID""",
    "CREATE INDEX transcript_part_by_digest ON transcript_part (digest)",
    """CREATE TABLE evidence (       -- what the score rests on
        trial_id INTEGER PRIMARY KEY REFERENCES trial (id) ON DELETE CASCADE,
        score TEXT,                -- JSON: score with checks and alignment; none while not scored
        judgements TEXT NOT NULL,  -- JSON list of the judge's answers as they were used
        scored_at TEXT NOT NULL,   -- UTC
        version TEXT               -- of mcp-evals that scored; none where it is not installed as a package
    )""",
    """CREATE TABLE earlier_evidence ( -- what scoring again has replaced; columns as in evidence
        trial_id INTEGER NOT NULL REFERENCES trial (id) ON DELETE CASCADE,
        score TEXT NOT NULL,
        judgements TEXT NOT NULL,
        scored_at TEXT NOT NULL,
        version TEXT
    )""",
    "CREATE INDEX earlier_evidence_by_trial ON earlier_evidence (trial_id)",
    """CREATE TABLE judgement ( -- the judge's answers, so that no question is paid for twice
        key TEXT NOT NULL,    -- content address of the question
        judge TEXT NOT NULL,  -- target that judged
        body TEXT NOT NULL,   -- JSON
        cost_usd REAL,        -- none: unknown
        asked_at TEXT NOT NULL,
        paid_by TEXT,         -- id of the run that asked first; kept when that run is deleted
        PRIMARY KEY (key, judge)
    )""",
    "CREATE INDEX judgement_by_run ON judgement (paid_by)",
    """CREATE TABLE document ( -- comparisons and attempts
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,  -- JSON
        saved_at TEXT NOT NULL,
        PRIMARY KEY (kind, id)
    )""",
)

_MIGRATIONS: Final = (_m001_first_tables,)
