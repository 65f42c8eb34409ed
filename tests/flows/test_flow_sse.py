"""Flows over HTTP: the event stream, its loss and its resumption, and the management of flows; over a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from flows.stub import a_stub
from kit import FakeModel
from transports.wire import Listening, listening
from vivavoce import FlowClient, FlowError, stream_with_sentences
from vivavoce.engines.llm.offline import OfflineChat
from vivavoce.flows.documents import read_yaml
from vivavoce.settings import Flows, Server, Settings

EXAMPLES = Path(__file__).parents[2] / "examples" / "flows"
TALK = """
id: talk
nodes:
  - {id: ask, type: listen, into: wish}
  - {id: talk, type: llm, prompt: "{{wish}}", into: told}
edges: [[ask, talk], [talk, ask]]
"""


@asynccontextmanager
async def serving(*flows: str, **options: Any) -> AsyncIterator[tuple[Listening, httpx.AsyncClient]]:
    async with listening(**options) as server, httpx.AsyncClient(base_url=server.http, trust_env=False) as http:
        for flow in flows:
            document = read_yaml((EXAMPLES / f"{flow}.yaml").read_text() if flow.isidentifier() else flow)
            answer = await http.put(f"/api/flows/{document.value['id']}", json=document.value)
            assert answer.status_code == 200, answer.text
        yield server, http


KINDS = ["node.started", "llm.done", "node.finished", "node.started", "node.finished", "done"]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def ids(text: str) -> list[str]:
    return [line[4:] for line in text.splitlines() if line.startswith("id: ")]


async def say(http: httpx.AsyncClient, path: str, text: str | None = None) -> str:
    """A whole answer's text, by GET; its tokens joined are what `done` says."""
    answer = await http.get(f"/api/flows/{path}", params={} if text is None else {"input": text})
    assert answer.status_code == 200, answer.text
    *tokens, done = events(answer.text)
    assert {event["type"] for event in tokens} <= {"token"}
    assert done["type"] == "done", done
    assert "".join(event["content"] for event in tokens) == done["content"]
    return str(done["content"])


async def test_the_contract() -> None:
    async with serving("booking") as (_, http):
        answer = await http.get("/api/flows/booking/stream/s1")
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert events(answer.text)[-1]["content"].startswith("Welcome to the Golden Spoon. For how many")
        posted = await http.post("/api/flows/booking/stream/s1", json={"input": "for two"})
        assert events(posted.text)[-1]["content"] == "A table for 2. On which day?"
        assert await say(http, "booking/stream/s1", "on may the first 2031") == "2 people on 2031-05-01. Is that right?"
        assert (
            await say(http, "booking/stream/s1", "no")
            == "Then let us begin again. For how many people would you like a table?"
        )
        assert (
            await say(http, "booking/stream/other", "for six")
            == "Welcome to the Golden Spoon. A table for 6. On which day?"
        )


async def test_the_quiz_and_what_comes_after_its_end() -> None:
    async with serving("quiz") as (_, http):
        await say(http, "quiz/stream/q")
        assert (await say(http, "quiz/stream/q", "Paris, of course")).startswith("Right! Two.")
        assert (await say(http, "quiz/stream/q", "eight legs")).startswith("Right! Three.")
        assert await say(http, "quiz/stream/q", "Yes!") == "Right! All three. Well done!"
        assert (await say(http, "quiz/stream/q")).startswith("Three questions.")


async def test_the_weather_and_the_offline_model() -> None:
    async with a_stub() as stub:
        flows = Flows(variables=(f"api=http://{stub.place}",), http_allow=(stub.place,))
        async with serving("weather", settings=Settings(flows=flows), llm=OfflineChat()) as (_, http):
            await say(http, "weather/stream/w")
            told = await say(http, "weather/stream/w", "the weather in Oslo, please")
            assert stub.requests[0]["target"] == "/weather?place=Oslo%20please"
            assert "Leave your coat at home" in told
            assert "4" in await say(http, "weather/stream/w", "what is two plus two")
            await say(http, "weather/stream/x")
            assert "Take a coat." in await say(http, "weather/stream/x", "Oslo")
            await say(http, "weather/stream/y")
        async with serving("weather", llm=OfflineChat()) as (_, http):  # no server is allowed here
            await say(http, "weather/stream/w")
            assert (await say(http, "weather/stream/w", "Oslo")).startswith("I cannot look out of the window")


