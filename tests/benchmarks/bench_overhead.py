"""Overhead: 1,000 cases, 100 at a time, against a local endpoint that answers after 100 ms.

Ours (scoring and storing included) beside a bare asyncio loop over the same SDK client, in the same run; and the memory
that finished trials keep. Prints ratios; the aim is at most 1.25. Run: python tests/benchmarks/bench_overhead.py [CASES]
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from pathlib import Path

import anyio
import uvicorn
from openai import AsyncOpenAI
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from mcp_evals.settings import Limits, Settings
from mcp_evals.targets.base import ProviderSettings
from mcp_evals.workspace import open_workspace

PORT, AT_ONCE, DELAY_S = 18431, 100, 0.1
TOOL = {"name": "get_weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "stand-in",
    "usage": {"prompt_tokens": 50, "completion_tokens": 10, "total_tokens": 60},
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "function",
                        "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
                    }
                ],
            },
        }
    ],
}


async def complete(_: object) -> JSONResponse:
    await asyncio.sleep(DELAY_S)
    return JSONResponse(ANSWER)


def serve() -> None:
    app = Starlette(routes=[Route("/v1/chat/completions", complete, methods=["POST"])])
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error")


async def bare(cases: int) -> float:
    client = AsyncOpenAI(api_key="none", base_url=f"http://127.0.0.1:{PORT}/v1")
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": TOOL["input_schema"]}}]
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with places:
            await client.chat.completions.create(
                model="stand-in", messages=[{"role": "user", "content": "Weather in Oslo?"}], tools=tools
            )

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(cases)))
    taken = time.perf_counter() - started
    await client.close()
    return taken


async def ours(cases: int, folder: Path) -> tuple[float, float]:
    suite = folder / "suites" / "many.jsonl"
    suite.parent.mkdir(exist_ok=True)
    lines = [{"version": 1, "name": "many", "tools": [TOOL]}]
    lines += [
        {
            "id": f"c{i}",
            "user": "Weather in Oslo?",
            "expect": {"calls": [{"tool": "get_weather", "args": {"city": "Oslo"}}]},
        }
        for i in range(cases)
    ]
    suite.write_text("\n".join(json.dumps(line) for line in lines))
    settings = Settings(
        suites=(suite.parent,),
        data=folder / "data",
        providers={"stand-in": ProviderSettings(kind="openai", url=f"http://127.0.0.1:{PORT}/v1")},
        limits=Limits(max_concurrency=AT_ONCE),
    )
    async with open_workspace(settings) as workspace:
        await workspace.run_suite("many", "stand-in:stand-in", cases=["c0"], settings={"trials": 1}, wait_s=None)
        held = memory_mb()
        started = time.perf_counter()
        answer = await workspace.run_suite("many", "stand-in:stand-in", settings={"trials": 1}, wait_s=None)
        taken = time.perf_counter() - started
        assert answer.cases.passed == cases, answer
        return taken, memory_mb() - held


def memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    cases = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    server = multiprocessing.Process(target=serve, daemon=True)
    server.start()
    try:
        time.sleep(2)  # the stand-in has nothing to wait on but its port
        with tempfile.TemporaryDirectory() as folder:
            anyio.run(bare, 100)
            floor = anyio.run(bare, cases)
            taken, grown = anyio.run(ours, cases, Path(folder))
            again = anyio.run(bare, cases)
        ideal = cases / AT_ONCE * DELAY_S
        best = min(floor, again)
        print(f"ideal {ideal:.2f} s; bare loop {floor:.2f} s and {again:.2f} s; ours {taken:.2f} s")
        print(f"ratio ours / bare loop: {taken / best:.2f}; peak memory grew {grown:.0f} MB over {cases} trials")
    finally:
        server.kill()


if __name__ == "__main__":
    main()
