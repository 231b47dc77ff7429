// SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
// SPDX-License-Identifier: Apache-2.0
// Push to talk: sound of the browser as 16-bit samples, 16000 a second, while the button is held.
"use strict";

const RATE = 16000;
const PIECE = 3200;
let talk = null;

function sendSound(samples, last) {
  if (link === null || link.readyState !== WebSocket.OPEN) return;
  const bytes = new Uint8Array(1 + 2 * samples.length);
  bytes[0] = last ? 1 : 0;
  const view = new DataView(bytes.buffer);
  samples.forEach((value, i) => {
    const level = Math.max(-1, Math.min(1, value));
    view.setInt16(1 + 2 * i, Math.round(level * 32767), true);
  });
  link.send(bytes);
}

async function begin() {
  if (talk !== null) return;
  const mine = { kept: [], held: true };
  talk = mine;
  at("talk").classList.add("on");
  try {
    mine.stream = await navigator.mediaDevices.getUserMedia(
      { audio: { channelCount: 1, echoCancellation: false } });
    // The browser converts whatever the microphone gives to this rate.
    mine.context = new AudioContext({ sampleRate: RATE });
    await mine.context.audioWorklet.addModule("/recorder.js");
    const source = mine.context.createMediaStreamSource(mine.stream);
    const recorder = new AudioWorkletNode(mine.context, "recorder", { numberOfOutputs: 0 });
    recorder.port.onmessage = (event) => {
      mine.kept.push(...event.data);
      while (mine.held && mine.kept.length >= PIECE) sendSound(mine.kept.splice(0, PIECE), false);
    };
    source.connect(recorder);
  } catch (error) {
    say(`No microphone: ${error.message}`, false);
    mine.failed = true;
  }
  if (!mine.held || mine.failed) finish(mine);
}

function finish(mine) {
  if (mine.finished) return;
  mine.finished = true;
  if (mine.stream) {
    if (!mine.failed) {
      while (mine.kept.length > PIECE) sendSound(mine.kept.splice(0, PIECE), false);
      sendSound(mine.kept, true);
    }
    mine.stream.getTracks().forEach((track) => track.stop());
  }
  if (mine.context) mine.context.close();
  if (talk === mine) talk = null;
  at("talk").classList.remove("on");
}

function end() {
  if (talk === null || !talk.held) return;
  talk.held = false;
  if (talk.context || talk.failed) finish(talk);
}

at("talk").onpointerdown = (event) => {
  at("talk").setPointerCapture(event.pointerId);
  begin();
};
at("talk").onpointerup = end;
at("talk").onpointercancel = end;
