/**
 * What the page shows, as a pure reducer: `reduce(state, event) -> state`. Parts that did not change keep their identity.
 *
 * Events are server messages (`{type: 'server', message, at}`) and what happens on the page; `at` is performance.now, ms.
 */

import { added, answer, answering, BLANK, brokenOff, changed, finished, growing, without } from './items.js';
import { heardLength, heardTo, locate, MS_PER_CHARACTER } from './karaoke.js';
import { completed } from './latency.js';
import { noted } from './log.js';
import { marked, numberOf } from './marks.js';
import { commandWords, pairs, toolWords } from './words.js';

/** @typedef {import('./karaoke.js').Phrase} Phrase */
/** @typedef {import('./latency.js').Timing} Timing */
/** @typedef {import('./latency.js').PageMarks} PageMarks */
/** @typedef {Record<string, any> & {type: string, n?: number, turn_id?: number}} Message */
/** @typedef {{type: string, at: number} & Record<string, any>} Event */
/**
 * @typedef {object} Item One box of the conversation.
 * @property {string} key
 * @property {'user' | 'agent'} kind
 * @property {number} at When it appeared.
 * @property {string} text
 * @property {boolean} solid Whether the text is complete.
 * @property {number | null} turnId
 * @property {boolean} typed
 * @property {string | null} utterance The id of its final transcript.
 * @property {boolean} endpointed Its speech has ended, its final is awaited.
 * @property {Phrase[]} phrases
 * @property {number} heardTo Characters that were heard.
 * @property {null | 'done' | 'interrupted' | 'failed' | 'incomplete'} outcome
 * @property {string | null} reason Why it was interrupted, or what went wrong.
 * @property {Deed[]} deeds Commands and tools.
 */
/** @typedef {{key: string, name: string, text: string, state: 'running' | 'done' | 'failed'}} Deed What was done in a turn. */
/** @typedef {{value: unknown, at: number}} Shown */
/** @typedef {{key: string, level: 'error' | 'warning' | 'info', text: string, hint: string}} Notice */
/**
 * @typedef {object} State
 * @property {'off' | 'connecting' | 'live' | 'waiting'} link
 * @property {string} why What the link's state is due to.
 * @property {number | null} retryAt When the next attempt is made.
 * @property {string | null} sessionId
 * @property {string | null} conversationId
 * @property {number} lastTurn
 * @property {number} outputRate Hz, of binary audio.
 * @property {Record<string, any>} inForce The session's settings.
 * @property {'hands_free' | 'push_to_talk'} mode
 * @property {'off' | 'asking' | 'live' | 'muted' | import('./microphone.js').MicrophoneProblem} mic
 * @property {boolean} talking Push-to-talk is held.
 * @property {boolean} hearing The server hears speech.
 * @property {boolean} holding
 * @property {boolean} thinking
 * @property {boolean} playing
 * @property {Item[]} items
 * @property {{said: string, end: number | null, final: number | null, typed: boolean} | null} pending Marks of a turn that has no number yet.
 * @property {Timing[]} timings The last turns, oldest first.
 * @property {number} msPerCharacter What the voice takes.
 * @property {number | null} roundTrip ms.
 * @property {Notice[]} notices
 * @property {Record<string, Shown>} shown What the agent shows beside the conversation, by name.
 * @property {import('./log.js').Entry[]} log
 * @property {number} made Counts keys.
 */

const NOTICES = 3;
const MOST_DEEDS = 16;
const MOST_SHOWN = 8;
/** Reasons to ignore something other than the utterance that has ended. */
const FINAL_FOLLOWS = new Set(['the utterance had already ended']);

/** @type {State} */
export const INITIAL = {
  link: 'off',
  why: '',
  retryAt: null,
  sessionId: null,
  conversationId: null,
  lastTurn: 0,
  outputRate: 22050,
  inForce: {},
  mode: 'hands_free',
  mic: 'off',
  talking: false,
  hearing: false,
  holding: false,
  thinking: false,
  playing: false,
  items: [],
  pending: null,
  timings: [],
  msPerCharacter: MS_PER_CHARACTER,
  roundTrip: null,
  notices: [],
  shown: {},
  log: [],
  made: 0,
};

