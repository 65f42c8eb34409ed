"""The gate: in memory, through the application it guards."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from server.asgi import client, connect
from server.conftest import Clock, MakeApp
from vivavoce.server.auth import PAGE_TOKEN_LIFETIME_S, TOKEN_LIFETIME_S, owner_of_key

KEY = "correct-horse"
FAR = "203.0.113.7"


def error_of(sent: list[dict[str, Any]]) -> dict[str, Any]:
    """The error that an accepted and closed WebSocket was told."""
    assert [message["type"] for message in sent] == ["websocket.accept", "websocket.send", "websocket.close"]
    assert sent[2]["code"] == 1008
    told: dict[str, Any] = json.loads(sent[1]["text"])
    return told


def denied(sent: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    """Status and body of a refused handshake."""
    assert [message["type"] for message in sent] == ["websocket.http.response.start", "websocket.http.response.body"]
    return sent[0]["status"], json.loads(sent[1]["body"])


def owner_told(sent: list[dict[str, Any]]) -> Any:
    return json.loads(sent[1]["text"])["owner"]


# --- Host and Origin ------------------------------------------------------------------------------------------------


async def test_a_strange_host_is_refused_everywhere(make_app: MakeApp) -> None:
    app = make_app()
    async with client(app, host="evil.example:8000") as http:
        for path in ("/", "/health", "/static/app.js", "/voices", "/nowhere"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN_HOST")
            assert "VIVAVOCE_ALLOWED_HOSTS" in answer.json()["hint"]
    status, told = denied((await connect(app, "/ws", headers={"host": "evil.example:8000"}))[0])
    assert (status, told["code"]) == (403, "FORBIDDEN_HOST")


async def test_a_page_of_another_site_is_refused(make_app: MakeApp) -> None:
    app = make_app()
    async with client(app, origin="http://evil.example") as http:
        answer = await http.get("/voices")
        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN_ORIGIN")
    status, told = denied((await connect(app, "/ws", headers={"origin": "http://evil.example"}))[0])
    assert (status, told["code"]) == (403, "FORBIDDEN_ORIGIN")


async def test_no_answer_invites_other_sites(make_app: MakeApp) -> None:
    async with client(make_app(allowed_origins=("https://friend.example",)), origin="https://friend.example") as http:
        answer = await http.get("/voices")
        assert answer.status_code == 200
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_our_own_page_and_no_page_at_all_pass(make_app: MakeApp) -> None:
    app = make_app()
    assert owner_told((await connect(app, "/ws"))[0]) == "local"
    assert owner_told((await connect(app, "/ws", headers={"origin": "http://127.0.0.1:8000"}))[0]) == "local"


async def test_a_host_twice_is_refused(make_app: MakeApp) -> None:
    async with client(make_app()) as http:
        answer = await http.get("/voices", headers=[("host", "127.0.0.1:8000"), ("host", "evil.example")])
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("site", "path", "status"),
    [
        ("cross-site", "/voices", 403),
        ("same-site", "/voices", 403),
        ("cross-site", "/", 200),
        ("cross-site", "/docs", 200),
        ("same-origin", "/voices", 200),
        ("none", "/voices", 200),
    ],
)
async def test_images_and_links_of_other_sites(make_app: MakeApp, site: str, path: str, status: int) -> None:
    async with client(make_app()) as http:
        assert (await http.get(path, headers={"sec-fetch-site": site})).status_code == status


async def test_behind_a_proxy_with_another_name(make_app: MakeApp) -> None:
    app = make_app(allowed_hosts=("voice.example",))
    headers = {"host": "voice.example", "origin": "https://voice.example"}
    assert owner_told((await connect(app, "/ws", headers=headers))[0]) == "local"


# --- the key --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Bearer {KEY}", 200),
        (f"bearer   {KEY} ", 200),
        ("Bearer wrong-horse!", 401),
        (f"Bearer {KEY}x", 401),
        (f"Basic {KEY}", 401),
        (KEY, 401),
        ("Bearer", 401),
        ("Bearer é", 401),
        (None, 401),
    ],
)
async def test_the_key(make_app: MakeApp, authorization: str | None, status: int) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    async with client(make_app(api_key=KEY)) as http:
        answer = await http.get("/voices", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.json()["code"] == "UNAUTHORIZED"
        assert answer.headers["www-authenticate"] == "Bearer"
    else:
        assert answer.json() == {"owner": owner_of_key(KEY)}


async def test_what_needs_no_key_and_what_does(make_app: MakeApp) -> None:
    async with client(make_app(api_key=KEY)) as http:
        for path in ("/", "/health", "/static/app.js"):
            assert (await http.get(path)).status_code == 200, path
        assert (await http.get("/health")).json() == {"owner": None}
        for path in ("/voices", "/docs", "/openapi.json", "/api/conversations", "/nowhere", "/static", "/health/"):
            assert (await http.get(path)).status_code == 401, path
        assert (await http.post("/api/token")).status_code == 401


async def test_a_websocket_is_told_before_it_is_closed(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    told = error_of((await connect(app, "/ws"))[0])
    assert (told["type"], told["code"], told["recoverable"], told["n"]) == ("error", "UNAUTHORIZED", False, 1)
    chat = error_of((await connect(app, "/ws/chat/stream", query="message=hi"))[0])
    assert (chat["type"], chat["code"]) == ("error", 401)
    assert chat["error"]
    assert denied((await connect(app, "/elsewhere"))[0])[0] == 401


async def test_a_program_s_websocket_uses_the_key(make_app: MakeApp) -> None:
    sent, _ = await connect(make_app(api_key=KEY), "/ws", headers={"authorization": f"Bearer {KEY}"})
    assert owner_told(sent) == owner_of_key(KEY)


def test_the_owner_does_not_give_the_key_away() -> None:
    assert owner_of_key("a") != owner_of_key("b")
    assert KEY not in owner_of_key(KEY)


# --- tokens ---------------------------------------------------------------------------------------------------------


async def a_token(app: Any, key: str = KEY) -> dict[str, Any]:
    async with client(app, authorization=f"Bearer {key}") as http:
        answer = await http.post("/api/token")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


async def test_a_token_opens_one_websocket(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    token = (await a_token(app))["token"]
    sent, scope = await connect(app, "/ws", query=f"a=%C3%A9&token={token}&b=")
    assert owner_told(sent) == owner_of_key(KEY)
    assert scope["query_string"] == b"a=%C3%A9&b="
    assert token not in repr(scope["headers"])
    assert error_of((await connect(app, "/ws", query=f"token={token}"))[0])["code"] == "UNAUTHORIZED"


async def test_a_token_expires(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(api_key=KEY)
    told = await a_token(app)
    assert told["expires_in"] == TOKEN_LIFETIME_S
    clock.now += TOKEN_LIFETIME_S
    assert error_of((await connect(app, "/ws", query=f"token={told['token']}"))[0])["code"] == "UNAUTHORIZED"


async def test_a_token_as_a_subprotocol(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    token = (await a_token(app))["token"]
    sent, scope = await connect(app, "/ws", subprotocols=("vivavoce", f"token.{token}"))
    assert sent[0]["subprotocol"] == "vivavoce"
    assert owner_told(sent) == owner_of_key(KEY)
    assert token not in repr(scope["headers"]) + repr(scope["subprotocols"])


async def test_a_token_is_for_websockets_only(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    token = (await a_token(app))["token"]
    async with client(app) as http:
        assert (await http.get(f"/voices?token={token}")).status_code == 401
        assert (await http.get("/voices", headers={"authorization": f"Bearer {token}"})).status_code == 401
    assert owner_told((await connect(app, "/ws", query=f"token={token}"))[0]) == owner_of_key(KEY)


async def test_the_page_goes_on_with_its_own_token(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(api_key=KEY)
    page_token = (await a_token(app))["page_token"]
    again = await a_token(app, page_token)
    assert again["page_token"] is None  # it cannot prolong itself
    assert owner_told((await connect(app, "/ws", query=f"token={again['token']}"))[0]) == owner_of_key(KEY)
    assert error_of((await connect(app, "/ws", query=f"token={page_token}"))[0])["code"] == "UNAUTHORIZED"
    clock.now += PAGE_TOKEN_LIFETIME_S
    async with client(app, authorization=f"Bearer {page_token}") as http:
        assert (await http.get("/voices")).status_code == 401


async def test_without_a_key_tokens_do_no_harm(make_app: MakeApp) -> None:
    app = make_app()
    async with client(app) as http:
        token = (await http.post("/api/token")).json()["token"]
    sent, scope = await connect(app, "/ws", query=f"token={token}")
    assert owner_told(sent) == "local"
    assert scope["query_string"] == b""


async def test_refusals_are_in_the_audit_log_and_secrets_are_not(make_app: MakeApp, caplog: Any) -> None:
    caplog.set_level(logging.INFO)
    app = make_app(api_key=KEY)
    async with client(app, authorization="Bearer guess-guess") as http:
        await http.get("/voices%0Aforged?token=tok-tok")
    await connect(app, "/ws", query="token=tok-tok")
    lines = [record.getMessage() for record in caplog.records if record.name == "vivavoce.audit"]
    assert lines == [
        "refused '/voices\\nforged' from 127.0.0.1: UNAUTHORIZED",
        "refused '/ws' from 127.0.0.1: UNAUTHORIZED",
    ]
    assert "guess" not in caplog.text


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_too_many_websockets_from_one_address(make_app: MakeApp, clock: Clock) -> None:
    app = make_app()
    for _ in range(60):
        assert (await connect(app, "/ws", address=FAR))[0][0]["type"] == "websocket.accept"
    told = error_of((await connect(app, "/ws", address=FAR))[0])
    assert (told["code"], told["retry_after_s"]) == ("RATE_LIMITED", 60.0)
    assert owner_told((await connect(app, "/ws", address="203.0.113.8"))[0]) == "local"
    clock.now += 60.0
    assert owner_told((await connect(app, "/ws", address=FAR))[0]) == "local"


async def test_loopback_is_not_limited_unless_set(make_app: MakeApp) -> None:
    free, limited = make_app(), make_app(connections_per_minute=2)
    assert {owner_told((await connect(free, "/ws"))[0]) for _ in range(100)} == {"local"}
    told = [(await connect(limited, "/ws"))[0] for _ in range(3)]
    assert error_of(told[2])["code"] == "RATE_LIMITED"


async def test_guessing_the_key_is_limited(make_app: MakeApp, clock: Clock) -> None:
    app = make_app(api_key=KEY)
    async with client(app, address=FAR, authorization="Bearer guess") as http:
        statuses = [(await http.get("/voices")).status_code for _ in range(61)]
        assert statuses == [401] * 60 + [429]
        answer = await http.get("/voices", headers={"authorization": f"Bearer {KEY}"})
        assert (answer.status_code, answer.json()["code"]) == (429, "RATE_LIMITED")
        assert answer.headers["retry-after"] == "60"
        assert (await http.get("/")).status_code == 200
        clock.now += 60
        assert (await http.get("/voices", headers={"authorization": f"Bearer {KEY}"})).status_code == 200


async def test_turns_are_counted_by_address(make_app: MakeApp) -> None:
    access = make_app(turns_per_minute=2).access
    scope = {"client": (FAR, 1)}
    assert [access.turn_wait_s(scope) for _ in range(3)] == [0.0, 0.0, 60.0]


# --- headers, 426 ---------------------------------------------------------------------------------------------------


async def test_security_headers_on_every_answer(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY)
    async with client(app) as http:
        answers = [await http.get("/"), await http.get("/voices"), await http.get("/", headers={"host": "evil"})]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["permissions-policy"] == "microphone=(self)"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_plain_request_to_a_websocket(make_app: MakeApp, method: str) -> None:
    async with client(make_app()) as http:
        answer = await http.request(method, "/ws/chat/stream?message=hi")
    assert (answer.status_code, answer.json()["code"]) == (426, "UPGRADE_REQUIRED")
    assert answer.json()["hint"]
    assert answer.headers["upgrade"] == "websocket"
