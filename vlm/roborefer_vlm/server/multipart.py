# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Multipart bodies of strangers: few parts, known names, none twice, none cut off."""

from __future__ import annotations

from collections.abc import Collection

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from roborefer_vlm.server.errors import ApiError, ErrorCode

_LONGEST_HEADER = 1000


def read_parts(
    content_type: str, body: bytes | bytearray, known: Collection[str]
) -> dict[str, bytes]:
    """Return the parts of a multipart/form-data body by name.

    Args:
        content_type: The whole header, boundary included.
        body: All of it.
        known: Names that parts may have.

    Raises:
        ApiError: MALFORMED, or INVALID_QUERY for an unknown part.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:
        raise ApiError(
            ErrorCode.MALFORMED, "Content-Type needs a boundary of 1 to 70 characters (RFC 2046)"
        )
    reader = _Reader(known)
    try:
        parser = MultipartParser(boundary, reader.callbacks())  # type: ignore[arg-type]
        parser.write(bytes(body))
        parser.finalize()
    except FormParserError as error:
        raise ApiError(ErrorCode.MALFORMED, f"the body is no multipart form: {error}") from None
    if not reader.complete:
        raise ApiError(ErrorCode.MALFORMED, "the multipart body ends before its last boundary")
    return {name: bytes(data) for name, data in reader.parts.items()}


class _Reader:
    """Collects what the parser of python_multipart calls back with."""

    def __init__(self, known: Collection[str]) -> None:
        self.parts: dict[str, bytearray] = {}
        self.complete = False
        self._known = known
        self._name = ""
        self._field = bytearray()
        self._value = bytearray()

    def callbacks(self) -> dict[str, object]:
        return {
            "on_part_begin": self._begin,
            "on_part_data": lambda data, start, end: self.parts[self._name].extend(
                data[start:end]
            ),
            "on_header_field": lambda data, start, end: self._add(self._field, data[start:end]),
            "on_header_value": lambda data, start, end: self._add(self._value, data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": self._open,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._name = ""

    def _add(self, header: bytearray, data: bytes) -> None:
        if len(header) + len(data) > _LONGEST_HEADER:
            raise ApiError(
                ErrorCode.MALFORMED, f"a part has a header longer than {_LONGEST_HEADER} bytes"
            )
        header += data

    def _header(self) -> None:
        if self._field.lower() == b"content-disposition":
            _, options = parse_options_header(bytes(self._value))
            self._name = options.get(b"name", b"").decode("utf-8", "replace")
        self._field.clear()
        self._value.clear()

    def _open(self) -> None:
        if self._name not in self._known:
            raise ApiError(
                ErrorCode.INVALID_QUERY,
                f"part is unknown; there are {', '.join(self._known)}",
                field=self._name[:60] or None,
            )
        if self._name in self.parts:
            raise ApiError(ErrorCode.MALFORMED, "part is given twice", field=self._name)
        self.parts[self._name] = bytearray()

    def _end(self) -> None:
        self.complete = True
