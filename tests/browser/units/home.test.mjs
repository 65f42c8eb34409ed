/** What an agent shows beside the conversation, whatever it sends. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { countdown, homeOf, lightWords, readable, rowsOf } from '../../../src/vivavoce/web/home.js';
import { INITIAL, reduce } from '../../../src/vivavoce/web/state.js';
import { summary } from '../../../src/vivavoce/web/words.js';

const says = (state, type, fields, at = 1000) => reduce(state, { type: 'server', at, message: { type, ...fields } });

describe('a home', () => {
  it('has lights, locks, a thermostat and timers', () => {
    const home = homeOf(
      {
        lights: { 'kitchen light': { area: 'kitchen', on: true, brightness: 20.4, color: 'blue' }, lamp: { on: false } },
        locks: { 'front door': true, shed: false },
        thermostat: { now: 19.25, target: 21 },
        timers: [{ name: 'pizza', left_s: 90 }],
        garden: { wet: true },
      },
      5000,
    );
    assert.deepEqual(home.lights.map(lightWords), ['On, 20 %, blue', 'Off']);
    assert.deepEqual(home.locks, [
      { name: 'front door', locked: true },
      { name: 'shed', locked: false },
    ]);
    assert.deepEqual(home.thermostat, { now: 19.25, target: 21 });
    assert.deepEqual(home.timers, [{ name: 'pizza', endsAt: 95_000 }]);
    assert.deepEqual(home.others, { garden: { wet: true } });
  });

  it('is drawn whatever comes', () => {
    for (const value of [null, undefined, 5, 'x', [], [1], { lights: 'x' }, { lights: [1] }, { timers: {} }]) {
      const home = homeOf(value, 0);
      assert.deepEqual([home.lights, home.locks, home.timers], [[], [], []]);
    }
    const odd = homeOf({ lights: { a: null, b: { on: 'yes', brightness: 'much' } }, timers: [null, { left_s: NaN }] }, 0);
    assert.deepEqual(odd.lights.map(lightWords), ['Off', 'Off']);
    assert.deepEqual(odd.timers, []);
    assert.equal(homeOf({ thermostat: 'warm' }, 0).thermostat?.now, null);
    const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`light ${at}`, {}]));
    assert.equal(homeOf({ lights: many }, 0).lights.length, 60);
  });

  it('counts down', () => {
    assert.deepEqual([65_000, 3_605_000, 900, 0, -5].map(countdown), ['1:05', '1:00:05', '0:01', '', '']);
  });
});

describe('any other state', () => {
  it('is names and values', () => {
    assert.deepEqual(rowsOf({ order_no: 7, paid: false, items: ['tea', { size: null }] }), [
      { name: 'Order no', depth: 0, value: '7' },
      { name: 'Paid', depth: 0, value: 'no' },
      { name: 'Items', depth: 0, value: null },
      { name: '1', depth: 1, value: 'tea' },
      { name: '2', depth: 1, value: null },
      { name: 'Size', depth: 2, value: '–' },
    ]);
    assert.deepEqual(rowsOf('ready'), [{ name: '', depth: 0, value: 'ready' }]);
    assert.deepEqual(rowsOf(undefined), []);
    assert.equal(readable('<b>_x'), '<b> x');
  });

  it('is bounded', () => {
    assert.equal(rowsOf(Array.from({ length: 5000 }, (_, at) => at)).length, 80);
    assert.equal(rowsOf({ long: 'x'.repeat(1e6) })[0].value.length, 121);
    const deep = rowsOf({ a: { b: { c: { d: { e: 1 } } } } });
    assert.equal(deep.at(-1).value, '{"e":1}');
  });
});

describe('the state of the page', () => {
  it('keeps the last of each name, eight at most, and forgets it with null', () => {
    let state = says(INITIAL, 'state', { name: 'home', value: { a: 1 } });
    state = says(state, 'state', { name: 'home', value: { a: 2 } }, 2000);
    assert.deepEqual(state.shown, { home: { value: { a: 2 }, at: 2000 } });
    for (let at = 0; at < 20; at++) state = says(state, 'state', { name: `s${at}`, value: at });
    assert.equal(Object.keys(state.shown).length, 8);
    assert.deepEqual(Object.keys(says(state, 'state', { name: 'home', value: null }).shown).includes('home'), false);
  });

  it('shows no other session what one was shown', () => {
    let state = says(INITIAL, 'info', { message: 'listening', session_id: 's1' });
    state = says(state, 'state', { name: 'home', value: {} });
    const dropped = reduce(state, { type: 'waiting', at: 1, why: 'lost', retryAt: 2 });
    assert.ok(says(dropped, 'info', { message: 'listening', session_id: 's1' }).shown.home);
    assert.deepEqual(says(dropped, 'info', { message: 'listening', session_id: 's2' }).shown, {});
    assert.deepEqual(reduce(state, { type: 'new_conversation', at: 1 }).shown, {});
  });

  it('notes commands and tools in the turn and in the log', () => {
    const command = { turn_id: 1, intent: 'HassTurnOn', entities: { name: 'lamp' }, confidence: 0.93, source: 'stream' };
    let state = says(INITIAL, 'command', { ...command, response: 'On.' });
    state = says(state, 'tool_call', { turn_id: 1, id: 'c1', name: 'weather', arguments: { city: 'Rome' } });
    assert.equal(state.items[0].deeds[1].state, 'running');
    state = says(state, 'tool_result', { turn_id: 1, id: 'c1', name: 'weather', ok: true, result: 'sunny', ms: 12.4 });
    assert.deepEqual(state.items[0].deeds, [
      { key: 'command', name: 'HassTurnOn', text: 'name lamp · 93 % · by the model', state: 'done' },
      { key: 'tool-c1', name: 'weather', text: 'city Rome · sunny · 12 ms', state: 'done' },
    ]);
    state = says(state, 'llm_token', { turn_id: 1, text: 'On.', done: true });
    assert.equal(state.items.length, 1);
    assert.equal(state.items[0].text, 'On.');
    const failed = says(says(INITIAL, 'tool_call', { turn_id: 2, id: 'x', name: 't', arguments: null }), 'tool_result', {
      turn_id: 2,
      id: 'x',
      name: 't',
      ok: false,
      result: 'no such city',
      ms: 1,
    });
    assert.deepEqual(failed.items[0].deeds[0].state, 'failed');
    assert.deepEqual(
      state.log.slice(0, 3).map(({ what, text }) => `${what}: ${text}`),
      [
        'command: HassTurnOn · name lamp · 93 % · by the model',
        'tool_call: weather(city Rome)',
        'tool_result: weather · sunny · 12 ms',
      ],
    );
    assert.equal(summary({ type: 'state', name: 'home', value: 'x'.repeat(500) }).length, 166);
  });
});
