"""From the members of a model's answer to a command. Nothing in it is believed before it is checked."""

from __future__ import annotations

import math
import re
from typing import Any

from vivavoce.commands.intents import Intents
from vivavoce.commands.model import CHAT, NotValid, one_line
from vivavoce.text.partial_json import PartialJSON

DOUBTFUL = 0.5
"""The confidence of a model that names none."""
_CHATS = frozenset({CHAT, "none", "null", ""})
_WORD = re.compile(r"\w+")
_SENTENCE_END = re.compile(r"[.!?…:;][\"'”’)]*\s*")


def intent_of(value: Any) -> str:
    """The intent that a model names, or `chat`. Raises NotValid for what is no name."""
    if value is None:
        return CHAT
    if not isinstance(value, str):
        raise NotValid("unknown intent", one_line(value, 80))
    name = value.strip()
    return CHAT if name.lower() in _CHATS else name


def entities_of(value: Any) -> dict[str, Any]:
    """The entities that a model names: an object, or a list of {slot, value}. Raises NotValid."""
    if value is None:
        return {}
    if isinstance(value, dict):
        return dict(value)
    found: dict[str, Any] = {}
    for pair in value if isinstance(value, list) else [value]:
        name = pair.get("slot", pair.get("name")) if isinstance(pair, dict) else None
        if not isinstance(name, str) or "value" not in pair or name in found:
            raise NotValid("unknown entities", one_line(value, 80), saying="incomplete")
        found[name] = pair["value"]
    return found


def confidence_of(value: Any) -> float:
    """0..1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return DOUBTFUL
    return min(1.0, max(0.0, float(value)))


class Reading:
    """A model's answer as it comes: its response, and whether what it wants can be meant."""

    def __init__(self, intents: Intents, answered: frozenset[str]) -> None:
        """answered: intents whose handler knows the answer; the model's response to them is not given out."""
        self._intents = intents
        self._answered = answered
        self._json = PartialJSON()
        self._kept = ""  # of a response whose intent is not known yet
        self.intent: str | None = None
        """Once it is known, and known here."""
        self.entities: dict[str, Any] | None = None
        """Once they are known, and checked."""

    def feed(self, piece: str) -> str:
        """Take a piece; returns what of the response may be given out. Raises NotValid as soon as it is not."""
        self._kept += self._json.feed(piece)
        self._check()
        return self._given_out()

    def end(self, finish: str | None) -> str:
        """The answer is over: the rest of the response. Raises NotValid where no command is known for certain."""
        answer = self._json
        self._kept += answer.flush()
        if not answer.begun:
            if not self._kept and not answer.prose:
                raise NotValid("empty answer")
            self.intent, self.entities = CHAT, {}
        elif not answer.closed and (finish != "stop" or not {"intent", "entities"} <= answer.fields.keys()):
            raise NotValid("the answer was cut off")
        elif answer.fields.get("intent", self) is self:
            raise NotValid("unknown intent")
        self._check(final=True)
        return self._given_out()

    @property
    def confidence(self) -> float:
        return confidence_of(self._json.fields.get("confidence")) if self._json.begun else DOUBTFUL

    @property
    def silent(self) -> bool:
        """Whether the response is for the handler to make."""
        return self.intent in self._answered

    def _check(self, *, final: bool = False) -> None:
        if self._json.malformed:
            raise NotValid("no valid JSON")
        fields = self._json.fields
        if self.intent is None and "intent" in fields:
            intent = intent_of(fields["intent"])
            if intent != CHAT and intent not in self._intents.slots:
                raise NotValid("unknown intent", one_line(intent, 80))
            self.intent = intent
        if self.entities is None and self.intent is not None and ("entities" in fields or final):
            named = {} if self.intent == CHAT else entities_of(fields.get("entities"))
            self.entities = self._intents.check(self.intent, named) if self.intent != CHAT else {}

    def _given_out(self) -> str:
        known = self.intent is not None or self._json.prose or not self._answered
        if not known:
            return ""
        text, self._kept = self._kept, ""
        return "" if self.silent else text


def continued(said: str, text: str) -> str:
    """What of *text* is still to be said after *said*: it goes on where that broke off, and says nothing twice."""
    before = [word.casefold() for word in _WORD.findall(said)]
    found = [(word[0].casefold(), word.end()) for word in _WORD.finditer(text)]
    words = [word for word, _ in found]
    if not before:
        return text
    if not words or any(before[at : at + len(words)] == words for at in range(len(before) - len(words) + 1)):
        return ""
    ends = [end.end() for end in _SENTENCE_END.finditer(said)]
    fragment = [word.casefold() for word in _WORD.findall(said[ends[-1] :] if ends else said)]
    if fragment and words[: len(fragment)] == fragment:
        rest = text[found[len(fragment) - 1][1] :]
        return rest.lstrip() if said[-1:].isspace() else rest
    if not fragment:
        return text.lstrip() if said[-1:].isspace() else f" {text.lstrip()}"
    return f"{'' if said[-1:].isspace() else ' '}— {text.lstrip()}"
