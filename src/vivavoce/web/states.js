/**
 * Draws what the agent shows beside the conversation: a home with its lights, or any other state as names and values.
 */

import { byId, drawn, make } from './dom.js';
import { COLORS, countdown, homeOf, lightWords, readable, rowsOf } from './home.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Shown} Shown */
/** @typedef {import('./home.js').Home} Home */

const BULB = 'M7.5 16h5M8 18.5h4M10 2a5.5 5.5 0 0 0-3.2 10c.5.4.7 1 .7 1.6V14h5v-.4c0-.6.2-1.2.7-1.6A5.5 5.5 0 0 0 10 2z';
const LOCKED = 'M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 6 0V9';
const UNLOCKED = 'M5 9h10v8H5zM7 9V6.5a3 3 0 0 1 5.8-1.1';
const CLOCK = 'M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 6v4l2.5 2';
const HEAT = 'M8 11.5V4a2 2 0 1 1 4 0v7.5a4 4 0 1 1-4 0zM10 8v6';

export class StatesView {
  constructor() {
    this.section = byId('states');
    this.boxes = /** @type {Map<string, {box: HTMLDetailsElement, body: HTMLDivElement, shown: Shown | null}>} */ (new Map());
    this.ticking = 0;
  }

  /** @param {State} state */
  render({ shown }) {
    for (const [name, { box }] of this.boxes) {
      if (name in shown) continue;
      box.remove();
      this.boxes.delete(name);
    }
    for (const [name, each] of Object.entries(shown)) {
      const known = this.boxes.get(name) ?? this.#box(name);
      if (known.shown === each) continue;
      known.shown = each;
      known.body.replaceChildren(...(name === 'home' ? home(homeOf(each.value, each.at)) : [generic(each.value)]));
    }
    this.section.hidden = this.boxes.size === 0;
    this.#tick();
  }

  /** @param {string} name */
  #box(name) {
    const box = make('details', 'shown');
    const body = make('div', 'shown-body');
    box.open = true;
    box.dataset.state = name;
    box.append(make('summary', '', make('h2', '', readable(name))), body);
    this.section.append(box);
    const known = { box, body, shown: null };
    this.boxes.set(name, known);
    return known;
  }

  /** Timers count down, once a second, while there are any. */
  #tick() {
    clearTimeout(this.ticking);
    let running = false;
    for (const timer of this.section.querySelectorAll('[data-ends-at]')) {
      const left = countdown(Number(/** @type {HTMLElement} */ (timer).dataset.endsAt) - performance.now());
      timer.querySelector('.thing-state')?.replaceChildren(left || 'now');
      if (left) running = true;
    }
    if (running) this.ticking = setTimeout(() => this.#tick(), 1000);
  }
}

/** @param {Home} home @returns {Node[]} */
function home({ lights, locks, thermostat, timers, others }) {
  const groups = [];
  if (lights.length > 0) {
    const items = lights.map((light) => {
      const item = thing(BULB, light.name, lightWords(light), light.area);
      item.classList.toggle('on', light.on);
      const color = COLORS[light.color];
      if (light.on && color !== undefined) item.style.setProperty('--glow', color);
      return item;
    });
    groups.push(group('Lights', items));
  }
  const more = locks.map(({ name, locked }) => {
    const item = thing(locked ? LOCKED : UNLOCKED, name, locked ? 'Locked' : 'Unlocked');
    item.classList.toggle('open', !locked);
    return item;
  });
  if (thermostat !== null) {
    const degrees = (/** @type {number | null} */ value) => (value === null ? '–' : `${value.toFixed(1)} °C`);
    more.push(thing(HEAT, 'thermostat', `${degrees(thermostat.now)}, set to ${degrees(thermostat.target)}`));
  }
  for (const { name, endsAt } of timers) {
    const item = thing(CLOCK, name ? `${name} timer` : 'timer', countdown(endsAt - performance.now()));
    item.dataset.endsAt = String(endsAt);
    item.classList.add('on');
    more.push(item);
  }
  if (more.length > 0) groups.push(group('Lock, heating and timers', more));
  if (Object.keys(others).length > 0 || groups.length === 0) groups.push(generic(others));
  return groups;
}

/** @param {string} label @param {HTMLLIElement[]} items */
function group(label, items) {
  const list = make('ul', 'things', ...items);
  list.setAttribute('aria-label', label);
  return list;
}

/**
 * @param {string} path
 * @param {string} name
 * @param {string} state
 * @param {string} [where]
 */
function thing(path, name, state, where = '') {
  const icon = drawn('svg', { viewBox: '0 0 20 20', 'aria-hidden': 'true' }, drawn('path', { d: path }));
  const words = make('span', '', make('b', '', readable(name)), ' ', make('span', 'thing-state', state));
  const item = make('li', 'thing', icon, words);
  if (where) item.title = readable(where);
  return item;
}

/** @param {unknown} value */
function generic(value) {
  const rows = rowsOf(value);
  if (rows.length === 0) return make('p', 'fine', 'Nothing yet.');
  const list = make('dl', 'rows');
  for (const { name, depth, value: text } of rows) {
    const term = make('dt', `depth-${depth}`, name || 'Value');
    list.append(term, make('dd', '', text ?? ''));
  }
  return list;
}
