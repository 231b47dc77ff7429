# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Engines by name.

    scene_graph[?detector=PATH_OR_HUB_ID&…]        rules over objects and depth; no weights, but
               [?namer=tabletop|PATH]              for the open-vocabulary detector or the namer
                                                   of a closed set of things, if any
    roborefer:PATH_OR_HUB_ID[?device=cuda&dtype=bf16&depth_estimator=PATH_OR_HUB_ID&…]
    openai:URL#MODEL[?family=qwen3-vl&…]           any OpenAI-compatible vision endpoint

Other packages add engines with entry points of group "roborefer_vlm.engines": a function that
takes the target (what stands between ":" and "?") and the options, and returns an Engine. Nothing
heavy is imported before an engine is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any
from urllib.parse import unquote

from roborefer_vlm.backends.base import Engine
from roborefer_vlm.exceptions import ConfigurationError

ENTRY_POINTS = "roborefer_vlm.engines"

Factory = Callable[[str, dict[str, Any]], Engine]


@dataclass(frozen=True)
class EngineSpec:
    """An engine to make.

    Attributes:
        name: Kind of engine.
        target: Checkpoint or address; "" where there is none.
        options: By name; texts from a spec string, or values of their own type.
    """

    name: str
    target: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> EngineSpec:
        """Read a spec string.

        Raises:
            ConfigurationError: An option has no value or stands twice.
        """
        name, _, rest = text.strip().partition(":")
        target, _, query = rest.partition("?")
        if not rest:
            name, _, query = name.partition("?")
        options: dict[str, str] = {}
        for pair in filter(None, query.split("&")):
            # Not as forms have it: a "+" in a path is a plus.
            option, equals, value = map(unquote, pair.partition("="))
            if not (option and equals):
                raise ConfigurationError(
                    f"option '{pair}' of engine '{name}' is not of the form a=1"
                )
            if option in options:
                raise ConfigurationError(f"option {option} of engine '{name}' stands twice")
            options[option] = value
        return cls(name, target, options)


def create_engine(spec: str | EngineSpec, **options: Any) -> Engine:
    """Make an engine.

    Args:
        spec: What to make; see the module.
        options: Further options; they win over those of the spec.

    Raises:
        ConfigurationError: The engine or an option is not known, or a value cannot work.
        CheckpointError: A checkpoint cannot be loaded.
        UnavailableError: A hub or device cannot be reached.
    """
    parsed = EngineSpec.parse(spec) if isinstance(spec, str) else spec
    factory = _BUILT_IN.get(parsed.name) or _third_party(parsed.name)
    return factory(parsed.target, {**parsed.options, **options})


def engine_names() -> tuple[str, ...]:
    """Return all engines that can be made, own ones first."""
    others = sorted({point.name for point in metadata.entry_points(group=ENTRY_POINTS)})
    return (*_BUILT_IN, *(name for name in others if name not in _BUILT_IN))


def _third_party(name: str) -> Factory:
    points = metadata.entry_points(group=ENTRY_POINTS, name=name)
    if not points:
        raise ConfigurationError(
            f"engine '{name}' is unknown; known engines: {', '.join(engine_names())},"
            " written as scene_graph, roborefer:PATH_OR_HUB_ID or openai:URL#MODEL"
        )
    if len(points) > 1:
        raise ConfigurationError(f"{len(points)} installed packages offer an engine '{name}'")
    (point,) = points
    try:
        factory: Factory = point.load()
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"engine '{name}' ({point.value}) fails: {error}") from error
    return factory


class _Options:
    """Takes options one by one, so that what is left over is known."""

    def __init__(self, engine: str, options: dict[str, Any]) -> None:
        self._engine = engine
        self._left = options
        self._known: list[str] = []

    def take(self, name: str, default: Any, convert: Callable[[Any], Any] = str) -> Any:
        self._known.append(name)
        if name not in self._left:
            return default
        value = self._left.pop(name)
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"option {name} of engine '{self._engine}' is {value!r}: {error}"
            ) from error

    def end(self) -> None:
        if self._left:
            raise ConfigurationError(
                f"engine '{self._engine}' has no option {', '.join(map(str, self._left))};"
                f" it has {', '.join(self._known) or 'none'}"
            )


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    if str(value).lower() not in known:
        raise ValueError("true or false is needed")
    return known[str(value).lower()]


def _names(value: Any) -> tuple[str, ...]:
    return tuple(value.split(",") if isinstance(value, str) else value)


def _as_is(value: Any) -> Any:
    return value


