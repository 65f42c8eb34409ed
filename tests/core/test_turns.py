"""The turn rules, by table: events, times, and what is to be done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vivavoce.core.moves import (
    Action,
    CancelRequested,
    Closed,
    ConfirmReply,
    CutReply,
    DiscardReply,
    DropUtterances,
    EndEmptyTurn,
    Event,
    Explain,
    FinishUtterance,
    Heard,
    HoldReply,
    OpenUtterance,
    Recognized,
    Refuse,
    ReplyEnded,
    ResumeReply,
    SayRequested,
    Shielded,
    SpeechStarted,
    StartReply,
    StartSpeech,
    StopRequested,
    StreamOpened,
    Transcribe,
    TurnTimedOut,
    Typed,
    UtteranceEnded,
)
from vivavoce.core.turns import MAX_WAITING, TurnRules, TurnTaker


class Floor:
    """A TurnTaker, and short words for what happens to it."""

    def __init__(self, **rules: object) -> None:
        self.taker = TurnTaker(TurnRules(**rules))  # type: ignore[arg-type]
        self.decisions: list[tuple[str, str]] = []

    def __call__(self, *events: Event, now: float = 0.0) -> list[Action]:
        """What the events lead to, without the explanations, which are kept."""
        return [action for event in events for action in self._sort(self.taker.handle(event, now))]

    def tick(self, now: float) -> list[Action]:
        return self._sort(self.taker.tick(now))

    def _sort(self, actions: list[Action]) -> list[Action]:
        self.decisions += [(a.decision.what, a.decision.reason) for a in actions if isinstance(a, Explain)]
        return [a for a in actions if not isinstance(a, Explain)]

    def spoken(self, text: str = "hello", id: str = "u1", reason: str = "silence") -> list[Action]:
        """A whole utterance."""
        return self(SpeechStarted(), UtteranceEnded(reason), Recognized(id, text))


def partial(text: str, speech_s: float = 0.5, id: str = "u1") -> Heard:
    return Heard(id, text, speech_s)


def stable(text: str, id: str = "u1", *, paused: bool = True) -> Heard:
    return Heard(id, text, 0.5, stable=True, paused=paused)


def test_a_spoken_turn() -> None:
    floor = Floor()
    assert floor(SpeechStarted()) == [OpenUtterance("u1")]
    assert floor(partial("hello")) == []
    assert floor.taker.utterance == "u1"
    assert floor(UtteranceEnded("silence")) == [FinishUtterance("u1")]
    assert floor.taker.listening
    assert floor(Recognized("u1", "hello")) == [Transcribe(1, "u1", "hello"), StartReply(1, "hello", "u1")]
    assert not floor.taker.listening
    assert floor.taker.reply == 1
    assert floor(ReplyEnded(1)) == []
    assert floor.taker.reply is None


def test_speech_goes_on_after_a_pause_in_the_same_utterance() -> None:
    floor = Floor()
    assert floor(SpeechStarted(), SpeechStarted(first=False)) == [OpenUtterance("u1")]


def test_an_utterance_without_words_is_nothing_unless_it_was_stopped() -> None:
    floor = Floor()
    assert floor.spoken("") == [OpenUtterance("u1"), FinishUtterance("u1")]
    assert floor.spoken("...", "u2", reason="stop")[-1] == EndEmptyTurn(1, "u2", "")
    assert ("ignore", "no words in the utterance") in floor.decisions


def test_a_failed_recogniser_ends_the_turn_as_failed() -> None:
    floor = Floor()
    floor(SpeechStarted())
    assert floor(Recognized("u1", "", failed=True)) == [EndEmptyTurn(1, "u1", "", failed=True)]
    assert floor(UtteranceEnded("silence")) == [], "the utterance is over already"
    assert floor(Recognized("u9", "late")) == [], "nobody waits for it"


def test_stop_without_an_utterance_is_an_empty_turn() -> None:
    assert Floor()(StopRequested()) == [EndEmptyTurn(1, None, "")]


def test_stop_after_the_utterance_ended_by_itself_is_no_second_turn() -> None:
    floor = Floor()
    floor(SpeechStarted(), UtteranceEnded("silence"))
    assert floor(StopRequested()) == []
    assert floor(Recognized("u1", "")) == [EndEmptyTurn(1, "u1", "")], "but without words it is an empty one"
    floor.spoken("hello", "u2")
    assert floor(StopRequested()) == []
    assert floor(StopRequested()) == [EndEmptyTurn(3, None, "")]


def test_a_new_stream_gives_stop_its_meaning_back() -> None:
    floor = Floor()
    floor.spoken("hello")
    assert floor(StreamOpened(), StopRequested()) == [EndEmptyTurn(2, None, "")]


def test_asr_only_transcribes_and_answers_nothing() -> None:
    floor = Floor(mode="asr_only")
    floor(SpeechStarted())
    assert floor(stable("hello")) == []
    assert floor(UtteranceEnded("silence"), Recognized("u1", "hello"))[-1] == EndEmptyTurn(1, "u1", "hello")


def test_a_preemptive_reply_is_confirmed_by_the_same_words() -> None:
    floor = Floor()
    floor(SpeechStarted())
    assert floor(stable("What time is it")) == [StartReply(1, "What time is it", "u1", preemptive=True)]
    assert floor(stable("what time is it?")) == []
    floor(UtteranceEnded("silence"))
    final = floor(Recognized("u1", "what time is it"))
    assert final == [Transcribe(1, "u1", "what time is it"), ConfirmReply(1, "u1")]


def test_a_preemptive_reply_is_discarded_when_the_speaker_goes_on() -> None:
    floor = Floor()
    floor(SpeechStarted(), stable("turn on"))
    assert floor(partial("turn")) == [], "less than the guess says nothing"
    assert floor(partial("turn on the light")) == [DiscardReply(1)]
    assert floor(stable("turn on the light")) == [StartReply(1, "turn on the light", "u1", preemptive=True)]
    assert floor(stable("turn off the light")) == [
        DiscardReply(1),
        StartReply(1, "turn off the light", "u1", preemptive=True),
    ]
    floor(UtteranceEnded("silence"))
    assert floor(Recognized("u1", "turn off the lamp")) == [
        DiscardReply(1),
        Transcribe(1, "u1", "turn off the lamp"),
        StartReply(1, "turn off the lamp", "u1"),
    ]


def test_a_preemptive_reply_is_discarded_without_words() -> None:
    floor = Floor()
    floor(SpeechStarted(), stable("hm"), UtteranceEnded("silence"))
    assert floor(Recognized("u1", "")) == [DiscardReply(1)]


def test_a_preemptive_reply_is_discarded_by_whatever_comes_between() -> None:
    for event, follow in [
        (Typed("no"), [DiscardReply(1), StartReply(1, "no")]),
        (CancelRequested(), [DropUtterances(), DiscardReply(1)]),
        (TurnTimedOut(1), [DiscardReply(1)]),
        (Closed("disconnect"), [DropUtterances(), DiscardReply(1)]),
    ]:
        floor = Floor()
        floor(SpeechStarted(), stable("guess"))
        assert floor(event) == follow


def test_a_guess_does_not_outlive_a_change_to_asr_only() -> None:
    floor = Floor()
    floor(SpeechStarted(), stable("guess"), UtteranceEnded("silence"))
    floor.taker.rules = TurnRules(mode="asr_only")
    assert floor(Recognized("u1", "guess")) == [DiscardReply(1), EndEmptyTurn(1, "u1", "guess")]


def test_a_guess_of_one_utterance_is_not_judged_by_another() -> None:
    floor = Floor()
    floor(SpeechStarted(), stable("first guess"), UtteranceEnded("silence"), SpeechStarted())
    assert floor(partial("something much longer than it", id="u2")) == []
    assert floor(Recognized("u1", "first guess")) == [Transcribe(1, "u1", "first guess"), ConfirmReply(1, "u1")]


def test_no_guess_while_speaking_or_when_switched_off() -> None:
    floor = Floor()
    floor(SpeechStarted())
    assert floor(stable("turn on", paused=False)) == []
    assert floor(stable("...")) == []
    floor = Floor(preempt=False)
    floor(SpeechStarted())
    assert floor(stable("turn on")) == []
    assert floor(partial("x", id="u7")) == [], "an utterance that nobody knows"


def answering(**rules: object) -> Floor:
    floor = Floor(**rules)
    floor.spoken("tell me a story")
    return floor


def test_speech_over_a_reply_holds_it_and_a_word_cuts_it() -> None:
    floor = answering()
    assert floor(SpeechStarted(), now=5.0) == [OpenUtterance("u2"), HoldReply(1, "speech over the reply")]
    assert floor.taker.deadline == pytest.approx(5.6)
    assert floor(partial("wait", id="u2"), now=5.3) == [CutReply(1, "user_speech")]
    assert floor.taker.deadline is None
    assert floor(ReplyEnded(1)) == []


def test_a_false_alarm_resumes_the_reply() -> None:
    floor = answering()
    floor(SpeechStarted(), now=5.0)
    assert floor.tick(5.5) == []
    assert floor.tick(5.6) == [ResumeReply(1, "no word within hold_ms")]
    assert floor.tick(9.9) == []
    assert floor(SpeechStarted(first=False), now=6.0) == [HoldReply(1, "speech over the reply")]
    assert floor(SpeechStarted(first=False), now=6.1) == [], "held already"
    assert floor(UtteranceEnded("silence"), Recognized("u2", "")) == [
        FinishUtterance("u2"),
        ResumeReply(1, "no words were heard"),
    ]


def test_noise_does_not_resume_while_somebody_speaks_again() -> None:
    floor = answering()
    floor(SpeechStarted(), UtteranceEnded("silence"), SpeechStarted(), now=5.0)
    assert floor(Recognized("u2", ""), now=5.1) == []


def test_too_little_speech_or_too_few_words_do_not_interrupt() -> None:
    floor = answering(min_words=2)
    floor(SpeechStarted(), now=5.0)
    assert floor(partial("mhm", id="u2")) == []
    assert floor(partial("mhm", id="u2")) == []
    assert floor.decisions.count(("ignore", "too few words")) == 1
    assert floor(UtteranceEnded("silence"), Recognized("u2", "mhm"))[-1] == ResumeReply(1, "too few words")
    floor = answering(min_speech_s=0.3)
    floor(SpeechStarted(), now=5.0)
    assert floor(partial("wait", 0.2, id="u2")) == []
    assert ("ignore", "too little speech") in floor.decisions
    assert floor(partial("", 0.2, id="u2")) == []
    assert floor(partial("wait please", 0.3, id="u2")) == [CutReply(1, "user_speech")]


def test_a_final_interrupts_where_no_partial_did() -> None:
    floor = answering()
    floor(SpeechStarted(), UtteranceEnded("silence"))
    assert floor(Recognized("u2", "stop it")) == [
        CutReply(1, "user_speech"),
        Transcribe(2, "u2", "stop it"),
        StartReply(2, "stop it", "u2"),
    ]


def test_a_reply_that_may_not_be_interrupted_is_not() -> None:
    floor = answering(interruptible=False)
    assert floor(SpeechStarted(), SpeechStarted(first=False)) == []
    assert floor.decisions.count(("ignore", "reply is not interruptible")) == 1
    floor = answering()
    floor(SpeechStarted(), UtteranceEnded("silence"))
    floor.taker.rules = TurnRules(interruptible=False)
    assert floor(Recognized("u2", "stop it")) == []


def test_a_typed_turn_collides_with_the_reply() -> None:
    floor = answering()
    assert floor(Typed("never mind")) == [CutReply(1, "command_collision"), StartReply(2, "never mind")]


def test_cancel_forgets_and_is_idempotent() -> None:
    floor = answering()
    floor(SpeechStarted())
    assert floor(CancelRequested()) == [DropUtterances(), CutReply(1, "client_cancel", forget=True)]
    assert floor(CancelRequested()) == []
    assert floor(Recognized("u2", "late")) == []


def test_a_turn_that_takes_too_long_is_cut() -> None:
    floor = answering()
    assert floor(TurnTimedOut(7)) == []
    assert floor(TurnTimedOut(1)) == [CutReply(1, "timeout")]
    assert floor(TurnTimedOut(1)) == []


def test_the_agent_speaks_when_the_floor_is_free() -> None:
    floor = Floor()
    assert floor(SayRequested("Hello!", interruptible=False)) == [StartSpeech(1, "Hello!")]
    assert floor(SpeechStarted()) == [], "not interruptible"
    assert floor(SayRequested("And this."), SayRequested("And that.")) == []
    assert floor(ReplyEnded(1)) == [StartSpeech(2, "And this.")]
    assert floor(Typed("hm")) == [CutReply(2, "command_collision"), StartReply(3, "hm")]
    assert floor(ReplyEnded(3)) == [StartSpeech(4, "And that.")]
    assert floor(ReplyEnded(4), SpeechStarted(), SayRequested("Ding.")) == [OpenUtterance("u1")]
    assert floor(UtteranceEnded("silence"), Recognized("u1", ""))[-1] == StartSpeech(5, "Ding.")


def test_announcements_do_not_pile_up() -> None:
    floor = answering()
    for _ in range(MAX_WAITING):
        assert floor(SayRequested("x")) == []
    assert isinstance(floor(SayRequested("x"))[0], Refuse)
    floor(CancelRequested())
    assert floor(SayRequested("y")) == [StartSpeech(2, "y")]


def test_closing_ends_everything() -> None:
    floor = answering()
    floor(SpeechStarted(), SayRequested("x"))
    assert floor(Closed("shutdown")) == [DropUtterances(), CutReply(1, "shutdown")]
    assert floor(Closed("shutdown")) == []


def test_nothing_begins_after_the_close() -> None:
    floor = Floor(still_there_s=5.0, still_there="Hello?")
    floor(StreamOpened(), Closed("disconnect"))
    assert floor(SayRequested("bye"), Typed("hi"), SpeechStarted(), StreamOpened()) == []
    assert floor.taker.deadline is None
    assert floor.tick(1e9) == []


def test_the_agent_may_open_with_what_it_makes_up() -> None:
    floor = Floor()
    assert floor(SayRequested(None)) == [StartSpeech(1, None)]
    assert floor(SpeechStarted(), partial("hi")) == [
        OpenUtterance("u1"),
        HoldReply(1, "speech over the reply"),
        CutReply(1, "user_speech"),
    ]


def shielded(**rules: object) -> Floor:
    floor = answering(**rules)
    assert floor(Shielded(1, on=True)) == []
    return floor


def test_nobody_talks_over_a_shielded_reply() -> None:
    floor = shielded()
    assert floor(SpeechStarted()) == []
    assert ("ignore", "reply is not interruptible") in floor.decisions
    assert floor(Shielded(1, on=False)) == []
    assert floor(SpeechStarted()) == [OpenUtterance("u2"), HoldReply(1, "speech over the reply")]


def test_a_held_reply_goes_on_when_it_is_shielded_and_words_wait_for_the_final() -> None:
    floor = answering()
    floor(SpeechStarted(), now=5.0)
    assert floor(Shielded(1, on=True), now=5.2) == [ResumeReply(1, "reply is not interruptible")]
    assert floor(partial("wait a moment", id="u2"), now=5.3) == [], "talked over, but not interrupted"
    floor(UtteranceEnded("silence"))
    assert floor(Recognized("u2", "wait a moment")) == []
    floor = shielded()
    floor(Shielded(1, on=False), SpeechStarted(), Shielded(1, on=True), UtteranceEnded("silence"))
    floor(Shielded(1, on=False))
    assert floor(Recognized("u2", "wait"))[0] == CutReply(1, "user_speech"), "it was over when the final came"


def test_shields_are_counted_and_belong_to_one_reply() -> None:
    floor = shielded()
    floor(Shielded(1, on=True), Shielded(1, on=False))
    assert floor(SpeechStarted()) == [], "one block is left"
    assert floor(Typed("next")) == [CutReply(1, "command_collision"), StartReply(2, "next")]
    floor(Shielded(2, on=True), Shielded(1, on=False))
    assert floor(SpeechStarted()) == [], "the block of a reply that is gone ends without effect"
    floor(Shielded(2, on=False), Shielded(2, on=False), Shielded(2, on=True))
    assert floor(SpeechStarted()) == [], "an end too many is not counted"
    floor(ReplyEnded(2))
    assert floor(Shielded(2, on=True)) == []
    assert floor(SpeechStarted()) == [OpenUtterance("u2")]


def test_the_end_of_a_shield_leaves_an_uninterruptible_reply_as_it_was() -> None:
    floor = Floor()
    floor(SayRequested("Attention.", interruptible=False), Shielded(1, on=True), Shielded(1, on=False))
    assert floor(SpeechStarted()) == []


def test_a_guess_that_is_shielded_is_so_once_it_is_certain() -> None:
    floor = Floor()
    floor(SpeechStarted(), stable("hello"), Shielded(1, on=True), UtteranceEnded("silence"), Recognized("u1", "hello"))
    assert floor(SpeechStarted()) == []


def waiting(**rules: object) -> Floor:
    """The stream was opened at 10 s; the agent asks after 5 s."""
    floor = Floor(still_there_s=5.0, still_there="Hello?", **rules)
    floor(StreamOpened(), now=10.0)
    return floor


def test_a_silent_user_is_asked_and_only_so_often() -> None:
    floor = waiting(still_there_times=2)
    assert floor.taker.deadline == 15.0
    assert floor.tick(14.9) == []
    assert floor.tick(15.0) == [StartSpeech(1, "Hello?")]
    assert floor.taker.deadline is None, "not while it is being asked"
    floor(ReplyEnded(1), now=16.0)
    assert floor.taker.deadline == 21.0
    assert floor.tick(21.0) == [StartSpeech(2, "Hello?")]
    floor(ReplyEnded(2), now=22.0)
    assert floor.taker.deadline is None
    assert floor.tick(1e6) == []


@pytest.mark.parametrize(
    "words",
    [[Typed("hi")], [SpeechStarted(), UtteranceEnded("silence"), Recognized("u1", "hi")]],
    ids=["typed", "spoken"],
)
def test_words_of_the_user_start_the_count_anew(words: list[Event]) -> None:
    floor = waiting()
    floor.tick(15.0)
    floor(ReplyEnded(1), now=16.0)
    assert floor.taker.deadline is None
    floor(*words, now=30.0)
    assert floor.taker.deadline is None, "it is being answered"
    floor(ReplyEnded(2), now=33.0)
    assert floor.tick(38.0) == [StartSpeech(3, "Hello?")]


def test_noise_is_no_answer_to_whether_somebody_is_there() -> None:
    floor = waiting()
    floor(SpeechStarted(), now=14.0)
    assert floor.taker.deadline is None, "not while somebody speaks"
    floor(UtteranceEnded("silence"), now=14.5)
    assert floor.taker.deadline is None, "nor while the words are awaited"
    floor(Recognized("u1", ""), now=15.0)
    assert floor.tick(20.0) == [StartSpeech(1, "Hello?")]
    floor(SpeechStarted(), UtteranceEnded("silence"), Recognized("u2", ""), now=21.0)
    floor(ReplyEnded(1), now=22.0)
    assert floor.taker.deadline is None, "noise over the question leaves it at one"


def test_a_reopened_stream_begins_the_silence_anew() -> None:
    floor = waiting()
    floor(StreamOpened(), now=14.0)
    assert floor.taker.deadline == 19.0
    floor(SayRequested("Ding."), now=15.0)
    assert floor.taker.deadline is None
    floor.taker.rules = TurnRules()
    floor(ReplyEnded(1), now=16.0)
    assert floor.taker.deadline is None, "no rule any more"


ids = st.sampled_from(["u1", "u2", "u3", "u4"])
texts = st.sampled_from(["", "a", "a b", "a b c", "b", "..."])
events = st.one_of(
    st.builds(SpeechStarted, st.booleans()),
    st.builds(Heard, ids, texts, st.floats(0, 1), st.booleans(), st.booleans()),
    st.builds(UtteranceEnded, st.sampled_from(["silence", "stop", "max_length"])),
    st.builds(StopRequested),
    st.builds(StreamOpened),
    st.builds(Recognized, ids, texts, st.booleans()),
    st.builds(Typed, st.just("typed")),
    st.builds(SayRequested, st.sampled_from(["say", None]), st.booleans()),
    st.builds(Shielded, st.integers(1, 6), on=st.booleans()),
    st.builds(CancelRequested),
    st.builds(ReplyEnded, st.integers(1, 6)),
    st.builds(TurnTimedOut, st.integers(1, 6)),
)


@given(
    st.lists(st.tuples(events, st.floats(0, 1)), max_size=60),
    st.integers(1, 2),
    st.booleans(),
    st.none() | st.just(0.5),
)
def test_never_two_replies_and_each_ends_once(
    walk: list[tuple[Event, float]], min_words: int, preempt: bool, still_there_s: float | None
) -> None:
    taker = TurnTaker(TurnRules(min_words=min_words, preempt=preempt, still_there_s=still_there_s))
    running: int | None = None
    certain: set[int] = set()
    now = 0.0
    for event, step in [*walk, (Closed("disconnect"), 0.0)]:
        now += step
        timed = taker.tick(now)
        for action in [*timed, event, *taker.handle(event, now)]:
            match action:
                case ReplyEnded(number) if number == running:
                    running = None  # what follows may be an announcement that waited for the floor
                case StartReply(number, preemptive=preemptive):
                    assert running is None
                    running = number
                    assert number not in certain
                    if not preemptive:
                        certain.add(number)
                case StartSpeech(number):
                    assert running is None
                    running = number
                    certain.add(number)
                case ConfirmReply(number):
                    assert running == number
                    assert number not in certain
                    certain.add(number)
                case DiscardReply(number):
                    assert running == number
                    assert number not in certain
                    running = None
                case CutReply(number):
                    assert running == number
                    assert number in certain
                    running = None
                case HoldReply(number) | ResumeReply(number):
                    assert running == number
                    assert number in certain
        assert taker.reply == running
        assert taker.deadline is None or running is not None or (still_there_s and not taker.listening)
    assert running is None
    assert not taker.listening
