/**
 * What an agent shows beside the conversation, made ready for drawing. Pure. Nothing of it is taken on trust.
 */

/** @typedef {{name: string, area: string, on: boolean, brightness: number | null, color: string}} Light */
/** @typedef {{name: string, locked: boolean}} Lock */
/** @typedef {{now: number | null, target: number | null}} Thermostat */
/** @typedef {{name: string, endsAt: number}} Timer */
/** @typedef {{lights: Light[], locks: Lock[], thermostat: Thermostat | null, timers: Timer[], others: Record<string, unknown>}} Home */
/** @typedef {{name: string, depth: number, value: string | null}} Row `value` is null of a heading. */

const MOST_THINGS = 60;
const MOST_ROWS = 80;
const MOST_DEEP = 3;
const MOST_CHARACTERS = 120;

/** Colours that lights are called by; they are drawn beside the word. */
export const COLORS = /** @type {Record<string, string>} */ ({
  white: '#ffffff',
  'warm white': '#ffd9a0',
  'cool white': '#dcebff',
  red: '#ef4444',
  orange: '#f97316',
  yellow: '#facc15',
  green: '#22c55e',
  blue: '#3b82f6',
  purple: '#a855f7',
  pink: '#ec4899',
  turquoise: '#2dd4bf',
});

/**
 * A state named `home`: what is of a known shape, and the rest as it is.
 * @param {unknown} value
 * @param {number} at When it came, ms.
 * @returns {Home}
 */
export function homeOf(value, at) {
  const { lights, locks, thermostat, timers, ...others } = fields(value);
  return {
    lights: Object.entries(fields(lights)).slice(0, MOST_THINGS).map(light),
    locks: Object.entries(fields(locks))
      .slice(0, MOST_THINGS)
      .map(([name, locked]) => ({ name: short(name), locked: locked === true })),
    thermostat: thermostat === undefined ? null : temperatures(fields(thermostat)),
    timers: (Array.isArray(timers) ? timers : []).slice(0, MOST_THINGS).flatMap((timer) => {
      const left = number(fields(timer).left_s);
      return left === null ? [] : [{ name: short(fields(timer).name), endsAt: at + 1000 * left }];
    }),
    others,
  };
}

/** @param {[string, unknown]} entry @returns {Light} */
function light([name, value]) {
  const { area, on, brightness, color } = fields(value);
  return { name: short(name), area: short(area), on: on === true, brightness: number(brightness), color: short(color) };
}

/** @param {Record<string, unknown>} value @returns {Thermostat} */
const temperatures = ({ now, target }) => ({ now: number(now), target: number(target) });

/** What a light does, in words. @param {Light} light */
export function lightWords({ on, brightness, color }) {
  if (!on) return 'Off';
  return ['On', brightness === null ? '' : `${Math.round(brightness)} %`, color].filter(Boolean).join(', ');
}

/**
 * The time left, as 1:05 or 1:00:05; empty when it is over.
 * @param {number} ms
 */
export function countdown(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return '';
  const two = (/** @type {number} */ part) => String(part).padStart(2, '0');
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

/**
 * Any value as lines of names and values, so deep and so long at most.
 * @param {unknown} value
 * @returns {Row[]}
 */
export function rowsOf(value) {
  const rows = /** @type {Row[]} */ ([]);
  const add = (/** @type {string} */ name, /** @type {unknown} */ each, /** @type {number} */ depth) => {
    if (rows.length >= MOST_ROWS) return;
    const nested = typeof each === 'object' && each !== null && depth < MOST_DEEP;
    rows.push({ name, depth, value: nested ? null : words(each) });
    if (nested) inner(each, depth + 1);
  };
  const inner = (/** @type {object} */ container, /** @type {number} */ depth) => {
    for (const [key, each] of Object.entries(container)) {
      if (rows.length >= MOST_ROWS) return;
      add(Array.isArray(container) ? String(Number(key) + 1) : readable(key), each, depth);
    }
  };
  if (typeof value === 'object' && value !== null) inner(value, 0);
  else if (value !== undefined) add('', value, 0);
  return rows;
}

/** A name of a program's as a person writes it. @param {unknown} name */
export function readable(name) {
  const text = short(name).replaceAll('_', ' ').trim();
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** @param {unknown} value */
function words(value) {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (value === null || value === undefined) return '–';
  return short(typeof value === 'object' ? JSON.stringify(value) : value);
}

/** @param {unknown} value */
function short(value) {
  const text = value === undefined || value === null ? '' : String(value);
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** @param {unknown} value @returns {number | null} */
const number = (value) => (typeof value === 'number' && Number.isFinite(value) ? value : null);

/** @param {unknown} value @returns {Record<string, unknown>} */
const fields = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value)
    : {};
