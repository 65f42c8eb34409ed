/**
 * The event log: what came, what went and what happened here, in the order of time. Pure.
 */

import { summary } from './words.js';

/** @typedef {'decision' | 'turn' | 'error' | 'link' | 'stream'} Kind `stream`: what comes many times a second. */
/** @typedef {{id: number, at: number, kind: Kind, what: string, text: string, detail: Record<string, any> | null}} Entry */

const ENTRIES = 2000;

const KINDS = /** @type {Record<string, Kind>} */ ({
  decision: 'decision',
  hold: 'decision',
  resume: 'decision',
  interrupted: 'decision',
  error: 'error',
  info: 'link',
  pong: 'stream',
  partial_transcript: 'stream',
  llm_token: 'stream',
  phrase: 'stream',
  tts_chunk: 'stream',
  tts_phrase_done: 'stream',
  debug: 'stream',
});

const PAGE = /** @type {Record<string, Kind>} */ ({
  connecting: 'link',
  waiting: 'link',
  closed: 'link',
  mic: 'link',
  mode: 'link',
  typed: 'turn',
  stopped: 'turn',
  talking: 'turn',
  audio: 'stream',
  sounding: 'turn',
  heard: 'stream',
});

/** What the page says of its own events. @type {Record<string, (event: Record<string, any>) => string>} */
const SAID = {
  waiting: ({ why }) => why,
  closed: ({ why }) => why,
  mic: ({ mic }) => `microphone ${mic}`,
  mode: ({ mode }) => mode.replaceAll('_', ' '),
  typed: ({ text }) => `“${text}”`,
  talking: ({ talking }) => (talking ? 'Space held' : 'Space released'),
  sounding: ({ turn }) => `turn ${turn}: first sound`,
  audio: ({ turn }) => `turn ${turn}: first audio`,
  heard: ({ turn, seq, ms, ended }) => `turn ${turn}, phrase ${seq}: ${ms} ms${ended ? ', whole' : ''}`,
};

/**
 * *state* with *event* in its log.
 * @param {import('./state.js').State} state
 * @param {import('./state.js').Event} event
 * @returns {import('./state.js').State}
 */
export function noted(state, event) {
  const message = event.type === 'server' ? event.message : null;
  const kind = message ? (KINDS[message.type] ?? 'turn') : PAGE[event.type];
  if (kind === undefined) return state;
  const what = message ? message.type : `page: ${event.type}`;
  const text = message ? summary(message) : (SAID[event.type]?.(event) ?? '');
  const { audio_b64: _, ...detail } = message ?? {};
  const entry = { id: (state.log.at(-1)?.id ?? 0) + 1, at: event.at, kind, what, text, detail: message && detail };
  return { ...state, log: [...state.log.slice(1 - ENTRIES), entry] };
}

/**
 * @param {Entry[]} log
 * @param {string} kind A kind; `main` for all but `stream`; `all`.
 * @param {string} search
 * @returns {Entry[]}
 */
export function filtered(log, kind, search) {
  const wanted = search.trim().toLowerCase();
  return log.filter(
    (entry) =>
      (kind === 'all' || entry.kind === kind || (kind === 'main' && entry.kind !== 'stream')) &&
      (wanted === '' || `${entry.what} ${entry.text}`.toLowerCase().includes(wanted)),
  );
}
