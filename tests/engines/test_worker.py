"""One child process: it starts, works, fails and ends."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from vivavoce.engines.child import MAX_MESSAGE
from vivavoce.engines.worker import UNSENT_LIMIT, Worker
from vivavoce.errors import EngineFailed, EngineUnavailable

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def child_module(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


async def start(*args, **options):
    return await Worker.start("asr", "echo_child", *args, **options)


def open_fds():
    return sorted(Path("/proc/self/fd").iterdir())


def exists(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_says_what_it_is_when_ready_and_answers():
    worker = await start("one", "two")
    assert worker.ready == ["echo", ["one", "two"]]
    assert worker.alive
    pcm = bytes(range(256)) * 1000
    worker.send("echo", pcm, {"a": [1, None, 0.5]}, "ü")
    assert await worker.receive() == ["echo", pcm, {"a": [1, None, 0.5]}, "ü"]
    await worker.close()
    assert not worker.alive


async def test_messages_of_one_job_are_taken_in_order():
    worker = await start()
    worker.send("sum")
    for number in range(1000):
        worker.send("add", number)
    worker.send("end")
    assert await worker.receive() == ["sum", 499500]
    await worker.close()


async def test_an_abandoned_job_leaves_nothing_behind():
    worker = await start()
    worker.send("count")
    for number in range(5):
        assert (await worker.receive())[1] == number
    await worker.settle()
    worker.send("echo", "clean")
    assert await worker.receive() == ["echo", "clean"]
    await worker.close()


async def test_a_cancelled_receive_loses_no_message():
    worker = await start()
    big = bytes(3_000_000)
    for _ in range(20):
        worker.send("echo", big)
        while True:
            try:
                async with asyncio.timeout(0.0005):
                    message = await worker.receive()
            except TimeoutError:
                continue
            break
        assert message == ["echo", big]
    await worker.close()


@pytest.mark.parametrize(
    ("mode", "message", "hint"),
    [
        ("refuse", "no model", "get one"),
        ("crash", "echo_child ended: RuntimeError: the library is broken", ""),
        ("stranger", "echo_child began with 'hello' instead of `ready`", ""),
    ],
)
async def test_a_child_that_cannot_start(mode, message, hint):
    before = open_fds()
    with pytest.raises(EngineUnavailable) as caught:
        await start(mode)
    assert (caught.value.message, caught.value.hint, caught.value.code) == (message, hint, "MODEL_LOAD_FAILED")
    assert open_fds() == before


async def test_a_child_that_is_never_ready():
    before = open_fds()
    with pytest.raises(EngineUnavailable, match=r"not ready within 0\.3 s"):
        await start("mute", ready_timeout_s=0.3)
    assert open_fds() == before


async def test_a_start_that_is_cancelled_leaves_nothing():
    before = open_fds()
    for steps in range(12):
        task = asyncio.create_task(start("mute"))
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0)
    assert open_fds() == before


async def test_an_interpreter_that_cannot_be_run(monkeypatch):
    before = open_fds()
    monkeypatch.setattr(sys, "executable", str(HERE / "nothing"))
    with pytest.raises(EngineUnavailable, match="cannot be run"):
        await start()
    await asyncio.sleep(0)
    assert open_fds() == before


async def test_no_such_module():
    with pytest.raises(EngineUnavailable, match="No module named nowhere"):
        await Worker.start("asr", "nowhere")


async def test_killed_while_it_works():
    worker = await start()
    worker.send("hang")
    assert await worker.receive() == ["hanging"]
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(EngineFailed, match="echo_child ended") as caught:
        await worker.receive()
    assert caught.value.code == "ASR_FAILED"
    await worker.gone
    assert not worker.alive
    with pytest.raises(EngineFailed):
        worker.send("echo")
    await worker.close()


async def test_an_exception_in_the_child_is_its_last_word():
    worker = await start()
    worker.send("raise", "bad model")
    with pytest.raises(EngineFailed, match="echo_child ended: RuntimeError: bad model"):
        await worker.receive()
    await worker.close()


async def test_a_hanging_child_is_ended_at_once_by_kill_and_soon_by_close():
    for end in (Worker.kill, lambda worker: None):
        worker = await start()
        worker.send("hang")
        assert await worker.receive() == ["hanging"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await worker.receive()
        end(worker)
        async with asyncio.timeout(2):
            await worker.close()
        assert not exists(worker.pid)


async def test_a_child_that_does_not_read_fills_no_memory():
    worker = await start()
    worker.send("hang")
    piece = bytes(100_000)
    with pytest.raises(EngineFailed, match="does not take"):  # noqa: PT012
        for _ in range(2 * UNSENT_LIMIT // len(piece)):
            worker.send("audio", piece)
    assert not worker.alive
    await worker.close()


async def test_drain_keeps_a_fast_sender_at_the_child_s_pace():
    worker = await start()
    worker.send("sum")
    for _ in range(100):
        worker.send("add", 1, bytes(200_000))
        await worker.drain()
    worker.send("end")
    assert await worker.receive() == ["sum", 100]
    await worker.close()


async def test_a_monstrous_message_is_refused():
    worker = await start()
    worker._reader.feed_data((MAX_MESSAGE + 1).to_bytes(4, "little"))
    with pytest.raises(EngineFailed, match="sent a message of"):
        await worker.receive()
    assert not worker.alive
    await worker.close()


async def test_close_leaves_no_process_descriptor_or_task():
    fds, tasks = open_fds(), asyncio.all_tasks()
    workers = [await start() for _ in range(2)]
    for worker in workers:
        await worker.close()
        await worker.close()
        assert not exists(worker.pid)
    assert open_fds() == fds
    assert asyncio.all_tasks() == tasks


PARENT = """
import asyncio
from vivavoce.engines.worker import Worker

async def main():
    workers = [await Worker.start("asr", "echo_child") for _ in range(2)]
    workers[1].send("hang")
    assert await workers[1].receive() == ["hanging"]
    print(*[worker.pid for worker in workers], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_killed_parent_leaves_no_orphan():
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)  # noqa: ASYNC220
    with parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        ends = [os.pidfd_open(pid) for pid in pids]  # readable once the process has ended
        parent.kill()
        loop = asyncio.get_running_loop()
        for end in ends:
            gone = loop.create_future()
            loop.add_reader(end, gone.set_result, None)
            async with asyncio.timeout(5):
                await gone
            loop.remove_reader(end)
            os.close(end)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_that_stops_the_server_is_not_for_the_child(number):
    worker = await start()
    os.kill(worker.pid, number)
    worker.send("echo", "still here")
    assert await worker.receive() == ["echo", "still here"]
    assert os.getpgid(worker.pid) != os.getpgid(0)
    await worker.close()
