// SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
// SPDX-License-Identifier: Apache-2.0
// The connection, and everything but picture and microphone. What comes from the robot is text
// and is only ever shown as text.
"use strict";

const at = (id) => document.getElementById(id);
const board = {};
const listeners = { picture: [], show: [] };
let link = null;
let number = 0;

function element(kind, text, name) {
  const made = document.createElement(kind);
  if (text) made.textContent = text;
  if (name) made.className = name;
  return made;
}

let forgetting = null;

function say(text, good = true) {
  clearTimeout(forgetting);
  if (good) forgetting = setTimeout(() => say("", false), 8000);
  at("said").textContent = text;
  at("said").className = good ? "" : "bad";
}

function order(fields) {
  if (link === null || link.readyState !== WebSocket.OPEN) {
    say("Not connected: nothing was sent. Use the stop on the robot itself.", false);
    return false;
  }
  number = (number + 1) % 65536;
  link.send(JSON.stringify({ id: number, ...fields }));
  return true;
}

function connect() {
  link = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/link`);
  link.binaryType = "arraybuffer";
  link.onopen = () => {
    say("");
    at("connection").textContent = "connected";
    at("connection").className = "chip good";
  };
  link.onclose = () => {
    at("connection").textContent = "not connected";
    at("connection").className = "chip bad";
    setTimeout(connect, 1000);
  };
  link.onmessage = (event) => {
    if (event.data instanceof ArrayBuffer) {
      listeners.picture.forEach((listen) => listen(new Uint8Array(event.data)));
      return;
    }
    const message = JSON.parse(event.data);
    if (message.reply) say(message.reply.said, message.reply.done);
    if (message.show) {
      Object.assign(board, message.show);
      draw(message.show);
      listeners.show.forEach((listen) => listen(message.show));
    }
  };
}

function fill(list, items, make) {
  at(list).replaceChildren(...items.map(make));
}

function draw(changed) {
  if ("stop" in changed) {
    at("stop").classList.toggle("set", board.stop === true);
    at("release").hidden = board.stop !== true;
  }
  if ("robot" in changed) {
    at("robot").textContent = board.robot.text;
    at("robot").className = `chip ${board.robot.good ? "good" : "bad"}`;
  }
  if ("heard" in changed) at("heard").textContent = board.heard;
  if ("nodes" in changed) {
    fill("nodes", board.nodes, (node) => {
      const item = element("li", "", node.level);
      item.append(element("b", node.name), ` ${node.text}`);
      return item;
    });
  }
  if ("tasks" in changed) {
    fill("tasks", board.tasks, (task) => {
      const item = element("li", "", task.look);
      item.append(element("b", task.state), ` ${task.instruction} `);
      item.append(element("small", `${task.done}/${task.steps.length} ${task.error}`));
      return item;
    });
  }
  if ("task" in changed) drawTask(board.task);
  if ("reference" in changed) {
    const found = board.reference;
    at("reference").textContent = found === null ? "" : found.text;
    fill("reasoning", found === null ? [] : found.reasoning, (text) => element("li", text));
  }
}

function drawTask(task) {
  at("cancel").hidden = task === null || task.ended;
  at("task").textContent = task === null ? "none yet" :
    `“${task.instruction}” · ${task.state}: ${task.message || task.error}`;
  fill("steps", task === null ? [] : task.steps, (step) => {
    const item = element("li", "", step.look);
    item.append(element("b", step.words), ` ${step.state} `, element("small", step.more));
    return item;
  });
  drawQuestion(task === null ? null : task.question);
}

function drawQuestion(question) {
  at("question").hidden = question === null;
  if (question === null) return;
  at("question-text").textContent = question.text;
  const answer = (text, fields) => {
    const button = element("button", text);
    button.dataset.answer = fields.answer;
    button.onclick = () => reply(fields);
    return button;
  };
  const buttons = question.candidates.map((found) => answer(
    `${found.number} ${found.label}`, { answer: "candidate", candidate: found.number }));
  if (question.yes) buttons.push(answer(question.yes, { answer: "yes" }));
  buttons.push(answer(question.no, { answer: "no" }));
  at("answers").replaceChildren(...buttons);
}

function reply(fields) {
  const task = board.task;
  if (task && task.question) {
    order({ do: "answer", task: task.id, question: task.question.id, ...fields });
  }
}

at("stop").onclick = () => order({ do: "stop", on: true });
at("release").onclick = () => order({ do: "stop", on: false });
at("cancel").onclick = () => order({ do: "cancel", task: board.task ? board.task.id : "" });
at("say").onsubmit = (event) => {
  event.preventDefault();
  const sent = order(
    { do: "instruct", text: at("sentence").value, confirm: at("confirm").checked });
  if (sent) at("sentence").value = "";
};
at("answer-words").onsubmit = (event) => {
  event.preventDefault();
  if (at("words").value.trim()) reply({ answer: "words", text: at("words").value });
  at("words").value = "";
};
at("sentence").onkeydown = (event) => {
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    at("say").requestSubmit();
  }
};
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") order({ do: "stop", on: true });
});
connect();
