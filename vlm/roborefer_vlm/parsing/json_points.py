# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Points in JSON, fenced or not, as Gemini, Qwen-VL and many others write them.

    answer = words [value] words          value alone may stand in a ``` fence
    value  = place | "[" [place {"," place}] "]" | {"points": [place, …]}
    place  = [number, number] | {point: [number, number], …} | {box: [number x 4], …}
           | {"x": number, "y": number, …}
    point  = "point" | "point_2d"         box = "box_2d" | "bbox_2d"

Other keys of an object do not matter, except "label", a string.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from roborefer_vlm.exceptions import AnswerError
from roborefer_vlm.parsing.marks import LONGEST_LABEL, MOST_POINTS, Mark
from roborefer_vlm.parsing.scanner import LONGEST_NUMBER

DEEPEST = 8
_FENCE = "```"
_LANGUAGE = re.compile(r"[A-Za-z]{0,16}+[ \t]*+\r?+\n")
_VALUE = re.compile(r"[\[{]")
_POINTS = ("point", "point_2d")
_BOXES = ("box_2d", "bbox_2d")


def read_json(answer: str) -> Sequence[Mark] | None:
    """Return the points of the JSON value in a text, or None if there is none.

    Raises:
        AnswerError: The value is no JSON, nests deeply, or holds something else than points.
    """
    found = _find_value(answer)
    if found is None:
        return None
    value = _load(found)
    if isinstance(value, dict) and "points" in value:
        value = value["points"]
        if not isinstance(value, list):
            raise AnswerError(f"'points' is {_show(value)}; a list is right")
    places = value if isinstance(value, list) and not _is_pair(value) else [value]
    if len(places) > MOST_POINTS:
        raise AnswerError(f"the answer has {len(places)} points; {MOST_POINTS} are allowed")
    return [_read_place(place) for place in places]


def _find_value(answer: str) -> str | None:
    """Return the text that must be one JSON value, or None if there is only words."""
    opening, _, rest = answer.partition(_FENCE)
    if not rest and _FENCE not in answer:
        value = _VALUE.search(answer)
        return answer[value.start() :] if value else None
    inside, closing, after = rest.partition(_FENCE)
    if not closing:
        raise AnswerError("the fence ``` is not closed")
    if _FENCE in after or _VALUE.search(opening) or _VALUE.search(after):
        raise AnswerError("the answer holds more than one fence or value; one is right")
    language = _LANGUAGE.match(inside)
    return inside[language.end() :] if language else inside


def _load(text: str) -> Any:
    _check_depth(text)
    decoder = json.JSONDecoder(
        parse_constant=_refuse_constant,
        parse_int=_number,
        parse_float=_number,
        object_pairs_hook=_object,
    )
    text = text.lstrip()
    try:
        value, end = decoder.raw_decode(text)
    except ValueError as error:
        raise AnswerError(f"the answer is no JSON: {error}") from error
    if _VALUE.search(text, end):
        raise AnswerError("the answer holds more than one JSON value; one is right")
    return value


def _check_depth(text: str) -> None:
    """Refuse deep nesting before the decoder recurses into it; brackets in strings count too."""
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", text):
        depth += 1 if bracket in "[{" else -1
        if depth > DEEPEST:
            raise AnswerError(f"the JSON nests deeper than {DEEPEST}")


def _refuse_constant(name: str) -> NoReturn:
    raise AnswerError(f"{name} is no coordinate")


def _number(text: str) -> float:
    if len(text) > LONGEST_NUMBER or "e" in text.lower():
        raise AnswerError(
            f"number {text[:LONGEST_NUMBER]} is no plain decimal of up to {LONGEST_NUMBER}"
            " characters"
        )
    return float(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise AnswerError(f"a key stands twice in {_show([key for key, _ in pairs])}")
    return value


def _read_place(place: Any) -> Mark:
    if _is_pair(place):
        return Mark(*place)
    if not isinstance(place, dict):
        raise AnswerError(f"{_show(place)} is no place; an object or a pair of numbers is right")
    label = place.get("label", "")
    if not isinstance(label, str):
        raise AnswerError(f"label {_show(label)} is no string")
    mark = Mark.of_numbers(_coordinates(place))
    return Mark(mark.first, mark.second, label=label[:LONGEST_LABEL])


def _coordinates(place: dict[str, Any]) -> tuple[float, ...]:
    keys = [key for key in (*_POINTS, *_BOXES) if key in place]
    if not keys and place.keys() >= {"x", "y"}:
        numbers, count = [place["x"], place["y"]], 2
    elif len(keys) == 1:
        numbers, count = place[keys[0]], 2 if keys[0] in _POINTS else 4
    else:
        raise AnswerError(
            f"object with keys {_show(list(place))} needs one of"
            f" {', '.join((*_POINTS, *_BOXES))}, or x and y"
        )
    if not isinstance(numbers, list) or len(numbers) != count or not _numbers(numbers):
        raise AnswerError(f"{_show(numbers)} should be {count} numbers")
    return tuple(numbers)


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _numbers(value)


def _numbers(values: list[Any]) -> bool:
    return all(type(value) is float for value in values)


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:60] + "…"
