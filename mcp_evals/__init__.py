"""Evals as tools: run suites of cases against models and agents, score transcripts, compare with honest statistics.

The server is `python -m mcp_evals`; the command line is `mcp-evals`. As a library: load a suite, score a transcript.
"""

from mcp_evals.conversation import (
    Invocation,
    Message,
    Step,
    Task,
    ToolCall,
    ToolDefinition,
    ToolResult,
    Transcript,
    Usage,
)
from mcp_evals.errors import EvalsError, InvalidFileError, NotFoundError, StoreError, TargetError, UsageError
from mcp_evals.python_tools import tools_from_functions
from mcp_evals.results import CaseScore, Check, Estimate, Run, RunSettings, RunSummary, TargetSpec, Trial
from mcp_evals.suite import Case, Expect, ExpectedCall, Rubric, Suite, Turn

__all__ = [
    "Case",
    "CaseScore",
    "Check",
    "Estimate",
    "EvalsError",
    "Expect",
    "ExpectedCall",
    "InvalidFileError",
    "Invocation",
    "Message",
    "NotFoundError",
    "Rubric",
    "Run",
    "RunSettings",
    "RunSummary",
    "Step",
    "StoreError",
    "Suite",
    "TargetError",
    "TargetSpec",
    "Task",
    "ToolCall",
    "ToolDefinition",
    "ToolResult",
    "Transcript",
    "Trial",
    "Turn",
    "Usage",
    "UsageError",
    "tools_from_functions",
]
