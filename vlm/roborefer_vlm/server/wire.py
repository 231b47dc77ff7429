# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Queries and answers as JSON: plain functions that server and client share.

The server checks requests with the models of `schema`; this module needs neither them nor
FastAPI, so that a client stays small. A query travels without loss: the image as PNG, metric
depth as float32 .npy, relative depth and masks as PNG.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from roborefer_vlm.backends.base import EngineInfo
from roborefer_vlm.exceptions import EngineError
from roborefer_vlm.types import (
    Answer,
    LatencySplit,
    Outcome,
    PerceptionType,
    Pixel,
    Query,
    ReasoningStep,
    ReferredPoint,
    TargetKind,
)

Json = dict[str, Any]


def query_to_json(query: Query, *, deadline_s: float | None, stream: bool = False) -> Json:
    """Return the body of `POST /v1/refer` for this query."""
    body: Json = {
        "image": _base64(_png(query.image)),
        "text": query.text,
        "kind": query.kind.value,
        "samples": query.sampling.samples,
        "temperature": query.sampling.temperature,
        "seed": query.sampling.seed,
        "max_new_tokens": query.max_new_tokens,
        "stream": stream,
    }
    if deadline_s is not None:
        body["deadline_s"] = deadline_s
    if query.depth_m is not None:
        stored = BytesIO()
        np.save(stored, query.depth_m, allow_pickle=False)
        body["depth"] = {"data": _base64(stored.getvalue()), "kind": "metric"}
    if query.relative_depth is not None:
        body["depth"] = {"data": _base64(_png(query.relative_depth)), "kind": "relative"}
    if query.intrinsics is not None:
        k = query.intrinsics
        body["intrinsics"] = {
            **{"width": k.width, "height": k.height},
            **{"fx": k.fx, "fy": k.fy, "cx": k.cx, "cy": k.cy},
        }
    if query.up is not None:
        body["up"] = list(query.up)
    if query.objects:
        body["objects"] = [
            {
                "name": given.name,
                "attributes": list(given.attributes),
                "mask": _base64(_png(given.mask)),
            }
            for given in query.objects
        ]
    return body


def answer_to_json(answer: Answer, *, request_id: str, width: int, height: int) -> Json:
    """Return the body of an answer about an image of this size."""
    size = (width, height)
    return {
        "request_id": request_id,
        "outcome": answer.outcome.value,
        "kind": answer.kind.value,
        "confidence": answer.confidence,
        "points": [_point_to_json(point, *size) for point in answer.points],
        "candidates": [_point_to_json(point, *size) for point in answer.candidates],
        "samples": [[_point_to_json(p, *size) for p in sample] for sample in answer.samples],
        "reasoning": [_step_to_json(step, *size) for step in answer.reasoning],
        "text": answer.text,
        "engine": answer.engine,
        "image": {"width": width, "height": height},
        "latency": asdict(answer.latency),
    }


def answer_from_json(body: object) -> Answer:
    """Return the answer that a server sent.

    Raises:
        EngineError: It is not an answer of this protocol.
    """
    try:
        if not isinstance(body, Mapping):
            raise TypeError(f"{type(body).__name__} instead of an object")
        return Answer(
            outcome=Outcome(body["outcome"]),
            points=tuple(map(_point_from_json, body["points"])),
            kind=TargetKind(body["kind"]),
            confidence=float(body["confidence"]),
            reasoning=tuple(map(_step_from_json, body["reasoning"])),
            candidates=tuple(map(_point_from_json, body["candidates"])),
            text=str(body["text"]),
            samples=tuple(tuple(map(_point_from_json, sample)) for sample in body["samples"]),
            engine=str(body["engine"]),
            latency=LatencySplit(**body["latency"]),
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise EngineError(f"the server's answer does not follow the protocol: {error}") from error


def info_from_json(body: object) -> EngineInfo:
    """Return what `GET /v1/model` says about the engine.

    Raises:
        EngineError: It is not an answer of this protocol.
    """
    try:
        if not isinstance(body, Mapping):
            raise TypeError(f"{type(body).__name__} instead of an object")
        return EngineInfo(**body["engine"])
    except (KeyError, TypeError, ValueError) as error:
        raise EngineError(
            f"the server's model info does not follow the protocol: {error}"
        ) from error


def _pixel_to_json(pixel: Pixel, width: int, height: int) -> Json:
    x, y = pixel.normalised(width, height)
    return {"u": pixel.u, "v": pixel.v, "x": x, "y": y}


def _point_to_json(point: ReferredPoint, width: int, height: int) -> Json:
    return {
        **_pixel_to_json(point.pixel, width, height),
        "confidence": point.confidence,
        "label": point.label,
        "reason": point.reason,
    }


def _point_from_json(body: Json) -> ReferredPoint:
    return ReferredPoint(
        pixel=Pixel(float(body["u"]), float(body["v"])),
        confidence=float(body["confidence"]),
        label=str(body["label"]),
        reason=str(body["reason"]),
    )


def _step_to_json(step: ReasoningStep, width: int, height: int) -> Json:
    return {
        "text": step.text,
        "perception": step.perception.value,
        "target": step.target,
        "pixel": None if step.pixel is None else _pixel_to_json(step.pixel, width, height),
        "direction": None if step.direction is None else list(step.direction),
        "size_m": step.size_m,
    }


def _step_from_json(body: Json) -> ReasoningStep:
    pixel, direction, size_m = body["pixel"], body["direction"], body["size_m"]
    x, y, z = direction or (0.0, 0.0, 0.0)
    return ReasoningStep(
        text=str(body["text"]),
        perception=PerceptionType(body["perception"]),
        target=str(body["target"]),
        pixel=None if pixel is None else Pixel(float(pixel["u"]), float(pixel["v"])),
        direction=None if direction is None else (float(x), float(y), float(z)),
        size_m=None if size_m is None else float(size_m),
    )


def _png(pixels: np.ndarray[Any, np.dtype[Any]]) -> bytes:
    stored = BytesIO()
    # Speed matters more than size between two processes of one machine.
    Image.fromarray(pixels).save(stored, "PNG", compress_level=1)
    return stored.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
