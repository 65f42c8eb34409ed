/**
 * What to do when there is no microphone, in words that fit the problem.
 */

import { byId, make, withCode } from './dom.js';

/** @typedef {import('./microphone.js').MicrophoneProblem} Problem */
/** @typedef {{title: string, text: string, steps: string[]}} Help */

const HELP = /** @type {Record<Problem, Help>} */ ({
  denied: {
    title: 'The microphone is not allowed',
    text: 'The browser has been told not to let this page hear you. Typing works meanwhile.',
    steps: [
      'Press the symbol left of the address, and set Microphone to Allow.',
      'If the browser itself has no permission, allow it in the privacy settings of your system.',
      'Then try the microphone again, or reload the page.',
    ],
  },
  insecure: {
    title: 'The browser gives the microphone to secure pages only',
    text: 'This page was opened over plain HTTP from another machine. Typing works meanwhile.',
    steps: [
      'On the machine of the server, open the page as `http://localhost` or `http://127.0.0.1` with its port.',
      'From elsewhere, use HTTPS: put a TLS proxy in front of the server.',
      'Or make a tunnel, `ssh -L 8000:127.0.0.1:8000 SERVER`, and open `http://localhost:8000`.',
    ],
  },
  missing: {
    title: 'No microphone was found',
    text: 'The system offers no audio input. Typing works meanwhile.',
    steps: ['Plug one in or switch it on.', 'Choose it in the sound settings of your system, then try again.'],
  },
  busy: {
    title: 'The microphone cannot be opened',
    text: 'Another program may be using it, or the system blocks it. Typing works meanwhile.',
    steps: [
      'Close other programs that record.',
      'Choose another microphone under Details, Settings.',
      'Then try again.',
    ],
  },
  unsupported: {
    title: 'This browser cannot record',
    text: 'It offers no access to microphones. Typing works.',
    steps: ['Use a current version of Firefox, Chrome, Edge or Safari.'],
  },
});

/**
 * Show the help for the microphone's state, or none.
 * @param {string} mic
 * @param {boolean} closed Whether the reader has put it away.
 */
export function renderHelp(mic, closed) {
  const box = byId('microphone-help');
  const help = HELP[/** @type {Problem} */ (mic)];
  box.hidden = help === undefined || closed;
  if (box.hidden || box.dataset.problem === mic) return;
  box.dataset.problem = mic;
  byId('help-title').textContent = help.title;
  byId('help-text').textContent = help.text;
  byId('help-steps').replaceChildren(...help.steps.map((step) => make('li', '', ...withCode(step))));
}
