"""The step loop: who speaks when, and what ends a conversation."""

from collections.abc import Iterable, Sequence

import pytest

from mcp_evals.conversation import Invocation, Message, Step, Task, ToolCall, ToolResult
from mcp_evals.errors import TargetError
from mcp_evals.targets.base import ChatTarget, NoToolbox, ProviderMessage, ProviderStep, Sent

pytestmark = pytest.mark.anyio

OSLO = ToolCall(name="get_weather", arguments={"city": "Oslo"}, id="a")
ROME = ToolCall(name="get_weather", arguments={"city": "Rome"}, id="b")


class Scripted(ChatTarget):
    """Says what it was given, and remembers what it was shown."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.shown: list[tuple[Message, ...]] = []

    async def complete(self, task: Task, messages: Sequence[Message]) -> Step:
        self.shown.append(tuple(messages))
        return self.steps.pop(0)


class Weather(NoToolbox):
    """Knows the weather of some cities, and a user who has more to say."""

    def __init__(self, *known: str, replies: Iterable[str] = ()) -> None:
        self.known = known
        self.replies = list(replies)
        self.asked: list[ToolCall] = []

    async def call(self, call: ToolCall) -> ToolResult | None:
        self.asked.append(call)
        assert isinstance(call.arguments, dict)
        city = call.arguments["city"]
        return ToolResult(content=f"sun in {city}") if city in self.known else None

    async def next_user_turn(self, so_far: Sequence[Invocation]) -> str | None:
        return self.replies.pop(0) if self.replies else None


def task(*user_turns: str, max_steps: int = 10, history: tuple[Message, ...] = ()) -> Task:
    return Task(run_id="r", case_id="c", user_turns=user_turns, max_steps=max_steps, history=history)


async def test_a_conversation_stops_at_the_first_calls_where_nobody_answers_them() -> None:
    target = Scripted(Step(calls=(OSLO,)), Step(text="never said"))

    transcript = await target.run(task("Weather?", "And now?"), NoToolbox())

    assert [invocation.user for invocation in transcript.invocations] == ["Weather?"]
    assert transcript.trajectory == (OSLO,)
    assert transcript.ended == "calls"


async def test_results_go_back_to_the_model_until_it_answers() -> None:
    target = Scripted(Step(calls=(OSLO, ROME)), Step(text="Sun in both."))

    transcript = await target.run(task("Weather?"), Weather("Oslo", "Rome"))

    results = (ToolResult(content="sun in Oslo", call_id="a"), ToolResult(content="sun in Rome", call_id="b"))
    assert transcript.ended == "answer"
    assert transcript.final_text == "Sun in both."
    assert [step.results for step in transcript.steps] == [results, ()]
    assert target.shown[1] == (
        Message(role="user", text="Weather?"),
        Message(role="assistant", calls=(OSLO, ROME)),
        Message(role="tool", results=results),
    )


async def test_one_call_without_an_answer_stops_the_conversation_and_the_other_results_are_kept() -> None:
    target = Scripted(Step(calls=(OSLO, ROME)))
    toolbox = Weather("Rome")

    transcript = await target.run(task("Weather?"), toolbox)

    assert transcript.ended == "calls"
    assert toolbox.asked == [OSLO, ROME]
    assert transcript.steps[0].results == (ToolResult(content="sun in Rome", call_id="b"),)


async def test_a_model_that_never_stops_calling_is_stopped_after_max_steps_with_its_last_results() -> None:
    target = Scripted(*[Step(calls=(OSLO,))] * 5)

    transcript = await target.run(task("Weather?", "And now?", max_steps=3), Weather("Oslo"))

    assert transcript.ended == "max_steps"
    assert len(transcript.invocations) == 1
    assert [len(step.results) for step in transcript.steps] == [1, 1, 1]


async def test_max_steps_count_for_each_user_message_anew() -> None:
    target = Scripted(Step(calls=(OSLO,)), Step(text="Sun."), Step(calls=(ROME,)), Step(text="Sun too."))

    transcript = await target.run(task("Oslo?", "Rome?", max_steps=2), Weather("Oslo", "Rome"))

    assert transcript.ended == "answer"
    assert [(i.user, i.final_text) for i in transcript.invocations] == [("Oslo?", "Sun."), ("Rome?", "Sun too.")]


async def test_history_comes_before_the_first_user_message_and_stands_in_the_transcript() -> None:
    history = (Message(role="user", text="Hello"), Message(role="assistant", text="Hi"))
    target = Scripted(Step(text="Sun."))

    transcript = await target.run(task("Weather?", history=history), NoToolbox())

    assert transcript.history == history
    assert target.shown[0] == (*history, Message(role="user", text="Weather?"))


async def test_a_simulated_user_speaks_after_the_task_s_messages_until_it_stops() -> None:
    target = Scripted(Step(text="Sun."), Step(text="You are welcome."))

    transcript = await target.run(task("Weather?"), Weather(replies=["Thanks!"]))

    assert [invocation.user for invocation in transcript.invocations] == ["Weather?", "Thanks!"]
    assert transcript.ended == "user_stop"


async def test_a_task_without_a_user_message_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TargetError, match='case "c" has no user message for a chat model') as caught:
        await Scripted().run(task(), NoToolbox())

    assert caught.value.kind == "bad_request"


async def test_latency_is_measured_where_the_provider_does_not_tell_it() -> None:
    target = Scripted(Step(calls=(OSLO,)), Step(text="Sun.", latency_s=1.5))

    transcript = await target.run(task("Weather?"), Weather("Oslo"))

    measured, told = (step.latency_s for step in transcript.steps)
    assert measured is not None
    assert told == 1.5


async def test_the_provider_s_own_form_goes_back_to_it_and_not_into_the_transcript() -> None:
    wire = {"role": "assistant", "content": [{"type": "thinking", "signature": "s"}]}
    target = Scripted(ProviderStep(calls=(OSLO,), wire=wire, latency_s=0), Step(text="Sun.", latency_s=0))

    transcript = await target.run(task("Weather?"), Weather("Oslo"))

    assert target.shown[1][1] == ProviderMessage(role="assistant", calls=(OSLO,), wire=wire)
    result = ToolResult(content="sun in Oslo", call_id="a")
    assert transcript.steps == (Step(calls=(OSLO,), results=(result,), latency_s=0), Step(text="Sun.", latency_s=0))


async def test_what_was_sent_stands_in_the_transcript() -> None:
    class Telling(Scripted):
        def describe(self, task: Task) -> Sent:
            return Sent({"model": "m"}, ("a note",))

    transcript = await Telling(Step(text="Sun.")).run(task("Weather?"), NoToolbox())

    assert (transcript.request, transcript.notes) == ({"model": "m"}, ("a note",))
