// Ask a running server one thing, and watch the answer grow: text and speech.
//
//     npm install      (once, in this folder)
//     node test_streaming.js "Hello, how are you?" [en_US] [CONVERSATION] [--url ws://HOST:PORT/ws/chat/stream] [--save answer.wav]
//
// docs/protocol.md describes every message. Exit code 1 on an error.
"use strict";

const { writeFileSync } = require("node:fs");
const { parseArgs } = require("node:util");
const WebSocket = require("ws");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    url: { type: "string", default: process.env.CHAT_URL ?? "ws://127.0.0.1:8000/ws/chat/stream" },
    save: { type: "string" },
  },
});
const [message, language = "en_US", conversation_id = ""] = positionals;
if (message === undefined) {
  console.error('usage: node test_streaming.js "Hello, how are you?" [en_US] [CONVERSATION] [--url URL] [--save FILE]');
  process.exit(2);
}

const began = performance.now();
const key = process.env.VIVAVOCE_API_KEY;
const headers = key ? { Authorization: `Bearer ${key}` } : {};
const query = new URLSearchParams({ message, language, conversation_id });
const server = new WebSocket(`${values.url}?${query}`, { headers, perMessageDeflate: false });
const ms = (value) => `${(value ?? 0).toFixed(1).padStart(7)} ms`;
let firstToken, firstAudio, tokens = 0, sound = [];
process.exitCode = 1; // until the answer is complete

server.on("message", (frame) => {
  const event = JSON.parse(frame);
  const now = performance.now() - began;
  if (event.type === "token") {
    firstToken ??= now;
    tokens += 1;
    process.stdout.write(event.token);
  } else if (event.type === "audio_chunk") { // each one is a complete WAV: a player queues it here
    firstAudio ??= now;
    sound.push(Buffer.from(event.audio, "base64"));
  } else if (event.type === "error") {
    console.error(`error ${event.code}: ${event.error}`);
  } else if (event.type === "status" && event.status === "complete") {
    const rate = tokens && now > firstToken ? tokens / ((now - firstToken) / 1000) : 0;
    console.log(`\n\ntime to first token  ${ms(firstToken)}`);
    console.log(`tokens               ${String(tokens).padStart(7)} (${rate.toFixed(1)} tokens/s)`);
    console.log(`first audio          ${ms(firstAudio)} (${sound.length} chunks)`);
    console.log(`total                ${ms(now)}`);
    if (values.save && sound.length) writeFileSync(values.save, joined(sound));
    process.exitCode = 0;
  }
});
server.on("error", (error) => console.error(`${values.url}: ${error.message}`));
server.on("close", (code) => process.exitCode && console.error(`closed with ${code}`));

// One WAV of several: a header of 44 bytes with two lengths in it, then the samples.
function joined(chunks) {
  const samples = Buffer.concat(chunks.map((chunk) => chunk.subarray(44)));
  const header = Buffer.from(chunks[0].subarray(0, 44));
  header.writeUInt32LE(36 + samples.length, 4);
  header.writeUInt32LE(samples.length, 40);
  return Buffer.concat([header, samples]);
}
