/**
 * Small tools for the document. Text from outside only ever becomes a text node.
 */

/**
 * @template {HTMLElement} [T=HTMLElement]
 * @param {string} id
 * @param {{new (): T}} [type]
 * @returns {T}
 */
export function byId(id, type) {
  const element = document.getElementById(id);
  if (!(element instanceof (type ?? HTMLElement))) throw new Error(`the page has no such #${id}`);
  return /** @type {T} */ (element);
}

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {string} [className]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, className = '', ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/**
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @param {...(Node | string)} children
 * @returns {SVGElement}
 */
export function drawn(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
  element.append(...children);
  return element;
}

/**
 * Text with `code` in backquotes.
 * @param {string} text
 * @returns {(Node | string)[]}
 */
export function withCode(text) {
  return text.split('`').map((part, index) => (index % 2 === 1 ? make('code', '', part) : part));
}

/**
 * Fill a select, keeping the chosen value if it is still there.
 * @param {HTMLSelectElement} select
 * @param {string} first What the empty value says.
 * @param {{value: string, label: string}[]} options
 * @param {string} chosen
 */
export function fillSelect(select, first, options, chosen) {
  const all = [{ value: '', label: first }, ...options];
  select.replaceChildren(...all.map(({ value, label }) => new Option(label, value)));
  select.value = all.some(({ value }) => value === chosen) ? chosen : '';
}

/**
 * Offer *text* as a file.
 * @param {string} name
 * @param {string} type
 * @param {string} text
 */
export function save(name, type, text) {
  const link = make('a');
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
