/**
 * How far into an answer's text the listener has heard. Pure.
 */

/** @typedef {[string, number, number]} Word Text, start ms, end ms. */
/**
 * @typedef {object} Phrase
 * @property {number} seq
 * @property {string} text
 * @property {Word[] | null} words
 * @property {number} from Its place in the answer's text.
 * @property {number} to
 */

/** What a voice takes for one character until we know better, ms. */
export const MS_PER_CHARACTER = 65;

/**
 * Where *phrase* stands in *text*, looking from *from*; white space may differ.
 * @param {string} text
 * @param {number} from
 * @param {string} phrase
 * @returns {{from: number, to: number}} An empty range at *from* when it is not there.
 */
export function locate(text, from, phrase) {
  for (let start = from; start < text.length; start++) {
    const end = matchEnd(text, start, phrase);
    if (end !== null) return { from: start, to: end };
  }
  return { from, to: from };
}

/**
 * The length of the part of *text* that *heard* repeats, white space apart.
 * @param {string} text
 * @param {string} heard
 */
export function heardLength(text, heard) {
  let at = 0;
  let reached = 0;
  for (const character of heard.replace(/\s+/g, '')) {
    while (at < text.length && /\s/.test(text[at])) at++;
    if (text.slice(at, at + character.length) !== character) return reached;
    at += character.length;
    reached = at;
  }
  return reached;
}

/**
 * The offset in the answer's text up to which it was heard.
 * @param {Phrase[]} phrases In order.
 * @param {{seq: number, ms: number, ended: boolean}} heard
 * @param {number} msPerCharacter
 */
export function heardTo(phrases, heard, msPerCharacter) {
  const phrase = phrases.find(({ seq }) => seq === heard.seq);
  if (phrase === undefined) return phrases.filter(({ seq }) => seq < heard.seq).at(-1)?.to ?? 0;
  if (heard.ended) return phrase.to;
  const { text, words, from, to } = phrase;
  if (words !== null && words.length > 0) return from + Math.min(to - from, spoken(text, words, heard.ms));
  // Without word times, in proportion; the end is only reached when the player says so.
  const length = to - from;
  const reached = Math.min(length - 1, Math.floor(heard.ms / msPerCharacter));
  return from + Math.max(0, wordStart(text, reached));
}

/**
 * Characters of *text* whose words have begun by *ms*.
 * @param {string} text
 * @param {Word[]} words
 * @param {number} ms
 */
function spoken(text, words, ms) {
  let end = 0;
  for (const [index, [word, start]] of words.entries()) {
    if (start > ms) break;
    const at = text.indexOf(word, end);
    // A voice may report "five" for "5": then in proportion to the words.
    end = at >= 0 ? at + word.length : Math.max(end, Math.round((text.length * (index + 1)) / words.length));
  }
  return end;
}

/**
 * The start of the word at *offset*, so that words light up whole.
 * @param {string} text
 * @param {number} offset
 */
function wordStart(text, offset) {
  return text.slice(0, offset).search(/\S*$/);
}

/**
 * @param {string} text
 * @param {number} start
 * @param {string} phrase
 * @returns {number | null}
 */
function matchEnd(text, start, phrase) {
  const wanted = phrase.replace(/\s+/g, '');
  if (wanted === '' || /\s/.test(text[start])) return null;
  const length = heardLength(text.slice(start), wanted);
  return text.slice(start, start + length).replace(/\s+/g, '') === wanted ? start + length : null;
}
