"""What calls cost, and which trials a cap lets begin."""

import subprocess
import sys
from pathlib import Path

import pytest

from mcp_evals.conversation import Step, Usage
from mcp_evals.errors import LimitError
from mcp_evals.limits import Meter, estimate_cost, expected_cost, price_steps_usd, price_usd


def test_tokens_of_a_known_model_have_a_price():
    # gpt-4o-mini: 0.15 $ and 0.60 $ a million tokens.
    cost_usd = price_usd("openai", "gpt-4o-mini", Usage(input_tokens=1_000_000, output_tokens=1_000_000))

    assert 0.75 == pytest.approx(cost_usd)


def test_cached_tokens_cost_what_cached_tokens_cost():
    fresh = price_usd("openai", "gpt-4o-mini", Usage(input_tokens=1_000_000, output_tokens=0))
    cached = price_usd(
        "openai", "gpt-4o-mini", Usage(input_tokens=1_000_000, output_tokens=0, cached_input_tokens=1_000_000)
    )

    assert (0.15, 0.075) == (pytest.approx(fresh), pytest.approx(cached))


def test_tokens_written_to_the_cache_cost_more_than_others():
    # claude-3-5-haiku: 0.80 $ a million tokens, 1.00 $ where they are written to the cache.
    written = price_usd(
        "anthropic",
        "claude-3-5-haiku-latest",
        Usage(input_tokens=1_000_000, output_tokens=0, cache_write_tokens=1_000_000),
    )

    assert 1.0 == pytest.approx(written)


@pytest.mark.parametrize(
    "provider",
    ["my-gateway", "openai-local", "OpenAI", "mistral", "recorded", "client", "", "http://localhost:8000/v1"],
)
def test_an_endpoint_of_the_users_own_has_no_known_price(provider: str):
    assert price_usd(provider, "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=1000)) is None


def test_an_endpoint_that_the_list_knows_by_its_url_has_its_prices():
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000)

    assert 0.75 == pytest.approx(price_usd("https://api.openai.com/v1", "gpt-4o-mini", usage))


def test_no_price_is_fetched():
    script = """
import sys
from mcp_evals.conversation import Usage
from mcp_evals.limits import price_usd
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event.startswith("socket.") else None)
price_usd("openai", "gpt-4o-mini", Usage(input_tokens=1, output_tokens=1))
print(seen)
"""
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=True
    )

    assert "[]\n" == told.stdout


def test_the_responses_of_a_trial_are_priced_one_by_one():
    # claude-sonnet-4-5: 3 $ a million tokens, and 6 $ in a request of more than 200,000.
    step = Step(model="claude-sonnet-4-5", usage=Usage(input_tokens=150_000, output_tokens=0))

    assert 0.9 == pytest.approx(price_steps_usd("anthropic", [step, step]))


@pytest.mark.parametrize(
    "steps", [(), (Step(),), (Step(model="gpt-4o-mini", usage=Usage(input_tokens=1, output_tokens=1)), Step())]
)
def test_a_trial_has_no_price_where_one_response_has_none(steps: tuple[Step, ...]):
    assert price_steps_usd("openai", steps) is None


@pytest.mark.parametrize(
    ("model", "usage"),
    [
        ("a-model-nobody-heard-of", Usage(input_tokens=1, output_tokens=1)),
        (None, Usage(input_tokens=1, output_tokens=1)),
        ("gpt-4o-mini", None),
        ("gpt-4o-mini", Usage()),
        ("gpt-4o-mini", Usage(input_tokens=1)),
        ("gpt-4o-mini", Usage(output_tokens=1)),
        ("gpt-4o-mini", Usage(input_tokens=1, output_tokens=1, cached_input_tokens=2)),
    ],
)
def test_what_is_not_known_has_no_price_rather_than_none_to_pay(model: str | None, usage: Usage | None):
    assert price_usd("openai", model, usage) is None


def test_an_estimate_is_what_as_many_past_trials_cost():
    assert (2.0, None) == (estimate_cost(100, (0.02, 7)), estimate_cost(100, (None, 0)))


def test_an_expected_cost_says_how_far_it_may_be_off_and_how_many_trials_it_rests_on():
    # By hand: mean 0.02, deviation 0.01, t(0.975, 2) = 4.3027; 4.3027 * 0.01 * sqrt(12 + 144 / 3) = 0.33329.
    expected = expected_cost(12, [0.01, 0.02, 0.03])

    assert expected is not None
    assert (pytest.approx(0.24), 0.0, pytest.approx(0.57329, abs=1e-5), 0.95, "past_trials", 3) == (
        expected.value,
        expected.low,
        expected.high,
        expected.confidence,
        expected.method,
        expected.n,
    )


