"""Cutting a turn: by speech, another turn, `cancel`, time, a lost socket, a stop of the server."""

from __future__ import annotations

import asyncio

import pytest

from kit import FakeModel, FakeRecognizer, FakeVoice
from transports.wire import CLOSING, Json, MemoryPeer, a_server, virtual
from vivavoce.engines.base import Speech, Word
from vivavoce.memory.volatile import MemoryStore
from vivavoce.settings import Settings, Stream, Turns

STORY = "Once upon a time there was a boat. It sailed away over the sea. It never came back at all."


async def hearing(peer: MemoryPeer, seconds: float, **start: object) -> float:
    """A typed turn whose answer has been audible for *seconds*; when its first audio came."""
    await peer.start(**start)
    await peer.send("text", text="tell me a story")
    await peer.until(lambda: bool(peer.of("tts_chunk") or peer.frames))
    began = asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    return began


def closed_once(peer: MemoryPeer, turn: int, reason: str) -> Json:
    """The `interrupted` of a turn: its only closing message, no audio after it, then its metrics."""
    closing = peer.of(*CLOSING, turn=turn)
    assert [m["type"] for m in closing] == ["interrupted"]
    assert closing[0]["reason"] == reason
    cut = peer.messages.index(closing[0])
    after = {m["type"] for m in peer.messages[cut + 1 :] if m.get("turn_id") == turn}
    assert after <= {"decision", "metrics"}
    metrics = peer.of("metrics", turn=turn)
    assert [(m["outcome"], m["interrupted"]) for m in metrics] == [("interrupted", True)]
    at = next(at for at, m in peer.arrived if m is closing[0])
    assert not [frame for frame in peer.speech(turn) if frame[0] > at], "no audio after its end"
    return closing[0]


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_words_over_the_answer_cut_it_to_what_was_heard(audio_out: str) -> None:
    store = MemoryStore()
    async with a_server(llm=FakeModel(STORY), asr=FakeRecognizer(["wait a moment"]), store=store) as server:
        peer = await server.connect()
        began = await hearing(peer, 2.0, audio_out=audio_out, conversation_id="c")
        await peer.speak(0.7)
        cut = await peer.wait("interrupted")
        at = next(at for at, m in peer.arrived if m is cut)
        await peer.hush(1.0)
        await peer.wait("metrics", 2)
        kept = await store.load("c", "local", 10)
    held = peer.of("hold")[0]
    assert held["turn_id"] == 1
    assert held["reason"]
    closed_once(peer, 1, "user_speech")
    assert STORY.startswith(cut["heard_text"])
    assert len(cut["heard_text"]) == pytest.approx((at - began) / 0.05, abs=12)
    assert (kept[0].user, kept[0].assistant, kept[0].interrupted) == ("tell me a story", cut["heard_text"], True)
    assert kept[1].user == "wait a moment"


@virtual
async def test_the_model_is_told_what_was_heard() -> None:
    model = FakeModel(STORY)
    async with a_server(llm=model, asr=FakeRecognizer(["wait a moment"])) as server:
        peer = await server.connect()
        await hearing(peer, 2.0)
        await peer.speak(0.7)
        await peer.send("stop")
        await peer.wait("metrics", 2)
    remembered = model.requests[-1].messages[-2]
    assert remembered.interrupted
    assert remembered.content == peer.of("interrupted")[0]["heard_text"]


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_a_false_alarm_holds_and_resumes(audio_out: str) -> None:
    async with a_server(llm=FakeModel(STORY), asr=FakeRecognizer([""])) as server:
        peer = await server.connect()
        await hearing(peer, 1.0, audio_out=audio_out)
        await peer.speak(0.2)  # a cough
        resume = await peer.wait("resume")
        assert resume["turn_id"] == 1
        assert resume["reason"]
        hold = peer.of("hold")[0]
        span = [at for at, m in peer.arrived if m is hold or m is resume]
        if audio_out == "pcm":
            assert not [at for at, *_ in peer.speech(1) if span[0] < at < span[1]], "audio flowed while held"
        await peer.hush(1.5)
        assert (await peer.wait("metrics"))["outcome"] == "done"
    whats = [m["what"] for m in peer.of("decision")]
    assert whats.index("hold") < whats.index("resume")
    if audio_out == "pcm":
        heard = b"".join(pcm for *_, pcm in peer.speech(1))
        assert len(heard) / 2 / 8000 == pytest.approx(sum(len(m["text"].strip()) * 0.05 for m in peer.of("phrase")))


