"""Failures of providers: what they are called, what they tell, and what they never tell."""

import pytest

from mcp_evals.conversation import Step, ToolCall
from mcp_evals.targets.endpoint import Endpoint, Kind, cause_text, kind_of_status, said_in

KEY = "sk-canary-4711-do-not-tell"


def endpoint(*, key: str | None = KEY, key_env: str | None = "SHOP_KEY", model: str = "m") -> Endpoint:
    return Endpoint(name="shop", url="https://me:pw@example.com/v1?k=v", model=model, key_env=key_env, key=key)


def test_a_failure_says_who_where_and_what_and_the_way_out() -> None:
    error = endpoint().error("authentication", "401: no such key")

    assert (error.kind, str(error)) == (
        "authentication",
        "shop at https://example.com/v1: 401: no such key; check the key in SHOP_KEY",
    )


@pytest.mark.parametrize(
    ("kind", "way_out"),
    [
        ("permission", '; may the key in SHOP_KEY use model "m", and is it paid for?'),
        ("not_found", '; check the name of model "m" and the url'),
        ("rate_limit", "; wait, lower max_concurrency, or raise max_retries"),
        ("server_error", "; the provider failed, try again later"),
        ("connection", "; is the server running, and is the url right?"),
        ("timeout", "; raise timeout_s in [providers.shop], now 120"),
        ("bad_request", ""),
        ("bad_response", ""),
    ],
)
def test_each_kind_of_failure_has_its_way_out(kind: Kind, way_out: str) -> None:
    assert str(endpoint().error(kind, "so")) == f"shop at https://example.com/v1: so{way_out}"


def test_where_no_key_was_sent_the_way_out_is_to_name_one() -> None:
    error = endpoint(key=None, key_env=None).error("authentication", "401")

    assert str(error).endswith("401; the endpoint wants a key: set key_env in [providers.shop]")


def test_a_provider_s_own_words_are_cut_and_put_into_one_line() -> None:
    message = str(endpoint().error("bad_request", "a\n\x1b[31mb " + "x" * 1000))

    assert "a b xxx" in message
    assert "characters)" in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "bad_request"),
        (401, "authentication"),
        (402, "permission"),
        (403, "permission"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "server_error"),
        (413, "bad_request"),
        (422, "bad_request"),
        (429, "rate_limit"),
        (500, "server_error"),
        (529, "server_error"),
        (302, "bad_response"),
    ],
)
def test_a_status_says_what_went_wrong(status: int, kind: Kind) -> None:
    assert kind_of_status(status) == kind


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"error": {"message": "no such model", "type": "x"}}, "no such model"),
        ({"error": "no such model"}, "no such model"),
        ({"message": "no such model"}, "no such model"),
        ({"detail": "no such model"}, "no such model"),
        ({"detail": [{"loc": ["body"]}]}, "[{'loc': ['body']}]"),
        ({"error": {"type": "overloaded"}}, "overloaded"),
        ({"code": 7}, "{'code': 7}"),
        ("no such model", "no such model"),
        (None, ""),
    ],
)
def test_the_message_is_found_in_whichever_form_a_body_has(body: object, said: str) -> None:
    assert said_in(body) == said


def test_the_bottom_of_an_error_is_what_a_reader_wants_to_know() -> None:
    error = RuntimeError()
    error.__cause__ = OSError("connection refused")

    assert cause_text(error) == "OSError: connection refused"
    assert cause_text(RuntimeError()) == "RuntimeError"


def test_the_key_is_in_no_message_and_in_no_repr() -> None:
    error = endpoint().error("bad_request", f"you sent {KEY}")

    assert str(error) == "shop at https://example.com/v1: you sent [key]"
    assert KEY not in repr(endpoint())


def test_a_cause_that_tells_the_key_is_left_out_and_any_other_is_kept() -> None:
    innocent, telling = ValueError("no"), ValueError("no")
    telling.__cause__ = OSError(f"illegal header value {KEY}")

    assert endpoint().error("connection", "so", innocent).__cause__ is innocent
    assert endpoint().error("connection", "so", telling).__cause__ is None


def test_a_key_that_a_provider_sends_back_is_taken_out_of_what_it_said() -> None:
    step = Step(text=f"Your key is {KEY}.", calls=(ToolCall(name="f", arguments={"a": [KEY]}),))

    hidden = endpoint().hide_in(step)

    assert hidden == Step(text="Your key is [key].", calls=(ToolCall(name="f", arguments={"a": ["[key]"]}),))


def test_a_key_too_short_to_be_a_secret_does_not_spoil_what_is_said() -> None:
    assert endpoint(key="none").hide("none of them") == "none of them"