@pytest.mark.parametrize("past_costs_usd", [[], [0.02]])
def test_fewer_than_two_past_trials_make_no_expected_cost(past_costs_usd: list[float]):
    assert expected_cost(10, past_costs_usd) is None


def test_trials_are_admitted_until_the_next_would_go_over_the_cap():
    meter = Meter(max_cost_usd=1.0)
    for _ in range(10):
        meter.admit()
        meter.spend(0.1)

    with pytest.raises(LimitError, match=r"cap of \$1; raise max_cost_usd") as refused:
        meter.admit()

    assert ("budget", 10, 0) == (refused.value.kind, meter.calls, meter.unknown)
    assert 1.0 == pytest.approx(meter.spent_usd)


def test_trials_in_flight_are_reserved_the_mean_of_the_finished_ones():
    meter = Meter(max_cost_usd=1.0)
    meter.admit()
    meter.spend(0.3)
    meter.admit()
    meter.admit()

    with pytest.raises(LimitError):
        meter.admit()


def test_before_a_trial_has_ended_the_expected_cost_is_reserved():
    meter = Meter(max_cost_usd=1.0, expected_usd=0.4)
    meter.admit()
    meter.admit()
    with pytest.raises(LimitError):
        meter.admit()

    meter.spend(0.1)
    meter.admit()

    assert 0.1 == meter.spent_usd


@pytest.mark.parametrize("in_parallel", [1, 3, 8])
def test_parallel_trials_do_not_go_over_the_cap(in_parallel: int):
    meter = Meter(max_cost_usd=1.0, expected_usd=0.07)
    held = in_flight = 0
    while held + in_flight < 100:
        try:
            meter.admit()
        except LimitError:
            break
        in_flight += 1
        if in_flight == in_parallel:
            meter.spend(0.07)
            held, in_flight = held + 1, in_flight - 1
    for _ in range(in_flight):
        meter.spend(0.07)

    assert (14, pytest.approx(0.98)) == (held + in_flight, meter.spent_usd)


def test_under_a_cap_of_nothing_no_trial_is_admitted():
    with pytest.raises(LimitError, match=r"cap of \$0; raise max_cost_usd"):
        Meter(max_cost_usd=0.0).admit()


def test_a_trial_that_was_cheaper_than_reserved_gives_its_room_to_the_next():
    meter = Meter(max_cost_usd=1.0)
    meter.admit()
    meter.spend(0.4)
    meter.admit()
    with pytest.raises(LimitError):
        meter.admit()

    meter.spend(0.0)
    meter.admit()

    assert 0.4 == meter.spent_usd


def test_under_a_cap_trials_of_unknown_price_go_on_and_are_counted():
    meter = Meter(max_cost_usd=0.5)
    for _ in range(3):
        meter.admit()
        meter.spend(None)
    meter.admit()
    meter.spend(0.2)

    meter.admit()
    meter.spend(0.2)

    with pytest.raises(LimitError):
        meter.admit()
    assert (0.4, 3) == (meter.spent_usd, meter.unknown)


def test_calls_are_capped():
    meter = Meter(max_calls=2)
    meter.admit()
    meter.admit()

    with pytest.raises(LimitError, match="cap of 2; raise max_calls"):
        meter.admit()


def test_a_trial_of_several_calls_counts_them_all():
    meter = Meter(max_calls=10)
    meter.admit()
    meter.spend(0.1, calls=4)
    meter.admit()

    with pytest.raises(LimitError, match="4 model calls are made"):
        meter.admit()


def test_no_call_is_admitted_where_none_is_allowed():
    with pytest.raises(LimitError):
        Meter(max_calls=0).admit()


def test_without_caps_everything_is_admitted():
    meter = Meter()
    for _ in range(100):
        meter.admit()
        meter.spend(10.0)

    assert 1000.0 == meter.spent_usd


def test_what_a_judge_spends_counts_to_the_cap_and_to_what_the_next_trial_may_take() -> None:
    meter = Meter(max_cost_usd=3.0, max_calls=100)
    meter.admit()
    meter.spend(1.0, calls=1)
    meter.add(0.75, calls=3)

    assert (1.75, 4) == (meter.spent_usd, meter.calls)
    with pytest.raises(LimitError, match=r"\$1.7500 is spent and the next trial would go over"):
        meter.admit()


def test_a_judge_of_unknown_price_leaves_what_is_known() -> None:
    meter = Meter(max_cost_usd=3.0)
    meter.admit()
    meter.spend(1.0)
    meter.add(None, calls=1)

    assert (1.0, 0) == (meter.spent_usd, meter.unknown)
