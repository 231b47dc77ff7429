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
_CHAIN_FORMS = ("sft", "rft")


def makers_of(kinds: Sequence[str] | None = None, chain_form: str = "sft") -> tuple[Maker, ...]:
    """Return the makers of some kinds, in their usual order, or all.

    Args:
        kinds: Values of `Kind`, in any order; None: every kind.
        chain_form: How chains are written: "sft", or "rft" with tags around thoughts and answer.

    Raises:
        ConfigurationError: A kind or form is unknown.
    """
    known = [kind.value for kind in _MAKERS]
    for name in kinds or ():
        if name not in known:
            raise ConfigurationError(f"kind '{name}' is unknown; known are {', '.join(known)}")
    if chain_form not in _CHAIN_FORMS:
        raise ConfigurationError(f"chain form '{chain_form}' is unknown; use sft or rft")
    wanted = known if kinds is None else kinds
    return tuple(_maker(kind, chain_form) for kind in _MAKERS if kind.value in wanted)


def _maker(kind: Kind, chain_form: str) -> Maker:
    module, _, name = _MAKERS[kind].partition(":")
    made = getattr(import_module(f"{__name__}.{module}"), name)
    maker: Maker = made(chain_form) if kind is Kind.CHAIN else made()
    return maker
