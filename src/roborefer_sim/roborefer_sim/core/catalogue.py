# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Things of the library by address: `library:mug?color=red&scale=0.9`.

Colour and scale may be left out; then they are the first of the thing in things.toml.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import parse_qsl, urlsplit

from roborefer_sim.core.library import Library, Make
from roborefer_sim.exceptions import LibraryError

SCHEME = "library"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def make_from_uri(library: Library, uri: str) -> Make:
    """Build the thing that an address names.

    Raises:
        LibraryError: The address is malformed, or names what the library does not have.
    """
    form = f"'{SCHEME}:KEY?color=COLOUR&scale=NUMBER'"
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or not parts.path:
        raise LibraryError(f"the uri '{uri}' must have the form {form}")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := set(options) - {"color", "scale"}:
        raise LibraryError(f"the uri '{uri}' has {sorted(unknown)}; its form is {form}")
    scale = None
    if "scale" in options:
        try:
            scale = float(options["scale"])
        except ValueError as error:
            raise LibraryError(f"the scale '{options['scale']}' is no number") from error
    return library.make(parts.path.strip("/"), options.get("color"), scale)


def valid_name(name: str) -> bool:
    """Whether a thing may have this name: letters, digits and underscores after a letter."""
    return _NAME.fullmatch(name) is not None


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return the name, with the first number behind it that makes it unique if it is taken."""
    if wanted not in taken:
        return wanted
    number = 1
    while f"{wanted}_{number}" in taken:
        number += 1
    return f"{wanted}_{number}"


def tags_of(make: Make) -> tuple[str, ...]:
    """Words that a thing can be found by: key, noun, other words, kinds and colour."""
    thing = make.thing
    words = (thing.key, thing.noun, *thing.also, *thing.kinds, make.color)
    return tuple(dict.fromkeys(words))
