/** The pure parts of audio: wire format, resampling, the playing queue. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { PlayQueue } from '../../../src/vivavoce/web/playqueue.js';
import { Resampler, toFloat, toInt16 } from '../../../src/vivavoce/web/resample.js';
import { LastSpoken, TalkGate } from '../../../src/vivavoce/web/talk.js';
import { audioFrame, base64Bytes, newer, wav } from '../../../src/vivavoce/web/wire.js';

const message = (type, flags, turn, seq, samples, odd = 0) => {
  const bytes = new ArrayBuffer(8 + 2 * samples.length + odd);
  const view = new DataView(bytes);
  view.setUint8(0, type);
  view.setUint8(1, flags);
  view.setUint16(2, turn, true);
  view.setUint32(4, seq, true);
  samples.forEach((sample, i) => view.setInt16(8 + 2 * i, sample, true));
  return bytes;
};

const wavFile = ({
  channels = 1,
  rate = 22050,
  samples = [],
  bits = 16,
  length = 2 * samples.length,
  extra = false,
}) => {
  const chunk = (tag, size, body) => [...Buffer.from(tag), ...u32(size), ...body];
  const u32 = (value) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
  const u16 = (value) => [value & 255, (value >> 8) & 255];
  const format = [
    ...u16(1),
    ...u16(channels),
    ...u32(rate),
    ...u32(rate * channels * 2),
    ...u16(2 * channels),
    ...u16(bits),
  ];
  const odd = extra ? chunk('LIST', 3, [1, 2, 3, 0]) : [];
  const data = chunk(
    'data',
    length,
    samples.flatMap((sample) => u16(sample & 0xffff)),
  );
  return new Uint8Array([
    ...Buffer.from('RIFF'),
    ...u32(0),
    ...Buffer.from('WAVE'),
    ...chunk('fmt ', 16, format),
    ...odd,
    ...data,
  ]);
};

describe('wire', () => {
  it('reads the header and the samples of a binary frame', () => {
    const frame = audioFrame(message(1, 1, 65535, 7, [1, -2, 32767]), 22050);
    assert.deepEqual(
      { ...frame, samples: [...frame.samples] },
      { turn: 65535, seq: 7, last: true, rate: 22050, samples: [1, -2, 32767] },
    );
    assert.equal(audioFrame(message(1, 2, 1, 1, []), 1).last, false);
  });

  it('drops an odd byte, other types, and headers cut short', () => {
    assert.deepEqual([...audioFrame(message(1, 0, 1, 1, [5], 1), 1).samples], [5]);
    assert.equal(audioFrame(message(2, 0, 1, 1, [5]), 1), null);
    assert.equal(audioFrame(new ArrayBuffer(7), 1), null);
  });

  it('orders turns modulo 65536', () => {
    assert.deepEqual(
      [newer(2, 1), newer(1, 2), newer(3, 3), newer(0, 65535), newer(65535, 0)],
      [true, false, false, true, false],
    );
  });

  it('reads a WAV, mixes channels, skips other chunks, takes a streamed length for what is there', () => {
    const plain = wav(wavFile({ samples: [1, -1, 300] }));
    assert.deepEqual([plain.rate, [...plain.samples]], [22050, [1, -1, 300]]);
    assert.deepEqual([...wav(wavFile({ channels: 2, samples: [10, 20, -4, -8] })).samples], [15, -6]);
    assert.deepEqual([...wav(wavFile({ samples: [9], extra: true })).samples], [9]);
    assert.deepEqual([...wav(wavFile({ samples: [9, 8], length: 0xffffffff })).samples], [9, 8]);
  });

  it('refuses what is no WAV of 16 bits', () => {
    assert.throws(() => wav(new Uint8Array([1, 2, 3])), RangeError);
    assert.throws(() => wav(wavFile({ bits: 8 })), RangeError);
    assert.throws(() => wav(wavFile({ samples: [1] }).subarray(0, 36)), RangeError);
  });

  it('decodes base64', () => assert.deepEqual([...base64Bytes('AAH/')], [0, 1, 255]));
});

const tone = (hz, rate, count) =>
  Float32Array.from({ length: count }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hz * i) / rate));
const whole = (resampler, input) => [...resampler.push(input), ...resampler.flush()];
const rms = (samples) => Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);

describe('resampling', () => {
  for (const [from, to] of [
    [44100, 16000],
    [48000, 16000],
    [22050, 44100],
    [22050, 48000],
    [16000, 44100],
    [24000, 48000],
  ]) {
    it(`keeps a tone in place and in strength, ${from} -> ${to}`, () => {
      const out = whole(new Resampler(from, to), tone(1000, from, from / 10));
      const expected = tone(1000, to, to / 10);
      assert.equal(out.length, expected.length);
      // Apart from the edges, where silence begins and ends.
      const error = out.map((x, i) => x - expected[i]).slice(100, -100);
      assert.ok(rms(error) < 1e-3, `error ${rms(error)}`);
    });
  }

  it('keeps out what the lower rate cannot hold', () => {
    const out = whole(new Resampler(48000, 16000), tone(9500, 48000, 9600)).slice(100, -100);
    assert.ok(rms(out) < 0.5e-3, `${rms(out)} of 0.35 is left`);
  });

  it('gives the same whatever the pieces', () => {
    const input = tone(440, 44100, 5000);
    const expected = whole(new Resampler(44100, 16000), input);
    for (const size of [1, 7, 128, 1000]) {
      const resampler = new Resampler(44100, 16000);
      const out = [];
      for (let at = 0; at < input.length; at += size) out.push(...resampler.push(input.subarray(at, at + size)));
      assert.deepEqual([...out, ...resampler.flush()], expected);
    }
  });

  it('passes the same rate through', () =>
    assert.deepEqual(whole(new Resampler(16000, 16000), tone(100, 16000, 50)), [...tone(100, 16000, 50)]));

  it('converts samples, clipping the loud', () => {
    assert.deepEqual([toInt16(1.5), toInt16(-1.5), toInt16(0.5)], [32767, -32768, 16384]);
    assert.deepEqual([...toFloat(Int16Array.of(-32768, 16384))], [-1, 0.5]);
  });
});

const RATE = 48000;
const BLOCK = 128;

/** A queue with the device that drinks from it. */
class Device {
  constructor() {
    this.queue = new PlayQueue(RATE);
    this.frame = 0;
    this.played = [];
    this.began = [];
    this.told = [];
  }

