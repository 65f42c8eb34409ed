"""Endpointing counts audio: a window of speech or silence at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.endpointing import Endpointer, EndpointRules, SpeechPaused, SpeechStarted, UtteranceEnded

W = 0.1
RULES = EndpointRules(onset_s=0.2, resume_s=0.2, pause_s=0.3, silence_s=0.5, max_s=3.0, inactivity_s=2.0)


def hear(endpointer: Endpointer, pattern: str, now: float = 0.0) -> list[object]:
    """`#` speech, `.` silence, `~` between release and threshold; what was found, in order."""
    level = {"#": 0.9, ".": 0.1, "~": 0.4}
    return [found for mark in pattern for found in endpointer.hear(level[mark], now)]


def test_an_utterance_from_onset_to_silence() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    found = hear(endpointer, "...####.....")
    assert found == [
        SpeechStarted(pytest.approx(0.3), first=True),
        SpeechPaused(pytest.approx(0.7)),
        UtteranceEnded(
            at_s=pytest.approx(0.7),
            reason="silence",
            speech_s=pytest.approx(0.4),
            silence_s=pytest.approx(0.5),
            length_s=pytest.approx(0.9),
        ),
    ]
    assert not endpointer.in_utterance


def test_a_click_is_not_speech() -> None:
    assert hear(Endpointer(RULES, window_s=W), "#.#.#..~~~") == []


def test_a_dip_does_not_break_an_onset_but_cannot_begin_one() -> None:
    assert hear(Endpointer(RULES, window_s=W), "~~~") == []
    assert hear(Endpointer(RULES, window_s=W), "#~") == [SpeechStarted(pytest.approx(0.0), first=True)]


def test_a_breath_pauses_and_speech_goes_on() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    kinds = [type(found).__name__ for found in hear(endpointer, "###...##.....")]
    assert kinds == ["SpeechStarted", "SpeechPaused", "SpeechStarted", "SpeechPaused", "UtteranceEnded"]


def test_a_click_in_the_pause_does_not_put_off_the_end() -> None:
    found = hear(Endpointer(RULES, window_s=W), "###...#.")
    assert isinstance(found[-1], UtteranceEnded)


def test_silence_shorter_than_the_pause_ends_the_utterance_at_once() -> None:
    rules = EndpointRules(onset_s=0.1, pause_s=0.3, silence_s=0.2)
    kinds = [type(found).__name__ for found in hear(Endpointer(rules, window_s=W), "##..")]
    assert kinds == ["SpeechStarted", "SpeechPaused", "UtteranceEnded"]


def test_an_endless_speaker_is_cut_at_max_length() -> None:
    found = hear(Endpointer(RULES, window_s=W), "#" * 40)
    ends = [end for end in found if isinstance(end, UtteranceEnded)]
    assert ends[0].reason == "max_length"
    assert ends[0].length_s == pytest.approx(3.0)
    assert isinstance(found[found.index(ends[0]) + 1], SpeechStarted), "what follows is the next utterance"


def test_stop_ends_what_is_open_and_only_that() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    assert endpointer.stop() is None
    hear(endpointer, "###")
    ended = endpointer.stop()
    assert ended is not None
    assert ended.reason == "stop"
    assert endpointer.stop() is None


def test_inactivity_is_the_only_rule_that_knows_the_time() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    assert endpointer.deadline is None
    assert endpointer.tick(99.0) is None
    hear(endpointer, "###", now=10.0)
    assert endpointer.deadline == 12.0
    assert endpointer.tick(11.9) is None
    ended = endpointer.tick(12.0)
    assert ended is not None
    assert ended.reason == "inactivity"
    assert endpointer.deadline is None


def test_push_to_talk_ends_by_the_button_not_by_silence() -> None:
    endpointer = Endpointer(EndpointRules(push_to_talk=True, onset_s=0.2, pause_s=0.2, silence_s=0.3), window_s=W)
    found = hear(endpointer, "." + "###" + "." * 10)
    assert [type(one).__name__ for one in found] == ["SpeechStarted", "SpeechPaused"]
    assert found[0] == SpeechStarted(pytest.approx(0.1), first=True)
    ended = endpointer.stop()
    assert ended is not None
    assert ended.length_s == pytest.approx(1.4)


def test_is_speech_follows_the_last_window() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    said = []
    for mark in ".##.#.":
        hear(endpointer, mark)
        said.append(endpointer.is_speech)
    assert said == [False, True, True, False, True, False]


def test_drop_forgets_the_utterance() -> None:
    endpointer = Endpointer(RULES, window_s=W)
    hear(endpointer, "####")
    endpointer.drop()
    assert not endpointer.in_utterance
    assert hear(endpointer, "........") == []


@given(st.lists(st.floats(0, 1), max_size=300), st.booleans())
def test_starts_and_ends_alternate(levels: list[float], push_to_talk: bool) -> None:
    rules = EndpointRules(onset_s=0.2, pause_s=0.2, silence_s=0.4, max_s=5.0, push_to_talk=push_to_talk)
    endpointer = Endpointer(rules, window_s=W)
    speaking = False
    last = 0.0
    for at, level in enumerate(levels):
        for found in endpointer.hear(level, at * W):
            assert last - 1e-6 <= found.at_s + 1.0, "times never jump back further than a pause"
            last = found.at_s
            match found:
                case SpeechStarted():
                    assert not speaking
                    speaking = True
                case SpeechPaused():
                    assert speaking
                    speaking = False
                case UtteranceEnded():
                    assert 0 <= found.speech_s <= found.length_s + 1e-6
                    speaking = False
        assert (endpointer.deadline is not None) == endpointer.in_utterance
