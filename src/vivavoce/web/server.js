/**
 * What the server and the system offer: engines, voices, what was said before, devices; and the way in with a key.
 */

import { Unauthorized } from './access.js';
import { byId, fillSelect, make, withCode } from './dom.js';
import { devices } from './microphone.js';

/** @typedef {import('./client.js').Client} Client */

/** @param {Client} client */
async function showEngines(client) {
  const box = byId('engines');
  try {
    const { agent, engines = {}, hints = [] } = await client.access.json('api/stream_config');
    const named = agent && agent !== 'agent' ? [make('dt', '', 'Agent'), make('dd', '', agent)] : [];
    const roles = { asr: 'Hearing', llm: 'Thinking', tts: 'Speaking', vad: 'Voice activity' };
    const known = Object.entries(roles).filter(([role]) => engines[role]);
    const failing = known.filter(([role]) => engines[role].ready === false);
    byId('engines-short').textContent = known
      .filter(([role]) => role !== 'vad')
      .map(([role]) => engines[role].name)
      .join(' · ');
    box.classList.toggle('failing', failing.length > 0);
    byId('engines-list').replaceChildren(
      ...named,
      ...known.flatMap(([role, title]) => {
        const { name, ready, detail } = engines[role];
        const small = [ready === false ? 'not ready' : '', detail].filter(Boolean).join(': ');
        return [make('dt', '', title), make('dd', ready === false ? 'failing' : '', name, make('small', '', small))];
      }),
    );
    byId('engines-hints').hidden = hints.length === 0;
    byId('engines-hints')
      .querySelector('ul')
      ?.replaceChildren(...hints.map((/** @type {string} */ hint) => make('li', '', ...withCode(hint))));
  } catch (error) {
    byId('engines-short').textContent = error instanceof Unauthorized ? 'shown with a key' : 'unknown';
  }
}

/** @param {Client} client */
async function showVoices(client) {
  try {
    const answer = await client.access.json('voices');
    const voices = /** @type {{id: string, name: string, language: string}[]} */ (
      Array.isArray(answer) ? answer : answer.voices
    );
    const options = voices.map(({ id, name, language }) => ({
      value: id,
      label: `${name} (${language.replace('_', '-')})`,
    }));
    fillSelect(byId('voice', HTMLSelectElement), 'Chosen by the server', options, client.preferences.voice);
  } catch {
    // The picker keeps its only entry; connecting will say what is wrong.
  }
}

/** @param {Client} client */
async function showHistory(client) {
  const { conversationId } = client.state;
  if (conversationId === null) return;
  try {
    const { turns } = await client.access.json(`api/conversations/${encodeURIComponent(conversationId)}`);
    const timed = turns.map((/** @type {{at: number}} */ turn) => ({
      ...turn,
      atMs: turn.at * 1000 - performance.timeOrigin,
    }));
    if (client.state.conversationId === conversationId)
      client.dispatch({ type: 'history', conversationId, turns: timed });
  } catch {
    // Gone or not ours: the conversation simply begins with its next turn.
  }
}

/** Fill the device pickers. @param {Client} client */
export async function showDevices(client) {
  const { inputs, outputs } = await devices();
  const options = (/** @type {MediaDeviceInfo[]} */ list) =>
    list.map(({ deviceId, label }, index) => ({ value: deviceId, label: label || `Device ${index + 1}` }));
  fillSelect(
    byId('microphone', HTMLSelectElement),
    'Chosen by the browser',
    options(inputs),
    client.preferences.microphone,
  );
  fillSelect(byId('speaker', HTMLSelectElement), 'Chosen by the system', options(outputs), client.preferences.speaker);
  byId('speaker-field').hidden = !('setSinkId' in AudioContext.prototype);
}

/** Show the engines in force, the voices, and what was said before. @param {Client} client */
export function showServer(client) {
  return Promise.all([showEngines(client), showVoices(client), showHistory(client)]);
}

/**
 * Ask for the key until one is right.
 * @param {Client} client
 * @returns {Promise<boolean>} Whether one was given.
 */
export async function askKey(client) {
  const dialog = byId('key-dialog', HTMLDialogElement);
  const field = byId('key', HTMLInputElement);
  byId('key-wrong').textContent = '';
  for (;;) {
    field.value = '';
    dialog.returnValue = '';
    dialog.showModal();
    await new Promise((closed) => dialog.addEventListener('close', closed, { once: true }));
    if (dialog.returnValue !== 'ok') return false;
    try {
      await client.access.unlock(field.value);
      void showServer(client);
      return true;
    } catch (error) {
      byId('key-wrong').textContent =
        error instanceof Unauthorized ? 'That is not the key.' : 'The server does not answer.';
    } finally {
      field.value = '';
    }
  }
}
