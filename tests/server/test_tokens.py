"""Tokens: for a while, and some for once."""

from __future__ import annotations

from vivavoce.server.tokens import Tokens


def test_a_token_is_good_once() -> None:
    tokens = Tokens(60.0)
    token = tokens.issue("me", 0.0)
    assert tokens.redeem(token, 59.9) == "me"
    assert tokens.redeem(token, 59.9) is None


def test_looking_does_not_use_it_up() -> None:
    tokens = Tokens(60.0)
    token = tokens.issue("me", 0.0)
    assert [tokens.owner(token, now) for now in (1.0, 2.0, 60.0)] == ["me", "me", None]


def test_unknown_and_expired_are_nobody_s() -> None:
    tokens = Tokens(60.0)
    token = tokens.issue("me", 0.0)
    assert tokens.redeem("", 1.0) is None
    assert tokens.redeem(token[:-1], 1.0) is None
    assert tokens.redeem("\ud800", 1.0) is None
    assert tokens.redeem(token, 60.0) is None


def test_tokens_are_long_differ_and_are_not_kept() -> None:
    tokens = Tokens(60.0)
    issued = {tokens.issue("me", 0.0) for _ in range(500)}
    assert len(issued) == 500
    assert min(map(len, issued)) >= 43  # 256 bits in base64
    assert not any(token in repr(vars(tokens)) for token in issued)


def test_the_table_is_bounded() -> None:
    tokens = Tokens(60.0, capacity=10)
    issued = [tokens.issue("me", 0.0) for _ in range(100)]
    assert [tokens.owner(token, 1.0) for token in issued] == [None] * 90 + ["me"] * 10
