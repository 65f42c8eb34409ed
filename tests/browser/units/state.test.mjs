/** The page's reducer, told what a server says. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { heardLength, heardTo, locate } from '../../../src/vivavoce/web/karaoke.js';
import { completed, mouthToEar, NO_MARKS, pageStretches, serverStretches } from '../../../src/vivavoce/web/latency.js';
import { filtered } from '../../../src/vivavoce/web/log.js';
import { delay, verdict } from '../../../src/vivavoce/web/reconnect.js';
import { INITIAL, reduce } from '../../../src/vivavoce/web/state.js';
import { asJson, asText } from '../../../src/vivavoce/web/transcript.js';
import { status } from '../../../src/vivavoce/web/words.js';

/** A page that is told things, 10 ms apart. */
class Page {
  constructor() {
    this.state = INITIAL;
    this.at = 1000;
    this.told('connecting');
    this.told('mic', { mic: 'live' });
    this.says('info', {
      message: 'listening',
      session_id: 's1',
      conversation_id: 'c1',
      output_sample_rate: 22050,
      session: { mode: 'hands_free' },
    });
  }

  told(type, fields = {}) {
    this.state = reduce(this.state, { type, at: (this.at += 10), ...fields });
    return this;
  }

  says(type, fields = {}, more = {}) {
    return this.told('server', { message: { type, ...fields }, ...more });
  }

  /** A spoken turn up to the whole text of its answer. */
  turn(turn_id = 1, answer = 'It is noon. Anything else?') {
    this.says('speech_started', { at_ms: 1 })
      .says('partial_transcript', { text: 'what' })
      .says('partial_transcript', { text: 'what time' });
    this.says('speech_stopped', { at_ms: 2 }).says('decision', {
      what: 'endpoint',
      reason: 'silence',
      values: {},
      setting: 'vad_silence_ms',
    });
    this.says('final_transcript', { text: 'what time is it', id: `u${turn_id}`, turn_id }, { spokenAt: this.at - 30 });
    for (const word of answer.split(/(?<= )/)) this.says('llm_token', { turn_id, text: word, done: false });
    return this.says('llm_token', { turn_id, text: '', done: true });
  }

  get items() {
    return this.state.items;
  }

  get phase() {
    return status(this.state).phase;
  }
}

