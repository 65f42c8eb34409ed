/**
 * Draws the boxes: the user's green, the agent's purple, dashed while they grow, heard text bright.
 */

import { byId, make } from './dom.js';
import { REASONS } from './words.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Item} Item */
/** @typedef {{element: HTMLLIElement, item: Item}} Box */

/** Closer to the end than this, the view follows it, px. */
const NEAR = 90;

export class ConversationView {
  constructor() {
    this.list = byId('boxes');
    this.scroll = byId('scroll');
    this.hero = byId('hero');
    this.announcer = byId('announcer');
    this.hearing = make('li', 'hearing', make('span'), make('span'), make('span'));
    this.hearing.setAttribute('aria-hidden', 'true'); // the status says it
    this.boxes = /** @type {Map<string, Box>} */ (new Map());
    this.items = /** @type {Item[] | null} */ (null);
  }

  /** @param {State} state */
  render(state) {
    const near = this.#near();
    if (state.items !== this.items) this.#renderItems(state.items);
    const waiting = state.hearing && !state.items.some((item) => item.kind === 'user' && !item.solid);
    if (waiting !== this.hearing.isConnected) waiting ? this.list.append(this.hearing) : this.hearing.remove();
    this.hero.hidden = state.items.length > 0 || waiting;
    if (near) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** Do what takes or gives the conversation room: its end stays in view. @param {() => void} change */
  keepEnd(change) {
    const near = this.#near();
    change();
    if (near) this.scroll.scrollTop = this.scroll.scrollHeight;
  }

  /** Whether the end is in view. */
  #near() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < NEAR;
  }

  /** @param {Item[]} items */
  #renderItems(items) {
    const keys = new Set(items.map(({ key }) => key));
    for (const [key, { element }] of this.boxes) {
      if (keys.has(key)) continue;
      element.remove();
      this.boxes.delete(key);
    }
    for (const [index, item] of items.entries()) {
      let box = this.boxes.get(item.key);
      if (box === undefined) {
        box = { element: make('li'), item: { ...item, solid: false } };
        this.boxes.set(item.key, box);
        draw(box.element, item);
      } else if (box.item !== item) draw(box.element, item);
      if (item.solid && !box.item.solid) this.#announce(item);
      box.item = item;
      if (this.list.children[index] !== box.element)
        this.list.insertBefore(box.element, this.list.children[index] ?? null);
    }
    this.items = items;
  }

  /** Say a finished text to a screen reader; what was typed its writer knows. @param {Item} item */
  #announce(item) {
    if (item.typed || item.key.startsWith('past') || !item.text.trim()) return;
    this.announcer.append(make('p', '', `${item.kind === 'user' ? 'You said' : 'Agent'}: ${item.text.trim()}`));
    while (this.announcer.childElementCount > 6) this.announcer.firstElementChild?.remove();
  }
}

/**
 * @param {HTMLLIElement} element
 * @param {Item} item
 */
function draw(element, item) {
  element.className = ['box', item.kind, item.solid && 'solid', !item.text && 'empty', item.outcome]
    .filter(Boolean)
    .join(' ');
  element.dataset.turn = String(item.turnId ?? '');
  const header = make('header', '', make('b', '', item.kind === 'user' ? 'You' : 'Agent'), note(item));
  const heard = item.kind === 'user' ? item.text.length : item.heardTo;
  const text = make(
    'p',
    '',
    make('span', 'heard', item.text.slice(0, heard)),
    make('span', 'unheard', item.text.slice(heard)),
  );
  element.replaceChildren(header, text, ...deeds(item), ...marker(item));
}

/** What was done in the turn: folded away, but there. @param {Item} item */
function deeds({ deeds: done }) {
  if (done.length === 0) return [];
  const list = done.map(({ name, text, state }) => {
    const line = make('li', state, make('b', '', name), text ? ` ${text}` : '');
    if (state !== 'done') line.append(make('span', 'sr', state === 'failed' ? ' (failed)' : ' (running)'));
    return line;
  });
  return [make('ul', 'deeds', ...list)];
}

/** @param {Item} item */
function note(item) {
  const time = make('time', '', clock(item.at));
  return make(
    'span',
    '',
    time,
    item.typed ? ' · typed' : '',
    item.kind === 'user' && !item.solid ? ' · listening' : '',
  );
}

/** @param {Item} item */
function marker(item) {
  switch (item.outcome) {
    case 'interrupted':
      return [
        make('div', 'marker', item.reason ? `Interrupted: ${REASONS[item.reason] ?? item.reason}` : 'Interrupted'),
      ];
    case 'failed':
      return [make('div', 'marker failed', `Failed: ${item.reason ?? 'no answer'}`)];
    case 'incomplete':
      return [make('div', 'marker', 'The answer broke off')];
    default:
      return [];
  }
}

/**
 * The time of day of a mark on the page's clock.
 * @param {number} at
 */
export function clock(at) {
  return date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit' });
}

/** @param {number} at */
export function date(at) {
  return new Date(performance.timeOrigin + at);
}
