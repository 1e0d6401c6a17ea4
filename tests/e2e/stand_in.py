"""A model on this machine that does what a test says: answers, waits for its turn, or misbehaves in the ways of real ones."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import Any, NamedTuple, Self


class Reply(NamedTuple):
    """What goes out."""

    body: bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    announced: int | None = None
    """Length that is promised; more than comes: the answer is cut off."""


Behaviour = Callable[[str, int], Reply]
"""What to answer to a user message that comes the n-th time, n from 1."""


def call_reply(name: str, arguments: str, **usage: int) -> Reply:
    """A chat completion with one tool call; `arguments` goes out as it is."""
    call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}
    return choices_reply(
        [
            {
                "index": 0,
                "message": {"role": "assistant", "content": None, "tool_calls": [call]},
                "finish_reason": "stop",
            }
        ],
        **usage,
    )


def choices_reply(choices: list[Any], **usage: int) -> Reply:
    """A chat completion with these choices."""
    counted = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11, **usage}
    answer = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m-1",
        "choices": choices,
        "usage": counted,
    }
    return Reply(json.dumps(answer).encode())


def right_city(asked: str, _times: int) -> Reply:
    """The call that a weather suite expects: its city is the last word of the question."""
    return call_reply("get_weather", json.dumps({"city": asked.rstrip("?").split()[-1]}))


class StandIn:
    """An OpenAI-compatible endpoint on loopback; counts who was asked what, and can hold its answers back."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.asked: list[str] = []
        """Last user message of every request, in the order they came."""
        self.headers: list[dict[str, str]] = []
        self._free: int | None = None
        self._held = 0
        self._state = Condition()
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                self.write(stand_in.answer(json.loads(self.rfile.read(length)), dict(self.headers)))

            def write(self, reply: Reply) -> None:
                self.send_response(reply.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(reply.announced or len(reply.body)))
                for name, value in reply.headers:
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)
                self.close_connection = self.close_connection or reply.announced is not None

            def log_message(self, *_: object) -> None:
                pass

        class Web(ThreadingHTTPServer):
            request_queue_size = 64

            def handle_error(self, *_: object) -> None:
                """Clients of these tests are killed in the middle of an answer."""

        self._web = Web(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._web.server_port}/v1"

    @property
    def counts(self) -> Counter[str]:
        """How often each question was asked."""
        return Counter(self.asked)

    def hold_after(self, requests: int) -> None:
        """Answer so many requests from now on, and hold the further ones back until `let_go`."""
        with self._state:
            self._free = requests

    def let_go(self) -> None:
        """Answer everything."""
        with self._state:
            self._free = None
            self._state.notify_all()

    def wait_until_held(self, requests: int = 1) -> None:
        """Return when so many requests wait for their answer."""
        with self._state:
            assert self._state.wait_for(lambda: self._held >= requests, timeout=60), f"{self._held} are held back"

    def answer(self, request: dict[str, Any], headers: dict[str, str]) -> Reply:
        """The answer to a request, when its time has come."""
        said = [message["content"] for message in request["messages"] if message["role"] == "user"][-1]
        with self._state:
            self.asked.append(said)
            self.headers.append(headers)
            times = self.asked.count(said)
            if self._free is not None and self._free <= 0:
                self._held += 1
                self._state.notify_all()
                self._state.wait_for(lambda: self._free is None, timeout=100)
                self._held -= 1
            elif self._free is not None:
                self._free -= 1
        return self.behaviour(said, times)

    def __enter__(self) -> Self:
        self._thread = Thread(target=self._web.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        self._web.shutdown()
        self._thread.join()
        self._web.server_close()


@contextmanager
def stand_in(behaviour: Behaviour = right_city) -> Iterator[StandIn]:
    """A model that behaves so, as long as the block lasts."""
    with StandIn(behaviour) as found:
        yield found
