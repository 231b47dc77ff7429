// SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
// SPDX-License-Identifier: Apache-2.0
// Hands on what the microphone gives, in the thread of the browser's sound.
"use strict";

class Recorder extends AudioWorkletProcessor {
  process(inputs) {
    if (inputs[0].length > 0) this.port.postMessage(inputs[0][0].slice());
    return true;
  }
}

registerProcessor("recorder", Recorder);
