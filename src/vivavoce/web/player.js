/**
 * The agent's voice: the worklet that plays it, its volume, and the clock that says when it was heard.
 */

/** @typedef {import('./playqueue.js').Position} Position */
/**
 * @typedef {object} PlayerEvents
 * @property {(position: Position) => void} heard
 * @property {(turn: number, atMs: number) => void} sounding A turn's first sound left the loudspeaker, on performance.now.
 * @property {(busy: boolean) => void} busy
 */

export class Player {
  /**
   * @param {AudioContext} context
   * @param {PlayerEvents} events
   * @returns {Promise<Player>}
   */
  static async open(context, events) {
    await context.audioWorklet.addModule(new URL('./player.worklet.js', import.meta.url));
    return new Player(context, events);
  }

  /**
   * @param {AudioContext} context
   * @param {PlayerEvents} events
   */
  constructor(context, events) {
    this.context = context;
    this.node = new AudioWorkletNode(context, 'vivavoce-player', { numberOfInputs: 0, outputChannelCount: [1] });
    this.volume = context.createGain();
    /** What is heard, for meters. */
    this.meter = context.createAnalyser();
    this.meter.fftSize = 512;
    this.node.connect(this.volume).connect(this.meter).connect(context.destination);
    this.window = new Float32Array(this.meter.fftSize);
    this.node.port.onmessage = ({ data }) => {
      if (data.type === 'heard') events.heard(data);
      else if (data.type === 'sounding') events.sounding(data.turn, this.#whenHeard(data.at));
      else if (data.type === 'busy') {
        this.#tellLatency();
        events.busy(data.busy);
      }
    };
    this.#tellLatency();
  }

  /**
   * Queue a piece of a phrase; its samples are handed over.
   * @param {import('./wire.js').Frame} frame
   */
  play(frame) {
    this.node.port.postMessage({ type: 'frame', frame }, [frame.samples.buffer]);
  }

  /** Pause; what is queued stays. */
  hold() {
    this.node.port.postMessage({ type: 'hold' });
  }

  resume() {
    this.node.port.postMessage({ type: 'resume' });
  }

  /**
   * Silence *turn* and those before it, for good.
   * @param {number} turn Modulo 65536.
   */
  cut(turn) {
    this.node.port.postMessage({ type: 'cut', turn: turn & 0xffff });
  }

  /** Forget everything: a new session counts its turns from 1. */
  reset() {
    this.node.port.postMessage({ type: 'reset' });
  }

  /**
   * @param {number} volume 0…1, as people hear it: the gain is its square.
   * @param {boolean} muted
   */
  setVolume(volume, muted) {
    this.volume.gain.setTargetAtTime(muted ? 0 : volume ** 2, this.context.currentTime, 0.01);
  }

  /** Root mean square of the last 11 ms or so, 0…1. */
  get level() {
    this.meter.getFloatTimeDomainData(this.window);
    return Math.sqrt(this.window.reduce((sum, sample) => sum + sample * sample, 0) / this.window.length);
  }

  #tellLatency() {
    this.node.port.postMessage({ type: 'latency', seconds: this.context.outputLatency || 0 });
  }

  /**
   * @param {number} at The context's time of a sample, s.
   * @returns {number} When it is heard, on performance.now, ms.
   */
  #whenHeard(at) {
    const { contextTime = 0, performanceTime = 0 } = this.context.getOutputTimestamp?.() ?? {};
    if (performanceTime > 0) return performanceTime + (at - contextTime) * 1000;
    return performance.now() + (at - this.context.currentTime + (this.context.outputLatency || 0)) * 1000;
  }
}
