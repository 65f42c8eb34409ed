/** Turns the microphone's audio into 20 ms frames of 16 kHz PCM16, each with its level. */

import { Resampler, toInt16 } from './resample.js';

const RATE = 16000;
const FRAME = 320;

class Microphone extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }

  /** @param {Float32Array[][]} inputs */
  process(inputs) {
    const input = inputs[0][0];
    if (input === undefined) return true; // the device is being changed
    for (const sample of this.resampler.push(input)) {
      this.frame[this.filled++] = toInt16(sample);
      this.energy += sample * sample;
      if (this.filled === FRAME) this.send();
    }
    return true;
  }

  send() {
    const { buffer } = this.frame;
    this.port.postMessage({ pcm: buffer, level: Math.sqrt(this.energy / FRAME) }, [buffer]);
    this.frame = new Int16Array(FRAME);
    this.filled = 0;
    this.energy = 0;
  }
}

registerProcessor('vivavoce-microphone', Microphone);
