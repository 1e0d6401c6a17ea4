import numpy as np
import pytest

from mcp_evals.errors import UsageError
from mcp_evals.stats.tables import read_scores, unit_codes, unit_sums


@pytest.mark.parametrize(
    "table",
    [
        pytest.param([[1, None], [0, 1], [None, None]], id="lists"),
        pytest.param(np.array([[1, np.nan], [0, 1], [np.nan, np.nan]]), id="nan"),
        pytest.param(np.ma.array([[1, 7], [0, 1], [7, 7]], mask=[[0, 1], [0, 0], [1, 1]]), id="masked"),
    ],
)
def test_a_trial_without_a_score_is_missing_in_every_form(table: object):
    scores = read_scores(table)  # type: ignore[arg-type]

    assert [1, 2, 0] == scores.runs.tolist()
    assert [1, 0, 2] == scores.errored.tolist()
    assert pytest.approx([1, 0.5, np.nan], nan_ok=True) == scores.means.tolist()
    assert pytest.approx([np.nan, 0.5, np.nan], nan_ok=True) == scores.variances.tolist()


def test_a_shorter_row_had_fewer_trials_and_no_errors():
    scores = read_scores([[1, 1, 0], [0], []])

    assert [3, 1, 0] == scores.runs.tolist()
    assert [0, 0, 0] == scores.errored.tolist()


def test_only_errored_trials_are_filled_in():
    filled = read_scores([[1, None, 0], [None], []]).with_errors_as(0.5)

    assert [3, 1, 0] == filled.runs.tolist()
    assert pytest.approx([0.5, 0.5, np.nan], nan_ok=True) == filled.means.tolist()
    assert [0, 0, 0] == filled.errored.tolist()


def test_one_score_a_case_may_come_as_a_flat_array():
    assert [[1.0], [0.0]] == read_scores(np.array([1.0, 0.0])).scores.tolist()


def test_no_cases_at_all_is_a_table_too():
    assert [] == read_scores([]).means.tolist()


def test_reading_leaves_the_callers_array_alone():
    table = np.ma.array([[0.5, 0.25]], mask=[[0, 1]])

    read_scores(table)

    assert [[0.5, 0.25]] == table.data.tolist()


def test_a_score_outside_0_to_1_is_refused_with_the_way_out():
    with pytest.raises(UsageError, match=r"0\.\.1, but one is 7; divide"):
        read_scores([[0.5], [7.0]])


def test_a_grade_is_refused_where_pass_or_fail_is_meant():
    with pytest.raises(UsageError, match=r"one score is 0\.5; pass binary=False"):
        read_scores([[1.0], [0.5]], binary=True)


def test_units_are_the_labels_whatever_they_are_called():
    codes = unit_codes(["b", "a", "b"], 3)

    assert codes is not None
    assert [5.0, 2.0] == unit_sums(np.array([1.0, 2.0, 4.0]), codes).tolist()
    assert codes.tolist() == unit_codes([9, 7, 9], 3).tolist()  # type: ignore[union-attr]


def test_a_case_without_a_label_is_a_unit_of_its_own():
    assert [0, 1, 2, 1] == unit_codes([None, "a", None, "a"], 4).tolist()  # type: ignore[union-attr]
    assert unit_codes([None, None], 2) is None


def test_a_label_a_case_is_needed():
    with pytest.raises(UsageError, match="2 group labels for 3 cases"):
        unit_codes(["a", "b"], 3)
