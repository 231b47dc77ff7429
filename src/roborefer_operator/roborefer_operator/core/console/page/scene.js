// SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
// SPDX-License-Identifier: Apache-2.0
// The 3D view, which shares its thread with the stop button and must leave it time.
"use strict";

function drawsSlowly() {
  const drawing = document.createElement("canvas").getContext("webgl");
  if (drawing === null) return true;
  const names = drawing.getExtension("WEBGL_debug_renderer_info");
  const name = names === null ? "" : drawing.getParameter(names.UNMASKED_RENDERER_WEBGL);
  return /swiftshader|llvmpipe|software/i.test(name);
}

function showScene() {
  at("no-scene").hidden = true;
  at("scene").src = "/scene/";
}

at("scene").onload = () => {
  // Panel and notices of the 3D view are in the way here; /scene/ by itself has them.
  const style = element("style",
    ".mantine-Paper-root, .mantine-Notifications-root { display: none !important; }");
  at("scene").contentDocument.head.append(style);
};
at("show-scene").onclick = showScene;
if (drawsSlowly()) at("no-scene").hidden = false;
else showScene();
