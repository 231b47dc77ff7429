# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the referrer's parameters; declaration, checks and documents come from it.

Type `python3 -m roborefer_perception.core.parameters` to print config/referrer.yaml, with `table`
behind it to print the table of the README.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from roborefer_common.core.parameters import Row, Value, check, readme_table, sample_yaml
from roborefer_common.exceptions import ParameterError

from roborefer_perception.core.agreement import AgreementSettings
from roborefer_perception.core.following import FollowSettings
from roborefer_perception.core.frames import COLOR_TRANSPORTS, DEPTH_TRANSPORTS, StoreSettings
from roborefer_perception.core.model_client import ModelSettings
from roborefer_perception.core.noise import DepthNoise
from roborefer_perception.core.place import Calibration, LocateSettings
from roborefer_perception.core.pursuit import FollowingSettings
from roborefer_perception.core.query import QuerySettings, Workspace
from roborefer_perception.core.questions import MOST_SAMPLES, PictureFormat
from roborefer_perception.core.segment import SegmentSettings

Part = TypeVar("Part")

_STORE, _MODEL, _QUERY = StoreSettings(), ModelSettings(), QuerySettings()
_NOISE, _LOCATE, _SEGMENT = DepthNoise(), LocateSettings(), SegmentSettings()
_AGREE, _FOLLOWING = AgreementSettings(), FollowingSettings()
_FOLLOW = _FOLLOWING.follow

