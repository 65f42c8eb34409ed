/**
 * The microphone: permission, device, level, and 20 ms frames of 16 kHz PCM16.
 */

/** @typedef {'insecure' | 'denied' | 'missing' | 'busy' | 'unsupported'} MicrophoneProblem */

/** Why there is no microphone, in a form that the page can explain. */
export class MicrophoneError extends Error {
  /**
   * @param {MicrophoneProblem} problem
   * @param {string} message
   */
  constructor(problem, message) {
    super(message);
    this.problem = problem;
  }
}

const PROBLEMS = /** @type {Record<string, MicrophoneProblem>} */ ({
  NotAllowedError: 'denied',
  SecurityError: 'denied',
  NotFoundError: 'missing',
  OverconstrainedError: 'missing',
  NotReadableError: 'busy',
  AbortError: 'busy',
});

export class Microphone {
  /**
   * @param {AudioContext} context
   * @param {(pcm: ArrayBuffer, level: number) => void} onFrame
   */
  constructor(context, onFrame) {
    this.context = context;
    this.onFrame = onFrame;
    this.stream = /** @type {MediaStream | null} */ (null);
    this.source = /** @type {MediaStreamAudioSourceNode | null} */ (null);
    this.node = /** @type {AudioWorkletNode | null} */ (null);
    this.muted = false;
    /** Called when the device goes away. */
    this.onLost = () => {};
  }

  /**
   * Ask for the microphone and begin to deliver frames; also changes the device of a running one.
   * @param {string} deviceId Empty: the browser's choice.
   * @throws {MicrophoneError}
   */
  async open(deviceId) {
    const stream = await this.#ask(deviceId);
    this.#release();
    if (this.node === null) {
      await this.context.audioWorklet.addModule(new URL('./microphone.worklet.js', import.meta.url));
      this.node = new AudioWorkletNode(this.context, 'vivavoce-microphone', {
        numberOfOutputs: 0,
        channelCount: 1,
        channelCountMode: 'explicit',
      });
      this.node.port.onmessage = ({ data }) => this.onFrame(data.pcm, data.level);
    }
    this.stream = stream;
    this.source = this.context.createMediaStreamSource(stream);
    this.source.connect(this.node);
    for (const track of stream.getAudioTracks()) {
      track.enabled = !this.muted;
      track.addEventListener('ended', () => this.stream === stream && this.onLost());
    }
  }

  /** A muted microphone delivers silence. @param {boolean} muted */
  mute(muted) {
    this.muted = muted;
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  /** Give the device back, so that the browser's sign of a live microphone goes out. */
  close() {
    this.#release();
  }

  #release() {
    this.source?.disconnect();
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.source = this.stream = null;
  }

  /**
   * @param {string} deviceId
   * @returns {Promise<MediaStream>}
   */
  async #ask(deviceId) {
    if (!window.isSecureContext) throw new MicrophoneError('insecure', 'not a secure context');
    if (!navigator.mediaDevices?.getUserMedia) throw new MicrophoneError('unsupported', 'no mediaDevices');
    const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    try {
      return await navigator.mediaDevices.getUserMedia({
        audio: deviceId ? { ...audio, deviceId: { exact: deviceId } } : audio,
      });
    } catch (error) {
      const { name, message } = /** @type {DOMException} */ (error);
      // A remembered device may be unplugged: any other is better than none.
      if (deviceId && PROBLEMS[name] === 'missing') return this.#ask('');
      throw new MicrophoneError(PROBLEMS[name] ?? 'unsupported', message);
    }
  }
}

/**
 * The devices to choose from; they have names only once the microphone was allowed.
 * @returns {Promise<{inputs: MediaDeviceInfo[], outputs: MediaDeviceInfo[]}>}
 */
export async function devices() {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  const named = all.filter((device) => device.deviceId !== '');
  return {
    inputs: named.filter((device) => device.kind === 'audioinput'),
    outputs: named.filter((device) => device.kind === 'audiooutput'),
  };
}
