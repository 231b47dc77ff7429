# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The form of requests and answers of /v1, as checked on arrival and as documented in OpenAPI."""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.json_schema import SkipJsonSchema

from roborefer_vlm.server.errors import ErrorCode
from roborefer_vlm.server.settings import SHORTEST_DEADLINE_S
from roborefer_vlm.types import (
    LONGEST_TEXT,
    MOST_SAMPLES,
    Outcome,
    PerceptionType,
    TargetKind,
)

LONGEST_NAME = 200
MOST_ATTRIBUTES = 32
LONGEST_SIDE = 16_384
REQUEST_ID = r"^[A-Za-z0-9._-]{1,64}$"
# What steers a chat model or stands for a picture; nobody describes a place with it.
_CONTROL = re.compile(r"<\|[^|<>]*\|>|<(?:image|depth|vila/[a-z]+)>|\[(?:BOS|PAD)\]")


def _decode_base64(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError(f"base64 in a string is needed, not {type(value).__name__}")
    if value.startswith("data:"):
        raise ValueError("bare base64 is needed, without a 'data:' prefix")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"not base64: {error}") from None


def _plain_words(text: str) -> str:
    if found := _CONTROL.search(text):
        raise ValueError(f"'{found[0][:40]}' is a token of the model; use plain words")
    if any(unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n\r" for c in text):
        raise ValueError("it holds control characters or halves of surrogate pairs")
    if not text.strip():
        raise ValueError("it is empty; say what to point at")
    return text


def _encoded(what: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "contentEncoding": "base64", "minLength": 4, "description": what}
    )


Words = Annotated[str, AfterValidator(_plain_words)]
Name = Annotated[Words, Field(min_length=1, max_length=LONGEST_NAME)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Png = Annotated[bytes, BeforeValidator(_decode_base64), _encoded("A PNG, base64.")]
Picture = Annotated[
    bytes, BeforeValidator(_decode_base64), _encoded("A PNG, JPEG or WebP picture, base64.")
]
DepthMap = Annotated[
    bytes,
    BeforeValidator(_decode_base64),
    _encoded("16-bit grey PNG, float32 TIFF or .npy (metric), or 8-bit grey PNG (relative)."),
]


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class IntrinsicsIn(_Part):
    """Pinhole camera without distortion; cx and cy count from the centre of the first pixel."""

    width: Side
    height: Side
    fx: Annotated[Real, Field(gt=0)]
    fy: Annotated[Real, Field(gt=0)]
    cx: Real
    cy: Real


class DepthIn(_Part):
    """Depth registered to the image."""

    data: DepthMap
    kind: Literal["metric", "relative"] = Field(
        "metric", description="metric: along the optical z axis; relative: 8 bit, bright is near."
    )
    scale_m: Annotated[Real, Field(gt=0, le=1)] = Field(
        0.001, description="Metres per unit of a 16-bit PNG; floats are metres."
    )


class RunLengthsIn(_Part):
    """A mask as run lengths, column by column, first those outside (COCO, uncompressed)."""

    counts: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=100_000)]