describe('a spoken turn', () => {
  it('grows the user’s box, makes it solid, and then the agent’s', () => {
    const page = new Page();
    page.says('speech_started', { at_ms: 1 });
    assert.equal(page.phase, 'hearing');
    page.says('partial_transcript', { text: 'what' }).says('partial_transcript', { text: 'what time' });
    assert.deepEqual(
      page.items.map(({ kind, text, solid }) => [kind, text, solid]),
      [['user', 'what time', false]],
    );
    page
      .says('speech_stopped', { at_ms: 2 })
      .says('final_transcript', { text: 'what time is it', id: 'u1', turn_id: 1 });
    assert.deepEqual(
      page.items.map(({ text, solid }) => [text, solid]),
      [['what time is it', true]],
    );
    assert.equal(page.phase, 'thinking');
    page.says('llm_token', { turn_id: 1, text: 'It is ', done: false });
    assert.deepEqual([page.items[1].kind, page.items[1].text, page.items[1].solid], ['agent', 'It is ', false]);
    page.says('llm_token', { turn_id: 1, text: 'noon.', done: true }).told('playing', { busy: true });
    assert.deepEqual([page.items[1].text, page.items[1].solid, page.items[1].outcome], ['It is noon.', true, null]);
    assert.equal(page.phase, 'speaking');
    page.told('playing', { busy: false }).says('tts_complete', { turn_id: 1 });
    assert.deepEqual([page.items[1].outcome, page.items[1].heardTo], ['done', 11]);
    assert.equal(page.phase, 'listening');
  });

  it('refines a final transcript in place', () => {
    const page = new Page()
      .turn()
      .says('final_transcript', { text: 'What time is it?', id: 'u1', revision: 1, turn_id: 1 });
    assert.deepEqual(
      page.items.map(({ text }) => text),
      ['What time is it?', 'It is noon. Anything else?'],
    );
  });

  it('forgets partials that came to nothing', () => {
    const empty = new Page()
      .says('partial_transcript', { text: 'uh' })
      .says('final_transcript', { text: '', id: 'u1', turn_id: 1 });
    assert.deepEqual([empty.items, empty.phase], [[], 'listening']);
    const ignored = new Page()
      .says('partial_transcript', { text: 'uh' })
      .says('decision', { what: 'endpoint', reason: 'silence', values: {} });
    ignored.says('decision', { what: 'ignore', reason: 'the utterance had already ended', values: {} });
    assert.equal(ignored.items.length, 1);
    ignored.says('decision', { what: 'ignore', reason: 'no words in the utterance', values: {} });
    assert.deepEqual(ignored.items, []);
  });

  it('lets words after a stop in mid-speech belong to what was stopped', () => {
    const page = new Page().says('speech_started').says('partial_transcript', { text: 'go forward' });
    page
      .says('decision', { what: 'endpoint', reason: 'stop', values: {} })
      .says('partial_transcript', { text: 'go forward ten' })
      .says('final_transcript', { text: 'go forward ten', id: 'u1', turn_id: 1 });
    assert.deepEqual(
      page.items.map(({ text, solid }) => [text, solid]),
      [['go forward ten', true]],
    );
  });

  it('keeps two utterances apart while the first still awaits its final', () => {
    const page = new Page().says('speech_started').says('partial_transcript', { text: 'one' }).says('speech_stopped');
    page
      .says('decision', { what: 'endpoint', reason: 'silence', values: {} })
      .says('partial_transcript', { text: 'one more' });
    page.says('speech_started').says('partial_transcript', { text: 'two' });
    page.says('final_transcript', { text: 'One more.', id: 'u1' }).says('partial_transcript', { text: 'two three' });
    assert.deepEqual(
      page.items.map(({ text, solid }) => [text, solid]),
      [
        ['One more.', true],
        ['two three', false],
      ],
    );
  });

  it('keeps the partial when the recogniser fails', () => {
    const page = new Page()
      .says('partial_transcript', { text: 'hello' })
      .says('error', { code: 'ASR_FAILED', message: 'it broke', turn_id: 1, recoverable: true });
    assert.deepEqual([page.items[0].solid, page.state.notices[0].text], [true, 'it broke']);
  });
});

