"""Workers that are lent, and replaced when they break."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from vivavoce.engines import worker as worker_module
from vivavoce.engines.worker import Pool
from vivavoce.errors import EngineBusy, EngineFailed, EngineUnavailable

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def child_module(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
async def pool():
    fds = set(Path("/proc/self/fd").iterdir())
    pool = Pool("tts", "echo_child", size=2)
    assert await pool.start() == ["echo", []]
    yield pool
    await pool.close()
    assert pool.live == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert set(Path("/proc/self/fd").iterdir()) == fds


async def echo(pool, text):
    async with pool.lend(10) as worker:
        worker.send("echo", text)
        assert await worker.receive() == ["echo", text]
        return worker.pid


async def test_two_are_lent_at_once_and_the_third_waits(pool):
    async with pool.lend(10) as one, pool.lend(10) as two:
        assert one.pid != two.pid
        with pytest.raises(EngineBusy) as caught:
            async with pool.lend(0.02):
                pass
        assert caught.value.code == "OVERLOADED"
        third = asyncio.create_task(echo(pool, "third"))
        await asyncio.sleep(0)
        assert not third.done()
    assert await third in (one.pid, two.pid)
    assert pool.restarts == 0


async def test_a_job_left_unfinished_is_gone_at_the_next_lending(pool):
    pids = set()
    for _ in range(6):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012
            async with pool.lend(10) as worker:
                pids.add(worker.pid)
                worker.send("count")
                await worker.receive()
                raise ZeroDivisionError
    for text in "abcdef":
        pids.add(await echo(pool, text))
    assert len(pids) <= 2
    assert pool.restarts == 0


async def test_a_killed_worker_fails_its_borrower_and_is_replaced(pool):
    with pytest.raises(EngineFailed):  # noqa: PT012
        async with pool.lend(10) as worker:
            worker.send("hang")
            await worker.receive()
            os.kill(worker.pid, signal.SIGKILL)
            await worker.receive()
    async with pool.lend(10) as one, pool.lend(10) as two:
        assert worker.pid not in (one.pid, two.pid)
    assert pool.restarts == 1


async def test_a_worker_that_died_while_idle_is_never_lent(pool):
    async with pool.lend(10) as one, pool.lend(10) as two:
        pass
    os.kill(one.pid, signal.SIGKILL)
    os.kill(two.pid, signal.SIGKILL)
    await asyncio.gather(one.gone, two.gone)
    assert await echo(pool, "a") not in (one.pid, two.pid)
    assert await echo(pool, "b") not in (one.pid, two.pid)


async def test_a_borrower_past_its_deadline_gets_the_hanging_worker_replaced(pool, monkeypatch):
    monkeypatch.setattr(worker_module, "SETTLE_S", 0.1)
    with pytest.raises(TimeoutError):  # noqa: PT012
        async with pool.lend(10) as worker, asyncio.timeout(0.1):
            worker.send("hang")
            await worker.receive()
            await worker.receive()
    async with pool.lend(10) as one, pool.lend(10) as two:
        assert worker.pid not in (one.pid, two.pid)
    await worker.gone


async def test_a_pool_whose_first_worker_cannot_start_says_why():
    pool = Pool("tts", "echo_child", "refuse", size=3)
    with pytest.raises(EngineUnavailable, match="no model"):
        await pool.start()
    assert pool.live == 0
    with pytest.raises(EngineUnavailable, match="not running"):
        async with pool.lend(0.1):
            pass
    await pool.close()


async def test_a_child_that_can_no_longer_start_does_not_spin(pool, monkeypatch):
    start = worker_module.Worker.start
    launches = 0
    tried = asyncio.Event()

    async def fail(*args, **kwargs):
        nonlocal launches
        launches += 1
        if launches == 6:
            tried.set()
        raise EngineUnavailable("tts", "the file is gone")

    async with pool.lend(10) as one, pool.lend(10) as two:
        monkeypatch.setattr(worker_module.Worker, "start", fail)
        began = time.monotonic()
        one.kill()
        two.kill()
    await tried.wait()
    assert time.monotonic() - began >= 0.1 + 0.3 - 0.02  # BACKOFF_S, two places side by side
    with pytest.raises(EngineUnavailable, match="the file is gone"):
        async with pool.lend(0.02):
            pass
    assert pool.live == 0
    monkeypatch.setattr(worker_module.Worker, "start", start)
    await echo(pool, "healed")


async def test_started_and_closed_at_once():
    fds = set(Path("/proc/self/fd").iterdir())
    pool = Pool("tts", "echo_child", size=3)
    await pool.start()
    assert pool.live == 1
    await pool.close()
    assert pool.live == 0
    assert set(Path("/proc/self/fd").iterdir()) == fds


async def test_closed_at_any_moment_of_a_replacement():
    for steps in range(0, 24, 2):
        fds = set(Path("/proc/self/fd").iterdir())
        pool = Pool("tts", "echo_child", size=1)
        await pool.start()
        async with pool.lend(1) as worker:
            worker.kill()
        for _ in range(steps):
            await asyncio.sleep(0)
        await pool.close()
        assert worker._process.returncode == -signal.SIGKILL
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert set(Path("/proc/self/fd").iterdir()) == fds


async def test_close_ends_lent_workers_too():
    pool = Pool("tts", "echo_child", size=1)
    await pool.start()
    async with pool.lend(1) as worker:
        worker.send("hang")
        assert await worker.receive() == ["hanging"]
        await pool.close()
        with pytest.raises(EngineFailed):
            await worker.receive()
    await pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(worker.pid, 0)
