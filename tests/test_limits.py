"""What calls cost, and which trials a cap lets begin."""

import pytest

from mcp_evals.conversation import Usage
from mcp_evals.errors import LimitError
from mcp_evals.limits import Meter, estimate_cost, price_usd


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


@pytest.mark.parametrize("provider", ["my-gateway", "openai-local", "OpenAI", "recorded", "client", ""])
def test_an_endpoint_of_the_users_own_has_no_known_price(provider: str):
    assert price_usd(provider, "gpt-4o-mini", Usage(input_tokens=1000, output_tokens=1000)) is None


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
