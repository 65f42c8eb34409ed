"""What was heard: reports are believed, else the smaller of sent audio and time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.playback import SETTLE_S, Playback, Reading


def spoken(*phrases: tuple[str, float], now: float = 10.0) -> Playback:
    """All of *phrases* made and sent at *now*."""
    playback = Playback()
    for seq, (text, seconds) in enumerate(phrases, 1):
        playback.phrase(seq, text)
        playback.made(seq, seconds)
        playback.sent(seq, seconds, now)
    return playback


def test_nothing_sent_is_nothing_heard() -> None:
    playback = Playback()
    playback.phrase(1, "Hello.")
    assert not playback.audible
    assert playback.heard_s(5.0) == 0.0
    assert playback.heard_text(5.0) == ""
    assert playback.ends_at(5.0) == 5.0
    assert playback.lead(5.0) == 0.0


def test_without_reports_heard_is_the_smaller_of_sent_and_time() -> None:
    playback = spoken(("One two three four.", 2.0), (" Five six.", 1.0))
    assert playback.heard_s(11.0) == 1.0
    assert playback.heard_s(99.0) == playback.sent_s == 3.0
    assert playback.heard_text(10.0) == ""
    assert playback.heard_text(11.0) == "One two"
    assert playback.heard_text(12.0) == "One two three four."
    assert playback.heard_text(12.6) == "One two three four. Five"
    assert playback.heard_text(99.0) == "One two three four. Five six."
    assert playback.ends_at(10.5) == 13.0


def test_word_times_decide_the_cut_where_the_voice_gives_them() -> None:
    playback = Playback()
    playback.phrase(1, "Supercalifragilistic no")
    playback.made(1, 2.0, [0.2, 1.9])
    playback.sent(1, 2.0, 0.0)
    assert playback.heard_text(0.3) == "Supercalifragilistic"
    assert playback.heard_text(0.1) == ""


def test_a_phrase_that_is_still_being_sent_is_cut_by_what_was_made_of_it() -> None:
    playback = Playback()
    playback.phrase(1, "One two three four.")
    playback.made(1, 2.0)
    playback.sent(1, 0.5, 0.0)
    assert playback.heard_text(60.0) == "One"


def test_a_phrase_without_audio_was_not_heard() -> None:
    playback = spoken(("One.", 1.0))
    playback.phrase(2, " Lost.")
    playback.phrase(3, " Three.")
    playback.made(3, 1.0)
    playback.sent(3, 1.0, 10.0)
    assert playback.heard_text(99.0) == "One. Three."


def test_reports_are_believed_and_only_move_forward() -> None:
    playback = spoken(("One two three four.", 2.0), (" Five.", 1.0))
    playback.played(1, 500.0)
    assert playback.heard_s(99.0) == 0.5
    playback.played(1, 100.0)
    assert playback.heard_s(99.0) == 0.5
    playback.played(2, 1e12)
    assert playback.heard_s(99.0) == 3.0, "never more than was sent"
    playback.played(7, 1.0)
    playback.played(1, -5.0)
    assert playback.heard_s(99.0) == 3.0


def test_the_end_comes_by_report_or_a_little_after_the_estimate() -> None:
    playback = spoken(("One.", 2.0))
    playback.played(1, 500.0)
    assert playback.ends_at(10.6) == 12.0 + SETTLE_S
    playback.played(1, 1960.0)
    assert playback.ends_at(11.9) == 11.9


def test_holding_stops_the_clock_of_the_estimate() -> None:
    playback = spoken(("One.", 2.0))
    assert playback.lead(10.5) == 1.5
    playback.hold(10.5)
    playback.hold(10.7)
    assert playback.held
    assert playback.lead(99.0) == 1.5
    playback.resume(11.5)
    playback.resume(11.6)
    assert not playback.held
    assert playback.ends_at(11.5) == 13.0
    playback.hold(20.0)
    playback.resume(21.0)
    assert playback.ends_at(21.0) == 13.0, "nothing was playing: nothing to put off"


phrases = st.lists(st.tuples(st.text(" abc,.é😀", max_size=30), st.floats(0.01, 5.0)), max_size=6)


@given(phrases, st.lists(st.tuples(st.integers(0, 8), st.floats(-1e6, 1e9)), max_size=8), st.floats(0, 60))
def test_heard_is_always_a_prefix_and_grows(
    said: list[tuple[str, float]], reports: list[tuple[int, float]], at: float
) -> None:
    playback = spoken(*said, now=0.0)
    whole = "".join(text for text, _ in said)
    early = playback.heard_text(at)
    assert whole.strip().startswith(early) or early == whole.strip()
    assert len(playback.heard_text(at + 1.0)) >= len(early)
    for seq, ms in reports:
        before = playback.heard_s(at)
        playback.played(seq, ms)
        assert 0.0 <= playback.heard_s(at) <= playback.sent_s + 1e-9
        if playback.heard_s(at) < before:
            assert before <= at + 1e-9, "the first report replaces the estimate"
    assert playback.heard_s(at) == pytest.approx(playback.heard_s(at))


def test_who_reads_has_heard_what_was_shown_and_waits_for_no_speech() -> None:
    shown = ["Once upon a "]
    reading = Reading(lambda: shown[0])
    reading.phrase(1, "Once upon a time.")
    reading.made(1, 2.0)
    reading.sent(1, 2.0, 10.0)
    assert reading.ends_at(10.0) == 10.0
    assert reading.heard_text(10.0) == "Once upon a"
    shown[0] = "Once upon a time. There was"
    assert reading.heard_text(10.1) == "Once upon a time. There was"
    assert reading.audible


def test_what_stands_before_a_phrase_and_is_not_said_is_heard_with_its_first_word() -> None:
    playback = Playback()
    for seq, (before, text) in enumerate([("```x```\n", "One two three four."), (" 🙂\n", " Five six.")], 1):
        playback.phrase(seq, text, before)
        playback.made(seq, 2.0)
        playback.sent(seq, 2.0, 10.0)
    assert playback.heard_text(10.0) == ""
    assert playback.heard_text(11.0) == "```x```\nOne two"
    assert playback.heard_text(12.1) == "```x```\nOne two three four."
    assert playback.heard_text(99.0) == "```x```\nOne two three four. 🙂\n Five six."


def test_without_word_times_the_cut_may_fall_behind_the_last_word() -> None:
    playback = Playback()
    playback.phrase(1, "one two" + " " * 60)
    playback.made(1, 2.0)
    playback.sent(1, 2.0, 0.0)
    assert playback.heard_text(1.5) == "one two"
