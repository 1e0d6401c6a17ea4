"""What can be evaluated here: listed, and opened by the name that a user gives.

Keys are named, never shown.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from anyio import to_thread
from pydantic import ValidationError

from mcp_evals.answers import (
    TargetLine,
    TargetList,
)
from mcp_evals.conversation import Usage
from mcp_evals.errors import (
    NotFoundError,
    NotPermittedError,
    UsageError,
    did_you_mean,
)
from mcp_evals.results import RunSettings, TargetSpec
from mcp_evals.targets.base import Target
from mcp_evals.targets.open import open_target
from mcp_evals.targets.recorded import RecordedTarget, RecordedTrial, read_recording
from mcp_evals.workspace.shared import Shared


class Opened(NamedTuple):
    """A target, and how many trials of a case it can give where that is bounded."""

    target: Target
    trials: int | None


class Targets(Shared):
    """Lists targets and opens them."""

    def list_targets(self) -> TargetList:
        """What can be evaluated here, and what is missing for the rest. Keys are named, never shown."""
        lines = [
            self._built_in_target("openai", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
            self._built_in_target("anthropic", "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
        ]
        for name, provider in self.settings.providers.items():
            has_key = provider.key_env is None or bool(self._environ.get(provider.key_env))
            note = f"{provider.kind} endpoint of the configuration" + ("" if has_key else f"; set {provider.key_env}")
            spec = name if provider.kind == "engine" else f"{name}:MODEL"
            lines.append(TargetLine(target=spec, ready=has_key, note=note))
        lines += [
            TargetLine(target=f"recorded:{path}", ready=True, note="recording, no key needed")
            for path in self._recordings()
        ]
        lines.append(TargetLine(target="run:RUN_ID", ready=True, note="the transcripts of a past run, scored again"))
        return TargetList(targets=tuple(sorted(lines, key=lambda line: not line.ready)))

    async def open_probe(self, target: str) -> Target:
        """A target outside any run, for one look at it; the caller closes it."""
        return (await self._open(TargetSpec.parse(target), self._run_settings({}))).target

    def _run_settings(self, given: Mapping[str, Any]) -> RunSettings:
        limits = self.settings.limits
        defaults: dict[str, Any] = {"max_concurrency": limits.max_concurrency}
        defaults |= {"max_cost_usd": limits.max_cost_usd, "max_calls": limits.max_calls}
        try:
            return RunSettings.model_validate({**defaults, **{k: v for k, v in given.items() if v is not None}})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise UsageError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None

    def _built_in_target(self, name: str, key: str, url: str) -> TargetLine:
        ready = bool(self._environ.get(key))
        at = f", at {url}" if self._environ.get(url) else ""
        return TargetLine(
            target=f"{name}:MODEL", ready=ready, note=f"{key} is set{at}" if ready else f"set {key} to use it"
        )

    def _recordings(self) -> list[str]:
        found: list[str] = []
        for folder in self.settings.folders:
            paths = sorted(folder.glob("recordings/*.jsonl")) if folder.is_dir() else []
            found += [path.stem if self._is_demo(path) else str(path.relative_to(folder)) for path in paths]
        return found

    def _is_demo(self, path: Path) -> bool:
        return path.is_relative_to(self.settings.folders[-1])

    def _recording(self, name: str) -> Path:
        """A recording by name or path, below a suite folder.

        Raises:
            NotFoundError: there is none.
            NotPermittedError: the path leads out of the suite folders.
        """
        for folder in self.settings.folders:
            for candidate in (folder / name, folder / "recordings" / f"{name}.jsonl"):
                if candidate.is_file():
                    if not candidate.resolve().is_relative_to(folder.resolve()):
                        raise NotPermittedError(f"{name} lies outside the suite folders; move it below one of them")
                    return candidate
        outside = Path(name)
        if outside.is_file() and any(outside.resolve().is_relative_to(f.resolve()) for f in self.settings.folders):
            return outside
        raise NotFoundError(f'no recording "{name}"{did_you_mean(name, self._recordings())}')

    async def _open(self, spec: TargetSpec, settings: RunSettings) -> Opened:
        if spec.provider == "recorded":
            recording = await to_thread.run_sync(read_recording, self._recording(spec.model or ""))
            return _recorded(recording.trials)
        if spec.provider == "run":
            run = self.store.run(spec.model or "")
            return _recorded(
                RecordedTrial(case=trial.case_id, trial=trial.index, transcript=trial.transcript)
                for trial in self.store.trials(run.id)
                if trial.transcript is not None
            )
        provider = self.settings.provider(spec.provider)
        # The provider's library takes a second to load; the server answers others meanwhile.
        return Opened(
            await to_thread.run_sync(partial(open_target, spec, provider, settings, environ=self._environ)), None
        )

    def _is_own_endpoint(self, provider: str) -> bool:
        """Whether the provider's own prices hold: another endpoint of its kind asks its own."""
        return provider not in self.settings.providers and not self._environ.get(f"{provider.upper()}_BASE_URL")


def _recorded(trials: Iterable[RecordedTrial]) -> Opened:
    listed = list(trials)
    counts = Counter(trial.case for trial in listed)
    return Opened(RecordedTarget(listed), min(counts.values(), default=None))


def unknown_price(_model: str | None, _usage: Usage | None) -> None:
    return None
