"""Cold start: `initialize` and `tools/list` over stdio, ours against a bare MCPServer with one tool, in turn.

Prints the ratio of the medians; the aim is at most 1.15. Run: python tests/benchmarks/bench_start.py [ROUNDS]
"""

import json
import statistics
import subprocess
import sys
import time

BARE = """
from mcp.server import MCPServer
server = MCPServer("bare")
@server.tool()
def ping() -> str:
    "Answer."
    return "pong"
server.run()
"""
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "0"},
}


def seconds_to_tools(command: list[str]) -> float:
    started = time.perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdin
        assert server.stdout

        def say(message: dict[str, object]) -> None:
            server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
            server.stdin.flush()

        say({"id": 1, "method": "initialize", "params": HELLO})
        server.stdout.readline()
        say({"method": "notifications/initialized"})
        say({"id": 2, "method": "tools/list"})
        answer = json.loads(server.stdout.readline())
        taken = time.perf_counter() - started
        assert answer["result"]["tools"]
        server.stdin.close()
        server.wait(10)
    return taken


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    commands = {"bare": [sys.executable, "-c", BARE], "ours": [sys.executable, "-m", "mcp_evals", "serve"]}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds + 1):
        for name, command in commands.items():
            times[name].append(seconds_to_tools(command))
    medians = {name: statistics.median(found[1:]) for name, found in times.items()}
    for name, found in times.items():
        print(f"{name}: median {medians[name]:.3f} s, min {min(found[1:]):.3f} s over {rounds} rounds")
    pairs = [ours / bare for ours, bare in zip(times["ours"][1:], times["bare"][1:], strict=True)]
    print(
        f"ratio ours / bare: {medians['ours'] / medians['bare']:.2f} (median of pairs {statistics.median(pairs):.2f})"
    )


if __name__ == "__main__":
    main()
