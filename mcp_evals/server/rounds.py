"""What a call remembers from one round to the next, and the question to the user whether a cap may be raised."""

import json
from typing import Any, Final, NamedTuple, Self

import anyio
from mcp.server.mcpserver import Context
from mcp.types import ElicitRequest, ElicitRequestFormParams, ElicitResult, InputRequiredResult

from mcp_evals.server.client_model import MODERN
from mcp_evals.workspace.spending import CapTooLowError

ANSWER_S: Final = 50.0
"""Seconds that a user has to answer; clients give up on a call soon after."""
_KEY: Final = "raise_cap"
_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {_KEY: {"type": "boolean", "title": "Raise the cap for this run"}},
    "required": [_KEY],
}


class CallState(NamedTuple):
    """What earlier rounds of a call came to; the client hands it back unread."""

    rounds: int = 0
    run_ids: tuple[str, ...] = ()
    """Runs that the call has begun."""
    raised: dict[str, float] = {}  # noqa: RUF012  never changed
    """Caps that the user has raised."""
    asked: tuple[str, float] | None = None
    """The cap that the user is asked about."""

    @classmethod
    def of(cls, ctx: Context[Any]) -> Self:
        """The state of a call, with the user's answer in it where one has come."""
        if ctx.request_state is None:
            return cls()
        rounds, run_ids, raised, asked = json.loads(ctx.request_state)
        answer = (ctx.input_responses or {}).get(_KEY)
        if asked is not None and isinstance(answer, ElicitResult) and _agreed(answer):
            raised = {**raised, asked[0]: asked[1]}
        return cls(rounds, tuple(run_ids), raised, None if asked is None else (asked[0], asked[1]))

    def sealed(self) -> str:
        """As text for the client."""
        return json.dumps(self)


async def raise_cap(ctx: Context[Any], error: CapTooLowError, state: CallState) -> float | InputRequiredResult | None:
    """The cap that the user agrees to; None: the user did not, or cannot be asked."""
    offered = ctx.client_capabilities.elicitation if ctx.client_capabilities else None
    if offered is None or (offered.form is None and offered.url is not None) or state.asked is not None:
        return None
    unit = f"${error.needed:.2f}" if error.cap == "max_cost_usd" else f"{error.needed:.0f} model calls"
    needed = error.needed if error.cap == "max_cost_usd" else int(error.needed)
    request = ElicitRequestFormParams(
        message=f"{error} Raise the cap to {unit} for this run?", requested_schema=_SCHEMA
    )
    if (ctx.protocol_version or "") >= MODERN:
        following = state._replace(rounds=state.rounds + 1, asked=(error.cap, needed))
        return InputRequiredResult(
            input_requests={_KEY: ElicitRequest(params=request)}, request_state=following.sealed()
        )
    with anyio.move_on_after(ANSWER_S):
        answer = await ctx.session.elicit_form(request.message, _SCHEMA, ctx.request_id)
        return needed if _agreed(answer) else None
    return None


def _agreed(answer: ElicitResult) -> bool:
    return answer.action == "accept" and bool((answer.content or {}).get(_KEY))
