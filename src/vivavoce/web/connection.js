/**
 * The voice WebSocket: start, heartbeat, reconnection and resumption. What is captured while it is not open waits.
 */

import { Unauthorized } from './access.js';
import { delay, verdict } from './reconnect.js';

const PING_MS = 10_000;
const OPEN_MS = 10_000;
/** Frames of 20 ms that may wait for the socket. */
const WAITING_FRAMES = 400;
/** Bytes that may wait in the socket: 10 s of audio. More only means that the server hears us too late. */
const SOCKET_BYTES = 320_000;

/** @typedef {import('./state.js').Message} Message */
/**
 * @typedef {object} ConnectionEvents
 * @property {() => Record<string, any>} start The fields of `start`, asked at each attempt.
 * @property {(message: Message) => void} message
 * @property {(bytes: ArrayBuffer) => void} audio
 * @property {() => void} live The session is there, before what waited is sent.
 * @property {(why: string, retryAt: number) => void} waiting
 * @property {(why: string) => void} closed For good.
 * @property {() => void} forget The conversation cannot be gone on with: the next `start` must not name it.
 * @property {() => Promise<boolean>} keyWanted Ask for the key; false when nobody gives it.
 * @property {(ms: number) => void} roundTrip
 */

export class Connection {
  #socket = /** @type {WebSocket | null} */ (null);
  #live = false;
  #attempt = 0;
  #error = /** @type {string | null} */ (null);
  #advice = 0;
  #waiting = /** @type {ArrayBuffer[]} */ ([]);
  #later = 0;
  #beat = 0;
  #pinged = /** @type {{id: number, at: number} | null} */ (null);

  /**
   * @param {import('./access.js').Access} access
   * @param {ConnectionEvents} on
   */
  constructor(access, on) {
    this.access = access;
    this.on = on;
    /** The session to go on with. */
    this.session = /** @type {{id: string, n: number} | null} */ (null);
    this.wanted = false;
    addEventListener('online', () => this.wanted && !this.#socket && this.#retry(0));
  }

  get live() {
    return this.#live;
  }

  /** Connect, and stay connected until `close`. */
  open() {
    if (this.wanted) return;
    this.wanted = true;
    this.#attempt = 0;
    void this.#connect();
  }

  /** End the session. */
  close() {
    this.#giveUp('');
  }

  /** @param {{type: string} & Record<string, any>} message */
  send(message) {
    if (this.#live) this.#socket?.send(JSON.stringify(message));
  }

  /** Send audio, or keep it until the session is there. @param {ArrayBuffer} pcm */
  hear(pcm) {
    if (!this.#live) {
      this.#waiting.push(pcm);
      if (this.#waiting.length > WAITING_FRAMES) this.#waiting.shift();
    } else if (this.#socket && this.#socket.bufferedAmount < SOCKET_BYTES) this.#socket.send(pcm);
  }

  async #connect() {
    clearTimeout(this.#later);
    let url;
    try {
      url = await this.access.socketUrl();
    } catch (error) {
      if (error instanceof Unauthorized) await this.#askKey();
      else this.#wait('The server cannot be reached.', 0);
      return;
    }
    if (!this.wanted || this.#socket) return;
    const socket = (this.#socket = new WebSocket(url));
    socket.binaryType = 'arraybuffer';
    this.#error = null;
    this.#advice = 0;
    // A handshake that nobody answers would otherwise last minutes.
    const late = setTimeout(() => !this.#live && socket.close(), OPEN_MS);
    socket.onopen = () => socket.send(JSON.stringify({ type: 'start', ...this.#resumption(), ...this.on.start() }));
    socket.onmessage = ({ data }) => this.#take(data);
    socket.onclose = ({ code, reason }) => {
      clearTimeout(late);
      if (this.#socket === socket) void this.#closed(code, reason);
    };
  }

  #resumption() {
    return this.session ? { session_id: this.session.id, last_n: this.session.n } : {};
  }

  /** @param {string | ArrayBuffer} data */
  #take(data) {
    if (data instanceof ArrayBuffer) return this.on.audio(data);
    const message = /** @type {Message} */ (JSON.parse(data));
    if (message.type === 'error') this.#error = message.code;
    if (message.retry_after_s) this.#advice = message.retry_after_s;
    if (message.type === 'pong' && message.id === this.#pinged?.id) {
      this.on.roundTrip(performance.now() - /** @type {{at: number}} */ (this.#pinged).at);
      this.#pinged = null;
    }
    if (message.type === 'info' && message.session_id) this.session = { id: message.session_id, n: 0 };
    if (this.session && message.n) this.session.n = message.n;
    this.on.message(message);
    if (message.type === 'info' && message.session_id && !this.#live) this.#begin();
  }

  #begin() {
    this.#live = true;
    this.#attempt = 0;
    this.on.live();
    for (const pcm of this.#waiting.splice(0)) this.hear(pcm);
    this.#beat = window.setInterval(() => this.#ping(), PING_MS);
    this.#ping();
  }

  /** Ask for a sign of life; without one since the last time the socket is dead, whatever it says. */
  #ping() {
    if (this.#pinged) {
      const socket = /** @type {WebSocket} */ (this.#socket);
      socket.onclose = null; // its closing handshake would wait for the dead peer
      socket.close();
      void this.#closed(1006, '');
      return;
    }
    this.#pinged = { id: Math.round(performance.now()), at: performance.now() };
    this.send({ type: 'ping', id: this.#pinged.id });
  }

  #drop() {
    const socket = this.#socket;
    this.#socket = null;
    this.#live = false;
    this.#pinged = null;
    clearInterval(this.#beat);
    clearTimeout(this.#later);
    return socket;
  }

  /**
   * @param {number} code
   * @param {string} reason
   */
  async #closed(code, reason) {
    this.#drop();
    if (!this.wanted) return;
    const { what, why, least } = verdict(code, reason, this.#error);
    if (what === 'key') await this.#askKey();
    else if (what === 'stop') this.#giveUp(why);
    else if (what === 'forget') {
      this.session = null;
      this.on.forget();
      this.#wait(why, 0);
    } else this.#wait(why, Math.max(least, this.#advice));
  }

  async #askKey() {
    this.access.lock();
    if (await this.on.keyWanted()) await this.#connect();
    else this.#giveUp('The server asks for a key.');
  }

  /**
   * @param {string} why
   * @param {number} least Seconds.
   */
  #wait(why, least) {
    if (!this.wanted) return;
    const seconds = delay(this.#attempt++, least, Math.random());
    this.on.waiting(why, performance.now() + seconds * 1000);
    this.#retry(seconds);
  }

  /** @param {number} seconds */
  #retry(seconds) {
    clearTimeout(this.#later);
    this.#later = window.setTimeout(() => void this.#connect(), seconds * 1000);
  }

  /** @param {string} why */
  #giveUp(why) {
    if (!this.wanted) return;
    this.wanted = false;
    this.session = null;
    this.#waiting = [];
    this.#drop()?.close(1000);
    this.on.closed(why);
  }
}