describe('what was heard', () => {
  const speaking = () => {
    const page = new Page().turn();
    page.says('phrase', {
      turn_id: 1,
      seq: 1,
      text: 'It is noon. ',
      words: [
        ['It', 0, 100],
        ['is', 120, 200],
        ['noon.', 250, 600],
      ],
    });
    return page.says('phrase', { turn_id: 1, seq: 2, text: 'Anything else?' });
  };
  const heard = (page) => page.items[1].text.slice(0, page.items[1].heardTo);

  it('follows the voice’s word times', () => {
    const page = speaking().told('heard', { turn: 1, seq: 1, ms: 130, ended: false });
    assert.equal(heard(page), 'It is');
    assert.equal(heard(page.told('heard', { turn: 1, seq: 1, ms: 600, ended: true })), 'It is noon.');
  });

  it('goes by characters where there are none, by whole words, and never backwards', () => {
    const page = speaking().told('heard', { turn: 1, seq: 2, ms: 9 * 65, ended: false });
    assert.equal(heard(page), 'It is noon. Anything ');
    page.told('heard', { turn: 1, seq: 2, ms: 10, ended: false });
    assert.equal(heard(page), 'It is noon. Anything ');
  });

  it('takes the server’s word for what was heard at an interruption, and nothing after it', () => {
    const page = speaking().told('heard', { turn: 1, seq: 1, ms: 600, ended: true });
    page.says('interrupted', { turn_id: 1, reason: 'user_speech', heard_text: 'It is' });
    page
      .says('llm_token', { turn_id: 1, text: ' late', done: false })
      .told('heard', { turn: 1, seq: 2, ms: 900, ended: true });
    page.says('metrics', { turn_id: 1, outcome: 'interrupted', interrupted: true });
    const [, agent] = page.items;
    assert.deepEqual(
      [heard(page), agent.outcome, agent.reason, agent.text],
      ['It is', 'interrupted', 'user_speech', 'It is noon. Anything else?'],
    );
  });

  it('shows a stop at once, and keeps what was heard when the server has no account of it', () => {
    const page = speaking().told('heard', { turn: 1, seq: 1, ms: 130, ended: false }).told('stopped');
    assert.deepEqual(
      [page.items[1].outcome, page.items[1].reason, page.phase],
      ['interrupted', 'client_cancel', 'listening'],
    );
    page.says('interrupted', { turn_id: 1, reason: 'client_cancel', heard_text: '' });
    assert.equal(heard(page), 'It is');
  });

  it('shows an announcement, which has phrases only', () => {
    const page = new Page().says('phrase', { turn_id: 1, initiator: 'agent', seq: 1, text: 'Your tea ' });
    page.says('phrase', { turn_id: 1, initiator: 'agent', seq: 2, text: 'is ready.' });
    assert.deepEqual(
      page.items.map(({ kind, text, phrases }) => [kind, text, phrases.map(({ from, to }) => [from, to])]),
      [
        [
          'agent',
          'Your tea is ready.',
          [
            [0, 9],
            [9, 18],
          ],
        ],
      ],
    );
  });

  it('finds phrases whatever the white space, and measures repeated texts', () => {
    assert.deepEqual(locate('One.\n\nTwo three', 4, 'Two three'), { from: 6, to: 15 });
    assert.deepEqual(locate('One two', 3, 'else'), { from: 3, to: 3 });
    assert.equal(heardLength('One  two, three', 'One two,'), 9);
    assert.equal(heardLength('One', 'Two'), 0);
    assert.equal(heardTo([], { seq: 1, ms: 5, ended: false }, 60), 0);
  });
});

describe('holding and interrupting', () => {
  it('says that it is paused, and goes on after a false alarm', () => {
    const page = new Page()
      .turn()
      .told('playing', { busy: true })
      .says('hold', { turn_id: 1, reason: 'speech over the reply' });
    assert.equal(page.phase, 'held');
    page.says('resume', { turn_id: 1, reason: 'no word' });
    assert.equal(page.phase, 'speaking');
  });

  it('shows failures with their reason', () => {
    const page = new Page()
      .turn()
      .says('error', { turn_id: 1, code: 'LLM_FAILED', message: 'the model broke', recoverable: true });
    assert.deepEqual(
      [page.items[1].outcome, page.items[1].reason, page.state.notices[0].level],
      ['failed', 'the model broke', 'warning'],
    );
    page.told('dismissed', { key: page.state.notices[0].key });
    assert.deepEqual(page.state.notices, []);
  });
});

describe('typing', () => {
  it('shows the text at once, and counts from there', () => {
    const page = new Page().told('typed', { text: 'hello' });
    const sent = page.at;
    assert.deepEqual([page.items[0].text, page.items[0].solid, page.phase], ['hello', true, 'thinking']);
    page
      .says('llm_token', { turn_id: 1, text: 'Hi', done: true })
      .told('audio', { turn: 1 })
      .told('sounding', { turn: 1, soundAt: sent + 200 });
    assert.deepEqual([page.state.timings[0].typed, page.state.timings[0].said], [true, 'hello']);
    assert.equal(mouthToEar(page.state.timings[0]), 200);
  });

  it('does not double a typed text that is echoed as a final transcript', () => {
    const page = new Page()
      .told('typed', { text: 'hello' })
      .says('final_transcript', { text: 'hello', id: 't1', turn_id: 1 });
    assert.deepEqual(
      page.items.map(({ text }) => text),
      ['hello'],
    );
  });
});