/**
 * @param {State} state
 * @param {Event} event
 * @returns {State}
 */
export function reduce(state, event) {
  const next = event.type === 'server' ? afterMessage(state, event) : (page[event.type]?.(state, event) ?? state);
  return noted(next, event);
}

/**
 * @param {State} state
 * @param {Event} event
 */
function afterMessage(state, event) {
  const message = /** @type {Message} */ (event.message);
  const numbered = { ...state, lastTurn: Math.max(state.lastTurn, message.turn_id ?? 0) };
  return server[message.type]?.(numbered, message, event) ?? numbered;
}

/** @type {Record<string, (state: State, message: Message, event: Event) => State>} */
const server = {
  info(state, m) {
    let next = state;
    if (m.session_id !== undefined) {
      next = {
        ...(state.link === 'live' ? state : { ...brokenOff(state), lastTurn: 0 }),
        shown: m.session_id === state.sessionId || state.link === 'live' ? state.shown : {},
        link: 'live',
        why: '',
        retryAt: null,
        sessionId: m.session_id,
        conversationId: m.conversation_id ?? state.conversationId,
        outputRate: m.output_sample_rate ?? state.outputRate,
      };
    }
    if (m.session) next = { ...next, inForce: m.session, mode: m.session.mode ?? next.mode };
    return m.warning ? notified(next, 'warning', m.warning) : next;
  },

  speech_started: (state) => ({ ...state, hearing: true }),
  speech_stopped: (state) => ({ ...state, hearing: false }),

  partial_transcript(state, m, { at }) {
    if (!m.text) return state;
    const open = growing(state);
    // Words after an endpoint belong to the next utterance if somebody has begun to speak again.
    if (open && !(open.endpointed && state.hearing)) return changed(state, open.key, { text: m.text });
    return added(state, { kind: 'user', at, text: m.text });
  },

  final_transcript(state, m, { at, spokenAt }) {
    const known = state.items.find((item) => item.kind === 'user' && item.utterance === m.id);
    if (known) return changed(state, known.key, { text: m.text });
    const awaited = state.items.find((item) => item.kind === 'user' && !item.solid);
    if (!m.text) return { ...without(state, awaited?.key), thinking: false, pending: null };
    const echoed = state.items.findLast((item) => item.kind === 'user');
    const turnId = m.turn_id ?? null;
    const final = { text: m.text, solid: true, utterance: m.id, turnId };
    if (!awaited && echoed?.typed && echoed.utterance === null && echoed.text === m.text) {
      return changed(state, echoed.key, { utterance: m.id, turnId });
    }
    const next = {
      ...state,
      thinking: true,
      pending: { said: m.text, end: spokenAt ?? null, final: at, typed: false },
    };
    return awaited ? changed(next, awaited.key, final) : added(next, { kind: 'user', at, ...final });
  },

  llm_token(state, m, { at }) {
    const [next, item] = answering(marked(state, m, 'token', m.text ? at : null), m, at);
    if (item.outcome !== null) return state;
    return changed(next, item.key, { text: item.text + m.text, solid: item.solid || m.done === true });
  },

  phrase(state, m, { at }) {
    const [next, item] = answering(state, m, at);
    if (item.outcome !== null || item.phrases.some(({ seq }) => seq === m.seq)) return next;
    const reached = item.phrases.at(-1)?.to ?? 0;
    let { text } = item;
    let place = locate(text, reached, m.text);
    if (place.from === place.to && reached >= text.trimEnd().length) {
      // An announcement has phrases only.
      text = text === '' ? m.text : `${text.trimEnd()} ${m.text}`;
      place = { from: text.length - m.text.length, to: text.length };
    }
    const phrase = { seq: m.seq, text: m.text, words: m.words ?? null, ...place };
    return changed(next, item.key, { text, phrases: [...item.phrases, phrase] });
  },

  command(state, m, { at }) {
    const [next, item] = answering(state, m, at);
    const deed = { key: 'command', name: m.intent, text: commandWords(m), state: /** @type {const} */ ('done') };
    return changed(next, item.key, { deeds: [...item.deeds.filter(({ key }) => key !== 'command'), deed] });
  },

  tool_call(state, m, { at }) {
    const [next, item] = answering(state, m, at);
    const deed = { key: `tool-${m.id}`, name: m.name, text: pairs(m.arguments), state: /** @type {const} */ ('running') };
    return changed(next, item.key, { deeds: [...item.deeds, deed].slice(-MOST_DEEDS) });
  },

  tool_result(state, m, { at }) {
    const [next, item] = answering(state, m, at);
    const done = /** @type {Deed['state']} */ (m.ok ? 'done' : 'failed');
    const deeds = item.deeds.map((deed) =>
      deed.key === `tool-${m.id}` ? { ...deed, state: done, text: toolWords(deed.text, m) } : deed,
    );
    return changed(next, item.key, { deeds });
  },

  state(state, m, { at }) {
    const { [m.name]: _, ...others } = state.shown;
    if (m.value === null || (!(m.name in state.shown) && Object.keys(others).length >= MOST_SHOWN)) {
      return { ...state, shown: m.value === null ? others : state.shown };
    }
    return { ...state, shown: { ...state.shown, [m.name]: { value: m.value, at } } };
  },

  tts_complete: (state, m) => finished(state, m.turn_id, 'done', null),
  hold: (state) => ({ ...state, holding: true }),
  resume: (state) => ({ ...state, holding: false }),

  interrupted(state, m) {
    const next = finished(state, m.turn_id, 'interrupted', m.reason);
    const item = answer(next, m.turn_id);
    if (!item) return next;
    // A cancelled answer is not kept, so the server may have no account of what was heard of it.
    const heard = heardLength(item.text, m.heard_text ?? '') || (m.reason === 'client_cancel' ? item.heardTo : 0);
    return changed(next, item.key, { reason: m.reason, heardTo: heard });
  },

  decision(state, m) {
    const open = growing(state);
    if (m.what === 'endpoint') {
      // A stop may come in the middle of a word: what is heard from now on begins anew.
      const next = { ...state, hearing: false };
      return open ? changed(next, open.key, { endpointed: true }) : next;
    }
    // An utterance that the rules ignore has no final transcript.
    const ended = state.items.find((item) => item.kind === 'user' && item.endpointed && !item.solid);
    return m.what === 'ignore' && ended && !FINAL_FOLLOWS.has(m.reason) ? without(state, ended.key) : state;
  },

  metrics(state, m) {
    const next = finished(state, m.turn_id, m.outcome, null);
    const { type, n, ...metrics } = m;
    const timings = next.timings.map((timing) =>
      timing.turnId === m.turn_id ? { ...timing, metrics, page: completed(timing.page, metrics) } : timing,
    );
    return { ...next, timings };
  },

  error(state, m) {
    const next = notified(state, m.recoverable === false ? 'error' : 'warning', m.message, m.hint ?? '');
    const unheard = m.code.startsWith('ASR_')
      ? state.items.find((item) => item.kind === 'user' && !item.solid)
      : undefined;
    if (unheard) return { ...changed(next, unheard.key, { solid: true }), thinking: false };
    return m.turn_id === undefined ? { ...next, thinking: false } : finished(next, m.turn_id, 'failed', m.message);
  },
};

