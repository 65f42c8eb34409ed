"""Processes that die or are told to: workers, the server, and what is left of them."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from faults.live import SAID, Live, gone, kill, spoken_command
from transports.wire import CLOSING, SocketPeer, a_socket, check_laws, pieces, silence

pytestmark = pytest.mark.xdist_group("faults")
Serve = Callable[..., Live]


def ends(peer: SocketPeer, turn: int) -> list[str]:
    return [m["type"] for m in peer.of(*CLOSING, turn=turn)]


async def heard(peer: SocketPeer, count: int) -> str:
    """What is understood of the spoken command as turn *count*."""
    for piece in pieces(spoken_command() + silence(0.5), 10_240):
        await peer.send_raw(piece)
    await peer.send("stop")
    await peer.wait("metrics", count, within_s=30)
    text: str = peer.of("final_transcript")[-1]["text"]
    return text


async def test_a_recogniser_killed_mid_utterance_is_replaced(live: Live) -> None:
    async with a_socket(live.url()) as peer:
        await peer.start(mode="asr_only")
        sound = spoken_command()
        for piece in pieces(sound[: len(sound) // 2], 10_240):
            await peer.send_raw(piece)
        await peer.wait("speech_started")
        workers = live.workers("pocketsphinx_worker")
        kill(workers)
        for piece in pieces(sound[len(sound) // 2 :], 10_240):
            await peer.send_raw(piece)
        await peer.send("stop")
        metrics = await peer.wait("metrics", within_s=30)
        if metrics["outcome"] == "done":  # another worker heard it from its start
            assert set(SAID.split()) & set(peer.of("final_transcript")[0]["text"].split())
        else:
            assert [m["code"] for m in peer.of("error")] == ["ASR_FAILED"]
        assert set(SAID.split()) & set((await heard(peer, 2)).split())
        assert peer.of("metrics")[1]["outcome"] == "done"
    assert gone(workers)
    check_laws(peer)


async def test_a_voice_killed_while_it_works_is_replaced(live: Live) -> None:
    async with a_socket(live.url()) as peer:
        await peer.start()
        workers = live.workers("espeak_worker")
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)  # so that it has a phrase and has not finished it
        await peer.send("text", text="what time is it")
        await peer.until(lambda: any(m["done"] for m in peer.of("llm_token")))
        kill(workers)
        metrics = await peer.wait("metrics", within_s=20)
        assert metrics["outcome"] == "done"
        assert ends(peer, 1) == ["tts_complete"]
        assert (await peer.ask("what time is it"))["phrases"] >= 1
    assert gone(workers)
    check_laws(peer)


async def test_a_voice_that_hangs_costs_its_phrase_and_no_more(serve: Serve) -> None:
    live = serve("--set", "tts.timeout_s=1").ready()
    workers = live.workers("espeak_worker")
    async with a_socket(live.url()) as peer:
        await peer.start()
        for pid in workers:
            os.kill(pid, signal.SIGSTOP)
        await peer.send("text", text="what time is it")
        assert (await peer.wait("metrics", within_s=20))["outcome"] == "failed"
        assert [m["code"] for m in peer.of(*CLOSING, turn=1)] == ["TTS_TIMEOUT"]
        idle = [pid for pid in workers if not await asyncio.to_thread(gone, [pid], 1.0)]
        assert len(idle) < len(workers), "the one that hung was replaced"
        for pid in idle:
            os.kill(pid, signal.SIGCONT)
        assert (await peer.ask("what time is it"))["outcome"] == "done"
    assert await asyncio.to_thread(live.stop) == 0


async def test_all_workers_killed_while_nobody_speaks(live: Live) -> None:
    kill(live.workers())
    async with a_socket(live.url()) as peer:
        await peer.start(mode="asr_only")
        assert set(SAID.split()) & set((await heard(peer, 1)).split())
        await peer.send("update", mode="hands_free")
        assert (await peer.ask("what time is it"))["outcome"] == "done"


async def test_a_vanished_client_frees_its_session(live: Live) -> None:
    async def none_left() -> None:
        while live.get("/health").json()["active_sessions"]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)

    for moment in ("utterance", "speech"):
        async with a_socket(live.url()) as peer:
            await peer.start()
            if moment == "utterance":
                await peer.say_sound(spoken_command()[:32_000])
                await peer.wait("speech_started")
            else:
                await peer.send("text", text="tell me a story")
                await peer.wait("tts_chunk")
            await peer.vanish()
        async with asyncio.timeout(2.0):
            await none_left()


# --- signals --------------------------------------------------------------------------------------------------------


async def test_sigterm_lets_the_running_turn_finish_and_sends_the_rest_away(serve: Serve) -> None:
    live = serve().ready()
    workers = live.workers()
    async with a_socket(live.url()) as talking, a_socket(live.url()) as idle:
        await talking.start()
        await idle.start()
        await talking.send("text", text="what time is it")
        await talking.wait("tts_chunk")
        live.process.signal(signal.SIGTERM)
        for peer in (talking, idle):
            notice = await peer.wait("info", 2, within_s=10)
            assert notice["retry_after_s"] > 0
        async with a_socket(live.url()) as late:
            assert (await late.ended(5))[0] == 1012
            assert late.of("error")[0]["code"] == "SHUTTING_DOWN"
        assert live.get("/ready").status_code == 503
        assert (await talking.ended(20))[0] == 1012
        assert (await idle.ended(20))[0] == 1012
        assert talking.of("metrics")[0]["outcome"] == "done"
        check_laws(talking)
    assert await asyncio.to_thread(live.process.wait) == 0
    assert gone(workers)
    assert not any("Traceback" in line for line in live.process.err)


async def test_a_drain_has_its_limit(serve: Serve) -> None:
    live = serve("--set", "server.drain_s=0.5").ready()
    async with a_socket(live.url()) as peer:
        await peer.start()
        await peer.send("text", text="tell me a story")
        await peer.wait("tts_chunk")
        live.process.signal(signal.SIGTERM)
        assert (await peer.ended(10))[0] == 1012
        assert [m["reason"] for m in peer.of("interrupted")] == ["shutdown"]
        assert peer.of("metrics")[0]["outcome"] == "interrupted"
    assert await asyncio.to_thread(live.process.wait) == 0


async def test_a_second_signal_means_now(serve: Serve) -> None:
    live = serve().ready()
    workers = live.workers()
    async with a_socket(live.url()) as peer:
        await peer.start()
        await peer.send("text", text="tell me a story")
        await peer.wait("tts_chunk")
        live.process.signal(signal.SIGTERM)
        await peer.wait("info", 2, within_s=10)
        began = asyncio.get_running_loop().time()
        live.process.signal(signal.SIGTERM)
        await peer.ended(5)
        assert await asyncio.to_thread(live.process.wait) == 0
        assert asyncio.get_running_loop().time() - began < 4.0
    assert gone(workers)


async def test_sigterm_while_the_engines_load(serve: Serve) -> None:
    live = serve()
    async with a_socket(live.url()) as peer:
        await peer.send("start")
        live.process.signal(signal.SIGTERM)
        assert (await peer.ended(20))[0] in (1001, 1012)
    assert await asyncio.to_thread(live.process.wait) == 0
    assert gone(live.workers())


# --- what is on disk ------------------------------------------------------------------------------------------------


async def test_after_a_sigkill_every_acknowledged_turn_is_there_and_the_start_is_quick(serve: Serve) -> None:
    live = serve(keep=True).ready()
    workers = live.workers()
    talkers: dict[str, SocketPeer] = {}
    async with asyncio.TaskGroup() as group:
        talking = [group.create_task(talk(live, f"c{number}", talkers)) for number in range(3)]
        await asyncio.wait(talking, timeout=4.0)  # somewhere in the middle of their turns
        live.process.signal(signal.SIGKILL)
    assert await asyncio.to_thread(live.process.wait) == -signal.SIGKILL
    assert gone(workers), "no orphans"
    acknowledged = {name: [m["turn_id"] for m in peer.of("metrics")] for name, peer in talkers.items()}
    assert all(len(turns) >= 3 for turns in acknowledged.values()), acknowledged

    again = serve(keep=True)
    assert again.listening_after_s < 5.0
    for name, turns in acknowledged.items():
        kept = again.get(f"/api/conversations/{name}").json()["turns"]
        stored = [turn["turn_id"] for turn in kept]
        assert set(turns) <= set(stored), (turns, stored)
        assert len(stored) == len(set(stored)), "none twice"
        assert all(turn["assistant"] for turn in kept if turn["turn_id"] in turns), "none by half"
    again.ready()
    async with a_socket(again.url()) as peer:
        await peer.start(conversation_id="c0")
        await peer.ask("what is my name?")
        assert "Alice" in "".join(m["text"] for m in peer.of("llm_token"))


async def talk(live: Live, conversation: str, talkers: dict[str, SocketPeer]) -> None:
    """Typed turns without a pause, each heard in no time, until the connection breaks."""
    async with a_socket(live.url()) as peer:
        talkers[conversation] = peer
        await peer.start(conversation_id=conversation)
        with suppress(ConnectionClosed):
            for turn in itertools.count(1):
                await peer.send("text", text="my name is Alice")
                reported = 0
                while not peer.of("metrics", turn=turn):
                    if not await peer.news():
                        return
                    spoken = len(peer.of("tts_phrase_done", turn=turn))
                    if spoken > reported:
                        reported = spoken
                        await peer.send("played", turn_id=turn, seq=spoken, ms=1e9)


# --- an engine that is not there ------------------------------------------------------------------------------------


async def test_without_the_recogniser_s_model_typed_turns_work(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "bare" / "pocketsphinx").mkdir(parents=True)
    (tmp_path / "bare" / "pocketsphinx" / "__init__.py").write_text("")
    live = serve(PYTHONPATH=str(tmp_path / "bare")).ready()
    ready = live.get("/ready")
    assert ready.status_code == 503
    report = ready.json()
    assert report["ready"] is False
    assert report["engines"]["asr"]["ready"] is False
    assert "model" in report["engines"]["asr"]["detail"]
    assert report["engines"]["tts"]["ready"] is True
    assert live.get("/health").json()["status"] == "ok"
    async with a_socket(live.url()) as peer:
        await peer.start()
        error = await peer.wait("error")
        assert error["code"] == "MODEL_LOAD_FAILED"
        assert error["hint"]
        assert (await peer.ask("what time is it"))["outcome"] == "done"
        assert peer.of("tts_chunk")
    assert await asyncio.to_thread(live.stop) == 0
