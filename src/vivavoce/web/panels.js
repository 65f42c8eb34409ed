/**
 * Draws the details: latency bars, event log, what is in force.
 */

import { clock } from './conversation.js';
import { byId, drawn, make } from './dom.js';
import { mouthToEar, NAMES, pageStretches, serverStretches } from './latency.js';
import { filtered } from './log.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./latency.js').Timing} Timing */
/** @typedef {import('./latency.js').Stretch} Stretch */
/** @typedef {import('./latency.js').Mark} Mark */
/** @typedef {import('./log.js').Entry} Entry */

const MARKS = /** @type {Mark[]} */ (Object.keys(NAMES));
const ENTRIES_SHOWN = 300;
/** The drawing's units: the width of the panel, in px where it has its full width. */
const WIDTH = 364;
const LABEL = 46;
const BAR = 20;

export class LatencyView {
  constructor() {
    this.list = byId('timings');
    this.timings = /** @type {Timing[] | null} */ (null);
    const dot = (/** @type {Mark} */ mark) =>
      drawn(
        'svg',
        { viewBox: '0 0 12 12', 'aria-hidden': 'true' },
        drawn('rect', { width: 12, height: 12, rx: 3, class: `mark-${mark}` }),
      );
    byId('legend').replaceChildren(
      ...MARKS.map((mark) => make('li', '', dot(mark), `until ${NAMES[mark].toLowerCase()}`)),
    );
  }

  /** @param {State} state */
  render(state) {
    byId('round-trip').hidden = state.roundTrip === null;
    if (state.roundTrip !== null)
      byId('round-trip').textContent = `Network round trip ${state.roundTrip.toFixed(1)} ms`;
    if (state.timings === this.timings) return;
    this.timings = state.timings;
    byId('timings-empty').hidden = state.timings.length > 0;
    const longest = Math.max(
      300,
      ...state.timings.flatMap((timing) => [end(serverStretches(timing)), end(pageStretches(timing))]),
    );
    this.list.replaceChildren(...state.timings.toReversed().map((timing) => turn(timing, longest)));
  }
}

/** @param {Stretch[]} stretches */
const end = (stretches) => stretches.reduce((_, { from, ms }) => from + ms, 0);

/** @param {number | null | undefined} value */
const ms = (value) => (typeof value === 'number' ? `${Math.round(value)}` : '–');

/**
 * @param {Timing} timing
 * @param {number} longest
 */
function turn(timing, longest) {
  const rows = /** @type {[string, Stretch[]][]} */ ([
    ['Server', serverStretches(timing)],
    ['Page', pageStretches(timing)],
  ]);
  const total = mouthToEar(timing) ?? timing.metrics?.voice_to_voice_ms;
  const title = make('span', '', timing.said || `Turn ${timing.turnId}`);
  const header = make('header', '', title, make('b', '', total == null ? '' : `${Math.round(total)} ms`));
  const label = rows.map(
    ([name, stretches]) =>
      `${name}: ${stretches.map(({ mark, from, ms: length }) => `${NAMES[mark]} ${Math.round(from + length)} ms`).join(', ') || 'no marks'}`,
  );
  const picture = drawn('svg', { viewBox: `0 0 ${WIDTH} 66`, role: 'img', 'aria-label': label.join('. ') });
  for (const [index, [name, stretches]] of rows.entries())
    picture.append(...bars(name, stretches, longest, 4 + index * 32));
  const item = make('li', '', header, picture, table(rows));
  item.dataset.turn = String(timing.turnId);
  return item;
}

/**
 * @param {string} name
 * @param {Stretch[]} stretches
 * @param {number} longest
 * @param {number} top
 */