describe('the connection', () => {
  it('breaks off what ran when a session ends, and frees its turn numbers', () => {
    const page = new Page().turn().told('waiting', { why: 'The connection was lost.', retryAt: 5 });
    assert.deepEqual([page.phase, page.state.why], ['waiting', 'The connection was lost.']);
    page.says('info', { message: 'listening', session_id: 's2', conversation_id: 'c1' });
    assert.deepEqual(
      [page.items[1].outcome, page.items[1].reason, page.phase],
      ['interrupted', 'disconnect', 'listening'],
    );
    page.says('llm_token', { turn_id: 1, text: 'New', done: true });
    assert.deepEqual(page.items.map(({ text }) => text).slice(1), ['It is noon. Anything else?', 'New']);
  });

  it('forgets everything but the ways of talking for a new conversation', () => {
    const page = new Page().told('mode', { mode: 'push_to_talk' }).turn().told('new_conversation');
    assert.deepEqual([page.items, page.state.conversationId, page.state.mode], [[], null, 'push_to_talk']);
  });

  it('puts what was said before at the beginning', () => {
    const page = new Page().turn().told('history', {
      conversationId: 'c1',
      turns: [
        { user: 'a', assistant: 'b', interrupted: true },
        { user: null, assistant: 'c', interrupted: false },
      ],
    });
    assert.deepEqual(page.items.map(({ kind, text, outcome }) => [kind, text, outcome]).slice(0, 3), [
      ['user', 'a', null],
      ['agent', 'b', 'interrupted'],
      ['agent', 'c', 'done'],
    ]);
  });

  it('knows what each close means', () => {
    assert.deepEqual(
      [1000, 1006, 1008, 1001, 1012, 1013, 4001].map((code) => verdict(code, '', null).what),
      ['stop', 'retry', 'stop', 'retry', 'retry', 'retry', 'stop'],
    );
    assert.equal(verdict(1008, 'UNAUTHORIZED', 'UNAUTHORIZED').what, 'key');
    assert.equal(verdict(1008, 'RATE_LIMITED', 'RATE_LIMITED').what, 'retry');
    assert.equal(verdict(1008, 'no such conversation', 'BAD_MESSAGE').what, 'forget');
    assert.ok(verdict(1013, '', null).least > 0);
    assert.match(verdict(1000, 'idle', null).why, /idle/);
  });

  it('waits longer each time, up to a limit, spread out', () => {
    const waits = Array.from({ length: 12 }, (_, attempt) => delay(attempt, 0, 1));
    assert.deepEqual(
      waits,
      waits.toSorted((a, b) => a - b),
    );
    assert.equal(waits.at(-1), 15);
    assert.equal(delay(0, 3, 0), 3.25);
  });
});

