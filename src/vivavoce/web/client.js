/**
 * One visitor's side of a conversation: it joins the socket, the microphone and the loudspeaker, and tells the reducer
 * what happens. Nothing here touches the document.
 */

import { Connection } from './connection.js';
import { Microphone, MicrophoneError } from './microphone.js';
import { Player } from './player.js';
import { lastConversation, preferences, remember, rememberConversation } from './prefs.js';
import { INITIAL, reduce } from './state.js';
import { LastSpoken, TalkGate } from './talk.js';
import { audioFrame, base64Bytes, wav } from './wire.js';

/** @typedef {import('./state.js').State} State */
/** @typedef {import('./state.js').Message} Message */
/** @typedef {import('./prefs.js').Preferences} Preferences */

const PARTIAL_MS = 400;
/** After the key is let go, a paused answer goes on unless the words have interrupted it by then. */
const VERDICT_MS = 2500;
/** Messages that say what became of the words spoken with the key held. */
const VERDICTS = new Set(['interrupted', 'final_transcript', 'error', 'resume']);

export class Client {
  /**
   * @param {import('./access.js').Access} access
   * @param {{changed: () => void, level: (level: number) => void, keyWanted: () => Promise<boolean>}} on
   */
  constructor(access, on) {
    this.access = access;
    this.on = on;
    this.preferences = preferences();
    /** @type {State} */
    this.state = { ...INITIAL, mode: this.preferences.mode, conversationId: lastConversation() };
    this.context = /** @type {AudioContext | null} */ (null);
    this.player = /** @type {Player | null} */ (null);
    this.microphone = /** @type {Microphone | null} */ (null);
    this.lastSpoken = new LastSpoken();
    this.gate = new TalkGate({
      send: (pcm) => this.connection.hear(pcm),
      stop: () => this.connection.send({ type: 'stop' }),
    });
    this.gate.setMode(this.preferences.mode);
    this.connection = new Connection(access, {
      start: () => this.#start(),
      message: (message) => this.#take(message),
      audio: (bytes) => this.#play(audioFrame(bytes, this.state.outputRate)),
      live: () => this.#live(),
      waiting: (why, retryAt) => this.dispatch({ type: 'waiting', why, retryAt }),
      closed: (why) => this.#closed(why),
      forget: () => this.dispatch({ type: 'new_conversation' }),
      keyWanted: on.keyWanted,
      roundTrip: (ms) => this.dispatch({ type: 'round_trip', ms }),
    });
    this.unsent = /** @type {string[]} */ ([]);
    this.audioTurn = /** @type {number | null} */ (null);
    this.wavSeq = /** @type {number | null} */ (null);
    this.paused = false;
    this.unpause = 0;
  }

  /** @param {{type: string} & Record<string, any>} event */
  dispatch(event) {
    const before = this.state.conversationId;
    this.state = reduce(this.state, { at: performance.now(), ...event });
    if (this.state.conversationId !== before) rememberConversation(this.state.conversationId);
    this.on.changed();
  }

  // --- what the visitor does ---

  /**
   * Connect; must be called from a click or key press, or the browser keeps the loudspeaker silent.
   * @param {boolean} speaking Whether to ask for the microphone.
   */
  async connect(speaking) {
    if (this.connection.wanted) return;
    this.dispatch({ type: 'connecting' });
    try {
      await this.#openAudio();
    } catch (error) {
      this.dispatch({
        type: 'notice',
        level: 'error',
        text: 'This browser cannot play the voice.',
        hint: String(error),
      });
    }
    this.connection.open();
    // Beside the connection: what is said while it is being made is sent once it is there.
    if (speaking) await this.openMicrophone();
  }

  disconnect() {
    this.connection.close();
  }

  async openMicrophone() {
    if (this.context === null || this.state.mic === 'asking') return;
    this.microphone ??= new Microphone(this.context, (pcm, level) => this.#hear(pcm, level));
    this.microphone.onLost = () => this.dispatch({ type: 'mic', mic: 'missing' });
    this.dispatch({ type: 'mic', mic: 'asking' });
    try {
      await this.microphone.open(this.preferences.microphone);
      this.dispatch({ type: 'mic', mic: this.microphone.muted ? 'muted' : 'live' });
      if (!this.connection.wanted) this.#closeMicrophone();
    } catch (error) {
      if (!(error instanceof MicrophoneError)) throw error;
      this.dispatch({ type: 'mic', mic: error.problem });
    }
  }

  /** @param {boolean} muted */
  muteMicrophone(muted) {
    this.microphone?.mute(muted);
    this.dispatch({ type: 'mic', mic: muted ? 'muted' : 'live' });
  }

  toggleMicrophone() {
    const { mic } = this.state;
    if (mic === 'live' || mic === 'muted') this.muteMicrophone(mic === 'live');
  }

  /** Silence the agent here, at once; then tell the server. */
  stop() {
    this.player?.cut(this.state.lastTurn);
    this.gate.abandon();
    this.#resumeAfterKey();
    this.dispatch({ type: 'stopped' });
    this.connection.send({ type: 'cancel' });
  }

  /** Send typed *text*, connecting first if need be. @param {string} text */
  type(text) {
    this.dispatch({ type: 'typed', text });
    if (this.connection.live) this.connection.send({ type: 'text', text });
    else {
      this.unsent.push(text);
      void this.connect(false);
    }
  }

  /** @param {'hands_free' | 'push_to_talk'} mode */
  setMode(mode) {
    this.prefer({ mode });
    this.gate.setMode(mode);
    this.dispatch({ type: 'mode', mode });
    this.connection.send({ type: 'update', mode });
  }

  /** Push to talk: begin. An answer being spoken pauses until it is clear what the words are. */
  press() {
    if (this.gate.open || this.gate.held || this.state.mic !== 'live') return;
    clearTimeout(this.unpause);
    if (this.state.playing) {
      this.paused = true;
      this.player?.hold();
    }
    this.gate.press();
    this.dispatch({ type: 'talking', talking: true });
  }

  /** Push to talk: the end. */
  release() {
    if (!this.gate.held) return;
    this.gate.release();
    this.dispatch({ type: 'talking', talking: false });
    this.unpause = window.setTimeout(() => this.#resumeAfterKey(), VERDICT_MS);
  }

  newConversation() {
    const again = this.connection.wanted;
    const speaking = this.state.mic === 'live' || this.state.mic === 'muted';
    this.connection.close();
    this.player?.reset();
    this.dispatch({ type: 'new_conversation' });
    if (again) void this.connect(speaking);
  }

  /** @param {Partial<Preferences>} change */
  prefer(change) {
    this.preferences = { ...this.preferences, ...change };
    remember(this.preferences);
    this.#applyVolume();
  }

  /** @param {string} voice */
  setVoice(voice) {
    this.prefer({ voice });
    if (voice) this.connection.send({ type: 'update', voice });
  }

  /** @param {string} speaker */
  async setSpeaker(speaker) {
    this.prefer({ speaker });
    await this.#applySpeaker();
  }

  // --- audio ---

  async #openAudio() {
    this.context ??= new AudioContext({ latencyHint: 'interactive' });
    const resumed = this.context.resume();
    this.player ??= await Player.open(this.context, {
      heard: (position) => this.#heard(position),
      sounding: (turn, soundAt) => this.dispatch({ type: 'sounding', turn, soundAt }),
      busy: (busy) => this.dispatch({ type: 'playing', busy }),
    });
    this.#applyVolume();
    await this.#applySpeaker();
    await resumed;
  }

  #applyVolume() {
    this.player?.setVolume(this.preferences.volume / 100, this.preferences.muted);
  }

