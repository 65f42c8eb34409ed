/**
 * Which microphone frames are sent: all of them, or those while the key is held. Pure.
 */

/** Frames of 20 ms before the key: people begin to speak as they press it. */
const LEAD = 10;
/** And after it: they let go on the last sound. */
const TAIL = 8;

export class TalkGate {
  /** @param {{send: (pcm: ArrayBuffer) => void, stop: () => void}} out `stop`: the last frame of an utterance was sent. */
  constructor(out) {
    this.out = out;
    this.open = true;
    this.held = false;
    this.tail = 0;
    this.lead = /** @type {ArrayBuffer[]} */ ([]);
  }

  /** @param {'hands_free' | 'push_to_talk'} mode */
  setMode(mode) {
    this.open = mode === 'hands_free';
    this.held = false;
    this.tail = 0;
    this.lead = [];
  }

  press() {
    if (this.open || this.held) return;
    this.held = true;
    this.tail = 0;
    for (const pcm of this.lead.splice(0)) this.out.send(pcm);
  }

  release() {
    if (!this.held) return;
    this.held = false;
    this.tail = TAIL;
  }

  /** Drop what is being said. */
  abandon() {
    this.held = false;
    this.tail = 0;
  }

  /** @param {ArrayBuffer} pcm */
  hear(pcm) {
    if (this.open || this.held) return this.out.send(pcm);
    if (this.tail > 0) {
      this.out.send(pcm);
      if (--this.tail === 0) this.out.stop();
      return;
    }
    this.lead.push(pcm);
    if (this.lead.length > LEAD) this.lead.shift();
  }
}

/** Tells when somebody last spoke, by level over the room's noise. The page's own, coarse mark; the server's VAD decides. */
export class LastSpoken {
  constructor() {
    this.floor = 0.01;
    this.at = /** @type {number | null} */ (null);
  }

  /**
   * @param {number} level Root mean square of a frame, 0…1.
   * @param {number} at The frame's end, ms.
   */
  hear(level, at) {
    // The floor falls fast and rises slowly, so that speech does not become the noise it is compared with.
    this.floor = level < this.floor ? 0.8 * this.floor + 0.2 * level : Math.min(0.05, this.floor * 1.002 + 1e-6);
    if (level > Math.max(0.008, 3 * this.floor)) this.at = at;
  }
}