@virtual
async def test_an_answer_that_must_be_heard_is_not_interrupted() -> None:
    async with a_server(llm=FakeModel(STORY), asr=FakeRecognizer(["wait a moment"])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("update", interruptible=False)
        await peer.send("text", text="story")
        await peer.wait("tts_chunk")
        await peer.speak(1.0)
        await peer.hush(1.0)
        assert (await peer.wait("metrics"))["outcome"] == "done"
    assert peer.of("hold", "interrupted") == []
    assert "ignore" in [m["what"] for m in peer.of("decision")]


@virtual
async def test_another_turn_collides() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await hearing(peer, 1.0)
        await peer.send("text", text="never mind")
        await peer.wait("metrics", 2)
    closed_once(peer, 1, "command_collision")
    kinds = [(m["type"], m["turn_id"]) for m in peer.messages if m["type"] in ("interrupted", "llm_token")]
    assert kinds.index(("interrupted", 1)) < kinds.index(("llm_token", 2)), "first cut, then the new turn"


# --- cancel ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audio_out", ["wav_b64", "pcm"])
@virtual
async def test_cancel_silences_and_nothing_is_kept(audio_out: str) -> None:
    store = MemoryStore()
    model = FakeModel(STORY)
    async with a_server(llm=model, store=store) as server:
        peer = await server.connect()
        await hearing(peer, 1.5, audio_out=audio_out, conversation_id="c")
        await peer.send("cancel")
        await peer.send("cancel")
        await peer.wait("metrics")
        assert model.streams == 0
        kept = await store.load("c", "local", 10)
        assert [turn.assistant for turn in kept] == [""]
        assert (await peer.ask("again"))["outcome"] == "done"
    closed_once(peer, 1, "client_cancel")


@pytest.mark.parametrize("after_s", [0.0, 0.015, 0.03, 0.05, 0.1, 0.3])
@virtual
async def test_cancel_at_any_moment_of_the_making(after_s: float) -> None:
    model = FakeModel(STORY, gap_s=0.01)
    async with a_server(llm=model, tts=FakeVoice(delay_s=0.04)) as server:
        peer = await server.connect()
        await peer.start(audio_out="pcm")
        await peer.send("text", text="story")
        await asyncio.sleep(after_s)
        await peer.send("cancel")
        await peer.wait("metrics")
        assert model.streams == 0
        await peer.hush(1.0)
    closed_once(peer, 1, "client_cancel")


@virtual
async def test_cancel_between_the_last_token_and_the_last_audio() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start(audio_out="pcm")
        await peer.send("text", text="story")
        await peer.until(lambda: any(m["done"] for m in peer.of("llm_token")))
        await peer.send("cancel")
        await peer.wait("metrics")
        await peer.hush(1.0)
    closed_once(peer, 1, "client_cancel")


@virtual
async def test_cancel_after_the_end_changes_nothing() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("hello")
        before = len(peer.messages)
        await peer.send("cancel")
        await peer.send("cancel")
        await peer.send("ping")
        await peer.wait("pong")
        assert {m["type"] for m in peer.messages[before:]} <= {"info", "pong"}
        assert (await peer.ask("hello"))["outcome"] == "done"


@virtual
async def test_cancel_drops_the_utterance() -> None:
    model, recognizer = FakeModel("never"), FakeRecognizer(["not", "but this"])
    async with a_server(llm=model, asr=recognizer) as server:
        peer = await server.connect()
        await peer.start(mode="asr_only")
        await peer.speak(0.6)
        await peer.send("cancel")
        await peer.hush(1.5)
        assert recognizer.streams == 0
        assert peer.of("final_transcript", "metrics") == []
        await peer.speak(0.6)
        await peer.hush(1.0)
        await peer.wait("metrics")
    assert [m["text"] for m in peer.of("final_transcript")] == ["but this"]


# --- the rest of the reasons ----------------------------------------------------------------------------------------


@virtual
async def test_a_turn_has_its_time() -> None:
    settings = Settings(stream=Stream(turn_timeout_s=5.0))
    async with a_server(settings=settings, llm=FakeModel(["Well, ", 4.0, "now ", 4.0, "then."])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.ask("hello")
        await peer.send("ping")
        await peer.wait("pong")
    closed_once(peer, 1, "timeout")


@virtual
async def test_a_lost_socket_cuts_the_turn_to_what_was_heard() -> None:
    store, model, voice = MemoryStore(), FakeModel(STORY), FakeVoice()
    async with a_server(llm=model, tts=voice, store=store) as server:
        peer = await server.connect()
        await hearing(peer, 1.5, conversation_id="c")
        before = asyncio.get_running_loop().time()
        await peer.vanish()
        assert asyncio.get_running_loop().time() - before < 1.0
        assert model.streams == voice.streams == 0
        assert len(server.state.sessions) == 0
        kept = await store.load("c", "local", 10)
    assert [(t.outcome, t.interrupted) for t in kept] == [("interrupted", True)]
    assert 20 <= len(kept[0].assistant) <= 34


@virtual
async def test_a_stop_of_the_server_lets_the_turn_finish_or_cuts_it() -> None:
    import msgspec

    from vivavoce.settings import Server

    patient, hasty = Server(drain_s=30.0), Server(drain_s=0.5)
    for server_settings, outcome in ((patient, "done"), (hasty, "interrupted")):
        settings = msgspec.structs.replace(Settings(), server=server_settings)
        async with a_server(settings=settings, llm=FakeModel(STORY)) as server:
            peer = await server.connect()
            await hearing(peer, 0.5)
            await server.state.drain()
            assert (await peer.ended())[0] == 1012
            notice = next(m for m in peer.of("info") if "retry_after_s" in m)
            assert notice["retry_after_s"] > 0
            assert peer.of("metrics")[0]["outcome"] == outcome
            if outcome == "interrupted":
                closed_once(peer, 1, "shutdown")


@virtual
async def test_idle_sessions_end() -> None:
    async with a_server(settings=Settings(stream=Stream(idle_timeout_s=60.0))) as server:
        peer = await server.connect()
        await peer.start()
        await asyncio.sleep(50.0)
        await peer.hush(0.1)
        began = asyncio.get_running_loop().time()
        code, reason = await peer.ended()
        assert (code, "60" in reason) == (1000, True)
        assert asyncio.get_running_loop().time() - began == pytest.approx(60.0, abs=1.0)


# --- what was heard -------------------------------------------------------------------------------------------------


class TimedVoice(FakeVoice):
    """Says a word every half second, and when."""

    async def synthesize(self, phrase: str, voice: str):  # type: ignore[no-untyped-def, override]
        words = phrase.split()
        times = tuple(Word(word, 500 * at, 500 * at + 400) for at, word in enumerate(words))
        yield Speech(b"\x10\x00" * (4000 * len(words)), times)


@pytest.mark.parametrize(
    ("seq", "ms", "heard"),
    [
        (1, 0, ""),
        (1, 100, ""),
        (1, 200, "Once"),
        (1, 1300, "Once upon a"),
        (1, 1e12, "{first}"),
        (1, -5, ""),
        (2, 0, "{first}"),
        (2, 800, "{first} It sailed"),
        (9, 100, "?"),
    ],
)
@virtual
async def test_played_decides_to_the_word(seq: int, ms: float, heard: str) -> None:
    async with a_server(llm=FakeModel(STORY), tts=TimedVoice(), asr=FakeRecognizer(["stop now"])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="story")
        await peer.wait("tts_chunk", 2)
        assert peer.of("phrase")[0]["words"][0] == ["Once", 0, 400]
        await peer.send("played", turn_id=1, seq=seq, ms=ms)
        await peer.send("text", text="stop")
        cut = await peer.wait("interrupted")
        first = peer.of("phrase")[0]["text"].strip()
        assert peer.of("phrase")[1]["text"].strip().startswith("It sailed")
    if heard == "?":  # a phrase that does not exist: as if nothing had been reported
        assert STORY.startswith(cut["heard_text"])
    else:
        assert cut["heard_text"] == heard.format(first=first)


@virtual
async def test_without_word_times_the_cut_is_in_proportion() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="story")
        await peer.wait("tts_chunk", 2)
        first = peer.of("phrase")[0]["text"]
        await peer.send("played", turn_id=1, seq=1, ms=len(first.strip()) * 50 / 2)
        await peer.send("text", text="stop")
        cut = await peer.wait("interrupted")
    assert first.startswith(cut["heard_text"])
    assert len(cut["heard_text"]) == pytest.approx(len(first) / 2, abs=5)


@virtual
async def test_played_ends_the_turn_when_all_was_heard() -> None:
    async with a_server(llm=FakeModel(STORY)) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="story")
        await peer.until(lambda: any(m["done"] for m in peer.of("llm_token")) and len(peer.of("tts_phrase_done")) >= 3)
        last = peer.of("phrase")[-1]
        await peer.send("played", turn_id=1, seq=last["seq"], ms=1e9)
        began = asyncio.get_running_loop().time()
        assert (await peer.wait("metrics"))["outcome"] == "done"
        assert asyncio.get_running_loop().time() - began < 0.1