  async #applySpeaker() {
    const context = /** @type {AudioContext & {setSinkId?: (id: string) => Promise<void>} | null} */ (this.context);
    try {
      await context?.setSinkId?.(this.preferences.speaker);
    } catch {
      this.prefer({ speaker: '' }); // unplugged since
    }
  }

  /**
   * @param {ArrayBuffer} pcm
   * @param {number} level
   */
  #hear(pcm, level) {
    this.lastSpoken.hear(level, performance.now());
    this.on.level(level);
    if (this.connection.wanted) this.gate.hear(pcm);
  }

  /** @param {import('./playqueue.js').Position} position */
  #heard({ turn, seq, ms, ended }) {
    this.dispatch({ type: 'heard', turn, seq, ms, ended });
    // The wire has 16 bits of the turn's number; reports carry all of it.
    const turnId = this.state.lastTurn - ((this.state.lastTurn - turn) & 0xffff);
    this.connection.send({ type: 'played', turn_id: turnId, seq, ms });
  }

  /** @param {import('./wire.js').Frame | null} frame */
  #play(frame) {
    if (frame === null) return;
    if (frame.turn !== this.audioTurn) {
      this.audioTurn = frame.turn;
      this.dispatch({ type: 'audio', turn: frame.turn });
    }
    this.player?.play(frame);
  }

  #closeMicrophone() {
    this.microphone?.close();
    this.on.level(0);
    this.dispatch({ type: 'mic', mic: 'off' });
  }

  // --- the session ---

  #start() {
    return {
      sample_rate: 16000,
      audio_out: 'pcm',
      mode: this.preferences.mode,
      partial_interval_ms: PARTIAL_MS,
      ...(this.state.conversationId && { conversation_id: this.state.conversationId }),
      ...(this.preferences.voice && { voice: this.preferences.voice }),
    };
  }

  /** @param {Message} message */
  #take(message) {
    const turn = (message.turn_id ?? 0) & 0xffff;
    switch (message.type) {
      case 'hold':
        this.player?.hold();
        break;
      case 'resume':
        if (!this.gate.held) this.player?.resume();
        break;
      case 'interrupted':
        this.player?.cut(turn);
        break;
      case 'tts_chunk':
        this.#playWav(message, turn);
        break;
      case 'tts_phrase_done':
        if (this.wavSeq === message.seq) this.#endWav(turn, message.seq);
        break;
    }
    this.dispatch({ type: 'server', message, spokenAt: this.lastSpoken.at });
    if (this.paused && !this.gate.held && VERDICTS.has(message.type)) this.#resumeAfterKey();
  }

  /**
   * A server may answer `start` with speech in JSON instead of binary frames.
   * @param {Message} message
   * @param {number} turn
   */
  #playWav(message, turn) {
    this.wavSeq = message.seq;
    this.#play({ turn, seq: message.seq, last: false, ...wav(base64Bytes(message.audio_b64)) });
  }

  /**
   * @param {number} turn
   * @param {number} seq
   */
  #endWav(turn, seq) {
    this.wavSeq = null;
    this.#play({ turn, seq, last: true, rate: this.state.outputRate, samples: new Int16Array(0) });
  }

  #resumeAfterKey() {
    clearTimeout(this.unpause);
    if (!this.paused) return;
    this.paused = false;
    if (!this.state.holding) this.player?.resume();
  }

  /** A session begins or goes on: no answer outlives a lost socket, and turns may count from 1 again. */
  #live() {
    this.player?.reset();
    this.audioTurn = this.wavSeq = null;
    for (const text of this.unsent.splice(0)) this.connection.send({ type: 'text', text });
  }

  /** @param {string} why */
  #closed(why) {
    this.unsent = [];
    this.player?.reset();
    this.dispatch({ type: 'closed', why });
    if (this.microphone?.stream) this.#closeMicrophone();
  }
}