async def test_events_of_nodes_for_who_asks_for_all() -> None:
    async with serving(TALK) as (_, http):
        answer = await http.post("/api/flows/talk/stream/s?events=all", json={"input": "hi"})
        kinds = [event["type"] for event in events(answer.text)]
        assert [kind for kind in kinds if kind != "token"] == KINDS
        assert ids(answer.text) == [f"{answer.headers['x-flow-run']}.{n}" for n in range(1, len(kinds) + 1)]


async def test_refusals() -> None:
    async with serving("booking") as (_, http):
        path = "/api/flows/booking/stream"
        for answer, status, code in (
            (await http.get("/api/flows/none/stream/s"), 404, "NOT_FOUND"),
            (await http.get(f"{path}/{'x' * 129}"), 400, "BAD_REQUEST"),
            (await http.get(f"{path}/a%20b"), 400, "BAD_REQUEST"),
            (await http.get(f"{path}/s", params={"input": "x" * 8001}), 400, "BAD_REQUEST"),
            (await http.post(f"{path}/s", content=b"{"), 400, "BAD_MESSAGE"),
            (await http.post(f"{path}/s", json={"input": 3}), 400, "BAD_MESSAGE"),
            (await http.post(f"{path}/s", content=b'{"input": "\xff"}'), 400, "BAD_MESSAGE"),
            (await http.post(f"{path}/s", content=b"[" * 20_000), 400, "BAD_MESSAGE"),
            (await http.get(f"{path}/s", headers={"Last-Event-ID": "nonsense"}), 404, "NOT_FOUND"),
            (await http.delete(f"{path}/s"), 405, "METHOD_NOT_ALLOWED"),
            (await http.put(f"{path}/s", json={"input": "x"}), 405, "METHOD_NOT_ALLOWED"),
        ):
            assert answer.status_code == status, answer.text
            assert answer.json()["code"] == code
        await say(http, "booking/stream/s")
        waiting = await http.get(f"{path}/s")
        assert waiting.status_code == 400
        assert "waits for the user's words" in waiting.json()["error"]


async def test_head_runs_nothing() -> None:
    async with serving("booking") as (server, http):
        assert (await http.head("/api/flows/booking/stream/s")).status_code == 405
        assert len(server.state.flow_sessions) == 0


async def test_one_answer_at_a_time() -> None:
    model = FakeModel(["one ", 5.0, "two"])
    async with serving(TALK, llm=model) as (_, http), http.stream("GET", "/api/flows/talk/stream/s?input=a") as first:
        lines = first.aiter_lines()
        async for line in lines:
            if "one" in line:
                break
        busy = await http.get("/api/flows/talk/stream/s?input=b")
        assert busy.status_code == 409
        assert busy.json()["code"] == "CONFLICT"


async def test_a_client_that_goes_away_stops_the_model_within_a_second() -> None:
    model = FakeModel(["one ", 30.0, "two"])
    async with serving(TALK, llm=model) as (server, http):
        async with http.stream("GET", "/api/flows/talk/stream/s?input=a") as first:
            async for line in first.aiter_lines():
                if "one" in line:
                    break
            assert model.streams == 1
        async with asyncio.timeout(1.0):
            await server.state.flow_sessions.quiet()
        assert model.streams == 0
        model.answer = ["three"]
        assert await say(http, "talk/stream/s", "again") == "three"


async def test_a_lost_stream_is_taken_up_where_it_broke() -> None:
    model = FakeModel(["one ", "two ", 0.3, "three ", "four"])
    async with serving(TALK, llm=model) as (_, http):
        seen = ""
        async with http.stream("GET", "/api/flows/talk/stream/s?input=a") as first:
            async for text in first.aiter_text():
                seen += text
                if "two" in seen:
                    break
        last = ids(seen)[-1]
        rest = await http.get("/api/flows/talk/stream/s", headers={"Last-Event-ID": last})
        told = [event["content"] for event in events(seen + rest.text)]
        assert told == ["one ", "two ", "three ", "four", "one two three four"]
        assert len(set(ids(seen + rest.text))) == len(told)
        end = ids(rest.text)[-1]
        assert (await http.get("/api/flows/talk/stream/s", headers={"Last-Event-ID": end})).status_code == 204
        replay = await http.get("/api/flows/talk/stream/s", headers={"Last-Event-ID": last})
        assert events(replay.text) == events(rest.text)
        assert len(model.requests) == 1


