"""A flow: nodes, edges, variables; read from YAML or JSON of one shape, and checked before anything runs."""

from __future__ import annotations

import difflib
import functools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path as FilePath
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from vivavoce.flows import actions as _actions  # noqa: F401 - registers executors
from vivavoce.flows import nodes as _nodes  # noqa: F401
from vivavoce.flows.documents import Document, read_json, read_yaml
from vivavoce.flows.errors import BadFlow, Problem
from vivavoce.flows.expressions import Expression
from vivavoce.flows.node import NODES, ON_ERROR, Node, Variable
from vivavoce.flows.templates import Template, Tree

FLOW_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
MAX_NODES = 200
MAX_EDGES = 1_000
GIVEN = frozenset({"input", "name", "flow_id", "session_id", "language"})
"""Variables that every flow has."""
SPOKEN_BY_USERS = frozenset({"input"})
MEASURES = ("first_number", "yes_no", "number", "length", "round", "plus", "minus", "times")
"""Filters that leave nothing of a text."""


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation graph that was found to be good."""

    id: str
    name: str
    description: str
    variables: Mapping[str, Any]
    """Their values at the start."""
    nodes: Mapping[str, Node]
    """By id, in the order they are written; the first is the start."""
    edges: Mapping[str, Mapping[str | None, str]]
    """From a node's id and a label (None: the plain edge) to the next node's id."""
    voice: str | None
    language: str | None
    interruptible: bool
    still_there_s: float | None
    document: Mapping[str, Any]
    """As it was written."""
    warnings: tuple[Problem, ...] = ()

    @property
    def start(self) -> Node:
        return next(iter(self.nodes.values()))

    def follow(self, node: Node, label: str | None) -> Node | None:
        """The node after *node* by the edge called *label*, else by the plain edge; None where there is none."""
        edges = self.edges.get(node.id, {})
        target = edges.get(label, edges.get(None) if label != ON_ERROR else None)
        return self.nodes[target] if target is not None else None

    @property
    def opens(self) -> bool:
        """Whether it may say something before the user does."""
        seen: set[str] = set()
        waiting = [self.start.id]
        while waiting:
            node = self.nodes[waiting.pop()]
            if node.speaks and not getattr(node, "quiet", False):
                return True
            if node.waits and getattr(node, "prompt", None) is not None:
                return True
            if node.waits or node.id in seen:
                continue
            seen.add(node.id)
            waiting += self.edges.get(node.id, {}).values()
        return False


class _Written(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The shape of a flow's document; nodes are looked at one by one."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    name: Annotated[str, Meta(max_length=200)] = ""
    description: Annotated[str, Meta(max_length=4_000)] = ""
    variables: Annotated[dict[Variable, Any], Meta(max_length=200)] = {}
    nodes: Annotated[list[dict[str, Any]], Meta(min_length=1, max_length=MAX_NODES)]
    edges: Annotated[
        list[Annotated[list[str | bool | int], Meta(min_length=2, max_length=3)]], Meta(max_length=MAX_EDGES)
    ] = []
    voice: Annotated[str, Meta(max_length=200)] | None = None
    language: Annotated[str, Meta(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*$", max_length=35)] | None = None
    interruptible: bool = True
    still_there_s: Annotated[float, Meta(ge=1, le=3600)] | None = None


def read_file(path: FilePath) -> Flow:
    """The flow in a file. Raises BadFlow, or OSError."""
    data = path.read_bytes()
    return read(data, json=path.suffix.lower() == ".json")


def read(data: bytes, *, json: bool = False) -> Flow:
    """The flow in a text. Raises BadFlow with everything that is wrong with it."""
    if json:
        return parse(read_json(data))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadFlow([Problem(message=f"this is no UTF-8: {error.reason} at byte {error.start}")]) from error
    return parse(read_yaml(text))


def parse(document: Document) -> Flow:
    """The flow in a document. Raises BadFlow with everything that is wrong with it."""
    try:
        written = msgspec.convert(document.value, _Written)
    except msgspec.ValidationError as error:
        raise BadFlow(_placed([_problem(error, ())], document)) from None
    problems: list[Problem] = []
    nodes: dict[str, Node] = {}
    places: dict[str, int] = {}
    for at, fields in enumerate(written.nodes):
        try:
            node = _node(fields)
        except msgspec.ValidationError as error:
            shown = fields.get("id") if isinstance(fields.get("id"), str) else f"number {at + 1}"
            problems.append(_problem(error, ("nodes", at), node=str(shown)))
            continue
        if node.id in nodes:
            problems.append(Problem(message="there is another node of this id", node=node.id, path=("nodes", at, "id")))
        nodes[node.id] = node
        places[node.id] = at
    broken = {fields.get("id") for fields in written.nodes} - set(nodes)
    edges = _edges(written, nodes, broken, problems)
    if not problems:
        problems += [
            msgspec.structs.replace(each, path=each.path or ("nodes", places[each.node])) if each.node else each
            for each in _graph_problems(nodes, edges, frozenset(written.variables))
        ]
    problems = _placed(problems, document)
    if any(not problem.warning for problem in problems):
        raise BadFlow(problems)
    return Flow(
        id=written.id, name=written.name or written.id, description=written.description, variables=written.variables,
        nodes=nodes, edges=edges, voice=written.voice, language=written.language, interruptible=written.interruptible,
        still_there_s=written.still_there_s, document=document.value, warnings=tuple(problems),
    )  # fmt: skip


def _node(fields: dict[str, Any]) -> Node:
    """Raises ValidationError."""
    kind = fields.get("type")
    if not isinstance(kind, str):
        raise msgspec.ValidationError("a node needs a type - at `$.type`")
    if kind not in NODES:
        near = difflib.get_close_matches(kind, NODES, 1)
        hint = f"; is it {near[0]!r}?" if near else f"; there are {', '.join(sorted(NODES))}"
        raise msgspec.ValidationError(f"there is no node of type {kind[:40]!r}{hint} - at `$.type`")
    own = {name: value for name, value in fields.items() if name != "type"}
    return msgspec.convert(own, NODES[kind], dec_hook=_custom)


def _custom(kind: type, value: Any) -> Any:
    """The values of the fields that msgspec does not know."""
    if kind is Tree:
        return Tree(value)
    if kind is Expression and isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str):
        raise TypeError(f"a text is expected, not {type(value).__name__}")
    return Template(value) if kind is Template else Expression(value)


def _edges(
    written: _Written, nodes: Mapping[str, Node], broken: set[Any], problems: list[Problem]
) -> dict[str, dict[str | None, str]]:
    edges: dict[str, dict[str | None, str]] = defaultdict(dict)
    for at, edge in enumerate(written.edges):
        complain = functools.partial(Problem, path=("edges", at))
        words = [str(each).lower() if isinstance(each, bool) else str(each) for each in edge]
        source, target, label = words[0], words[1], words[2] if len(words) > 2 else None
        missing = [end for end in (source, target) if end not in nodes and end not in broken]
        problems += [complain(message=f"edge {source} -> {target}: there is no node {end!r}") for end in missing]
        if label in edges[source]:
            what = f"labelled {label!r}" if label else "without a label"
            problems.append(complain(message=f"there is another edge {what} from here", node=source))
        edges[source][label] = target
    return dict(edges)


def _graph_problems(
    nodes: Mapping[str, Node], edges: Mapping[str, Mapping[str | None, str]], variables: frozenset[str]
) -> Iterator[Problem]:
    for node in nodes.values():
        yield from _edge_problems(node, edges.get(node.id, {}))
    yield from _cycles(nodes, edges)
    reached = _reached(next(iter(nodes)), edges)
    for name in nodes:
        if name not in reached:
            yield Problem(message="no edge leads here from the start", node=name, warning=True)
    yield from _variable_problems(nodes, variables)


def _edge_problems(node: Node, edges: Mapping[str | None, str]) -> Iterator[Problem]:
    wanted, plain = node.labels
    if node.ends and edges:
        yield Problem(message="no edge leads on from an end", node=node.id)
        return
    for label in edges:
        if label is not None and label not in wanted | node.optional_labels | {ON_ERROR}:
            known = ", ".join(sorted(wanted | node.optional_labels | {ON_ERROR}))
            yield Problem(message=f"its edges have no label {label!r}; they may be {known}", node=node.id)
    if not plain and None in edges:
        yield Problem(message=f"each of its edges needs a label: {', '.join(sorted(wanted))}", node=node.id)
    missing = sorted(wanted - set(edges))
    if missing and not (plain and None in edges):
        yield Problem(
            message=f"the edge labelled {' and the one labelled '.join(map(repr, missing))} is missing", node=node.id
        )
    if plain and not wanted and not node.ends and None not in edges:
        yield Problem(message="nothing follows: the flow ends here without an end", node=node.id, warning=True)


def _cycles(nodes: Mapping[str, Node], edges: Mapping[str, Mapping[str | None, str]]) -> Iterator[Problem]:
    """The first circle in which nobody is listened to: it would never end."""
    done: set[str] = {name for name, node in nodes.items() if node.waits}
    for root in nodes:
        way: list[str] = []
        stack = [(root, iter(edges.get(root, {}).values()))] if root not in done else []
        way += [root] if stack else []
        while stack:
            name, targets = stack[-1]
            target = next((each for each in targets if each not in done), None)
            if target is None:
                done.add(name)
                stack.pop()
                way.pop()
            elif target in way:
                circle = [*way[way.index(target) :], target]
                yield Problem(message=f"a circle without a listen: {' -> '.join(circle)}", node=target)
                return
            else:
                stack.append((target, iter(edges.get(target, {}).values())))
                way.append(target)


def _reached(start: str, edges: Mapping[str, Mapping[str | None, str]]) -> set[str]:
    reached, waiting = {start}, [start]
    while waiting:
        for target in edges.get(waiting.pop(), {}).values():
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def _variable_problems(nodes: Mapping[str, Node], variables: frozenset[str]) -> Iterator[Problem]:
    known = GIVEN | variables | frozenset().union(*(node.sets for node in nodes.values()))
    heard = _heard(nodes)
    for node in nodes.values():
        for name in sorted(node.reads - known):
            yield Problem(message=f"nothing in the flow sets {name!r}", node=node.id, warning=True)
        system = getattr(node, "system", None)
        if isinstance(system, Template) and (names := sorted(_texts(system) & heard)):
            message = f"{', '.join(names)} would make what users say part of the instructions: put it into the prompt"
            yield Problem(message=message, node=node.id, field="system", warning=True)


def _heard(nodes: Mapping[str, Node]) -> set[str]:
    """The variables that may hold words of the user's."""
    heard = set(SPOKEN_BY_USERS)
    for node in nodes.values():
        if node.waits and getattr(node, "expect", "any") == "any":
            heard |= set(node.sets)
    for _ in nodes:  # a value may be handed on from one to the next
        more = {
            name
            for node in nodes.values()
            for name, tree in getattr(node, "values", {}).items()
            if isinstance(tree, Tree) and isinstance(tree.source, str) and _texts(Template(tree.source)) & heard
        }
        if more <= heard:
            break
        heard |= more
    return heard


def _texts(template: Template) -> set[str]:
    """The variables whose own words a template shows."""
    return {
        name
        for expression in template.expressions
        if not any(re.search(rf"\|\s*{measure}\b", expression.text) for measure in MEASURES)
        for name in expression.names
    }


def _problem(error: msgspec.ValidationError, path: tuple[str | int, ...], *, node: str = "") -> Problem:
    """A ValidationError as a Problem: `Expected ... - at `$.nodes[3].text``."""
    message, _, place = str(error).partition(" - at `")
    steps: list[str | int] = []
    for word, index in re.findall(r"\.([\w-]+)|\[(\d+)\]", place.rstrip("`")):
        steps.append(int(index) if index else word)
    field = next((str(step) for step in steps if isinstance(step, str) and step != "nodes"), "")
    return Problem(message=message, node=node, field=field, path=(*path, *steps))


def _placed(problems: Sequence[Problem], document: Document) -> list[Problem]:
    """With their lines."""
    return [msgspec.structs.replace(each, line=document.line(each.path)) for each in problems]
