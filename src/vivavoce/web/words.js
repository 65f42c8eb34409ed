/**
 * The page's words for the server's. Pure.
 */

/** Why an answer was interrupted. */
export const REASONS = /** @type {Record<string, string>} */ ({
  user_speech: 'you spoke',
  wake_word: 'the wake word was said',
  command_collision: 'a new request came',
  timeout: 'it took too long',
  error: 'an error',
  client_cancel: 'you stopped it',
  disconnect: 'the connection was lost',
  shutdown: 'the server was shut down',
});

/** @typedef {import('./state.js').State} State */
/** @typedef {'off' | 'connecting' | 'waiting' | 'idle' | 'listening' | 'hearing' | 'thinking' | 'speaking' | 'held'} Phase */

/**
 * What is going on, in one word and in a sentence.
 * @param {State} state
 * @returns {{phase: Phase, words: string}}
 */
export function status(state) {
  switch (state.link) {
    case 'off':
      return { phase: 'off', words: 'Not connected' };
    case 'connecting':
      return { phase: 'connecting', words: state.mic === 'asking' ? 'Waiting for the microphone' : 'Connecting' };
    case 'waiting':
      return { phase: 'waiting', words: 'Reconnecting' };
  }
  if (state.holding) return { phase: 'held', words: 'Paused, hearing you' };
  if (state.talking || state.hearing) return { phase: 'hearing', words: 'Hearing you' };
  if (state.playing) return { phase: 'speaking', words: 'Speaking' };
  if (state.thinking) return { phase: 'thinking', words: 'Thinking' };
  if (state.mic === 'muted') return { phase: 'idle', words: 'Microphone muted' };
  if (state.mic !== 'live') return { phase: 'idle', words: 'Idle, type a message' };
  if (state.mode === 'push_to_talk') return { phase: 'idle', words: 'Idle, hold to talk' };
  return { phase: 'listening', words: 'Listening' };
}

/**
 * One line of the event log for a server message.
 * @param {Record<string, any>} m
 * @returns {string}
 */
export function summary(m) {
  switch (m.type) {
    case 'decision':
      return [`${m.what}: ${m.reason}`, pairs(m.values), m.setting && `by ${m.setting}`].filter(Boolean).join(' · ');
    case 'partial_transcript':
    case 'llm_token':
      return `“${m.text}”${m.done ? ' (done)' : ''}`;
    case 'final_transcript':
      return `“${m.text}”${m.revision ? ` (revision ${m.revision})` : ''}`;
    case 'phrase':
      return `${m.seq}: “${m.text}”`;
    case 'speech_started':
    case 'speech_stopped':
      return `at ${m.at_ms} ms`;
    case 'tts_chunk':
    case 'tts_phrase_done':
      return `phrase ${m.seq}`;
    case 'hold':
    case 'resume':
      return m.reason;
    case 'interrupted':
      return `${REASONS[m.reason] ?? m.reason} · heard “${m.heard_text}”`;
    case 'metrics':
      return `${m.outcome} · ${pairs({ voice_to_voice_ms: m.voice_to_voice_ms, llm_tokens: m.llm_tokens, phrases: m.phrases })}`;
    case 'error':
      return `${m.code}: ${m.message}`;
    case 'command':
      return `${m.intent} · ${commandWords(m)}`;
    case 'tool_call':
      return `${m.name}(${pairs(m.arguments)})`;
    case 'tool_result':
      return `${m.name} · ${toolWords('', m)}`;
    case 'state':
      return `${m.name} ${cut(JSON.stringify(m.value) ?? '')}`;
    case 'debug':
      return `${m.event} ${pairs(m.values)}`;
    default:
      return m.message ?? '';
  }
}

/** What a command is about, and how sure it is. @param {Record<string, any>} m */
export function commandWords({ entities, confidence, source }) {
  const sure = typeof confidence === 'number' ? `${Math.round(100 * confidence)} %` : '';
  return [pairs(entities), sure, source === 'fallback' ? 'by template' : 'by the model'].filter(Boolean).join(' · ');
}

/** What came of a tool. @param {string} asked @param {Record<string, any>} m */
export function toolWords(asked, { ok, result, ms }) {
  const took = typeof ms === 'number' ? `${Math.round(ms)} ms` : '';
  return [asked, ok ? cut(String(result)) : `failed: ${cut(String(result))}`, took].filter(Boolean).join(' · ');
}

/** @param {string} text */
const cut = (text) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);

/** @param {Record<string, unknown> | null | undefined} values */
export function pairs(values) {
  return Object.entries(values ?? {})
    .filter(([, value]) => value !== null && value !== undefined)
    .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(', ');
}
