/** Plays the agent's voice: a PlayQueue in the audio thread. */

import { PlayQueue } from './playqueue.js';

const REPORT_S = 0.1;

class Player extends AudioWorkletProcessor {
  constructor() {
    super();
    this.queue = new PlayQueue(sampleRate);
    this.latency = 0;
    this.reported = 0;
    this.busy = false;
    this.place = /** @type {import('./playqueue.js').Position | null} */ (null);
    this.port.onmessage = ({ data }) => this.obey(data);
  }

  /** @param {{type: string, frame?: import('./wire.js').Frame, turn?: number, seconds?: number}} order */
  obey(order) {
    switch (order.type) {
      case 'frame':
        this.queue.push(/** @type {import('./wire.js').Frame} */ (order.frame));
        break;
      case 'hold':
        this.queue.hold();
        break;
      case 'resume':
        this.queue.resume();
        break;
      case 'cut':
        this.queue.cut(/** @type {number} */ (order.turn));
        break;
      case 'reset':
        this.queue.reset();
        break;
      case 'latency':
        this.latency = Math.round(/** @type {number} */ (order.seconds) * sampleRate);
        break;
    }
  }

  /**
   * @param {Float32Array[][]} _inputs
   * @param {Float32Array[][]} outputs
   */
  process(_inputs, outputs) {
    const [first, ...others] = outputs[0];
    const began = this.queue.pull(first, currentFrame);
    for (const channel of others) channel.set(first);
    if (began !== null) {
      const at = /** @type {number} */ (this.queue.firstAt) / sampleRate;
      this.port.postMessage({ type: 'sounding', turn: began, at });
    }
    this.report(currentFrame + first.length);
    return true;
  }

  /**
   * Tell what was heard: each end of a phrase at once, the place within one every REPORT_S.
   * @param {number} frame
   */
  report(frame) {
    for (const position of this.queue.heard(frame - this.latency)) {
      if (position.ended) this.port.postMessage({ type: 'heard', ...position });
      this.place = position.ended ? null : position;
    }
    if (this.place !== null && frame - this.reported >= REPORT_S * sampleRate) {
      this.port.postMessage({ type: 'heard', ...this.place });
      this.reported = frame;
      this.place = null;
    }
    const busy = !this.queue.empty && !this.queue.held;
    if (busy !== this.busy) {
      this.busy = busy;
      this.port.postMessage({ type: 'busy', busy });
    }
  }
}

registerProcessor('vivavoce-player', Player);