def _scene_graph(target: str, options: dict[str, Any]) -> Engine:
    if target:
        raise ConfigurationError(f"engine 'scene_graph' has no checkpoint; '{target}' was given")
    from roborefer_vlm.backends.scene_graph.detector import TransformersDetector
    from roborefer_vlm.backends.scene_graph.engine import SceneGraphEngine
    from roborefer_vlm.backends.scene_graph.namer import TabletopNamer

    idle = sorted({"mask_checkpoint", "device", "threshold"} & set(options))
    if idle and options.get("detector") is None:
        raise ConfigurationError(
            f"option {', '.join(idle)} of engine 'scene_graph' is for a detector, and there is"
            " none; add detector=PATH_OR_HUB_ID, or leave it out"
        )
    taken = _Options("scene_graph", options)
    segmenter = taken.take("segmenter", None, _as_is)
    detector = taken.take("detector", None, _as_is)
    namer = taken.take("namer", None, _as_is)
    masks = taken.take("mask_checkpoint", None)
    device = taken.take("device", "cpu")
    threshold = taken.take("threshold", 0.2, float)
    taken.end()
    if isinstance(segmenter, str):
        raise ConfigurationError("option segmenter of engine 'scene_graph' takes an object only")
    if isinstance(detector, str):
        detector = TransformersDetector(
            detector, mask_checkpoint=masks, device=device, threshold=threshold
        )
    if isinstance(namer, str | os.PathLike):
        namer = TabletopNamer.load(os.fspath(namer))
    return SceneGraphEngine(segmenter=segmenter, detector=detector, namer=namer)


def _roborefer(target: str, options: dict[str, Any]) -> Engine:
    if not target:
        raise ConfigurationError("engine 'roborefer' needs a checkpoint: roborefer:PATH_OR_HUB_ID")
    try:
        import torch

        from roborefer_vlm.backends.roborefer import Options, RoboReferEngine
        from roborefer_vlm.model.estimator import DepthAnything
    except ImportError as error:
        raise ConfigurationError(
            f"engine 'roborefer' needs more packages ({error}); install roborefer-vlm[model]"
        ) from error
    dtypes = {
        "bf16": torch.bfloat16, "bfloat16": torch.bfloat16, "fp16": torch.float16,
        "float16": torch.float16, "fp32": torch.float32, "float32": torch.float32, "auto": None,
    }  # fmt: skip

    def dtype(value: Any) -> torch.dtype | None:
        if value is None or isinstance(value, torch.dtype):
            return value
        if value not in dtypes:
            raise ValueError(f"one of {', '.join(dtypes)} is needed")
        return dtypes[value]

    def device(value: Any) -> torch.device:
        if value == "auto":
            value = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            found = torch.device(value)
        except RuntimeError as error:
            raise ValueError(str(error).splitlines()[0]) from error
        if found.type == "cuda" and not torch.cuda.is_available():
            raise ValueError("this machine has no CUDA device that torch can use")
        return found

    taken = _Options("roborefer", options)
    where = taken.take("device", device("auto"), device)
    estimator = taken.take("depth_estimator", None, _as_is)
    keywords = {
        "device": where,
        "dtype": taken.take("dtype", None, dtype),
        "options": Options(
            max_batch=taken.take("max_batch", Options.max_batch, int),
            append_suffix=taken.take("append_suffix", Options.append_suffix, _flag),
            report_splits=taken.take("report_splits", Options.report_splits, _flag),
        ),
    }
    warm_up = taken.take("warm_up", where.type == "cuda", _flag)
    taken.end()
    if isinstance(estimator, str):
        estimator = DepthAnything(estimator, device=where)
    engine = RoboReferEngine.from_checkpoint(target, depth_estimator=estimator, **keywords)
    if warm_up:
        engine.warm_up()
    return engine


def _openai(target: str, options: dict[str, Any]) -> Engine:
    from roborefer_vlm.backends.chat import Endpoint
    from roborefer_vlm.backends.openai import ChatOptions, OpenAIEngine, read_key

    url, _, model = target.partition("#")
    if not url or not model:
        raise ConfigurationError(
            f"engine 'openai' needs an address and a model: openai:URL#MODEL; '{target}' was given"
        )
    taken = _Options("openai", options)
    key = read_key(taken.take("key_env", "OPENAI_API_KEY"), taken.take("key_file", None))
    endpoint = Endpoint(
        url,
        key,
        timeout_s=taken.take("timeout_s", Endpoint.timeout_s, float),
        connect_timeout_s=taken.take("connect_timeout_s", Endpoint.connect_timeout_s, float),
        retries=taken.take("retries", Endpoint.retries, int),
    )
    family = taken.take("family", None)
    chat = ChatOptions(
        depth=taken.take("depth", ChatOptions.depth),
        longest_side=taken.take("longest_side", ChatOptions.longest_side, int),
        encoding=taken.take("encoding", ChatOptions.encoding),
        parallel=taken.take("parallel", ChatOptions.parallel, int),
        length_field=taken.take("length_field", ChatOptions.length_field),
        append_suffix=taken.take("append_suffix", ChatOptions.append_suffix, _flag),
        leave_out=taken.take("leave_out", (), _names),
        extra=taken.take("extra", {}, _as_is),
    )
    taken.end()
    return OpenAIEngine(endpoint, model, family=family, options=chat)


_BUILT_IN: Mapping[str, Factory] = {
    "scene_graph": _scene_graph,
    "roborefer": _roborefer,
    "openai": _openai,
}
