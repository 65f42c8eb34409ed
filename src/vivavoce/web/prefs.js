/**
 * What is remembered on this computer between visits.
 */

const KEY = 'vivavoce.preferences';
const CONVERSATION = 'vivavoce.conversation';

/** @typedef {{volume: number, muted: boolean, mode: 'hands_free' | 'push_to_talk', microphone: string, speaker: string, voice: string}} Preferences */

/** @type {Preferences} */
const DEFAULTS = { volume: 80, muted: false, mode: 'hands_free', microphone: '', speaker: '', voice: '' };

/** @returns {Preferences} */
export function preferences() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(KEY) ?? '{}') };
  } catch {
    return { ...DEFAULTS }; // storage may be forbidden, or hold something else
  }
}

/** @param {Preferences} value */
export function remember(value) {
  stored(() => localStorage.setItem(KEY, JSON.stringify(value)));
}

/** @returns {string | null} The conversation to go on with. */
export function lastConversation() {
  return stored(() => localStorage.getItem(CONVERSATION)) ?? null;
}

/** @param {string | null} id */
export function rememberConversation(id) {
  stored(() => (id === null ? localStorage.removeItem(CONVERSATION) : localStorage.setItem(CONVERSATION, id)));
}

/**
 * @template T
 * @param {() => T} access
 */
function stored(access) {
  try {
    return access();
  } catch {
    return undefined;
  }
}
