/**
 * The boxes of the conversation within the state: finding, adding, changing, ending them. Pure.
 */

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Item} Item */
/** @typedef {import('./state.js').Message} Message */

/** @type {Omit<Item, 'key' | 'kind' | 'at' | 'text'>} */
export const BLANK = {
  solid: false,
  turnId: null,
  typed: false,
  utterance: null,
  endpointed: false,
  phrases: [],
  heardTo: 0,
  outcome: null,
  reason: null,
  deeds: [],
};

/** The user's box that still grows. @param {State} state */
export function growing(state) {
  return state.items.findLast((item) => item.kind === 'user' && !item.solid);
}

/**
 * @param {State} state
 * @param {number | undefined} turnId
 */
export function answer(state, turnId) {
  return state.items.findLast((item) => item.kind === 'agent' && item.turnId === turnId);
}

/**
 * The answer of a message's turn, begun if it is the first message of it.
 * @param {State} state
 * @param {Message} m
 * @param {number} at
 * @returns {[State, Item]}
 */
export function answering(state, m, at) {
  const known = answer(state, m.turn_id);
  if (known) return [state, known];
  const next = added(state, { kind: 'agent', at, text: '', turnId: m.turn_id ?? null });
  return [next, /** @type {Item} */ (next.items.at(-1))];
}

/**
 * @param {State} state
 * @param {Partial<Item> & Pick<Item, 'kind' | 'at' | 'text'>} item
 * @returns {State}
 */
export function added(state, item) {
  return { ...state, made: state.made + 1, items: [...state.items, { ...BLANK, key: `item-${state.made}`, ...item }] };
}

/**
 * @param {State} state
 * @param {string} key
 * @param {Partial<Item>} change
 * @returns {State}
 */
export function changed(state, key, change) {
  return { ...state, items: state.items.map((item) => (item.key === key ? { ...item, ...change } : item)) };
}

/**
 * @param {State} state
 * @param {string | undefined} key
 */
export function without(state, key) {
  return key === undefined ? state : { ...state, items: state.items.filter((item) => item.key !== key) };
}

/**
 * End a turn's answer. The first end counts: `metrics` follows what ended it.
 * @param {State} state
 * @param {number | undefined} turnId
 * @param {Item['outcome']} outcome
 * @param {string | null} reason
 * @returns {State}
 */
export function finished(state, turnId, outcome, reason) {
  const next = { ...state, holding: false, thinking: turnId === state.lastTurn ? false : state.thinking };
  const item = answer(state, turnId);
  if (!item || item.outcome !== null) return next;
  const heard = outcome === 'done' ? item.text.length : item.heardTo;
  return changed(next, item.key, { outcome, reason, solid: true, heardTo: heard });
}

/**
 * Everything that was under way with a session that is gone.
 * @param {State} state
 * @returns {State}
 */
export function brokenOff(state) {
  const items = state.items.map((item) => {
    // Turns of the next session count from 1 again: the old ones give up their numbers.
    const ended = item.kind === 'user' || item.outcome !== null ? {} : { outcome: 'interrupted', reason: 'disconnect' };
    return /** @type {Item} */ ({ ...item, ...ended, solid: true, turnId: null });
  });
  return { ...state, items, pending: state.pending?.typed ? state.pending : null };
}