function bars(name, stretches, longest, top) {
  const scale = (WIDTH - LABEL) / longest;
  const text = drawn('text', { x: 0, y: top + BAR - 6 }, name);
  const track = drawn('rect', { class: 'track', x: LABEL, y: top, width: WIDTH - LABEL, height: BAR, rx: 5 });
  const parts = stretches.map(({ mark, from, ms: length }) => {
    const bar = { x: LABEL + from * scale, y: top, width: Math.max(1.5, length * scale - 1), height: BAR, rx: 3 };
    const hint = drawn('title', {}, `${NAMES[mark]}: ${Math.round(length)} ms, ${Math.round(from + length)} ms in all`);
    return drawn('rect', { class: `bar mark-${mark}`, 'data-ms': Math.round(length), ...bar }, hint);
  });
  return [text, track, ...parts];
}

/** @param {[string, Stretch[]][]} rows */
function table(rows) {
  const head = make('tr', '', make('th', '', 'ms'), ...MARKS.map((mark) => make('th', '', NAMES[mark])));
  const body = rows.map(([name, stretches]) => {
    const at = (/** @type {Mark} */ mark) => stretches.find((stretch) => stretch.mark === mark);
    const cells = MARKS.map((mark) => make('td', '', ms(sum(at(mark)))));
    return make('tr', '', make('th', '', name), ...cells);
  });
  return make('table', '', head, ...body);
}

/** @param {Stretch | undefined} stretch */
const sum = (stretch) => stretch && stretch.from + stretch.ms;

export class LogView {
  constructor() {
    this.list = byId('log');
    this.kind = byId('log-kind', HTMLSelectElement);
    this.search = byId('log-search', HTMLInputElement);
    this.paused = false;
    this.newest = 0;
    this.log = /** @type {Entry[]} */ ([]);
    this.kind.onchange = this.search.oninput = () => this.#redraw();
    byId('log-pause').onclick = () => this.#pause();
    byId('log-copy').onclick = () => void this.#copy();
  }

  /** @param {State} state */
  render(state) {
    if (this.paused || state.log === this.log) return;
    this.log = state.log;
    this.#append();
  }

  #append() {
    const fresh = filtered(this.log, this.kind.value, this.search.value).filter(({ id }) => id > this.newest);
    this.newest = this.log.at(-1)?.id ?? 0;
    this.list.prepend(...fresh.slice(-ENTRIES_SHOWN).reverse().map(line));
    while (this.list.childElementCount > ENTRIES_SHOWN) this.list.lastElementChild?.remove();
    byId('log-empty').hidden = this.list.childElementCount > 0;
  }

  #redraw() {
    this.list.replaceChildren();
    this.newest = 0;
    this.#append();
  }

  #pause() {
    this.paused = !this.paused;
    byId('log-pause').setAttribute('aria-pressed', String(this.paused));
    byId('log-pause').textContent = this.paused ? 'Go on' : 'Pause';
  }

  async #copy() {
    const entries = filtered(this.log, this.kind.value, this.search.value);
    await navigator.clipboard.writeText(JSON.stringify(entries, null, 2));
    byId('log-copy').textContent = `${entries.length} copied`;
    setTimeout(() => (byId('log-copy').textContent = 'Copy'), 2000);
  }
}

/** @param {Entry} entry */
function line({ at, kind, what, text }) {
  const name = make('b', '', what.replaceAll('_', ' '));
  return make('li', kind, make('time', '', clock(at)), name, ...(text ? [make('p', '', text)] : []));
}

/**
 * The session's settings, as they are now.
 * @param {State} state
 */
export function renderInForce(state) {
  const facts = { session: state.sessionId, conversation: state.conversationId, ...state.inForce };
  const rows = Object.entries(facts).filter(([, value]) => value !== null && value !== undefined && value !== '');
  const shown = (/** @type {unknown} */ value) => (typeof value === 'object' ? JSON.stringify(value) : String(value));
  const list = byId('in-force');
  if (rows.length === 0) list.replaceChildren(make('dd', '', 'Not connected'));
  else
    list.replaceChildren(
      ...rows.flatMap(([name, value]) => [make('dt', '', name.replaceAll('_', ' ')), make('dd', '', shown(value))]),
    );
}