/** @type {Record<string, (state: State, event: Event) => State>} */
const page = {
  connecting: (state) => ({ ...state, link: 'connecting', why: '', retryAt: null, notices: [] }),
  waiting: (state, { why, retryAt }) => ({ ...quiet(state), link: 'waiting', why, retryAt }),
  closed: (state, { why }) => ({ ...quiet(brokenOff(state)), link: 'off', why, retryAt: null, sessionId: null }),
  mic: (state, { mic }) => ({ ...state, mic }),
  mode: (state, { mode }) => ({ ...state, mode, talking: false }),
  talking: (state, { talking }) => ({ ...state, talking }),
  playing: (state, { busy }) => ({ ...state, playing: busy, thinking: state.thinking && !busy }),
  round_trip: (state, { ms }) => ({ ...state, roundTrip: ms }),
  notice: (state, { level, text, hint }) => notified(state, level, text, hint),
  dismissed: (state, { key }) => ({ ...state, notices: state.notices.filter((notice) => notice.key !== key) }),
  log_cleared: (state) => ({ ...state, log: [] }),

  typed(state, { text, at }) {
    const next = { ...state, thinking: true, pending: { said: text, end: at, final: null, typed: true } };
    return added(next, { kind: 'user', at, text, solid: true, typed: true });
  },

  /** The first audio of a turn came in. */
  audio: (state, { turn, at }) => marked(state, { type: 'audio', turn_id: numberOf(state, turn) }, 'audio', at),

  /** The first sound of a turn went out. */
  sounding: (state, { turn, soundAt }) => ({
    ...marked(state, { type: 'sound', turn_id: numberOf(state, turn) }, 'sound', soundAt),
    thinking: false,
  }),

  heard(state, { turn, seq, ms, ended }) {
    const item = answer(state, numberOf(state, turn));
    if (!item || item.outcome !== null) return state;
    const phrase = item.phrases.find((candidate) => candidate.seq === seq);
    const learned = ended && phrase && phrase.text.length > 8 ? ms / phrase.text.length : state.msPerCharacter;
    const reached = heardTo(item.phrases, { seq, ms, ended }, state.msPerCharacter);
    const next = { ...state, msPerCharacter: learned };
    return reached > item.heardTo ? changed(next, item.key, { heardTo: reached }) : next;
  },

  /** Stop was pressed: shown at once; the server's account of what was heard follows. */
  stopped(state) {
    const item = state.items.findLast(({ kind, outcome }) => kind === 'agent' && outcome === null);
    const next = quiet(without(state, growing(state)?.key));
    return item ? finished(next, item.turnId ?? undefined, 'interrupted', 'client_cancel') : next;
  },

  new_conversation: (state) => ({
    ...INITIAL,
    mode: state.mode,
    mic: state.mic,
    log: state.log,
    made: state.made,
    msPerCharacter: state.msPerCharacter,
  }),

  /** What was said before, oldest first. */
  history(state, { conversationId, turns, at }) {
    const earlier = turns.flatMap((/** @type {Record<string, any>} */ turn, /** @type {number} */ index) => {
      const common = { ...BLANK, at: turn.atMs ?? at, solid: true, turnId: null };
      const user = { ...common, key: `past-${index}-user`, kind: /** @type {const} */ ('user'), text: turn.user };
      const outcome = turn.interrupted ? 'interrupted' : 'done';
      const heard = turn.assistant?.length ?? 0;
      const agent = {
        ...common,
        key: `past-${index}-agent`,
        kind: 'agent',
        text: turn.assistant,
        outcome,
        heardTo: heard,
      };
      return [user, agent].filter(({ text }) => text);
    });
    return { ...state, conversationId, items: [...earlier, ...state.items] };
  },
};

/** @param {State} state @returns {State} */
function quiet(state) {
  return { ...state, talking: false, hearing: false, holding: false, thinking: false, playing: false };
}

/**
 * @param {State} state
 * @param {Notice['level']} level
 * @param {string} text
 * @param {string} [hint]
 * @returns {State}
 */
function notified(state, level, text, hint = '') {
  const others = state.notices.filter((notice) => notice.text !== text);
  const notice = { key: `notice-${state.made}`, level, text, hint };
  return { ...state, made: state.made + 1, notices: [...others, notice].slice(-NOTICES) };
}