@virtual
async def test_played_of_another_turn_means_nothing() -> None:
    async with a_server() as server:
        peer = await server.connect()
        await peer.start()
        for turn in (-1, 0, 7, 10**12):
            await peer.send("played", turn_id=turn, seq=1, ms=10)
        assert (await peer.ask("hi"))["outcome"] == "done"
    assert peer.of("error") == []


# --- say ------------------------------------------------------------------------------------------------------------


@virtual
async def test_say_is_a_turn_of_the_agent() -> None:
    store, model = MemoryStore(), FakeModel("never")
    async with a_server(llm=model, store=store) as server:
        peer = await server.connect()
        await peer.start(conversation_id="c")
        await peer.send("say", text="Welcome to the show.")
        await peer.wait("metrics")
        kept = await store.load("c", "local", 5)
    of_turn = [m for m in peer.messages if m.get("turn_id") == 1]
    assert of_turn
    assert all(m.get("initiator") == "agent" for m in of_turn if m["type"] != "decision")
    assert peer.of("final_transcript") == []
    assert "".join(m["text"] for m in peer.of("phrase")).strip() == "Welcome to the show."
    assert peer.of("tts_chunk")
    assert model.requests == []
    assert [(t.user, t.assistant) for t in kept] == [(None, "Welcome to the show.")]


@pytest.mark.parametrize("interruptible", [True, False])
@virtual
async def test_say_may_insist_on_being_heard(interruptible: bool) -> None:
    async with a_server(asr=FakeRecognizer(["stop it"])) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("say", text=STORY, interruptible=interruptible)
        await peer.wait("tts_chunk")
        await peer.speak(0.8)
        await peer.hush(1.0)
        metrics = await peer.wait("metrics")
    assert metrics["outcome"] == ("interrupted" if interruptible else "done")


@virtual
async def test_announcements_wait_for_the_floor() -> None:
    async with a_server(settings=Settings(turns=Turns(preempt=False))) as server:
        peer = await server.connect()
        await peer.start()
        await peer.send("text", text="hello")
        await peer.send("say", text="First notice.")
        await peer.send("say", text="Second notice.")
        await peer.wait("metrics", 3)
    assert [(m["turn_id"], m["outcome"]) for m in peer.of("metrics")] == [(1, "done"), (2, "done"), (3, "done")]
    said = {m["turn_id"]: m["text"].strip() for m in peer.of("phrase")}
    assert said[2] == "First notice."
    assert said[3] == "Second notice."
