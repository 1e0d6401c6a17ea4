"""An agent that is its own subject: it takes cases, answers, reads the feedback, changes its prompt, and asks whether that helped.

    SUBJECT_URL=http://127.0.0.1:8000/v1 SUBJECT_MODEL=my-model python examples/self_evaluation/loop.py [SUITE] [RUNS]

The agent is a model behind any OpenAI-compatible endpoint (SUBJECT_KEY, where it wants one) and a small MCP client over
stdio. It never sees an expectation: `hints` tell it which call or argument was wrong, not what would have been right.
"""

import json
import os
import sys
from collections import Counter
from typing import Any

import anyio
from mcp import StdioServerParameters
from mcp.client import Client
from mcp.types import TextContent
from openai import AsyncOpenAI

Facts = dict[str, Any]


async def main(suite: str = "assistant", runs: int = 2) -> None:
    model = AsyncOpenAI(base_url=os.environ["SUBJECT_URL"], api_key=os.environ.get("SUBJECT_KEY", "none"))
    server = StdioServerParameters(command=sys.executable, args=["-m", "mcp_evals"], env=dict(os.environ))
    async with Client(server) as evals:
        prompt, finished = "", []
        for number in range(runs):
            run_id, lessons = await one_run(evals, model, suite, prompt)
            finished.append(run_id)
            print(f"--- run {number + 1}\n{await read(evals, 'get_run', run_id=run_id)}\n")
            if number + 1 < runs:
                prompt = new_prompt(lessons)
                print(f"--- what the agent tells itself from now on\n{prompt}\n")
        print(f"--- did it help?\n{await read(evals, 'compare_models', runs=[finished[0], finished[-1]])}")


async def one_run(evals: Client, model: AsyncOpenAI, suite: str, prompt: str) -> tuple[str, Counter[str]]:
    """Answer every case of the suite; the run, and what the feedback taught."""
    lessons: Counter[str] = Counter()
    attempt = await ask(evals, "take_case", suite=suite, reveal="hints")
    run_id = attempt["run_id"]
    for left in range(attempt["total"] - 1, -1, -1):
        feedback = await answer(evals, model, attempt, prompt)
        lessons.update(learned(feedback))
        if left:
            attempt = await ask(evals, "take_case", run_id=run_id)
    return run_id, lessons


async def answer(evals: Client, model: AsyncOpenAI, attempt: Facts, prompt: str) -> Facts:
    """Hold the conversation of one case until it is scored."""
    system = "\n\n".join(part for part in (attempt.get("system"), prompt) if part)
    messages: list[Any] = [{"role": "system", "content": system}] if system else []
    messages += [openai_message(message) for message in attempt.get("history", ())]
    tools: Any = [{"type": "function", "function": openai_tool(tool)} for tool in attempt.get("tools", ())]
    calls: list[Any] = []
    asked = attempt
    while "verdict" not in asked and asked.get("status", "open") == "open":
        results = asked.get("results", ())
        messages += [
            {"role": "tool", "tool_call_id": call["id"], "content": result}
            for call, result in zip(calls, results, strict=False)
        ]
        messages += [{"role": "user", "content": asked["user"]}] if asked.get("user") else []
        reply = await model.chat.completions.create(
            model=os.environ["SUBJECT_MODEL"], messages=messages, temperature=0, **({"tools": tools} if tools else {})
        )
        said = reply.choices[0].message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"})
        messages.append(said)
        calls = said.get("tool_calls", [])
        asked = await ask(evals, "score_transcript", attempt_id=attempt["attempt_id"], transcript={"messages": [said]})
    return asked


def learned(feedback: Facts) -> list[str]:
    """Rules that the feedback of one case suggests; none where it passed, or is not told."""
    if feedback.get("verdict") not in {"failed", "warned"}:
        return []
    rules: list[str] = []
    for call in feedback.get("calls", ()):
        tool = (call.get("actual") or "").partition("(")[0]
        if call["status"] == "wrong_argument":
            fields = ", ".join(sorted(why.partition(":")[0] for why in call.get("why", ())))
            rules.append(f"{tool}: read {fields} from the message exactly as it is meant, and give no other value.")
        elif call["status"] in {"extra", "wrong_tool", "hallucinated"}:
            rules.append(f"Do not call {tool} unless the message asks for just what it does.")
        elif call["status"] == "missing":
            rules.append("Where a tool does what is asked, call it; where two things are asked, make two calls.")
    return rules


def new_prompt(lessons: Counter[str]) -> str:
    return "\n".join(["From earlier mistakes:", *(f"- {rule}" for rule, _ in lessons.most_common(8))])


def openai_tool(tool: Facts) -> Facts:
    parameters = tool.get("input_schema", {"type": "object", "properties": {}})
    return {"name": tool["name"], "description": tool.get("description", ""), "parameters": parameters}


def openai_message(message: Facts) -> Facts:
    """An earlier message of a case as OpenAI's."""
    if message["role"] == "tool":
        result = message["results"][0]
        return {
            "role": "tool",
            "tool_call_id": result.get("call_id", "1"),
            "content": json.dumps(result.get("content")),
        }
    calls = [
        {
            "id": call.get("id", "1"),
            "type": "function",
            "function": {"name": call["name"], "arguments": json.dumps(call.get("arguments", {}))},
        }
        for call in message.get("calls", ())
    ]
    return {"role": message["role"], "content": message.get("text", ""), **({"tool_calls": calls} if calls else {})}


async def ask(evals: Client, tool: str, **arguments: Any) -> Facts:
    result = await evals.call_tool(tool, arguments)
    if result.is_error or result.structured_content is None:
        raise SystemExit("".join(part.text for part in result.content if isinstance(part, TextContent)))
    return dict(result.structured_content)


async def read(evals: Client, tool: str, **arguments: Any) -> str:
    result = await evals.call_tool(tool, arguments)
    return "".join(part.text for part in result.content if isinstance(part, TextContent))


if __name__ == "__main__":
    anyio.run(main, *([sys.argv[1]] if sys.argv[1:] else []), *([int(sys.argv[2])] if sys.argv[2:] else []))