  push(turn, seq, ms, { last = true, level = 0.5 } = {}) {
    const samples = new Int16Array(Math.round((RATE * ms) / 1000)).fill(level * 32768);
    this.queue.push({ turn, seq, last, rate: RATE, samples });
  }

  /** Play for *ms*, rounded up to whole blocks. */
  play(ms, latency = 0) {
    for (const end = this.frame + (RATE * ms) / 1000; this.frame < end; this.frame += BLOCK) {
      const block = new Float32Array(BLOCK);
      const began = this.queue.pull(block, this.frame);
      if (began !== null) this.began.push([began, this.queue.firstAt]);
      this.played.push(...block);
      this.told.push(...this.queue.heard(this.frame + BLOCK - latency));
    }
  }

  get sounding() {
    return this.played.filter((sample) => sample !== 0).length;
  }

  get ends() {
    return this.told.filter(({ ended }) => ended).map(({ turn, seq, ms }) => [turn, seq, ms]);
  }
}

describe('the playing queue', () => {
  it('plays phrases in order without a gap, and tells when each was heard', () => {
    const device = new Device();
    device.push(1, 1, 100);
    device.push(1, 2, 50);
    device.play(200);
    assert.equal(device.sounding, RATE * 0.15);
    assert.equal(
      device.played.findLastIndex((sample) => sample !== 0),
      RATE * 0.15 - 1,
    );
    assert.deepEqual(device.ends, [
      [1, 1, 100],
      [1, 2, 50],
    ]);
    assert.deepEqual(device.began, [[1, 0]]);
    assert.ok(device.queue.empty);
  });

  it('tells growing places within a phrase', () => {
    const device = new Device();
    device.push(1, 1, 60, { last: false });
    device.play(40);
    const places = device.told.map(({ ms }) => ms);
    assert.deepEqual(
      places,
      places.toSorted((a, b) => a - b),
    );
    assert.ok(places.at(-1) >= 40 && places.at(-1) < 44);
    assert.deepEqual(device.ends, []);
  });

  it('waits for late audio, and does not count the gap', () => {
    const device = new Device();
    device.push(1, 1, 30, { last: false });
    device.play(100);
    device.push(1, 1, 30);
    device.play(100);
    assert.equal(device.sounding, RATE * 0.06);
    assert.deepEqual(device.ends, [[1, 1, 60]]);
  });

  it('counts as heard what has left the device, its latency later', () => {
    const device = new Device();
    device.push(1, 1, 50);
    device.play(60, RATE * 0.1);
    assert.deepEqual(device.told, []);
    device.play(100, RATE * 0.1);
    assert.deepEqual(device.ends, [[1, 1, 50]]);
  });

  it('ends a phrase whose end was not said when the next begins', () => {
    const device = new Device();
    device.push(1, 1, 20, { last: false });
    device.push(1, 2, 20);
    device.play(60);
    assert.deepEqual(device.ends, [
      [1, 1, 20],
      [1, 2, 20],
    ]);
  });

  it('pauses within a few milliseconds, and goes on where it was', () => {
    const device = new Device();
    device.push(1, 1, 100);
    device.play(40);
    device.queue.hold();
    const before = device.sounding;
    device.play(200);
    assert.ok(device.sounding - before <= RATE * 0.0065, 'it fades, and is silent');
    device.queue.resume();
    device.play(200);
    assert.ok(Math.abs(device.sounding - RATE * 0.1) <= 2, 'nothing was lost'); // the ends of the fades are zeros
    assert.deepEqual(device.ends, [[1, 1, 100]]);
  });

  it('silences a cut turn within a few milliseconds, and tells how far it came', () => {
    const device = new Device();
    device.push(1, 1, 500);
    device.play(100);
    device.queue.cut(1);
    device.play(100);
    const end = device.played.findLastIndex((sample) => sample !== 0) / RATE;
    assert.ok(end > 0.1 && end < 0.11, `silent after ${end} s`);
    assert.ok(Math.abs(device.told.at(-1).ms - end * 1000) < 1);
    assert.deepEqual(device.ends, []);
    device.push(1, 2, 50);
    assert.ok(device.queue.empty, 'late audio of a cut turn is dropped');
  });

  it('drops a paused turn at once when it is cut, and plays the next one', () => {
    const device = new Device();
    device.push(1, 1, 100);
    device.play(20);
    device.queue.hold();
    device.play(20);
    const before = device.sounding;
    device.queue.cut(1);
    device.push(2, 1, 30);
    device.play(100);
    assert.equal(device.sounding - before, RATE * 0.03);
    assert.deepEqual(device.ends, [[2, 1, 30]]);
  });

  it('lets a newer turn replace an older one, across the wrap of numbers', () => {
    const device = new Device();
    device.push(65535, 1, 300);
    device.play(20);
    device.push(0, 1, 30);
    device.push(65535, 2, 50);
    device.play(200);
    assert.deepEqual(device.ends, [[0, 1, 30]]);
    assert.deepEqual(
      device.began.map(([turn]) => turn),
      [65535, 0],
    );
  });

  it('begins afresh with a new session', () => {
    const device = new Device();
    device.push(9, 1, 50);
    device.queue.cut(9);
    device.queue.reset();
    device.push(1, 1, 50);
    device.play(100);
    assert.deepEqual(device.ends, [[1, 1, 50]]);
  });

  it('plays other rates at the right length', () => {
    const device = new Device();
    device.queue.push({ turn: 1, seq: 1, last: true, rate: 22050, samples: new Int16Array(2205).fill(9000) });
    device.play(200);
    assert.deepEqual(device.ends, [[1, 1, 100]]);
  });
});

