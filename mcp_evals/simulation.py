"""A model plays the user of a scenario: it follows the plan, says when it is done, and never sees an expectation.

What the agent said stands in its prompt as data, between fences that it cannot close. Knows no store and no score.
"""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from anyio import Lock

from mcp_evals.conversation import Invocation, Task, ToolCall, ToolResult, Transcript, Usage
from mcp_evals.errors import EvalsError, TargetError
from mcp_evals.suite import Scenario
from mcp_evals.targets.base import NoToolbox, Target, Toolbox
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


NOBODY: Final = (
    "nobody plays the user of the scenario: name a target (`target` in the scenario, `simulator` in mcp-evals.toml, or "
    "MCP_EVALS_SIMULATOR), or write its messages down as `replies`"
)


class SimulatedUsers:
    """The models that play users in one run, each opened when it is first asked."""

    def __init__(
        self,
        default: str | None,
        open_target: Callable[[str], Awaitable[Target]],
        spent: Callable[[str, Transcript], None],
    ) -> None:
        self._default, self._open, self._spent = default, open_target, spent
        self._opening = Lock()  # two first questions at once would open two targets
        self._targets: dict[str, Target] = {}

    async def user(self, scenario: Scenario) -> "SimulatedUser":
        """Somebody to play the user of one conversation.

        Raises:
            TargetError: nobody is named who could, or the one who is cannot be had.
        """
        name = scenario.target or self._default
        if name is None:
            raise TargetError(NOBODY, kind="bad_request")
        async with self._opening:
            if name not in self._targets:
                try:
                    self._targets[name] = await self._open(name)
                except EvalsError as error:
                    raise TargetError(f"the simulated user: {error}", kind="bad_request") from error
        return SimulatedUser(scenario, name, self._targets[name], self._spent)

    async def aclose(self) -> None:
        """Give back connections."""
        for target in self._targets.values():
            await target.aclose()


class SimulatedUser:
    """The user of one conversation."""

    def __init__(self, scenario: Scenario, name: str, target: Target, spent: Callable[[str, Transcript], None]) -> None:
        self._scenario, self._name, self._target, self._spent = scenario, name, target, spent
        self._usage = Usage()
        self._messages = 0

    @property
    def note(self) -> str:
        """For people: who played the user, and what that took."""
        used = self._usage
        return (
            f"the user was played by {self._name}, asked {self._messages} times"
            f" ({used.input_tokens or 0:,} tokens in, {used.output_tokens or 0:,} out)"
        )

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
        self._spent(self._name, said)
        self._usage, self._messages = self._usage + (said.usage or Usage()), self._messages + 1
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


class PlayedUser:
    """A toolbox whose user is played by a model."""

    def __init__(self, toolbox: Toolbox, user: SimulatedUser) -> None:
        self._toolbox, self.user = toolbox, user

    async def call(self, call: ToolCall) -> ToolResult | None:
        """Run a tool."""
        return await self._toolbox.call(call)

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        """What the model says next."""
        return await self.user.next_turn(so_far)


def _prompt(so_far: Sequence[Invocation]) -> str:
    marker = secrets.token_hex(6)
    lines = [line for said in so_far for line in (f"user: {said.user}", f"assistant: {said.final_text}")]
    return f"The conversation so far:\n{fence(chr(10).join(lines), marker)}\n\nWrite the user's next message."
