/**
 * The server's HTTP side, and what lets us in: the key is exchanged for the page's token, and only that is stored.
 */

const TOKEN = 'vivavoce.token';

/** The server wants a key, or another one. */
export class Unauthorized extends Error {}

export class Access {
  /**
   * @param {string} path Relative to the page.
   * @param {RequestInit} [init]
   * @param {string | null} [credential] The page's token, unless something else is given.
   * @returns {Promise<any>} The JSON of the answer.
   * @throws {Unauthorized}
   */
  async json(path, init = {}, credential = sessionStorage.getItem(TOKEN)) {
    const headers = credential ? { Authorization: `Bearer ${credential}` } : undefined;
    const response = await fetch(new URL(path, document.baseURI), { ...init, headers });
    if (response.status === 401) throw new Unauthorized(path);
    if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
    return response.json();
  }

  /**
   * Exchange *key* for the page's token, and remember that.
   * @param {string} key
   * @throws {Unauthorized} when it is wrong.
   */
  async unlock(key) {
    const { page_token: token } = await this.json('api/token', { method: 'POST' }, key);
    sessionStorage.setItem(TOKEN, token);
  }

  /** Forget a token that does not work any more. */
  lock() {
    sessionStorage.removeItem(TOKEN);
  }

  /**
   * The address of the voice WebSocket, with a token of its own where the server asked for a key.
   * @throws {Unauthorized}
   */
  async socketUrl() {
    const url = new URL('ws', document.baseURI);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    if (sessionStorage.getItem(TOKEN)) {
      const { token } = await this.json('api/token', { method: 'POST' });
      url.searchParams.set('token', token);
    }
    return url;
  }
}
