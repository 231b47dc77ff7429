// SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
// SPDX-License-Identifier: Apache-2.0
// The picture: live or as it was referred to, marks on top, clicks that answer or correct.
"use strict";

const LIVE = 0;
const REFERRED = 1;
const jpegs = {};
let shown = LIVE;
let correcting = false;

function choose(kind) {
  shown = kind;
  at("live").classList.toggle("on", kind === LIVE);
  at("referred").classList.toggle("on", kind === REFERRED);
  paint();
}

async function paint() {
  const jpeg = jpegs[shown];
  at("no-picture").hidden = jpeg !== undefined;
  if (jpeg === undefined) return;
  const picture = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  const canvas = at("canvas");
  if (canvas.width !== picture.width || canvas.height !== picture.height) {
    canvas.width = picture.width;
    canvas.height = picture.height;
    at("marks").setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
  }
  canvas.getContext("2d").drawImage(picture, 0, 0);
  canvas.dataset.pictures = Number(canvas.dataset.pictures || 0) + 1;
  picture.close();
}

function drawn(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  if (text) made.textContent = text;
  return made;
}

function mark() {
  // The picture of the referrer has its marks in it already.
  const marks = shown === LIVE ? board.marks || [] : [];
  const parts = [];
  for (const { u, v, kind, text } of marks) {
    const color = { target: "#ff2d78", candidate: "#ffb000", step: "#35c2ff",
      other: "#8fd14f" }[kind];
    const [x, y] = [u + 0.5, v + 0.5];
    if (kind === "step") {
      parts.push(drawn("circle", { cx: x, cy: y, r: 5, fill: color, stroke: "#fff" }));
    } else {
      parts.push(drawn("circle", { cx: x, cy: y, r: 15, fill: "none", stroke: color,
        "stroke-width": 4 }));
      parts.push(drawn("circle", { cx: x, cy: y, r: 3, fill: color }));
    }
    const right = x > at("canvas").width * 0.7;
    if (text) {
      parts.push(drawn("text", { x: right ? x - 18 : x + 18, y: y - 12,
        "text-anchor": right ? "end" : "start" }, text));
    }
  }
  at("marks").replaceChildren(...parts);
}

function waiting() {
  // A click means something only when it was asked for.
  if (correcting) return "correct";
  const question = board.task && board.task.question;
  return question && question.click ? "answer" : "";
}

function hint() {
  const what = waiting();
  at("picture").classList.toggle("choosing", what !== "");
  at("correct").classList.toggle("on", correcting);
  at("correct").disabled = !board.reference || !board.reference.id;
  at("hint").textContent = { correct: "Click what was meant; it is saved as a training sample.",
    answer: "Click on the one that is meant.", "": "" }[what];
}

at("picture").onclick = (event) => {
  const what = waiting();
  const canvas = at("canvas");
  const box = canvas.getBoundingClientRect();
  // The centre of the top left pixel is (0, 0).
  const u = (event.clientX - box.left) / box.width * canvas.width - 0.5;
  const v = (event.clientY - box.top) / box.height * canvas.height - 0.5;
  if (what === "answer") reply({ answer: "pixel", u, v });
  if (what === "correct") {
    correcting = false;
    order({ do: "correct", reference: board.reference.id, in_image: true, u, v });
  }
  hint();
};
at("correct").onclick = () => {
  correcting = !correcting;
  hint();
};
at("live").onclick = () => { choose(LIVE); mark(); };
at("referred").onclick = () => { choose(REFERRED); mark(); };

listeners.picture.push((bytes) => {
  jpegs[bytes[0]] = bytes.subarray(1);
  if (bytes[0] === shown) paint();
});
listeners.show.push((changed) => {
  if ("marks" in changed) mark();
  if ("camera" in changed) at("camera").textContent = board.camera;
  if ("task" in changed || "reference" in changed) hint();
});
