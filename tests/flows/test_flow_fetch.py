"""What a flow may ask of the network, and what it may not."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import pytest

from flows.stub import Stub, a_stub
from vivavoce.flows.errors import FlowError
from vivavoce.flows.fetch import Fetcher, is_public


def fetcher(stub: Stub, **options: Any) -> Fetcher:
    return Fetcher([stub.place], **options)


async def test_an_allowed_server_answers() -> None:
    async with a_stub() as stub:
        got = await fetcher(stub).fetch(
            "POST", f"http://{stub.place}/echo?a=1", headers={"Content-Type": "text/x"}, content=b"hi"
        )
        assert got.value() == {"method": "POST", "query": "a=1", "type": "text/x", "body": "hi"}
        sent = stub.requests[0]["headers"]
        assert sent["host"] == stub.place
        assert sent["accept-encoding"] == "identity"
        text = await fetcher(stub).fetch("GET", f"http://{stub.place}/text")
        assert text.value() == "plain words"
        assert (await fetcher(stub).fetch("GET", f"http://{stub.place}/empty")).value() is None


@pytest.mark.parametrize(
    ("path", "code", "says"),
    [
        ("/away", "HTTP_FORBIDDEN", "another server"),
        ("/port", "HTTP_FORBIDDEN", "another server"),
        ("/loop", "HTTP_FAILED", "too often"),
        ("/big", "HTTP_FAILED", "more than"),
        ("/gzip", "HTTP_FAILED", "compressed"),
        ("/hang", "HTTP_TIMEOUT", "within 0.2 s"),
    ],
)
async def test_what_a_server_may_not_do(path: str, code: str, says: str) -> None:
    async with a_stub() as stub:
        with pytest.raises(FlowError, match=says) as caught:
            await fetcher(stub).fetch("GET", f"http://{stub.place}{path}", timeout_s=0.2 if path == "/hang" else 10.0)
        assert caught.value.code == code
        assert len(stub.requests) <= 4


async def test_a_redirect_on_the_same_server_is_followed_as_a_get() -> None:
    async with a_stub() as stub:
        got = await fetcher(stub).fetch("POST", f"http://{stub.place}/here", content=b"x")
        assert got.value()["method"] == "GET"
        assert got.value()["query"] == "from=here"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://example.org/", "HTTP_FORBIDDEN"),
        ("http://127.0.0.1:1/", "HTTP_FORBIDDEN"),
        ("http://127.0.0.1@example.org/", "HTTP_FORBIDDEN"),
        ("ftp://127.0.0.1/", "HTTP_FAILED"),
        ("/weather", "HTTP_FAILED"),
        ("http://", "HTTP_FAILED"),
        ("http://[::1", "HTTP_FAILED"),
        ("http://127.0.0.1:99999/", "HTTP_FAILED"),
        ("http://127.0.0.1/a b", "HTTP_FAILED"),
        ("http://127.0.0.1/\r\nX: y", "HTTP_FAILED"),
        ("http://127.0.0.1/" + "x" * 5000, "HTTP_FAILED"),
    ],
)
async def test_addresses_that_are_not_asked(url: str, code: str) -> None:
    with pytest.raises(FlowError) as caught:
        await Fetcher(["127.0.0.1:9", "*.example.com"]).fetch("GET", url)
    assert caught.value.code == code


@pytest.mark.parametrize("host", ["127.1", "0x7f000001", "2130706433", "127.0.0.1.", "[::ffff:127.0.0.1]"])
async def test_other_ways_to_write_an_address_are_no_way_around_the_list(host: str) -> None:
    async with a_stub() as stub:
        with pytest.raises(FlowError) as caught:
            await Fetcher(["example.org"], private=True).fetch("GET", f"http://{host}:{stub.port}/echo")
        assert caught.value.code == "HTTP_FORBIDDEN"
        assert not stub.requests


@pytest.mark.parametrize(
    "header", [{"Host": "x"}, {"Content-Length": "3"}, {"X\n": "y"}, {"X": "a\r\nb"}, {"X": "é"}, {"": "x"}]
)
async def test_headers_that_are_not_sent(header: dict[str, str]) -> None:
    async with a_stub() as stub:
        with pytest.raises(FlowError, match=r"header|value"):
            await fetcher(stub).fetch("GET", f"http://{stub.place}/echo", headers=header)
        assert not stub.requests


class Names:
    """A resolver that answers differently each time."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        return self.answers[min(self.asked, len(self.answers)) - 1]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fe80::1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "0.0.0.0"],
)
async def test_a_name_that_leads_into_the_network_is_refused(address: str) -> None:
    for found in ([address], ["93.184.216.34", address]):
        names = Names(found)
        with pytest.raises(FlowError, match="not public") as caught:
            await Fetcher(["api.example.org"], resolve=names).fetch("GET", "http://api.example.org/")
        assert caught.value.code == "HTTP_FORBIDDEN"
        assert "HTTP_PRIVATE" in caught.value.hint


async def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    async with a_stub() as stub:
        names = Names(["127.0.0.1"], ["192.0.2.1"])
        allowed = Fetcher([f"api.example.org:{stub.port}"], private=True, resolve=names)
        got = await allowed.fetch("GET", f"http://API.example.org:{stub.port}/echo")
        assert got.status == 200
        assert names.asked == 1
        assert stub.requests[0]["headers"]["host"] == f"api.example.org:{stub.port}"


async def test_names_below_a_name() -> None:
    names = Names([])
    for host, allowed in (
        ("a.example.org", True),
        ("a.b.example.org", True),
        ("example.org", False),
        ("aexample.org", False),
    ):
        with pytest.raises(FlowError) as caught:
            await Fetcher(["*.example.org"], resolve=names).fetch("GET", f"https://{host}/")
        assert caught.value.code == ("HTTP_FAILED" if allowed else "HTTP_FORBIDDEN"), host


def test_public_addresses() -> None:
    for address in ("93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"):
        assert is_public(ipaddress.ip_address(address)), address
    for address in ("224.0.0.1", "100.64.0.1", "240.0.0.1", "2001:0:1::1", "2002:7f00:1::", "fc00::1", "192.0.2.1"):
        assert not is_public(ipaddress.ip_address(address)), address
