/**
 * The page: it wires the document to the client, and draws the state once per frame.
 */

import { Access, Unauthorized } from './access.js';
import { Client } from './client.js';
import { clock, ConversationView, date } from './conversation.js';
import { byId, fillSelect, make, save, withCode } from './dom.js';
import { renderHelp } from './help.js';
import { devices } from './microphone.js';
import { LatencyView, LogView, renderInForce } from './panels.js';
import { asJson, asText } from './transcript.js';
import { status } from './words.js';

const access = new Access();
/** What runs on this page; tests look at it. */
export const client = new Client(access, { changed, level: showLevel, keyWanted });
const conversation = new ConversationView();
const latency = new LatencyView();
const log = new LogView();

let drawing = false;
let helpClosed = false;
let announced = '';

/** Draw soon: many messages of one moment are one drawing. */
function changed() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    render();
  });
}

function render() {
  const { state } = client;
  conversation.render(state);
  renderStatus();
  renderControls();
  renderNotices();
  renderHelp(state.mic, helpClosed);
  if (byId('panel').hidden) return;
  if (!byId('pane-latency').hidden) latency.render(state);
  if (!byId('pane-log').hidden) log.render(state);
  if (!byId('pane-settings').hidden) renderInForce(state);
}

function renderStatus() {
  const { phase, words } = status(client.state);
  byId('status').dataset.phase = phase;
  // Written only when it changes: it is a live region.
  if (words === announced) return;
  announced = words;
  byId('status-words').textContent = words;
}

function renderControls() {
  const { state, preferences } = client;
  const { link, mic, mode } = state;
  const words = { off: 'Connect to Voice Agent', connecting: 'Cancel', waiting: 'Stop trying', live: 'Disconnect' }[
    link
  ];
  byId('connect-words').textContent = words;
  byId('connect').classList.toggle('live', link !== 'off');
  const busy = state.playing || state.thinking || state.holding || state.hearing || state.items.some(unfinished);
  byId('stop').hidden = link === 'off';
  document.querySelector('.microphone')?.toggleAttribute('hidden', link === 'off');
  byId('stop', HTMLButtonElement).disabled = link !== 'live' || !busy;
  byId('hold-to-talk').hidden = mode !== 'push_to_talk' || link !== 'live';
  byId('hold-to-talk', HTMLButtonElement).disabled = mic !== 'live';
  byId('hold-to-talk').setAttribute('aria-pressed', String(state.talking));
  byId('microphone-mute', HTMLButtonElement).disabled = mic !== 'live' && mic !== 'muted';
  press('microphone-mute', mic === 'muted', 'Unmute the microphone', 'Mute the microphone');
  press('mute', preferences.muted, 'Unmute the agent', 'Mute the agent');
  for (const radio of document.querySelectorAll('input[name="mode"]')) {
    const input = /** @type {HTMLInputElement} */ (radio);
    input.checked = input.value === mode;
  }
}

/** @param {import('./state.js').Item} item */
const unfinished = ({ kind, outcome, solid }) => (kind === 'agent' ? outcome === null : !solid);

/**
 * @param {string} id
 * @param {boolean} pressed
 * @param {string} on
 * @param {string} off
 */
function press(id, pressed, on, off) {
  const button = byId(id);
  button.setAttribute('aria-pressed', String(pressed));
  button.title = pressed ? on : off;
}

function renderNotices() {
  const { state } = client;
  const why = state.why && {
    key: 'link',
    level: /** @type {const} */ ('info'),
    text: state.why,
    hint: linkHint(state),
  };
  const notices = why ? [why, ...state.notices] : state.notices;
  const box = byId('notices');
  const drawn = JSON.stringify(notices);
  if (box.dataset.drawn === drawn) return;
  box.dataset.drawn = drawn;
  box.replaceChildren(...notices.map(notice));
}

/** @param {import('./state.js').State} state */
function linkHint({ link, retryAt }) {
  return link === 'waiting' && retryAt !== null ? `Trying again at ${clock(retryAt)}.` : '';
}

/** @param {import('./state.js').Notice} notice */
function notice({ key, level, text, hint }) {
  const words = make('div', '', text, ...(hint ? [make('small', '', ...withCode(hint))] : []));
  const box = make('div', `notice ${level}`, words);
  if (key !== 'link') {
    const close = make('button', 'icon', '×');
    close.setAttribute('aria-label', 'Dismiss');
    close.onclick = () => client.dispatch({ type: 'dismissed', key });
    box.append(close);
  }
  return box;
}

