/**
 * What is to be played, and what has been heard of it. Pure: it counts samples and knows no clock.
 *
 * Phrases are played without gaps, in the order in which they came. A pause or a cut takes FADE_S, so that it is not
 * heard as a click. "Heard" trails "rendered" by the latency of the output device.
 */

import { Resampler, toFloat } from './resample.js';
import { newer } from './wire.js';

const FADE_S = 0.006;

/** @typedef {import('./wire.js').Frame} Frame */
/** @typedef {{turn: number, seq: number, samples: Float32Array, at: number, last: boolean}} Piece */
/**
 * @typedef {object} Run Samples of one phrase that were rendered without a gap.
 * @property {number} frame The output's frame at which it began.
 * @property {number} from Its place in the phrase, in samples.
 * @property {number} count Samples.
 * @property {number} turn
 * @property {number} seq
 * @property {boolean} last Whether it ends the phrase.
 */
/**
 * @typedef {object} Position
 * @property {number} turn
 * @property {number} seq
 * @property {number} ms Heard of that phrase.
 * @property {boolean} ended Whether that is all of it.
 */

export class PlayQueue {
  /** @param {number} rate Of the output, Hz. */
  constructor(rate) {
    this.rate = rate;
    this.step = 1 / (FADE_S * rate);
    this.gain = 1;
    this.held = false;
    /** The turn being faded out, to be dropped at silence. */
    this.dying = /** @type {number | null} */ (null);
    /** The latest turn seen, and the latest that must not be heard any more. */
    this.turn = /** @type {number | null} */ (null);
    this.dead = /** @type {number | null} */ (null);
    this.pieces = /** @type {Piece[]} */ ([]);
    this.runs = /** @type {Run[]} */ ([]);
    this.rendered = { turn: -1, seq: 0, count: 0 };
    this.sounding = /** @type {number | null} */ (null);
    /** The phrase that is coming in. */
    this.open = /** @type {{turn: number, seq: number, resampler: Resampler} | null} */ (null);
    /** The frame of the sound that `pull` told of last. */
    this.firstAt = 0;
  }

  /** Whether anything is still to be played. */
  get empty() {
    return this.pieces.length === 0;
  }

  /**
   * Queue audio. That of a turn which is over or was cut is dropped; a newer turn replaces the one being played.
   * @param {Frame} frame
   */
  push({ turn, seq, last, rate, samples }) {
    if (this.dead !== null && !newer(turn, this.dead)) return;
    if (this.turn !== null && newer(this.turn, turn)) return;
    if (this.turn !== null && newer(turn, this.turn)) this.cut(this.turn);
    this.turn = turn;
    if (this.open?.turn !== turn || this.open.seq !== seq) {
      this.#finish(); // a sender may leave the end of a phrase unsaid
      this.open = { turn, seq, resampler: new Resampler(rate, this.rate) };
    }
    this.pieces.push({ turn, seq, samples: this.open.resampler.push(toFloat(samples)), at: 0, last: false });
    if (last) this.#finish();
  }

  /** End the phrase that is coming in. */
  #finish() {
    if (this.open === null) return;
    const { turn, seq, resampler } = this.open;
    this.open = null;
    if (this.dead !== null && !newer(turn, this.dead)) return;
    this.pieces.push({ turn, seq, samples: resampler.flush(), at: 0, last: true });
  }

  hold() {
    this.held = true;
  }

  resume() {
    this.held = false;
  }

  /**
   * Let nothing of *turn* and those before it be heard any more.
   * @param {number} turn
   */
  cut(turn) {
    if (this.dead !== null && newer(this.dead, turn)) return;
    this.dead = turn;
    this.held = false;
    if (this.pieces.some((piece) => piece.turn === turn) && this.gain > 0) this.dying = turn;
    else this.#bury();
  }

  /** Start a session afresh: turns count from 1 again. */
  reset() {
    this.pieces = [];
    this.runs = [];
    this.turn = this.dead = this.dying = this.sounding = this.open = null;
    this.held = false;
    this.gain = 1;
  }

  /**
   * Render the next samples.
   * @param {Float32Array} output
   * @param {number} frame The output's frame at which they will be.
   * @returns {number | null} A turn whose first sound is in there, at `firstAt`.
   */
  pull(output, frame) {
    let began = null;
    for (let i = 0; i < output.length; i++) {
      this.gain = Math.max(0, Math.min(1, this.gain + (this.held || this.dying !== null ? -this.step : this.step)));
      if (this.gain === 0) {
        if (this.dying !== null) this.#bury();
        output[i] = 0;
        continue;
      }
      const piece = this.#next(frame + i);
      if (piece === null) {
        output[i] = 0;
        if (this.dying !== null) this.#bury();
        continue;
      }
      output[i] = piece.samples[piece.at++] * this.gain;
      if (piece.turn !== this.sounding && output[i] !== 0) {
        this.sounding = began = piece.turn;
        this.firstAt = frame + i;
      }
    }
    this.#next(frame + output.length, true);
    return began;
  }

  /**
   * What has come out of a device that is *frame* frames along: phrase ends that were passed, then the place reached.
   * @param {number} frame Rendered frames minus the output's latency.
   * @returns {Position[]} Empty when nothing is known that was not told before.
   */
  heard(frame) {
    const told = [];
    while (this.runs.length > 0 && this.runs[0].frame + this.runs[0].count <= frame) {
      const run = /** @type {Run} */ (this.runs.shift());
      // Only a run that ends its phrase must be told; of the others the latest is enough.
      if (run.last || this.runs.length === 0) told.push(this.#position(run, run.count));
    }
    const [run] = this.runs;
    if (run !== undefined && frame > run.frame) told.push(this.#position(run, frame - run.frame));
    return told;
  }

  /**
   * @param {Run} run
   * @param {number} count
   * @returns {Position}
   */
  #position(run, count) {
    return {
      turn: run.turn,
      seq: run.seq,
      ms: Math.round(((run.from + count) / this.rate) * 10000) / 10,
      ended: run.last && count >= run.count,
    };
  }

  /**
   * The piece that has the next sample, noting it as rendered at *frame*; spent pieces are dropped.
   * @param {number} frame
   * @param {boolean} [onlyDrop] Note nothing.
   * @returns {Piece | null}
   */
  #next(frame, onlyDrop = false) {
    while (this.pieces.length > 0 && this.pieces[0].at === this.pieces[0].samples.length) {
      const piece = /** @type {Piece} */ (this.pieces.shift());
      if (piece.last) this.#note(piece, frame, 0).last = true;
    }
    if (this.pieces.length === 0) return null;
    if (!onlyDrop) this.#note(this.pieces[0], frame, 1);
    return this.pieces[0];
  }

  /**
   * @param {Piece} piece
   * @param {number} frame
   * @param {number} count
   */
  #note({ turn, seq }, frame, count) {
    const same = this.rendered.turn === turn && this.rendered.seq === seq;
    if (!same) this.rendered = { turn, seq, count: 0 };
    let run = this.runs.at(-1);
    if (run === undefined || !same || run.last || (count > 0 && run.frame + run.count !== frame)) {
      run = { frame, from: this.rendered.count, count: 0, turn, seq, last: false };
      this.runs.push(run);
    }
    run.count += count;
    this.rendered.count += count;
    return run;
  }

  /** Drop what must not be heard. What was rendered of it is still told: it is in the device already. */
  #bury() {
    this.dying = null;
    this.pieces = this.pieces.filter((piece) => this.dead === null || newer(piece.turn, this.dead));
    this.gain = this.held ? 0 : 1;
  }
}
