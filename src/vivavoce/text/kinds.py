"""What kind of answer a request asks for, by rules on its words, so that the model that fits can give it.

English only: of other languages everything but a long text is `short`.
"""

from __future__ import annotations

import re
from typing import Literal

Kind = Literal["command", "short", "long"]
"""`command`: something is to be done. `long`: a story, an explanation, a text. `short`: everything else, such as
questions and small talk."""

LONG_WORDS = 60
"""Who says so much expects more than a sentence."""
DEVICE_WORDS = 9
"""Talk about a device without a verb is brief: `kitchen lights to fifty percent`."""

LEAD = re.compile(
    r"(?:(?:um|uh|er|well|so|okay|ok|hey|hi|hello|now|and|then|please|just|kindly|go ahead and"
    r"|(?:can|could|would|will) you|i(?: would|'d)? (?:want|like) you to|i need you to|let's|you may)\b[\s,.!]*)*"
)
"""What people put before what they want."""
NOTHING_MORE = re.compile(r"(?:stop|cancel|pause|quit|abort|never ?mind|mute|silence|be quiet|shut up|hush|enough)\b")
MAKE = r"(?:tell|give|read|sing|make|write|invent|show|teach)\b.*"
LONG = re.compile(
    rf"{MAKE}\b(?:story|stories|tale|fable|poem|essay|speech|lecture|recipe|overview|summary|introduction|letter|song"
    r"|article|report|history|biography|plan|guide|tutorial)\b"
    r"|(?:tell|teach) me (?:everything|all|more|a lot|about|how)\b"
    r"|(?:explain|describe|summari[sz]e|elaborate|compose|draft|compare|discuss|analy[sz]e|outline|translate|rewrite"
    r"|walk me through|talk me through|write(?! (?:down|that down|it down))|brainstorm)\b"
    r"|(?:continue|go on with|keep going with) (?:the|your|that) \w+"
    r"|how (?:do|does|did|can) .+ (?:work|happen|come about)\b"
    r"|what(?:'s| is| are) the (?:differences?|pros|advantages|history)\b"
    r"|.*\b(?:in (?:great |more |some )?detail|at length|step by step|long (?:answer|version|story))\b"
)
DO = re.compile(
    r"(?:turn|switch|set|dim|brighten|start|play|resume|open|close|shut|lock|unlock|add|remove|delete|clear|remind|call"
    r"|dial|text|send|skip|increase|decrease|raise|lower|reduce|snooze|wake|activate|deactivate|enable|disable|arm"
    r"|disarm|put|make it|make the|schedule|book|order|note|remember|forget|write|repeat|record|save|undo|reset|restart"
    r"|move|go to|connect|disconnect|run|take a note|next|previous|louder|quieter)\b"
)
QUESTION = re.compile(
    r"(?:who|what|when|where|which|why|whose|whom|how|is|are|was|were|do|does|did|am|has|have|had|may|might|should"
    r"|can|could|would|will)(?:'s|'re|'d|'ll)?\b"
)
DEVICE = re.compile(
    r"\b(?:lights?|lamps?|volume|heating|heater|thermostat|fan|blinds?|curtains?|shutters?|alarm|timer|tv|television|music"
    r"|radio|doors?|garage|temperature|plug|socket|screen|brightness)\b.*\b(?:on|off|up|down|to \S+|open|closed)\b"
)


def kind_of(text: str) -> Kind:
    """The kind of request that *text* is: a transcript, or what somebody typed."""
    words = " ".join(text.lower().replace("\u2019", "'").split())
    wanted = words[LEAD.match(words).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    length = len(words.split())
    if length > LONG_WORDS:
        return "long"
    if NOTHING_MORE.match(wanted):
        return "command"
    if LONG.match(wanted):
        return "long"
    if DO.match(wanted):
        return "command"
    if length <= DEVICE_WORDS and not QUESTION.match(wanted) and DEVICE.search(wanted):
        return "command"
    return "short"