class ObjectIn(_Part):
    """A thing that was found already; exactly one of mask, box and rle says where."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": [key]} for key in ("mask", "box", "rle")]}
    )

    name: Name
    attributes: Annotated[list[Name], Field(max_length=MOST_ATTRIBUTES)] = []
    mask: Png | SkipJsonSchema[None] = Field(
        None, description="PNG of the image's size; pixels above 0 belong to it."
    )
    box: Annotated[list[Real], Field(min_length=4, max_length=4)] | SkipJsonSchema[None] = Field(
        None, description="u_min, v_min, u_max, v_max in pixels; the corners belong to it."
    )
    rle: RunLengthsIn | SkipJsonSchema[None] = None

    @model_validator(mode="before")
    @classmethod
    def _one_place(cls, given: object) -> object:
        if isinstance(given, dict):
            places = [key for key in ("mask", "box", "rle") if key in given]
            if len(places) != 1 or given[places[0]] is None:
                raise ValueError(f"exactly one of mask, box and rle is needed, not {places}")
        return given


class InstancesIn(_Part):
    """Things that were found already, in one label picture."""

    data: Png
    names: Annotated[list[Name], Field(min_length=1, max_length=65535)] = Field(
        description="Name of label 1, of label 2, and so on; label 0 is no thing."
    )


class ReferIn(_Part):
    """A question about one view."""

    image: Picture
    text: Annotated[Words, Field(min_length=1, max_length=LONGEST_TEXT)] = Field(
        description="The sentence; no tokens of a model, no control characters."
    )
    depth: DepthIn | None = None
    intrinsics: IntrinsicsIn | None = None
    up: Annotated[list[Real], Field(min_length=3, max_length=3)] | None = Field(
        None, description="Unit vector against gravity in the optical frame."
    )
    objects: list[ObjectIn] = []
    instances: InstancesIn | None = None
    kind: Annotated[TargetKind, Field(strict=False)] = TargetKind.UNKNOWN
    samples: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 1
    temperature: Annotated[Real, Field(gt=0, le=2)] = 0.7
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    max_new_tokens: Annotated[int, Field(ge=1, le=8192)] = 512
    deadline_s: Annotated[Real, Field(ge=SHORTEST_DEADLINE_S)] | None = Field(
        None, description="Time for the answer from arrival, waiting included."
    )
    stream: bool = False
    request_id: Annotated[str, Field(pattern=REQUEST_ID)] | None = None


class PixelOut(BaseModel):
    """A place in the image: u, v in pixels from the centre of the first one; x, y from 0 to 1."""

    u: float
    v: float
    x: float
    y: float


class PointOut(PixelOut):
    """A place that the words may mean."""

    confidence: float
    label: str
    reason: str


class StepOut(BaseModel):
    """One step of the way to an answer."""

    text: str
    perception: PerceptionType
    target: str
    pixel: PixelOut | None
    direction: Annotated[list[float], Field(min_length=3, max_length=3)] | None
    size_m: float | None


class LatencyOut(BaseModel):
    """Where the time went, in seconds."""

    queue_s: float
    preprocess_s: float
    encode_s: float
    prefill_s: float
    decode_s: float
    postprocess_s: float
    total_s: float
    new_tokens: int


class SizeOut(BaseModel):
    """Size of the image that pixels count in."""

    width: int
    height: int


class ReferOut(BaseModel):
    """What the engine makes of a query."""

    request_id: str
    outcome: Outcome
    kind: TargetKind
    confidence: float
    points: list[PointOut]
    candidates: list[PointOut]
    samples: list[list[PointOut]]
    reasoning: list[StepOut]
    text: str
    engine: str
    image: SizeOut
    latency: LatencyOut


class EngineOut(BaseModel):
    """What answers."""

    name: str
    model: str
    device: str
    uses_depth: bool
    needs_depth: bool
    max_batch: int


class ModelOut(BaseModel):
    """The engine and what may be asked of it."""

    engine: EngineOut
    version: str
    limits: dict[str, float]


class HealthOut(BaseModel):
    """Sign of life."""

    status: Literal["ok"]


class ReadyOut(BaseModel):
    """Queries are answered."""

    state: Literal["ready"]


class ErrorDetails(BaseModel):
    """What went wrong."""

    code: ErrorCode
    message: str
    field: str | SkipJsonSchema[None] = Field(
        None, description="Dotted path of the field that is to blame."
    )


class ErrorOut(BaseModel):
    """The answer to everything that went wrong."""

    error: ErrorDetails
    request_id: str


def request_schemas() -> dict[str, Any]:
    """Return the JSON schemas of requests, for the components of an OpenAPI document."""
    schema = ReferIn.model_json_schema(ref_template="#/components/schemas/{model}")
    parts: dict[str, Any] = schema.pop("$defs")
    return {**parts, "ReferIn": schema}
