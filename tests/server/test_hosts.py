"""Host and Origin, by table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.server.hosts import OwnNames, Place, parse_origin, parse_place

LOOPBACK = ("127.0.0.1", 8000)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("localhost", Place("localhost", None)),
        ("LocalHost:80", Place("localhost", 80)),
        ("10.1.2.3:8000", Place("10.1.2.3", 8000)),
        ("[::1]:8000", Place("[::1]", 8000)),
        ("[0:0::1]", Place("[::1]", None)),
        ("", None),
        (":80", None),
        ("a:b", None),
        ("a:99999", None),
        ("a:80:80", None),
        ("a/b", None),
        ("a@b", None),
        ("a, b", None),
        ("[::1", None),
        ("[::g]", None),
        ("::1", None),
        ("a:٣", None),
        ("a\n", None),
    ],
)
def test_places(text: str, place: Place | None) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("http://localhost:8000", ("http", Place("localhost", 8000))),
        ("https://voice.example", ("https", Place("voice.example", 443))),
        ("HTTP://Voice.Example", ("http", Place("voice.example", 80))),
        ("null", None),
        ("", None),
        ("http://", None),
        ("ftp://a", None),
        ("http://a/path", None),
        ("http://u@a", None),
        ("chrome-extension://abcdef", None),
    ],
)
def test_origins(text: str, origin: tuple[str, Place] | None) -> None:
    assert parse_origin(text) == origin


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "LOCALHOST:8000", "localhost"])
def test_our_own_names(host: str) -> None:
    assert OwnNames((), ()).knows_host(host, LOOPBACK)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "localhost:8001",
        "localhost.evil.example:8000",
        "127.0.0.1.evil.example",
        "127.0.0.2:8000",
        "0.0.0.0:8000",
        "localhost:8000 ",
        "localhost.:8000",
        "127.1:8000",
        "2130706433:8000",
        "",
    ],
)
def test_names_of_others(host: str) -> None:
    assert not OwnNames((), ()).knows_host(host, LOOPBACK)


def test_the_address_connected_to_is_a_name() -> None:
    names = OwnNames((), ())
    assert names.knows_host("192.168.1.5:8000", ("192.168.1.5", 8000))
    assert names.knows_host("[fe80::1]:8000", ("fe80::1%eth0", 8000))
    assert names.knows_host("192.168.1.5:8000", ("::ffff:192.168.1.5", 8000))
    assert not names.knows_host("192.168.1.6:8000", ("192.168.1.5", 8000))
    assert not names.knows_host("localhost", None)
    assert not names.knows_host("run.sock", ("/run.sock", None))


def test_allowed_hosts() -> None:
    names = OwnNames(("voice.example", "other.example:8443", "tls.example:443"), ())
    for host in ("voice.example", "Voice.Example:9000", "other.example:8443", "tls.example", "tls.example:443"):
        assert names.knows_host(host, LOOPBACK), host
    for host in ("sub.voice.example", "voice.example.evil", "other.example", "other.example:80", "tls.example:444"):
        assert not names.knows_host(host, LOOPBACK), host


@pytest.mark.parametrize(
    ("origin", "host", "known"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://localhost:8000", "127.0.0.1:8000", True),
        ("https://voice.example", "voice.example", True),
        ("http://voice.example", "voice.example:80", True),
        ("https://friend.example", "127.0.0.1:8000", True),
        ("app://friend", "127.0.0.1:8000", True),
        ("http://friend.example", "127.0.0.1:8000", False),
        ("https://friend.example:444", "127.0.0.1:8000", False),
        ("http://localhost:3000", "localhost:8000", False),
        ("http://localhost", "localhost:8000", False),
        ("https://voice.example:9000", "voice.example", False),
        ("https://evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000.evil.example", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("file://", "127.0.0.1:8000", False),
    ],
)
def test_pages(origin: str, host: str, known: bool) -> None:
    names = OwnNames(("voice.example",), ("https://friend.example/", "app://friend"))
    assert names.knows_origin(origin, host, LOOPBACK) == known


@given(st.text(), st.text())
def test_nonsense_is_refused(host: str, origin: str) -> None:
    names = OwnNames((), ())
    if host.lower().partition(":")[0] not in ("localhost", "127.0.0.1", "[::1]"):
        assert not names.knows_host(host, LOOPBACK)
    assert not names.knows_origin(origin, "127.0.0.1:8000", LOOPBACK)


@given(st.from_regex(r"[a-z0-9.-]{1,20}(:[0-9]{1,4})?", fullmatch=True))
def test_an_allowed_name_is_known_as_it_was_written(host: str) -> None:
    assert OwnNames((host,), ()).knows_host(host, LOOPBACK)
    assert OwnNames((), (f"https://{host}",)).knows_origin(f"https://{host}", "127.0.0.1:8000", LOOPBACK)
