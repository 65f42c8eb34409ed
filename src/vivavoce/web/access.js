/**
 * The server's HTTP side, and what lets us in: a key is exchanged for a short-lived token; only the token is stored.
 */

const TOKEN = 'vivavoce.token';

/** The server wants a key, or another one. */
export class Unauthorized extends Error {}

export class Access {
  /** Kept while the page is open, for further tokens; never stored. */
  #key = '';

  /**
   * @param {string} path Relative to the page.
   * @param {RequestInit} [init]
   * @returns {Promise<any>} The JSON of the answer.
   * @throws {Unauthorized}
   */
  async json(path, init = {}) {
    const credential = this.#key || sessionStorage.getItem(TOKEN);
    const headers = { ...init.headers, ...(credential && { Authorization: `Bearer ${credential}` }) };
    const response = await fetch(new URL(path, document.baseURI), { ...init, headers });
    if (response.status === 401) throw new Unauthorized(path);
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return response.json();
  }

  /**
   * Exchange *key* for a token, and remember that.
   * @param {string} key
   * @throws {Unauthorized} when it is wrong.
   */
  async unlock(key) {
    this.#key = key;
    try {
      sessionStorage.setItem(TOKEN, (await this.json('api/token', { method: 'POST' })).token);
    } catch (error) {
      this.lock();
      throw error;
    }
  }

  /** Forget what does not work any more. */
  lock() {
    this.#key = '';
    sessionStorage.removeItem(TOKEN);
  }

  /** The address of the voice WebSocket, with a fresh token where a key was given: a token opens one socket. */
  async socketUrl() {
    if (this.#key) await this.unlock(this.#key);
    const url = new URL('ws', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const token = sessionStorage.getItem(TOKEN);
    if (token) url.searchParams.set('token', token);
    return url;
  }
}
