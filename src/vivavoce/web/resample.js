/**
 * Change of sample rate by a windowed sinc in polyphase form. Pure; runs in the audio worklets.
 */

const ZERO_CROSSINGS = 16;
/** Kaiser window: about 80 dB of stop band. */
const BETA = 7.9;
/** Share of the smaller Nyquist band that is kept. */
const PASS = 0.92;

/** A stream of mono samples from one rate to another: `push` pieces of any length, then `flush`. */
export class Resampler {
  /**
   * @param {number} from Hz.
   * @param {number} to Hz.
   */
  constructor(from, to) {
    const common = gcd(from, to);
    this.up = to / common;
    this.down = from / common;
    const cutoff = Math.min(1, to / from) * PASS;
    /** Taps on each side of an output's place. */
    this.half = Math.ceil(ZERO_CROSSINGS / cutoff);
    this.phases = kernels(this.up, this.half, cutoff);
    // The first output sits on the first input: before it there was silence.
    this.held = new Float32Array(this.half - 1);
    this.phase = 0;
  }

  /**
   * @param {Float32Array} input
   * @returns {Float32Array} What can be said already; the last `half` inputs wait for more.
   */
  push(input) {
    if (this.up === this.down) return input;
    const taps = 2 * this.half;
    const all = new Float32Array(this.held.length + input.length);
    all.set(this.held);
    all.set(input, this.held.length);
    const output = new Float32Array(Math.max(0, Math.ceil(((all.length - taps + 1) * this.up) / this.down) + 1));
    let at = 0;
    let made = 0;
    while (at + taps <= all.length) {
      const kernel = this.phases[this.phase];
      let sum = 0;
      for (let tap = 0; tap < taps; tap++) sum += all[at + tap] * kernel[tap];
      output[made++] = sum;
      this.phase += this.down;
      at += Math.floor(this.phase / this.up);
      this.phase %= this.up;
    }
    // One step is down/up inputs, far less than the kernel's 2 * half: `at` never passes the end.
    this.held = all.slice(at);
    return output.subarray(0, made);
  }

  /** The rest, as if silence followed; afterwards a new stream may begin. */
  flush() {
    if (this.up === this.down) return new Float32Array(0);
    const rest = this.push(new Float32Array(this.half));
    this.held = new Float32Array(this.half - 1);
    this.phase = 0;
    return rest;
  }
}

/**
 * @param {number} up
 * @param {number} half
 * @param {number} cutoff Relative to the input's Nyquist frequency.
 * @returns {Float32Array[]} For each phase 2*half taps; tap half-1 is the input at or before the output's place.
 */
function kernels(up, half, cutoff) {
  return Array.from({ length: up }, (_, phase) => {
    const taps = new Float32Array(2 * half);
    let sum = 0;
    for (let i = 0; i < taps.length; i++) {
      const x = i - (half - 1) - phase / up;
      const window = Math.abs(x) < half ? bessel(BETA * Math.sqrt(1 - (x / half) ** 2)) / bessel(BETA) : 0;
      taps[i] = cutoff * sinc(cutoff * x) * window;
      sum += taps[i];
    }
    return taps.map((tap) => tap / sum);
  });
}

/** @param {number} x */
const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/**
 * Modified Bessel function of order zero, by its power series.
 * @param {number} x
 */
function bessel(x) {
  let term = 1;
  let sum = 1;
  for (let k = 1; term > sum * 1e-12; k++) {
    term *= (x / (2 * k)) ** 2;
    sum += term;
  }
  return sum;
}

/**
 * @param {number} a
 * @param {number} b
 * @returns {number}
 */
function gcd(a, b) {
  return b === 0 ? a : gcd(b, a % b);
}

/**
 * @param {Int16Array} pcm
 * @returns {Float32Array} In -1…1.
 */
export function toFloat(pcm) {
  const out = new Float32Array(pcm.length);
  for (let i = 0; i < pcm.length; i++) out[i] = pcm[i] / 32768;
  return out;
}

/**
 * @param {number} sample In -1…1; louder is clipped.
 */
export function toInt16(sample) {
  return Math.max(-32768, Math.min(32767, Math.round(sample * 32768)));
}