async def test_what_is_kept_of_an_answer_is_let_go() -> None:
    settings = Settings()
    settings = msgspec.structs.replace(settings, stream=msgspec.structs.replace(settings.stream, resume_window_s=0.05))
    async with serving(TALK, settings=settings) as (server, http):
        answer = await http.get("/api/flows/talk/stream/s?input=a")
        session = server.state.flow_sessions.find("local", "talk", "s")
        assert session is not None
        dropped = asyncio.Event()
        asyncio.get_running_loop().call_later(0.1, dropped.set)
        await dropped.wait()
        assert session.answer is None
        late = await http.get("/api/flows/talk/stream/s", headers={"Last-Event-ID": ids(answer.text)[0]})
        assert late.status_code == 404
        assert await say(http, "talk/stream/s", "b") != ""


async def test_an_error_of_the_model_ends_the_stream_with_its_code() -> None:
    from vivavoce.errors import EngineTimeout

    model = FakeModel(["one ", EngineTimeout("llm", "it stalled")])
    async with serving(TALK, llm=model) as (_, http):
        answer = await http.get("/api/flows/talk/stream/s?input=a")
        assert events(answer.text)[-1] == {"type": "error", "content": "it stalled", "code": "LLM_TIMEOUT"}
        model.answer = ["fine"]
        assert await say(http, "talk/stream/s", "again") == "fine"


async def test_a_stalled_model_is_given_up() -> None:
    settings = Settings()
    settings = msgspec.structs.replace(settings, llm=msgspec.structs.replace(settings.llm, token_timeout_s=0.1))
    async with serving(TALK, llm=FakeModel(["one ", 30.0]), settings=settings) as (_, http):
        answer = await http.get("/api/flows/talk/stream/s?input=a")
        assert events(answer.text)[-1]["code"] == "LLM_TIMEOUT"


async def test_sessions_belong_to_the_credential_and_their_number_is_bounded() -> None:
    settings = Settings(flows=Flows(max_sessions=2))
    async with serving(TALK, settings=settings) as (server, http):
        for name in ("a", "b"):
            await say(http, f"talk/stream/{name}", "hi")
        full = await http.get("/api/flows/talk/stream/c?input=hi")
        assert (full.status_code, full.json()["code"]) == (503, "SESSION_LIMIT")
        assert full.headers["retry-after"] == "5"
        assert server.state.flow_sessions.find("somebody else", "talk", "a") is None
        assert await say(http, "talk/stream/a", "hi") != ""


async def test_turns_are_counted_per_address() -> None:
    settings = Settings(server=Server(turns_per_minute=1, drain_s=0.0))
    async with serving(TALK, settings=settings) as (_, http):
        await say(http, "talk/stream/a", "hi")
        refused = await http.get("/api/flows/talk/stream/a?input=hi")
        assert (refused.status_code, refused.json()["code"]) == (429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) > 0


async def test_a_drain_lets_answers_finish_and_refuses_new_ones() -> None:
    model = FakeModel(["one ", 0.3, "two"])
    settings = Settings(server=Server(drain_s=5.0))
    async with serving(TALK, llm=model, settings=settings) as (server, http):
        async with http.stream("GET", "/api/flows/talk/stream/a?input=hi") as first:
            lines = first.aiter_lines()
            async for line in lines:
                if "one" in line:
                    break
            drain = asyncio.create_task(server.state.drain())
            await asyncio.sleep(0)
            late = await http.get("/api/flows/talk/stream/b?input=hi")
            assert (late.status_code, late.json()["code"]) == (503, "SHUTTING_DOWN")
            rest = [line async for line in lines]
            assert events("\n".join(rest))[-1] == {"type": "done", "content": "one two", "ended": False}
        await drain


