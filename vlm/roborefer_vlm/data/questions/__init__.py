# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Kinds of questions, each made by a maker of its own module."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

from roborefer_vlm.data.examples import Kind, Maker
from roborefer_vlm.exceptions import ConfigurationError

# Where each kind's maker is; loaded when it is asked for. A new kind is a line here.
_MAKERS = {
    Kind.LOCATION: "location:LocationMaker",
    Kind.PLACEMENT: "placement:PlacementMaker",
    Kind.CHAIN: "chain:ChainMaker",
    Kind.CHOICE: "choice:ChoiceMaker",
    Kind.PREDICATE: "predicate:PredicateMaker",
    Kind.QUANTITY: "quantity:QuantityMaker",
    Kind.COMPATIBILITY: "compatibility:CompatibilityMaker",
    Kind.CONFIGURATION: "configuration:ConfigurationMaker",
    Kind.MULTI_VIEW: "multi_view:MultiViewMaker",
}


def makers_of(kinds: Sequence[str] | None = None) -> tuple[Maker, ...]:
    """Return the makers of some kinds, in their usual order, or all.

    Args:
        kinds: Values of `Kind`; None: every kind.

    Raises:
        ConfigurationError: A kind is unknown.
    """
    known = [kind.value for kind in _MAKERS]
    for name in kinds or ():
        if name not in known:
            raise ConfigurationError(f"kind '{name}' is unknown; known are {', '.join(known)}")
    wanted = known if kinds is None else kinds
    return tuple(_maker(spec) for kind, spec in _MAKERS.items() if kind.value in wanted)


def _maker(spec: str) -> Maker:
    module, _, name = spec.partition(":")
    maker: Maker = getattr(import_module(f"{__name__}.{module}"), name)()
    return maker