describe('latency', () => {
  const metrics = {
    end_of_speech_ms: 1500,
    t2_final_transcript_ms: 2050,
    t3_first_llm_token_ms: 2120,
    t4_first_tts_audio_ms: 2210,
  };

  it('takes the server’s marks from the end of speech', () => {
    assert.deepEqual(serverStretches({ turnId: 1, said: '', typed: false, page: NO_MARKS, metrics }), [
      { mark: 'final', from: 0, ms: 550 },
      { mark: 'token', from: 550, ms: 70 },
      { mark: 'audio', from: 620, ms: 90 },
    ]);
    assert.deepEqual(
      serverStretches({
        turnId: 1,
        typed: true,
        page: NO_MARKS,
        metrics: { t3_first_llm_token_ms: 5, t4_first_tts_audio_ms: 9 },
      }).map(({ ms }) => ms),
      [5, 4],
    );
    assert.deepEqual(serverStretches({ turnId: 1, said: '', typed: false, page: NO_MARKS, metrics: null }), []);
  });

  it('orders marks by time: a reply may be begun before its transcript is final', () => {
    const page = { end: 100, final: 400, token: 300, audio: 450, sound: 500 };
    assert.deepEqual(
      pageStretches({ turnId: 1, said: '', typed: false, page, metrics: null }).map(({ mark, ms }) => [mark, ms]),
      [
        ['token', 200],
        ['final', 100],
        ['audio', 50],
        ['sound', 50],
      ],
    );
  });

  it('collects a turn’s marks in the page, each once', () => {
    const page = new Page()
      .turn()
      .told('audio', { turn: 1 })
      .told('sounding', { turn: 1, soundAt: 5000 })
      .told('sounding', { turn: 1, soundAt: 6000 });
    page.says('metrics', { turn_id: 1, outcome: 'done', ...metrics });
    const [timing] = page.state.timings;
    assert.equal(timing.page.sound, 5000);
    assert.ok(
      timing.page.end < timing.page.final &&
        timing.page.final < timing.page.token &&
        timing.page.token < timing.page.audio,
    );
    assert.equal(timing.metrics.t2_final_transcript_ms, 2050);
  });

  it('counts back from the final where the page has no plausible end of speech', () => {
    assert.equal(completed({ ...NO_MARKS, final: 1000 }, metrics).end, 450);
    assert.equal(completed({ ...NO_MARKS, final: 1000, end: 900 }, metrics).end, 900);
    assert.equal(completed({ ...NO_MARKS, final: null }, metrics).end, null);
  });

  it('does not give an announcement the marks of a pending turn', () => {
    const page = new Page()
      .told('typed', { text: 'hello' })
      .says('llm_token', { turn_id: 1, initiator: 'agent', text: 'Ring', done: true });
    assert.equal(page.state.timings[0].page.end, null);
    page.says('llm_token', { turn_id: 2, text: 'Hi', done: true });
    assert.ok(page.state.timings[1].page.end !== null);
  });
});

describe('log and export', () => {
  it('tells decisions with their values and setting, and hides the stream unless asked', () => {
    const page = new Page().turn().says('decision', {
      what: 'interrupt',
      reason: 'words over the reply',
      values: { words: 2, min_words: 1 },
      setting: 'turns.barge_in_min_words',
    });
    const last = filtered(page.state.log, 'decision', '').at(-1);
    assert.equal(last.text, 'interrupt: words over the reply · words 2, min_words 1 · by turns.barge_in_min_words');
    assert.ok(filtered(page.state.log, 'main', '').every(({ what }) => what !== 'llm_token'));
    assert.ok(filtered(page.state.log, 'all', 'llm_token').length > 3);
    assert.deepEqual(filtered(page.state.log, 'all', 'no such thing'), []);
  });

  it('does not keep audio, and keeps a bounded number', () => {
    const page = new Page().says('tts_chunk', { turn_id: 1, seq: 1, audio_b64: 'AAAA', mime: 'audio/wav' });
    assert.equal('audio_b64' in page.state.log.at(-1).detail, false);
    for (let i = 0; i < 2100; i++) page.told('heard', { turn: 1, seq: 1, ms: i, ended: false });
    assert.equal(page.state.log.length, 2000);
  });

  it('exports what was said and heard', () => {
    const page = new Page()
      .turn()
      .says('phrase', { turn_id: 1, seq: 1, text: 'It is noon. ' })
      .says('interrupted', { turn_id: 1, reason: 'user_speech', heard_text: 'It is' });
    const text = asText(page.state, (at) => new Date(at));
    assert.match(text, /You: what time is it\n/);
    assert.match(text, /Agent: It is noon. Anything else\? \[interrupted: you spoke; heard: "It is"\]/);
    const { conversation_id, items } = JSON.parse(asJson(page.state, (at) => new Date(at)));
    assert.equal(conversation_id, 'c1');
    assert.deepEqual(
      items.map(({ role, heard, reason }) => [role, heard, reason]),
      [
        ['user', undefined, undefined],
        ['assistant', 'It is', 'user_speech'],
      ],
    );
  });
});