/** The level's bar covers 60 dB. @param {number} level Root mean square, 0…1. */
function showLevel(level) {
  const share = level > 0 ? Math.max(0, Math.min(1, 1 + (20 * Math.log10(level)) / 60)) : 0;
  document.documentElement.style.setProperty('--level', share.toFixed(3));
  byId('meter').setAttribute('aria-valuenow', String(Math.round(share * 100)));
}

// --- what the server has ---

async function showEngines() {
  const box = byId('engines');
  try {
    const { engines = {}, hints = [] } = await access.json('api/stream_config');
    const roles = { asr: 'Hearing', llm: 'Thinking', tts: 'Speaking', vad: 'Voice activity' };
    const known = Object.entries(roles).filter(([role]) => engines[role]);
    const failing = known.filter(([role]) => engines[role].ready === false);
    byId('engines-short').textContent = known
      .filter(([role]) => role !== 'vad')
      .map(([role]) => engines[role].name)
      .join(' · ');
    box.classList.toggle('failing', failing.length > 0);
    byId('engines-list').replaceChildren(
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

async function showVoices() {
  try {
    const answer = await access.json('voices');
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

async function showHistory() {
  const { conversationId } = client.state;
  if (conversationId === null) return;
  try {
    const { turns } = await access.json(`api/conversations/${encodeURIComponent(conversationId)}`);
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

async function showDevices() {
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

function showServer() {
  return Promise.all([showEngines(), showVoices(), showHistory()]);
}

/** Ask for the key until one is right. @returns {Promise<boolean>} Whether one was given. */
async function keyWanted() {
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
      await access.unlock(field.value);
      void showServer();
      return true;
    } catch (error) {
      byId('key-wrong').textContent =
        error instanceof Unauthorized ? 'That is not the key.' : 'The server does not answer.';
    } finally {
      field.value = '';
    }
  }
}

// --- what the visitor does ---

async function connectOrNot() {
  if (client.connection.wanted) return client.disconnect();
  helpClosed = false;
  await client.connect(true);
  await showDevices();
}

function wireControls() {
  byId('connect').onclick = () => void connectOrNot();
  byId('stop').onclick = () => client.stop();
  byId('new-conversation').onclick = () => client.newConversation();
  byId('microphone-mute').onclick = () => toggleMicrophone();
  byId('help-retry').onclick = async () => {
    await (client.connection.wanted ? client.openMicrophone() : client.connect(true));
    await showDevices();
  };
  byId('help-close').onclick = () => {
    helpClosed = true;
    changed();
  };
  byId('mute').onclick = () => {
    client.prefer({ muted: !client.preferences.muted });
    changed();
  };
  const volume = byId('volume', HTMLInputElement);
  volume.value = String(client.preferences.volume);
  volume.oninput = () => client.prefer({ volume: volume.valueAsNumber });
  for (const radio of document.querySelectorAll('input[name="mode"]')) {
    const input = /** @type {HTMLInputElement} */ (radio);
    input.onchange = () => client.setMode(/** @type {'hands_free' | 'push_to_talk'} */ (input.value));
  }
  byId('composer').onsubmit = (event) => {
    event.preventDefault();
    say(byId('message', HTMLInputElement).value);
    byId('message', HTMLInputElement).value = '';
  };
  for (const chip of byId('suggestions').querySelectorAll('button')) chip.onclick = () => say(chip.textContent ?? '');
  byId('export-text').onclick = () => save('conversation.txt', 'text/plain', asText(client.state, date));
  byId('export-json').onclick = () => save('conversation.json', 'application/json', asJson(client.state, date));
  byId('microphone', HTMLSelectElement).onchange = ({ target }) => {
    client.prefer({ microphone: /** @type {HTMLSelectElement} */ (target).value });
    if (client.microphone?.stream) void client.openMicrophone();
  };
  byId('speaker').onchange = ({ target }) => void client.setSpeaker(/** @type {HTMLSelectElement} */ (target).value);
  byId('voice').onchange = ({ target }) => client.setVoice(/** @type {HTMLSelectElement} */ (target).value);
}

/** @param {string} text */
function say(text) {
  if (text.trim()) client.type(text.trim());
}

function toggleMicrophone() {
  const { mic } = client.state;
  if (mic === 'live' || mic === 'muted') client.muteMicrophone(mic === 'live');
}

/** The button for fingers; the Space key does the same. */
function wireHoldToTalk() {
  const button = byId('hold-to-talk');
  button.onpointerdown = (event) => {
    button.setPointerCapture(event.pointerId);
    client.press();
  };
  button.onpointerup = button.onpointercancel = button.onlostpointercapture = () => client.release();
  button.oncontextmenu = (event) => event.preventDefault();
  addEventListener('blur', () => client.release());
}

/** Whether a key press there is meant for the element. @param {EventTarget | null} target */
function isField(target) {
  return target instanceof Element && target.matches('input:not([type=radio]):not([type=range]), select, textarea');
}

/** Buttons reached with the keyboard keep their Space, but for those that are about talking. @param {EventTarget | null} target */
function wantsSpace(target) {
  return (
    isField(target) ||
    (target instanceof Element &&
      target.closest('button, summary, a, dialog') !== null &&
      !target.closest('#connect, #hold-to-talk'))
  );
}

/** @type {Record<string, (event: KeyboardEvent) => void>} */
const KEYS = {
  Escape: () => {
    const open = document.querySelector('.badge[open], .menu[open]');
    if (open) open.removeAttribute('open');
    else if (!byId('stop', HTMLButtonElement).disabled) client.stop();
    else if (matchMedia('(width < 1180px)').matches) showPanel(false);
  },
  ' ': (event) => {
    if (client.state.mode !== 'push_to_talk' || client.state.link !== 'live' || wantsSpace(event.target)) return;
    event.preventDefault();
    if (!event.repeat) client.press();
  },
  '/': (event) => {
    if (isField(event.target)) return;
    event.preventDefault();
    byId('message').focus();
  },
  m: (event) => {
    if (!isField(event.target)) toggleMicrophone();
  },
};

function wireKeys() {
  addEventListener('keydown', (event) => {
    if (
      event.isComposing ||
      event.ctrlKey ||
      event.metaKey ||
      event.altKey ||
      byId('key-dialog', HTMLDialogElement).open
    )
      return;
    KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key]?.(event);
  });
  addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !client.gate.held) return;
    event.preventDefault(); // or the focused button would be clicked
    client.release();
  });
  // A button pressed with the mouse gives the focus back, so that Space means talking.
  addEventListener('click', ({ target, detail }) => {
    if (detail > 0 && target instanceof Element) /** @type {HTMLElement | null} */ (target.closest('button'))?.blur();
    for (const open of document.querySelectorAll('.badge[open], .menu[open]')) {
      if (
        target instanceof Node &&
        (!open.contains(target) || (target instanceof Element && target.closest('.menu .popover')))
      )
        open.removeAttribute('open');
    }
  });
}

// --- the panel ---

/** @param {boolean} shown */
function showPanel(shown) {
  byId('panel').hidden = !shown;
  byId('panel-toggle').setAttribute('aria-expanded', String(shown));
  changed();
}

function wirePanel() {
  const tabs = /** @type {HTMLButtonElement[]} */ ([...document.querySelectorAll('[role=tab]')]);
  const choose = (/** @type {HTMLButtonElement} */ chosen) => {
    for (const tab of tabs) {
      const selected = tab === chosen;
      tab.setAttribute('aria-selected', String(selected));
      tab.tabIndex = selected ? 0 : -1;
      byId(/** @type {string} */ (tab.getAttribute('aria-controls'))).hidden = !selected;
    }
    changed();
  };
  for (const [index, tab] of tabs.entries()) {
    tab.onclick = () => choose(tab);
    tab.onkeydown = ({ key }) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step === undefined) return;
      const next = tabs[(index + step + tabs.length) % tabs.length];
      next.focus();
      choose(next);
    };
  }
  byId('panel-toggle').onclick = () => showPanel(byId('panel').hidden === true);
  byId('panel-close').onclick = () => {
    showPanel(false);
    byId('panel-toggle').focus();
  };
  showPanel(matchMedia('(width >= 1180px)').matches);
}

wireControls();
wireHoldToTalk();
wireKeys();
wirePanel();
navigator.mediaDevices?.addEventListener('devicechange', () => void showDevices());
void showDevices();
void showServer();
render();
