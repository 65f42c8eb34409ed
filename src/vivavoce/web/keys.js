/**
 * The keyboard: Esc silences, Space talks, M mutes, / types.
 */

import { byId } from './dom.js';

/** @typedef {import('./client.js').Client} Client */

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

/**
 * @param {Client} client
 * @param {() => void} closePanel
 * @returns {Record<string, (event: KeyboardEvent) => void>}
 */
const keys = (client, closePanel) => ({
  Escape: () => {
    const open = document.querySelector('.badge[open], .menu[open]');
    if (open) open.removeAttribute('open');
    else if (!byId('stop', HTMLButtonElement).disabled) client.stop();
    else if (matchMedia('(width < 1180px)').matches) closePanel();
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
    if (!isField(event.target)) client.toggleMicrophone();
  },
});

/**
 * @param {Client} client
 * @param {() => void} closePanel
 */
export function wireKeys(client, closePanel) {
  const known = keys(client, closePanel);
  addEventListener('keydown', (event) => {
    const modified = event.isComposing || event.ctrlKey || event.metaKey || event.altKey;
    if (modified || byId('key-dialog', HTMLDialogElement).open) return;
    known[event.key.length === 1 ? event.key.toLowerCase() : event.key]?.(event);
  });
  addEventListener('keyup', (event) => {
    if (event.key !== ' ' || !client.gate.held) return;
    event.preventDefault(); // or the focused button would be clicked
    client.release();
  });
  // A button pressed with the mouse gives the focus back, so that Space means talking.
  addEventListener('click', ({ target, detail }) => {
    if (!(target instanceof Element)) return;
    if (detail > 0) /** @type {HTMLElement | null} */ (target.closest('button, summary'))?.blur();
    for (const open of document.querySelectorAll('.badge[open], .menu[open]')) {
      if (!open.contains(target) || target.closest('.menu .popover')) open.removeAttribute('open');
    }
  });
}
