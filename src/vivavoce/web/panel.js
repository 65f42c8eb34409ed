/**
 * The panel of details: shown or not, and its tabs.
 */

import { byId } from './dom.js';

/** @param {boolean} shown */
function showPanel(shown) {
  byId('panel').hidden = !shown;
  byId('panel-toggle').setAttribute('aria-expanded', String(shown));
}

/**
 * @param {() => void} changed Called when other parts of it are to be drawn.
 * @returns {() => void} Closes it.
 */
export function wirePanel(changed) {
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
  byId('panel-toggle').onclick = () => {
    showPanel(byId('panel').hidden === true);
    changed();
  };
  byId('panel-close').onclick = () => {
    showPanel(false);
    byId('panel-toggle').focus();
  };
  showPanel(matchMedia('(width >= 1180px)').matches);
  return () => showPanel(false);
}
