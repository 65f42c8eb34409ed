/**
 * When the stretches of a turn began and ended, as the page saw them, within the state. Pure.
 */

import { NO_MARKS } from './latency.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Message} Message */

/** Turns that are kept. */
const TIMINGS = 12;

/**
 * The turn whose number ends in *turn*, the 16 bits of an audio frame.
 * @param {State} state
 * @param {number} turn
 */
export function numberOf(state, turn) {
  return state.timings.findLast(({ turnId }) => (turnId & 0xffff) === turn)?.turnId ?? turn;
}

/**
 * Note a mark of a turn, once; the first message of a turn takes the marks that had no turn yet.
 * @param {State} state
 * @param {Message} m
 * @param {'token' | 'audio' | 'sound'} mark
 * @param {number | null} at
 * @returns {State}
 */
export function marked(state, m, mark, at) {
  const turnId = m.turn_id;
  if (turnId === undefined || at === null) return state;
  const known = state.timings.find((timing) => timing.turnId === turnId);
  if (known) {
    if (known.page[mark] !== null) return state;
    const timings = state.timings.map((timing) =>
      timing === known ? { ...timing, page: { ...timing.page, [mark]: at } } : timing,
    );
    return { ...state, timings };
  }
  const own = m.initiator === 'agent' ? null : state.pending;
  const marks = { ...NO_MARKS, end: own?.end ?? null, final: own?.final ?? null, [mark]: at };
  const timing = { turnId, said: own?.said ?? '', typed: own?.typed ?? false, page: marks, metrics: null };
  return {
    ...state,
    pending: m.initiator === 'agent' ? state.pending : null,
    timings: [...state.timings, timing].slice(-TIMINGS),
  };
}
