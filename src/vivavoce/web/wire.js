/**
 * The bytes of the wire: audio frames in, WAV in base64 in, sample rates and numbers checked. Pure.
 */

const HEADER = 8;
const PCM = 1;
const LAST = 1;

/**
 * @typedef {object} Frame A piece of one phrase's audio.
 * @property {number} turn The turn, modulo 65536.
 * @property {number} seq The phrase's number within the turn, from 1.
 * @property {boolean} last Whether this ends the phrase.
 * @property {number} rate Hz.
 * @property {Int16Array} samples Mono.
 */

/**
 * Read a binary message: type u8, flags u8 (bit 0: last of the phrase), turn u16, seq u32, little-endian, then PCM16.
 * @param {ArrayBuffer} message
 * @param {number} rate The rate that the answer to `start` announced, Hz.
 * @returns {Frame | null} null for a type that we did not ask for, or a header cut short.
 */
export function audioFrame(message, rate) {
  if (message.byteLength < HEADER) return null;
  const header = new DataView(message, 0, HEADER);
  if (header.getUint8(0) !== PCM) return null;
  return {
    turn: header.getUint16(2, true),
    seq: header.getUint32(4, true),
    last: (header.getUint8(1) & LAST) !== 0,
    rate,
    samples: new Int16Array(message.slice(HEADER, message.byteLength - (message.byteLength % 2))),
  };
}

/**
 * @param {string} text Base64.
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function base64Bytes(text) {
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

/**
 * Read a WAV of 16-bit PCM; several channels are mixed to one.
 * @param {Uint8Array<ArrayBuffer>} bytes
 * @returns {{rate: number, samples: Int16Array}}
 * @throws {RangeError} when it is not such a WAV.
 */
export function wav(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tag = (/** @type {number} */ at) => String.fromCharCode(...bytes.subarray(at, at + 4));
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') throw new RangeError('not a WAV file');
  let rate = 0;
  let channels = 0;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (tag(at) === 'fmt ') {
      if (view.getUint16(body, true) !== 1 || view.getUint16(body + 14, true) !== 16) {
        throw new RangeError('only WAV with 16-bit PCM is understood');
      }
      channels = view.getUint16(body + 2, true);
      rate = view.getUint32(body + 4, true);
    } else if (tag(at) === 'data' && rate > 0 && channels > 0) {
      // A streamed WAV may say a length of 0xffffffff: what is there counts.
      return { rate, samples: mixed(view, body, Math.min(size, bytes.length - body), channels) };
    }
    at = body + size + (size % 2);
  }
  throw new RangeError('a WAV file without samples');
}

/**
 * @param {DataView} view
 * @param {number} at
 * @param {number} size Bytes.
 * @param {number} channels
 */
function mixed(view, at, size, channels) {
  const samples = new Int16Array(Math.floor(size / 2 / channels));
  for (let i = 0; i < samples.length; i++) {
    let sum = 0;
    for (let channel = 0; channel < channels; channel++) sum += view.getInt16(at + 2 * (i * channels + channel), true);
    samples[i] = Math.round(sum / channels);
  }
  return samples;
}

/**
 * Whether turn *a* came after turn *b*, both modulo 65536.
 * @param {number} a
 * @param {number} b
 */
export function newer(a, b) {
  const ahead = (a - b) & 0xffff;
  return ahead > 0 && ahead < 0x8000;
}
