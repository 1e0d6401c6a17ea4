"""A model plays the user of a scenario: it follows the plan, says when it is done, and never sees an expectation.

What the agent said stands in its prompt as data, between fences that it cannot close. Knows no store and no score.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from mcp_evals.conversation import Invocation, Task, Transcript
from mcp_evals.errors import TargetError
from mcp_evals.suite import Scenario
from mcp_evals.targets.base import NoToolbox, Target
from mcp_evals.text import fence

PERSONAS: Final = {
    "expert": (
        "You know the field well and speak professionally. You give all details at once, answer only questions that matter "
        "for your goal, correct the assistant where it is wrong, and help it over one failure before you give up."
    ),
    "novice": (
        "You know little of the field and speak casually. At first you name only your goal, then you answer every question. "
        "You never correct the assistant, and you give up when it fails."
    ),
    "evaluator": (
        "You test the assistant and speak casually. You give all details at once, answer only questions that matter for "
        "your goal, never correct the assistant, and give up when it fails."
    ),
}
"""What the named personas mean; any other text describes a persona itself."""


class SimulatedUser:
    """The user of one conversation."""

    def __init__(self, scenario: Scenario, target: Target, spent: Callable[[Transcript], Awaitable[None]]) -> None:
        self._scenario, self._target, self._spent = scenario, target, spent

    async def next_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """What the user says next; None: the plan is done, or the limit of turns is reached.

        Raises:
            TargetError: the model that plays the user cannot be had, or says nothing.
        """
        scenario = self._scenario
        if len(so_far) >= scenario.max_turns:
            return None
        task = Task(
            run_id="simulated-user",
            case_id="simulated-user",
            system=self._instructions(),
            user_turns=(_prompt(so_far),),
            max_steps=1,
        )
        try:
            said = await self._target.run(task, NoToolbox())
        except TargetError as error:
            raise TargetError(f"the simulated user: {error}", kind=error.kind) from error
        await self._spent(said)
        text = said.final_text.strip()
        if scenario.stop_signal.casefold() in text.casefold():
            return None
        if not text:
            raise TargetError("the simulated user said nothing; choose another simulator", kind="bad_response")
        return text

    def _instructions(self) -> str:
        scenario = self._scenario
        persona = PERSONAS.get((scenario.persona or "").casefold(), scenario.persona)
        who = f"Who you are: {persona}\n\n" if persona else ""
        return (
            "You play the user in a conversation with an assistant. You are not the assistant: write only the user's next "
            f"message, in the user's words, without a name or quotation marks before it.\n\n{who}Your plan: {scenario.plan}\n\n"
            "Follow the plan and nothing else. Say one thing at a time. Invent no facts that the plan does not give. When the "
            f"plan is done, or can no longer be done, write only {scenario.stop_signal}"
        )


def _prompt(so_far: Sequence[Invocation]) -> str:
    marker = secrets.token_hex(6)
    lines = [line for said in so_far for line in (f"user: {said.user}", f"assistant: {said.final_text}")]
    return f"The conversation so far:\n{fence(chr(10).join(lines), marker)}\n\nWrite the user's next message."
