"""20 clients on one HTTP server make 1,000 tool calls while a run goes on: what do they wait for an answer?

`python tests/benchmarks/bench_http.py [clients] [calls]`: prints percentiles; an error, or a run that stood still, ends it with 1.
"""

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from threading import Event

import anyio

sys.path.insert(0, str(Path(__file__).parents[1]))

from e2e.home import weather_suite, write_suite
from e2e.serving import Serving, connected_over_http, serving
from e2e.stand_in import Reply, right_city, stand_in

CALLS = (
    ("list_suites", {}),
    ("get_suite", {"suite": "assistant"}),
    ("list_runs", {"limit": 5}),
    ("list_targets", {}),
    ("score_transcript", {"suite": "assistant", "case": "weather-oslo", "transcript": {"calls": [], "text": "no"}}),
)
CASES = 200
TRIALS = 5


def slow_city(asked: str, times: int) -> Reply:
    """A right answer after a quarter of a second, so that the run lasts as long as the calls."""
    Event().wait(0.25)
    return right_city(asked, times)


async def client(server: Serving, calls: int, run_id: str, seconds: dict[str, list[float]], begin: anyio.Event) -> None:
    """One of the clients: every sixth call asks for the run that goes on."""
    async with connected_over_http(server, "auto" if calls % 2 else "legacy") as host:
        await begin.wait()
        for number in range(calls):
            tool, arguments = (("get_run", {"run_id": run_id}), *CALLS)[number % 6]
            asked = time.perf_counter()
            await host.ask(tool, **arguments)
            seconds.setdefault(tool, []).append(time.perf_counter() - asked)


async def measure(server: Serving, clients: int, calls: int) -> bool:
    """Whether every call was answered and the run went on meanwhile."""
    seconds: dict[str, list[float]] = {}
    async with connected_over_http(server) as host:
        run = await host.ask("run_suite", suite="many", target="here:m", trials=TRIALS, wait_s=0)
        begin = anyio.Event()
        async with anyio.create_task_group() as group:
            for number in range(clients):
                share = calls // clients + (number < calls % clients)
                group.start_soon(client, server, share, run["run_id"], seconds, begin)
            await anyio.sleep(1.5)
            before = await host.ask("get_run", run_id=run["run_id"])
            begun, used = time.perf_counter(), cpu_s(server)
            begin.set()
        took, used = time.perf_counter() - begun, cpu_s(server) - used
        after = await host.ask("get_run", run_id=run["run_id"])
        await host.ask("control_run", run_id=run["run_id"], action="cancel", wait_s=20)
    report(seconds, took)
    print(f"the server used {used:.1f} s of CPU for them and the run")
    went_on = after["done"] - before["done"]
    print(f"the run went on meanwhile: {went_on} trials, {went_on / took:.1f} a second; {after['status']} at the end")
    return went_on > 0 and sum(map(len, seconds.values())) == calls


def cpu_s(server: Serving) -> float:
    """Seconds of CPU that the server has used: steadier than a clock where others work on the machine as well."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(seconds: dict[str, list[float]], took: float) -> None:
    """Percentiles for each tool and for all."""
    every = [one for found in seconds.values() for one in found]
    print(f"{len(every)} calls in {took:.1f} s, {len(every) / took:.0f} a second, no error")
    for name, found in [*sorted(seconds.items()), ("all", every)]:
        ordered = sorted(found)
        p50, p99 = (ordered[min(len(ordered) - 1, int(len(ordered) * share))] for share in (0.5, 0.99))
        print(
            f"{name:<18} n={len(ordered):<5} p50 {p50 * 1000:6.0f} ms   p99 {p99 * 1000:6.0f} ms   max {ordered[-1] * 1000:6.0f} ms"
        )


def main() -> int:
    """Measure against a server of this machine."""
    clients, calls = (int(given) for given in (sys.argv[1:] or ["20", "1000"]))
    print(f"{clients} clients, {calls} calls")
    with tempfile.TemporaryDirectory() as home, stand_in(slow_city) as model:
        folder = Path(home)
        write_suite(folder / "suites", weather_suite(*(f"city{n:03}" for n in range(CASES)), name="many"))
        endpoint = {"kind": "openai", "url": model.url}
        lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in endpoint.items())
        (folder / "mcp-evals.toml").write_text(f"[providers.here]\n{lines}\n[limits]\nmax_concurrency = 8\n")
        with serving(folder) as server:
            return 0 if anyio.run(measure, server, clients, calls) else 1


raise SystemExit(main())
