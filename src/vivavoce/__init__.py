"""vivavoce: a self-hosted, realtime voice-agent server.

The names below are what programs are written against; each is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vivavoce.agent import Agent, AgentSession, Asked, NoReply
    from vivavoce.app import create_app
    from vivavoce.engines.base import ChatRequest, Message
    from vivavoce.flows.agent import FlowAgent
    from vivavoce.flows.client import FlowClient
    from vivavoce.flows.errors import FlowError
    from vivavoce.text.phrases import PhraseBuffer
    from vivavoce.text.sentences import SentenceStreamBuffer, stream_with_sentences
    from vivavoce.tools.base import ToolError
    from vivavoce.tools.function import tool
    from vivavoce.tools.mcp import MCPServer

__all__ = [
    "Agent",
    "AgentSession",
    "Asked",
    "ChatRequest",
    "FlowAgent",
    "FlowClient",
    "FlowError",
    "MCPServer",
    "Message",
    "NoReply",
    "PhraseBuffer",
    "SentenceStreamBuffer",
    "ToolError",
    "create_app",
    "stream_with_sentences",
    "tool",
]

__version__ = "0.1.0"

_HOMES = {
    "vivavoce.agent": ("Agent", "AgentSession", "Asked", "NoReply"),
    "vivavoce.app": ("create_app",),
    "vivavoce.engines.base": ("ChatRequest", "Message"),
    "vivavoce.flows.agent": ("FlowAgent",),
    "vivavoce.flows.client": ("FlowClient",),
    "vivavoce.flows.errors": ("FlowError",),
    "vivavoce.text.phrases": ("PhraseBuffer",),
    "vivavoce.text.sentences": ("SentenceStreamBuffer", "stream_with_sentences"),
    "vivavoce.tools.base": ("ToolError",),
    "vivavoce.tools.function": ("tool",),
    "vivavoce.tools.mcp": ("MCPServer",),
}
"""Where each name lives."""


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(module), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
