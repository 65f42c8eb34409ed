"""What may stand in the slots of an intent, read off its sentence templates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vivavoce.commands.model import NotValid, one_line, plain

if TYPE_CHECKING:
    import hassil
    from hassil.intents import Intent

MOST_DEEP = 32
"""Groups and rules within each other."""
MOST_TEXT = 200
"""Characters of a value that may be anything."""
_UNITS = ("percent", "per cent", "%", "degrees", "degree", "°", "°c", "celsius")

_Context = Mapping[str, Any]


class Slot:
    """One slot of an intent: the lists that may fill it, and the contexts their values must fit into."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fixed: list[Any] = []
        self._lists: list[tuple[hassil.SlotList, _Context, _Context]] = []

    def add(self, slot_list: hassil.SlotList, requires: _Context, excludes: _Context) -> None:
        if not any(known is slot_list and (req, exc) == (requires, excludes) for known, req, exc in self._lists):
            self._lists.append((slot_list, requires, excludes))

    def known(self, value: Any) -> Any:
        """*value* as the lists have it. Raises NotValid."""
        if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
            raise NotValid(f"unknown {self.name}", one_line(value, 80), saying="unknown")
        wanted = plain(str(value))
        for fixed in self.fixed:
            if plain(str(fixed)) == wanted:
                return fixed
        for slot_list, requires, excludes in self._lists:
            if (found := _found(slot_list, value, requires, excludes)) is not None:
                return found
        raise NotValid(f"unknown {self.name}", one_line(value, 80), saying="unknown")

    @property
    def values(self) -> list[str]:
        """What it takes, for people and models to read."""
        import hassil

        shown: dict[str, None] = dict.fromkeys(str(value) for value in self.fixed)
        for slot_list, requires, excludes in self._lists:
            if isinstance(slot_list, hassil.TextSlotList):
                outs = (entry.value_out for entry in slot_list.values if _fits(entry.context, requires, excludes))
                shown |= dict.fromkeys(str(out) for out in outs)
            elif isinstance(slot_list, hassil.RangeSlotList):
                shown[f"{slot_list.start} to {slot_list.stop}"] = None
            else:
                shown["any words"] = None
        return list(shown)


def _found(slot_list: hassil.SlotList, value: str | float, requires: _Context, excludes: _Context) -> Any:
    """*value* as *slot_list* has it, or None."""
    import hassil
    from hassil.expression import TextChunk

    if isinstance(slot_list, hassil.RangeSlotList):
        return _in_range(slot_list, value)
    if not isinstance(slot_list, hassil.TextSlotList):
        return one_line(value, MOST_TEXT) if isinstance(value, str) else None
    wanted = plain(str(value))
    for entry in slot_list.values:
        texts = [str(entry.value_out)]
        if isinstance(entry.text_in, TextChunk):
            texts.append(entry.text_in.text)
        if wanted in map(plain, texts) and _fits(entry.context, requires, excludes):
            return entry.value_out
    return None


def _in_range(slot_list: hassil.RangeSlotList, value: str | float) -> int | float | None:
    """A number, or digits with a unit, between the ends of a range."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        digits = value.strip().casefold()
        for unit in _UNITS:
            digits = digits.removesuffix(unit).rstrip()
        try:
            value = float(digits[:32])
        except ValueError:
            return None
    if not slot_list.start <= value <= slot_list.stop:  # NaN is not
        return None
    return int(value) if float(value).is_integer() else round(float(value), 1) if slot_list.fraction_type else None


def _fits(context: _Context | None, requires: _Context, excludes: _Context) -> bool:
    from hassil import check_excluded_context, check_required_context

    has = dict(context or {})
    return bool(check_required_context(dict(requires), has) and check_excluded_context(dict(excludes), has))


def slots_of(intent: Intent, intents: hassil.Intents, where: str, problems: list[str]) -> dict[str, Slot]:
    """The slots of *intent*; what its templates name and nobody defines is added to *problems*."""
    slots: dict[str, Slot] = {}
    for block in intent.data:
        for name, value in block.slots.items():
            slots.setdefault(name, Slot(name)).fixed.append(value)
        unknown = (block.metadata or {}).get("unknown")
        for text in block.sentence_texts:
            try:
                references = list(_references(text, intents, block))
            except Exception as error:  # hassil's parser has errors of several kinds; each is about this sentence
                problems.append(f"{where}: {text!r}: {one_line(error)}")
                continue
            for list_name, slot_name in references:
                slot_list = block.slot_lists.get(list_name) or intents.slot_lists.get(list_name)
                if slot_list is None:
                    problems.append(f"{where}: {text!r}: there is no list {list_name!r}")
                elif unknown != slot_name:  # what that block takes is known to be unknown
                    slots.setdefault(slot_name, Slot(slot_name)).add(
                        slot_list, block.requires_context, block.excludes_context
                    )
    return slots


def _references(text: str, intents: hassil.Intents, block: hassil.IntentData) -> Iterator[tuple[str, str]]:
    """(list, slot) of each reference in a sentence, those in its rules too. Raises LookupError, and hassil's errors."""
    from hassil.expression import Group, ListReference, RuleReference
    from hassil.parse_expression import parse_sentence

    rules = {**intents.expansion_rules, **block.expansion_rules}
    seen: set[str] = set()
    todo: list[tuple[Any, int]] = [(parse_sentence(text).expression, 0)]
    while todo:
        expression, depth = todo.pop()
        if depth > MOST_DEEP:
            raise LookupError("is nested too deep, or has a rule that uses itself")
        if isinstance(expression, Group):
            todo += [(item, depth + 1) for item in expression.items]
        elif isinstance(expression, RuleReference):
            if expression.rule_name not in rules:
                raise LookupError(f"there is no rule <{expression.rule_name}>")
            if _circular(expression.rule_name, rules):
                raise LookupError(f"rule <{expression.rule_name}> uses itself")
            if expression.rule_name not in seen:
                seen.add(expression.rule_name)
                todo.append((rules[expression.rule_name].expression, depth + 1))
        elif isinstance(expression, ListReference) and not expression.is_capture and not expression.is_inline_range:
            yield expression.list_name, expression.slot_name


def _circular(start: str, rules: Mapping[str, hassil.Sentence]) -> bool:
    """Whether following the rules that a rule uses leads back to it."""
    from hassil.expression import Group, RuleReference

    seen: set[str] = set()
    todo: list[Any] = [rules[start].expression]
    while todo:
        expression = todo.pop()
        if isinstance(expression, Group):
            todo += expression.items
        elif isinstance(expression, RuleReference):
            if expression.rule_name == start:
                return True
            if expression.rule_name in rules and expression.rule_name not in seen:
                seen.add(expression.rule_name)
                todo.append(rules[expression.rule_name].expression)
    return False
