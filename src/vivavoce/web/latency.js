/**
 * The stretches of a turn, from the end of speech to the first sound, as the server and as the page saw them. Pure.
 */

/**
 * @typedef {object} Timing One turn's marks.
 * @property {number} turnId
 * @property {string} said What the user said or typed; empty when the agent began the turn.
 * @property {boolean} typed Counted from the sending instead of the end of speech.
 * @property {PageMarks} page On performance.now, ms.
 * @property {Record<string, any> | null} metrics The server's, on its own clock.
 */
/**
 * @typedef {object} PageMarks
 * @property {number | null} end The last speech that the microphone captured, or the sending of typed text.
 * @property {number | null} final
 * @property {number | null} token
 * @property {number | null} audio
 * @property {number | null} sound The first sound out of the loudspeaker.
 */
/** @typedef {{mark: Mark, from: number, ms: number}} Stretch */
/** @typedef {'final' | 'token' | 'audio' | 'sound'} Mark */

export const NAMES = /** @type {Record<Mark, string>} */ ({
  final: 'Final transcript',
  token: 'First word',
  audio: 'First audio',
  sound: 'First sound',
});

/** @type {PageMarks} */
export const NO_MARKS = { end: null, final: null, token: null, audio: null, sound: null };

/**
 * The server's stretches, counted from the end of speech; of a typed turn, whose clock starts with it, from zero.
 * @param {Timing} timing
 */
export function serverStretches({ metrics, typed }) {
  if (metrics === null) return [];
  return stretches(typed ? 0 : metrics.end_of_speech_ms, {
    final: typed ? null : metrics.t2_final_transcript_ms,
    token: metrics.t3_first_llm_token_ms,
    audio: metrics.t4_first_tts_audio_ms,
  });
}

/** @param {Timing} timing */
export function pageStretches({ page, typed }) {
  const { final, token, audio, sound } = page;
  return stretches(page.end, { final: typed ? null : final, token, audio, sound });
}

/** From the end of speech to the first sound at the loudspeaker, ms, or null. @param {Timing} timing */
export function mouthToEar({ page }) {
  return page.end === null || page.sound === null ? null : page.sound - page.end;
}

/**
 * Marks in the order of time: a reply may be begun before its transcript is final.
 * @param {number | null | undefined} zero
 * @param {Partial<Record<Mark, number | null>>} marks
 * @returns {Stretch[]}
 */
function stretches(zero, marks) {
  if (zero === null || zero === undefined) return [];
  const known = Object.entries(marks).flatMap(([mark, at]) =>
    typeof at === 'number' ? [{ mark: /** @type {Mark} */ (mark), at: Math.max(0, at - zero) }] : [],
  );
  known.sort((a, b) => a.at - b.at);
  return known.map(({ mark, at }, index) => {
    const from = index === 0 ? 0 : known[index - 1].at;
    return { mark, from, ms: at - from };
  });
}

/**
 * Fill in what the page could not measure: without a plausible end of speech of its own it takes the server's, counted
 * back from the arrival of the final transcript.
 * @param {PageMarks} page
 * @param {Record<string, any>} metrics
 * @returns {PageMarks}
 */
export function completed(page, metrics) {
  const trailing = metrics.t2_final_transcript_ms - metrics.end_of_speech_ms;
  const plausible = page.end !== null && page.final !== null && page.end < page.final;
  if (plausible || page.final === null || !Number.isFinite(trailing)) return page;
  return { ...page, end: page.final - trailing };
}
