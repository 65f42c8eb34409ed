"""The loop by itself: what the model is asked, told and refused, and when something is said meanwhile."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import msgspec
import pytest

from kit import run_virtually
from tools.scripted import Asking, Host, Scripted, call, consistent
from transports.wire import virtual
from vivavoce.engines.base import ToolCall
from vivavoce.events import ToolDone, ToolStarted
from vivavoce.tools import ToolError, tool
from vivavoce.tools.loop import FILLERS, ToolLimits


async def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


def sleeper(seconds: float, log: list[str] | None = None, name: str = "slow") -> Any:
    async def slow(note: str = "") -> str:
        """Takes long."""
        if log is not None:
            log.append(f"{note} began")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            if log is not None:
                log.append(f"{note} cancelled")
            raise
        if log is not None:
            log.append(f"{note} ended")
        return f"slept {note}"

    return tool(slow, name=name)


@virtual
async def test_a_call_is_run_and_its_result_told_to_the_model() -> None:
    llm = Scripted(["Let me ", "look.", call("weather", city="Rome")], "It is sunny.")
    turn = Asking(llm, [weather])
    assert await turn.run() == "Let me look. It is sunny."
    first, second = llm.requests
    assert [spec.name for spec in first.tools] == ["weather"]
    assert second.tools == first.tools
    user, wanted, result = second.messages
    assert user.role == "user"
    assert (wanted.role, wanted.content, wanted.calls[0].name) == ("assistant", "Let me look.", "weather")
    assert (result.role, result.call_id, result.content) == ("tool", wanted.calls[0].id, "sunny in Rome")
    started, done = turn.events
    assert isinstance(started, ToolStarted)
    assert isinstance(done, ToolDone)
    assert (started.id, started.name, started.arguments) == ("c1", "weather", {"city": "Rome"})
    assert (done.id, done.ok, done.result) == ("c1", True, "sunny in Rome")
    assert [m.content for m in turn.remembered] == ["", "sunny in Rome"]
    assert turn.deltas[-1][1].finish == "stop"
    assert sum(d.usage.prompt_tokens for _, d in turn.deltas if d.usage) == 20
    assert [d.finish for _, d in turn.deltas[:-1]] == [None] * (len(turn.deltas) - 1)


@virtual
async def test_calls_of_a_step_run_side_by_side_and_are_answered_in_order() -> None:
    llm = Scripted([call("slow", "a", note="one"), call("weather", "b", city="Rome")], "Done.")
    turn = Asking(llm, [sleeper(0.5), weather])
    await turn.run()
    assert [m.call_id for m in turn.remembered] == ["", "a", "b"]
    assert turn.deltas[-1][0] < 0.65
    assert [type(e).__name__ for e in turn.events] == ["ToolStarted", "ToolStarted", "ToolDone", "ToolDone"]
    assert isinstance(turn.events[2], ToolDone)
    assert turn.events[2].id == "b"


@virtual
async def test_something_is_said_when_a_tool_takes_long() -> None:
    turn = Asking(Scripted([call("slow")], "All done."), [sleeper(3.0)])
    assert await turn.run() == "One moment. All done."
    (at,) = [at for at, delta in turn.deltas if delta.text == "One moment."]
    assert at == pytest.approx(0.02 + 0.7, abs=0.001)
    gaps = [b[0] - a[0] for a, b in zip(turn.deltas, turn.deltas[1:], strict=False)]
    assert max(gaps) <= 0.26


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"language": "de_DE"}, "Einen Moment. Fertig."),
        ({"language": "ja_JP"}, "Fertig."),
        ({"filler": "Hm."}, "Hm. Fertig."),
        ({"filler": ""}, "Fertig."),
        ({"limits": ToolLimits(filler_s=0.0)}, "Fertig."),
        ({"limits": ToolLimits(filler="Na ja.")}, "Na ja. Fertig."),
        ({"limits": ToolLimits(filler="")}, "Fertig."),
        ({"limits": ToolLimits(filler="Na ja."), "filler": "Hm."}, "Hm. Fertig."),
        ({"limits": ToolLimits(filler_s=5.0)}, "Fertig."),
    ],
)
@pytest.mark.parametrize("seconds", [3.0])
def test_what_is_said_can_be_chosen(how: dict[str, Any], said: str, seconds: float) -> None:
    async def scenario() -> None:
        turn = Asking(Scripted([call("slow")], "Fertig."), [sleeper(seconds)], **how)
        assert await turn.run() == said

    run_virtually(scenario())


def test_every_filler_is_a_sentence() -> None:
    assert set(FILLERS) == {"en", "fr", "de", "es", "it", "nl", "pt", "pl"}
    assert all(text.endswith(".") for text in FILLERS.values())


@virtual
async def test_it_is_said_once_a_turn_and_not_after_words() -> None:
    twice = Asking(Scripted([call("slow", "a")], [call("slow", "b")], "Done."), [sleeper(2.0)])
    assert await twice.run() == "One moment. Done."
    spoken = Asking(Scripted(["Let me see.", call("slow")], "Done."), [sleeper(2.0)])
    assert await spoken.run() == "Let me see. Done."
    quick = Asking(Scripted([call("slow")], "Done."), [sleeper(0.69)])
    assert await quick.run() == "Done."


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        ("A.", "B.", "A. B."),
        ("A. ", "B.", "A. B."),
        ("A.", " B.", "A. B."),
        ("A.\n", "\nB.", "A.\nB."),
        ("", "B.", "B."),
        ("A.", "", "A."),
        (" ", " B.", " B."),
    ],
)
def test_parts_are_joined_by_one_space(first: str, second: str, whole: str) -> None:
    async def scenario() -> None:
        turn = Asking(Scripted([first, call("weather", city="Rome")], second), [weather])
        assert await turn.run() == whole

    run_virtually(scenario())


@virtual
async def test_nothing_runs_before_the_turn_is_certain() -> None:
    ran: list[str] = []
    host = Host(certain=False)
    turn = Asking(Scripted(["Well.", call("slow")], "Done."), [sleeper(0.1, ran)], host=host)
    task = asyncio.create_task(turn.run())
    await asyncio.sleep(20.0)
    assert (ran, turn.events) == ([], [])
    assert len(turn.deltas) > 60, "signs of life while it waits"
    assert turn.text == "Well."
    host.certain.set()
    assert await task == "Well. Done."
    assert ran == [" began", " ended"]


@virtual
async def test_a_turn_that_is_discarded_runs_nothing_and_remembers_nothing() -> None:
    ran: list[str] = []
    llm = Scripted([call("slow")], "Done.")
    turn = Asking(llm, [sleeper(0.1, ran)], host=Host(certain=False))
    async with aclosing(turn.stream()) as deltas:
        async for _ in deltas:
            break
    assert (ran, turn.events, turn.remembered, llm.streams) == ([], [], [], 0)


@virtual
async def test_closing_cancels_the_tools_and_keeps_what_was_done() -> None:
    ran: list[str] = []
    llm = Scripted([call("slow", "a", note="a"), call("quick", "b", note="b")], "Done.")
    turn = Asking(llm, [sleeper(5.0, ran), sleeper(0.1, ran, "quick")])
    async with aclosing(turn.stream()) as deltas:
        async for delta in deltas:
            if delta.text:
                break
    assert ran == ["a began", "b began", "b ended", "a cancelled"]
    assert [(m.role, m.content) for m in turn.remembered] == [("assistant", ""), ("tool", "slept b")]
    assert [one.id for one in turn.remembered[0].calls] == ["b"]
    assert consistent(turn.remembered)
    assert llm.streams == 0


@virtual
async def test_a_tool_that_ends_when_it_is_cancelled_has_done_its_work() -> None:
    async def stubborn() -> str:
        """Books first, whatever happens."""
        try:
            await asyncio.sleep(5.0)
        except asyncio.CancelledError:
            return "booked"
        return "never"

    turn = Asking(Scripted([call("stubborn")], "Done."), [stubborn])
    async with aclosing(turn.stream()) as deltas:
        async for delta in deltas:
            if delta.text:
                break
    assert turn.results == ["booked"]
    assert consistent(turn.remembered)
    late = Asking(Scripted([call("stubborn")], "Done."), [stubborn], limits=ToolLimits(timeout_s=1.0))
    await late.run()
    assert late.results == ["booked"], "though it took too long"


@virtual
async def test_a_tool_that_ignores_cancellation_does_not_hold_the_turn(caplog: pytest.LogCaptureFixture) -> None:
    free = asyncio.Event()

    async def deaf() -> None:
        """Never listens."""
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    turn = Asking(Scripted([call("deaf")], "Never mind."), [deaf], filler="")
    with caplog.at_level(logging.ERROR):
        assert await turn.run() == "Never mind."
    assert turn.deltas[-1][0] < 12.0
    assert turn.results == ["error: it was not done within 10 s"]
    assert "deaf goes on although it was cancelled" in caplog.text
    free.set()
    await asyncio.sleep(0)


@virtual
async def test_a_slow_tool_is_given_up_and_the_model_told() -> None:
    ran: list[str] = []
    turn = Asking(Scripted([call("slow")], "It takes too long."), [sleeper(60.0, ran)], filler="")
    assert await turn.run() == "It takes too long."
    assert turn.results == ["error: it was not done within 10 s"]
    assert ran == [" began", " cancelled"]
    assert 10.0 <= turn.deltas[-1][0] < 10.2
    own = tool(sleeper(60.0).function, name="slow", timeout_s=1.5)
    turn = Asking(Scripted([call("slow")], "Too long."), [own], filler="")
    await turn.run()
    assert turn.results == ["error: it was not done within 1.5 s"]


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (call("wether", city="Rome"), "error: there is no tool 'wether'; there are: weather, broken, refuses, quits"),
        (call("weather", raw='{"city": "Rome"'), "error: the arguments are not valid JSON: Input data was truncated"),
        (call("weather", raw="[1]"), "error: the arguments must be a JSON object"),
        (call("weather", raw=""), "error: wrong arguments: city is missing"),
        (call("weather", raw="null"), "error: wrong arguments: city is missing"),
        (call("weather", city=3), "error: wrong arguments: city: expected str, got int"),
        (call("weather", city="Rome", day="x"), "error: wrong arguments: there is no day (there is: city)"),
        (
            call("weather", raw='{"city": "' + "x" * 70_000 + '"}'),
            "error: the arguments are too long: 70012 characters",
        ),
        (call("weather", raw="[" * 60_000), "error: the arguments are not valid JSON"),
        (call("weather", raw='{"city": "\ud83d"}'), "sunny in ?"),
        (call("weather", raw='{"city": ' + "[" * 500 + "]" * 500 + "}"), "error: the arguments are nested too deeply"),
        (call("weather", raw='{"city": ' + "[" * 31 + "]" * 31 + "}"), "error: wrong arguments: city: expected str"),
        (call("broken"), "error: ZeroDivisionError: division by zero"),
        (call("refuses"), "error: the kitchen is closed"),
        (call("quits"), "error: it was cancelled"),
    ],
    ids=range(15),
)
def test_what_goes_wrong_is_told_to_the_model(wanted: ToolCall, told: str, caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> float:
        return 1 / 0

    async def refuses() -> None:
        raise ToolError("the kitchen is closed")

    async def quits() -> None:
        raise asyncio.CancelledError

    async def scenario() -> None:
        llm = Scripted([wanted], "Sorry.")
        turn = Asking(llm, [weather, broken, refuses, quits])
        assert await turn.run() == "Sorry."
        (result,) = turn.results
        assert result.startswith(told)
        assert len(result) < 700
        assert "Traceback" not in result
        said_back = llm.requests[1].messages[1].calls[0]
        assert said_back.arguments.startswith("{")
        done = turn.events[-1]
        assert isinstance(done, ToolDone)
        assert done.ok is not told.startswith("error")

    run_virtually(scenario())
    assert ("Traceback" in caplog.text) is (wanted.name == "broken")


@virtual
async def test_ids_and_names_are_such_that_they_can_be_said_back() -> None:
    calls = [
        call("weather", "", city="A"),
        call("weather", "", city="B"),
        call("weather", "x" * 300, city="C"),
        call("weather", "same", city="D"),
        call("weather", "same", city="E"),
        call("wea ther/é" * 20, "same"),
        call("", "n"),
    ]
    llm = Scripted(calls, [call("weather", "same", city="F")], "Done.")
    turn = Asking(llm, [weather])
    await turn.run()
    wanted = [one for message in turn.remembered for one in message.calls]
    assert len({one.id for one in wanted}) == len(wanted) == 8
    assert all(0 < len(one.id) <= 64 for one in wanted)
    assert wanted[5].name.startswith("wea_ther__wea_ther")
    assert (len(wanted[5].name), wanted[6].name) == (64, "unnamed")
    assert turn.results[:5] == [f"sunny in {city}" for city in "ABCDE"]
    assert consistent(llm.requests[-1].messages[1:])


@virtual
async def test_beyond_the_steps_the_model_is_asked_without_tools() -> None:
    llm = Scripted([call("weather", city="Rome")])
    turn = Asking(llm, [weather], limits=ToolLimits(steps=2))
    assert await turn.run() == ""
    assert [len(request.tools) for request in llm.requests] == [1, 1, 0]
    assert turn.results == ["sunny in Rome"] * 2
    assert turn.deltas[-1][1].finish == "stop"


@virtual
async def test_beyond_the_calls_nothing_is_run() -> None:
    ran: list[str] = []
    calls = [call("slow", f"c{n}", note=str(n)) for n in range(500)]
    llm = Scripted(calls, "Enough.")
    turn = Asking(llm, [sleeper(0.0, ran)], limits=ToolLimits(calls=3))
    assert await turn.run() == "Enough."
    assert sorted(ran) == sorted(f"{n} {what}" for n in range(3) for what in ("began", "ended"))
    assert turn.results[3:] == ["error: not done: there may be 3 calls in a turn; answer with what you know"] * 3
    assert llm.requests[1].tools == ()
    assert consistent(turn.remembered)


@virtual
async def test_the_same_failing_call_is_not_run_again() -> None:
    tried: list[str] = []

    async def book(day: str) -> str:
        tried.append(day)
        raise ToolError("that day is full")

    llm = Scripted([call("book", day="Mon")], [call("book", day="Mon")], [call("book", day="Tue")], "Sorry.")
    turn = Asking(llm, [book])
    await turn.run()
    assert tried == ["Mon", "Tue"]
    assert turn.results == [
        "error: that day is full",
        "error: not done again: this very call has failed (that day is full)",
        "error: that day is full",
    ]


@virtual
async def test_only_what_the_request_offers_is_run() -> None:
    llm = Scripted([call("weather", city="Rome")], "Fine.")
    turn = Asking(llm, [weather, sleeper(0.0)])
    offered = tuple(spec for spec in turn.asked.request.tools if spec.name != "weather")
    turn.asked = msgspec.structs.replace(turn.asked, request=msgspec.structs.replace(turn.asked.request, tools=offered))
    await turn.run()
    assert turn.results == ["error: there is no tool 'weather'; there are: slow"]


@virtual
async def test_a_model_that_breaks_off_leaves_the_answer_incomplete() -> None:
    class Broken(Scripted):
        async def stream(self, request: Any) -> Any:
            async with aclosing(super().stream(request)) as deltas:
                async for delta in deltas:
                    if delta.finish and len(self.requests) == 2:
                        return
                    yield delta

    turn = Asking(Broken([call("weather", city="Rome")], "It is"), [weather])
    assert await turn.run() == "It is"
    assert turn.deltas[-1][1].finish is None
    assert turn.results == ["sunny in Rome"]


@virtual
async def test_a_long_result_is_cut_for_the_model_and_more_so_for_the_client() -> None:
    async def essay() -> str:
        return "x" * 100_000

    turn = Asking(Scripted([call("essay")], "Long."), [essay])
    await turn.run()
    assert len(turn.results[0]) == 16_000
    assert turn.results[0].endswith(" … (cut: 100000 characters)")
    done = turn.events[-1]
    assert isinstance(done, ToolDone)
    assert len(done.result) == 500
