/**
 * What was said, for taking away. Pure.
 */

import { REASONS } from './words.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Item} Item */

/**
 * @param {State} state
 * @param {(at: number) => Date} date From a mark of the page's clock.
 */
export function asText(state, date) {
  const head = `vivavoce conversation ${state.conversationId ?? ''}`.trimEnd();
  const lines = state.items.filter(hasText).map((item) => {
    const who = item.kind === 'user' ? 'You' : 'Agent';
    return `[${date(item.at).toLocaleTimeString()}] ${who}: ${item.text.trim()}${remark(item)}`;
  });
  return [head, '', ...lines, ''].join('\n');
}

/**
 * @param {State} state
 * @param {(at: number) => Date} date
 */
export function asJson(state, date) {
  const items = state.items.filter(hasText).map((item) => {
    const common = { turn_id: item.turnId, at: date(item.at).toISOString(), text: item.text.trim() };
    if (item.kind === 'user') return { role: 'user', ...common, typed: item.typed };
    const interrupted = item.outcome === 'interrupted';
    const heard = item.text.slice(0, item.heardTo).trim();
    return { role: 'assistant', ...common, heard, interrupted, ...(interrupted && { reason: item.reason }) };
  });
  const timings = state.timings.map(({ turnId, page, metrics }) => ({ turn_id: turnId, page_ms: page, metrics }));
  return JSON.stringify({ conversation_id: state.conversationId, items, timings }, null, 2);
}

/** @param {Item} item */
const hasText = (item) => item.text.trim() !== '';

/** @param {Item} item */
function remark(item) {
  if (item.kind === 'user' || item.outcome === null || item.outcome === 'done') return '';
  if (item.outcome !== 'interrupted') return ' [broken off]';
  const heard = item.text.slice(0, item.heardTo).trim();
  return ` [interrupted: ${REASONS[item.reason ?? ''] ?? item.reason}; heard: "${heard}"]`;
}
