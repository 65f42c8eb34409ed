"""Commands: what somebody wants done, understood from a model's stream or from sentence templates, and carried out."""

from vivavoce.commands.agent import CommandAgent, FlowCommands
from vivavoce.commands.handlers import Call, CannotDo, Commands
from vivavoce.commands.intents import Catalog
from vivavoce.commands.model import CHAT, Command, Entity, NotValid
from vivavoce.commands.pipeline import CommandCancelled, StreamingCommand, StreamLimits, process_command

__all__ = [
    "CHAT",
    "Call",
    "CannotDo",
    "Catalog",
    "Command",
    "CommandAgent",
    "CommandCancelled",
    "Commands",
    "Entity",
    "FlowCommands",
    "NotValid",
    "StreamLimits",
    "StreamingCommand",
    "process_command",
]
