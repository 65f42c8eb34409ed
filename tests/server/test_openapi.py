"""The description of the server agrees with the server."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import get_args

from starlette.routing import Route

from server.asgi import client
from server.conftest import MakeApp
from vivavoce import events
from vivavoce.server.openapi import document
from vivavoce.server.operations import OPERATIONS, served, undocumented


async def test_the_document_lists_what_is_served(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        answer = await http.get("/openapi.json")
    told = answer.json()
    assert told["openapi"] == "3.1.0"
    assert set(told["paths"]) == {
        "/health",
        "/voices",
        "/api/token",
        "/api/conversations",
        "/api/conversations/{conversation_id}",
        "/openapi.json",
        "/docs",
    }
    assert set(told["paths"]["/api/conversations/{conversation_id}"]) == {"get", "patch", "delete"}
    assert told["paths"]["/health"]["get"]["security"] == []


def test_every_reference_leads_somewhere() -> None:
    told = document(OPERATIONS)
    references = set(re.findall(r"'#/components/schemas/(\w+)'", repr(told)))
    assert references
    assert references <= set(told["components"]["schemas"])


def test_operations_are_named_once_and_their_parameters_are_in_the_path() -> None:
    told = document(OPERATIONS)
    names = []
    for path, methods in told["paths"].items():
        for operation in methods.values():
            names.append(operation["operationId"])
            in_path = {each["name"] for each in operation.get("parameters", ()) if each["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path)), path
    assert len(names) == len(set(names)) == len(OPERATIONS)


def test_parameters_may_have_other_names_in_routes() -> None:
    routes = [Route("/api/flows/{flowId}", lambda _: None, methods=["GET", "PUT"]), Route("/new", lambda _: None)]
    assert [(each.method, each.path) for each in served(routes)] == [
        ("get", "/api/flows/{flow_id}"),
        ("put", "/api/flows/{flow_id}"),
    ]
    assert undocumented(routes) == {("GET", "/new")}


class Page(HTMLParser):
    """What the page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.codes: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] == "code":
            self.codes.append(data)


async def test_the_page(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        html = (await http.get("/docs")).text
        style = await http.get("/docs/docs.css")
    page = Page(html)
    assert page.open == []
    assert "script" not in page.tags | page.attributes
    assert "style" not in page.tags | page.attributes
    assert style.headers["content-type"].startswith("text/css")
    assert "http://" not in html
    assert "https://" not in html
    assert "/api/conversations" in page.codes
    messages = [*get_args(events.AnyClientMessage), events.Metrics, events.Interrupted, events.TTSChunk]
    for message in messages:
        assert message.__struct_config__.tag in page.codes
        assert set(message.__struct_fields__) - {"n", "turn_id", "initiator"} <= set(page.codes)
