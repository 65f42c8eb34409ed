/**
 * The page: it wires the document to the client, and draws the state once per frame.
 */

import { Access } from './access.js';
import { Client } from './client.js';
import { clock, ConversationView, date } from './conversation.js';
import { byId, make, save, withCode } from './dom.js';
import { renderHelp } from './help.js';
import { wireKeys } from './keys.js';
import { wirePanel } from './panel.js';
import { LatencyView, LogView, renderInForce } from './panels.js';
import { askKey, showDevices, showServer } from './server.js';
import { StatesView } from './states.js';
import { asJson, asText } from './transcript.js';
import { status } from './words.js';

/** What runs on this page; tests look at it. */
export const client = new Client(new Access(), { changed, level: showLevel, keyWanted: () => askKey(client) });
const conversation = new ConversationView();
const latency = new LatencyView();
const log = new LogView();
const states = new StatesView();

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
  conversation.keepEnd(() => states.render(state));
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

// --- what the visitor does ---

async function connectOrNot() {
  if (client.connection.wanted) return client.disconnect();
  helpClosed = false;
  await client.connect(true);
  await showDevices(client);
}

function wireControls() {
  byId('connect').onclick = () => void connectOrNot();
  byId('stop').onclick = () => client.stop();
  byId('new-conversation').onclick = () => client.newConversation();
  byId('microphone-mute').onclick = () => client.toggleMicrophone();
  byId('help-retry').onclick = async () => {
    await (client.connection.wanted ? client.openMicrophone() : client.connect(true));
    await showDevices(client);
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

wireControls();
wireHoldToTalk();
wireKeys(client, wirePanel(changed));
navigator.mediaDevices?.addEventListener('devicechange', () => void showDevices(client));
void showDevices(client);
void showServer(client);
render();