async def test_management() -> None:
    async with serving("booking") as (_, http):
        listed = (await http.get("/api/flows")).json()
        assert [flow["id"] for flow in listed["flows"]] == ["booking"]
        shown = (await http.get("/api/flows/booking")).json()
        assert (await http.put("/api/flows/booking", json=shown)).json()["created"] is False
        text = (EXAMPLES / "quiz.yaml").read_text()
        made = await http.put("/api/flows/quiz", content=text, headers={"Content-Type": "application/yaml"})
        assert made.json()["created"] is True
        bad = await http.put(
            "/api/flows/quiz", content=text.replace("score == 3", "score =="), headers={"Content-Type": "text/yaml"}
        )
        assert (bad.status_code, bad.json()["code"]) == (400, "BAD_FLOW")
        assert "line 25: node verdict" in bad.json()["error"]
        other = await http.put("/api/flows/other", json=shown)
        assert other.status_code == 400
        for name in ("a%2Fb", "..%2f..%2fetc", ".hidden", "x" * 65, "a b"):
            assert (await http.put(f"/api/flows/{name}", json=shown)).status_code in (400, 404, 405), name
        for body in (b"", b"[]", b"null", b"{", b'{"nodes": []}', b"[" * 70_000):
            refused = await http.put("/api/flows/quiz", content=body)
            assert (refused.status_code, refused.json()["code"]) == (400, "BAD_FLOW"), body[:20]
        assert (await http.delete("/api/flows/quiz")).status_code == 204
        assert (await http.delete("/api/flows/quiz")).status_code == 404
        assert (await http.get("/api/flows/quiz")).status_code == 404


# --- the client -----------------------------------------------------------------------------------------------------


async def test_the_client_speaks_sentences() -> None:
    async with serving("booking") as (server, _), FlowClient(server.http, "booking", "room-1") as client:
        spoken: list[str] = []
        text = await stream_with_sentences(client.process_user_input_streaming("a table for five"), spoken.append)
        assert text == "Welcome to the Golden Spoon. A table for 5. On which day?"
        assert len(spoken) >= 2
        assert "".join(spoken) == text


async def test_the_client_closes_upstream_when_its_reader_breaks_off() -> None:
    model = FakeModel(["one ", 30.0, "two"])
    async with serving(TALK, llm=model) as (server, _), FlowClient(server.http, "talk", "s") as client:
        tokens = client.process_user_input_streaming("a")
        assert await anext(tokens) == "one "
        await tokens.aclose()
        async with asyncio.timeout(1.0):
            await server.state.flow_sessions.quiet()
        assert model.streams == 0


async def test_the_client_raises_what_the_server_says() -> None:
    async with serving(TALK) as (server, _):
        async with FlowClient(server.http, "none", "s") as client:
            with pytest.raises(FlowError) as caught:
                await anext(client.process_user_input_streaming("a"))
        assert caught.value.code == "NOT_FOUND"
    async with FlowClient("http://127.0.0.1:1", "talk", "s") as client:
        with pytest.raises(FlowError) as caught:
            await anext(client.process_user_input_streaming("a"))
    assert caught.value.code == "UNREACHABLE"
    with pytest.raises(ValueError, match="no http"):
        FlowClient("ws://x", "a", "b")


class Cutter:
    """A proxy that breaks its first connections off after so many bytes of the answer's body."""

    def __init__(self, port: int, cuts: list[int]) -> None:
        self._port = port
        self._cuts = cuts
        self.heads: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        length = next(
            (int(line[16:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length: ")), 0
        )
        body = await reader.readexactly(length)
        upstream_in, upstream_out = await asyncio.open_connection("127.0.0.1", self._port)
        upstream_out.write(head.replace(b"Connection: keep-alive", b"Connection: close") + body)
        writer.write(await upstream_in.readuntil(b"\r\n\r\n"))
        left = self._cuts.pop(0) if self._cuts else 1 << 30
        while left > 0 and (data := await upstream_in.read(min(64, left))):
            writer.write(data)
            left -= len(data)
        upstream_out.close()
        writer.close()


@pytest.mark.parametrize("cut", [0, 1, 100, 190, 400])
async def test_the_client_goes_on_after_a_broken_connection(cut: int) -> None:
    model = FakeModel("a b c d e f g h", gap_s=0.01)
    async with serving(TALK, llm=model) as (server, http):
        cutter = Cutter(server.port, [cut, 150])
        proxy = await asyncio.start_server(cutter.serve, "127.0.0.1", 0)
        port = proxy.sockets[0].getsockname()[1]
        try:
            async with FlowClient(f"http://127.0.0.1:{port}", "talk", "s") as client:
                client._headers["Host"] = http.base_url.netloc.decode()
                told = [token async for token in client.process_user_input_streaming("a")]
        finally:
            proxy.close()
        assert "".join(told).split() == list("abcdefgh")
        assert len(cutter.heads) >= 2
        assert "last-event-id" in cutter.heads[1].lower()
        assert len(model.requests) == 1