describe('push to talk', () => {
  const recorded = () => {
    const sent = [];
    const gate = new TalkGate({ send: (pcm) => sent.push(pcm), stop: () => sent.push('stop') });
    return {
      gate,
      sent,
      hear: (from, to) => {
        for (let i = from; i < to; i++) gate.hear(i);
      },
    };
  };

  it('sends everything in hands-free', () => {
    const { sent, hear } = recorded();
    hear(0, 5);
    assert.deepEqual(sent, [0, 1, 2, 3, 4]);
  });

  it('sends what is said with the key held, a little before and after, and then stop', () => {
    const { gate, sent, hear } = recorded();
    gate.setMode('push_to_talk');
    hear(0, 30);
    assert.deepEqual(sent, []);
    gate.press();
    hear(30, 40);
    gate.release();
    hear(40, 80);
    assert.deepEqual(sent, [...Array.from({ length: 28 }, (_, i) => i + 20), 'stop']);
  });

  it('goes on within the same utterance when the key is pressed again at once', () => {
    const { gate, sent, hear } = recorded();
    gate.setMode('push_to_talk');
    gate.press();
    hear(0, 2);
    gate.release();
    hear(2, 4);
    gate.press();
    hear(4, 6);
    gate.release();
    hear(6, 30);
    assert.deepEqual(sent, [...Array.from({ length: 14 }, (_, i) => i), 'stop']);
  });

  it('says nothing of an utterance that was abandoned', () => {
    const { gate, sent, hear } = recorded();
    gate.setMode('push_to_talk');
    gate.press();
    gate.abandon();
    hear(0, 30);
    assert.deepEqual(sent, []);
  });

  it('marks the last speech above the noise', () => {
    const ear = new LastSpoken();
    const hear = (level, from, to) => {
      for (let at = from; at < to; at += 20) ear.hear(level, at);
    };
    hear(0.004, 0, 2000);
    assert.equal(ear.at, null);
    hear(0.1, 2000, 3000);
    hear(0.004, 3000, 4000);
    assert.equal(ear.at, 2980);
  });
});
