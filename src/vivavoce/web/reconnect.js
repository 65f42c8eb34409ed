/**
 * What to do when the socket closes. Pure.
 */

const FIRST_S = 0.5;
const MOST_S = 15;
const FULL_S = 5;

/**
 * @typedef {object} Verdict
 * @property {'retry' | 'stop' | 'key' | 'forget'} what `key`: ask for the key; `forget`: the conversation is not ours.
 * @property {string} why
 * @property {number} least Seconds to wait at least.
 */

/**
 * @param {number} code Of the close frame; 1006 when there was none.
 * @param {string} reason
 * @param {string | null} error The code of the last error message before it.
 * @returns {Verdict}
 */
export function verdict(code, reason, error) {
  const stop = (/** @type {string} */ why) => ({ what: /** @type {const} */ ('stop'), why, least: 0 });
  if (error === 'UNAUTHORIZED') return { what: 'key', why: 'The server asks for a key.', least: 0 };
  if (error === 'RATE_LIMITED') return { what: 'retry', why: 'Too many connections from here.', least: FULL_S };
  if (reason === 'no such conversation') return { what: 'forget', why: 'That conversation is gone.', least: 0 };
  switch (code) {
    case 1000:
      return stop(`The server ended the session${reason && `: ${reason}`}.`);
    case 1008:
      return stop(`The server refused the connection${reason && `: ${reason}`}.`);
    case 4001:
      return stop('This conversation goes on in another window.');
    case 1013:
      return { what: 'retry', why: 'The server is full.', least: FULL_S };
    case 1001:
    case 1012:
      return { what: 'retry', why: 'The server is restarting.', least: 0 };
    default:
      return { what: 'retry', why: 'The connection was lost.', least: 0 };
  }
}

/**
 * How long to wait before the next attempt: doubling, at most MOST_S, spread so that clients do not come all at once.
 * @param {number} attempt From 0.
 * @param {number} least The server's advice, seconds.
 * @param {number} random 0…1.
 * @returns {number} Seconds.
 */
export function delay(attempt, least, random) {
  const backOff = Math.min(MOST_S, FIRST_S * 2 ** attempt);
  return least + backOff * (0.5 + random / 2);
}