TABLE = (
    Row("camera.color_transport", "raw", "How colour comes.", choices=tuple(COLOR_TRANSPORTS)),
    Row("camera.depth_transport", "raw", "How depth comes.", choices=tuple(DEPTH_TRANSPORTS)),
    Row(
        "camera.position_sigma_m", 0.002,
        "Standard deviation of the calibrated position of the camera, metres.", 0.0, 0.1,
    ),
    Row(
        "camera.angle_sigma_rad", 0.002,
        "Standard deviation of the calibrated rotation of the camera, radians.", 0.0, 0.1,
    ),
    Row(
        "sync.max_skew_s", _STORE.max_skew_s,
        "Colour and depth whose stamps differ by more are not paired.", 0.0, 1.0,
    ),
    Row("sync.future_s", _STORE.future_s, "Images later than now by more are refused.", 0.0, 5.0),
    Row("sync.keep_frames", _STORE.keep_frames, "Most images kept.", 1, 300),
    Row("sync.keep_s", _STORE.keep_s, "Images older than the newest by more go.", 0.0, 60.0),
    Row("tf.cache_s", 10.0, "How long transforms are kept.", 1.0, 60.0),
    Row(
        "tf.gravity_frame", "base_link",
        "Frame whose z axis points up, for the server; empty, or not known: it finds out itself.",
    ),
    Row("model.url", _MODEL.url, "Address of the referring server."),
    Row("model.token_file", "", "File that holds its token and nothing else; empty: none."),
    Row(
        "model.picture", str(_MODEL.picture),
        "How pictures travel: jpeg of quality 95, or png without loss, which is larger.",
        choices=tuple(PictureFormat),
    ),
    Row("model.send_depth", True, "Whether the server gets depth and intrinsics, too."),
    Row("model.connect_timeout_s", _MODEL.connect_timeout_s, "For one connection.", 0.1, 60.0),
    Row("model.retries", _MODEL.retries, "Most repetitions of one question.", 0, 20),
    Row(
        "model.first_pause_s", _MODEL.first_pause_s,
        "Mean pause before the first repetition; each further one is twice as long.", 0.01, 10.0,
    ),
    Row("model.longest_pause_s", _MODEL.longest_pause_s, "The longest of these.", 0.01, 60.0),
    Row(
        "model.breaker_failures", _MODEL.breaker_failures,
        "After so many failures in a row the server is left alone.", 1, 100,
    ),
    Row("model.breaker_pause_s", _MODEL.breaker_pause_s, "For so long.", 0.1, 600.0),
    Row("query.target_frame", _QUERY.target_frame, "Frame of the resulting poses."),
    Row("query.max_image_age_s", _QUERY.max_image_age_s, "Older images are stale.", 0.01, 60.0),
    Row("query.wait_s", _QUERY.wait_s, "Longest wait for an image and its transform.", 0.0, 60.0),
    Row("query.deadline_s", _QUERY.deadline_s, "Longest query.", 0.1, 600.0),
    Row("query.samples", _QUERY.samples, "Answers that the model gives.", 1, MOST_SAMPLES),
    Row(
        "query.most_samples", _QUERY.most_samples, "A goal may not ask for more.", 1, MOST_SAMPLES
    ),
    Row("query.most_at_once", 2, "Queries at once; more are refused as busy.", 1, 4),
    Row(
        "locate.pixel_sigma", 2.0, "Standard deviation of the model's u and v, pixels.", 0.0, 50.0
    ),
    Row(
        "locate.snap_px", _LOCATE.snap_px,
        "How far a pixel may be moved onto the thing it just missed, pixels.", 0.0, 50.0,
    ),
    Row(
        "locate.bridge_px", _LOCATE.bridge_px,
        "How far away the readings may be that stand for a hole, pixels.", 0, 50,
    ),
    Row("locate.fit_m", _LOCATE.fit_m, "Radius of the fitted surface, metres.", 0.001, 0.1),
    Row(
        "locate.worst_sigma_m", _LOCATE.worst_sigma_m,
        "Depth that is known less surely is refused, metres.", 0.001, 1.0,
    ),
    Row(
        "locate.level_m", _LOCATE.level_m, "Free space needs so much plane, metres.", 0.005, 0.5
    ),
    Row(
        "locate.rise_m", _SEGMENT.rise_m,
        "What rises less above the support belongs to it, metres.", 0.0005, 0.1,
    ),
    Row(
        "locate.noise_baseline_m", _NOISE.baseline_m,
        "Distance of the two imagers of the depth camera, metres.", 0.005, 1.0,
    ),
    Row(
        "locate.noise_disparity_px", _NOISE.disparity_px,
        "Standard deviation of its disparity, pixels.", 0.001, 5.0,
    ),
    Row("confidence.least", _QUERY.min_confidence, "Less is refused.", 0.0, 1.0),
    Row(
        "confidence.same_place_m", _AGREE.same_place_m,
        "Samples this near to each other mean the same place, metres.", 0.001, 1.0,
    ),
    Row(
        "confidence.spread_m", _AGREE.spread_m,
        "Samples of this spread have half the confidence, metres.", 0.001, 1.0,
    ),
    Row(
        "confidence.rival", _AGREE.rival,
        "A second place with more than this share of the votes of the best makes the answer"
        " ambiguous.", 0.0, 1.0,
    ),
    Row("workspace.frame", "", "Frame of the box below; empty: query.target_frame."),
    Row(
        "workspace.low", [-10.0, -10.0, -10.0],
        "Lowest x, y and z of a place, metres.", length=3,
    ),
    Row(
        "workspace.high", [10.0, 10.0, 10.0],
        "Highest x, y and z of a place, metres.", length=3,
    ),
    Row(
        "following.period_s",
        _FOLLOWING.period_s,
        "The model is asked again this long after its last answer; 0: only when lost.",
        0.0,
        600.0,
    ),
    Row(
        "following.pause_s", _FOLLOWING.pause_s, "Least time between two questions.", 0.0, 60.0
    ),
    Row(
        "following.tf_timeout_s",
        _FOLLOWING.tf_timeout_s,
        "Longest wait for the transform of a picture.",
        0.0,
        5.0,
    ),
    Row(
        "following.most_speed_m_s",
        _FOLLOW.most_speed_m_s,
        "A target is not expected to be faster.",
        0.01,
        5.0,
    ),
    Row(
        "following.most_search_m",
        _FOLLOW.most_search_m,
        "A lost target is searched this far around, metres.",
        0.01,
        2.0,
    ),
    Row("diagnostics.period_s", 1.0, "Between two diagnostics.", 0.1, 60.0),
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """What the referrer works with.

    Attributes:
        query: Of goals.
        model: Of the referring server.
        locate: From a pixel to a place.
        pixel_sigma: Standard deviation of the model's u and v, pixels.
        agreement: From several answers to one.
        calibration: How well the camera's pose is known.
        following: How a place is followed.
        workspace: Where places may be.
        workspace_frame: Frame of that; empty: query.target_frame.
    """

    query: QuerySettings
    model: ModelSettings
    locate: LocateSettings
    pixel_sigma: float
    agreement: AgreementSettings
    calibration: Calibration
    following: FollowingSettings
    workspace: Workspace
    workspace_frame: str


def settings_of(values: Mapping[str, Value]) -> Settings:
    """Turn values into what the referrer works with.

    Raises:
        ParameterError: A value cannot be, or two do not fit each other; the message names them.
    """
    check(TABLE, values)
    low, high = (np.array(values[f"workspace.{end}"], float) for end in ("low", "high"))
    if not (low < high).all():
        raise ParameterError(
            f"workspace.low {list(low)} must lie below workspace.high {list(high)}"
        )
    query = _part(QuerySettings, values, "query", min_confidence=values["confidence.least"])
    if query.samples > query.most_samples:
        raise ParameterError(
            f"query.samples is {query.samples}, query.most_samples {query.most_samples}; the first"
            " must not be larger"
        )
    if not query.target_frame:
        raise ParameterError("query.target_frame is empty; name the frame of the resulting poses")
    return Settings(
        query=query,
        model=_part(
            ModelSettings, values, "model",
            token=_token(str(values["model.token_file"])),
            picture=PictureFormat(str(values["model.picture"])),
        ),
        locate=_part(
            LocateSettings, values, "locate",
            noise=_part(DepthNoise, values, "locate.noise_", separator=""),
            segment=_part(SegmentSettings, values, "locate"),
        ),
        pixel_sigma=float(values["locate.pixel_sigma"]),  # type: ignore[arg-type]
        agreement=_part(AgreementSettings, values, "confidence"),
        calibration=Calibration(
            float(values["camera.position_sigma_m"]),  # type: ignore[arg-type]
            float(values["camera.angle_sigma_rad"]),  # type: ignore[arg-type]
        ),
        following=_part(
            FollowingSettings, values, "following",
            follow=_part(FollowSettings, values, "following"),
        ),
        workspace=Workspace(low, high),
        workspace_frame=str(values["workspace.frame"]),
    )  # fmt: skip


def _part(
    kind: type[Part], values: Mapping[str, Value], group: str, separator: str = ".", **more: Any
) -> Part:
    """Make settings of the parameters of a group whose names are those of its fields."""
    begin = group + separator
    fields = {name.removeprefix(begin): v for name, v in values.items() if name.startswith(begin)}
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    return kind(**{**{name: v for name, v in fields.items() if name in known}, **more})


def _token(file: str) -> str:
    if not file:
        return ""
    try:
        token = Path(file).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"model.token_file cannot be read: {error}") from error
    if not token:
        raise ParameterError(f"model.token_file {file} is empty; write the server's token into it")
    return token


def sample_file() -> str:
    """Return the text of config/referrer.yaml."""
    return sample_yaml(
        TABLE, {}, "The referrer, with a referring server on the same machine.",
        "python3 -m roborefer_perception.core.parameters > config/referrer.yaml",
    )  # fmt: skip


if __name__ == "__main__":
    print(readme_table(TABLE) if sys.argv[1:] == ["table"] else sample_file(), end="")
