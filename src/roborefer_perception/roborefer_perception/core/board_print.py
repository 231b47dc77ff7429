# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Files of a board that come out of a printer in true size."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np

from roborefer_perception.core.board import Board
from roborefer_perception.exceptions import CalibrationError

MARGIN_M = 0.005
_POINTS_PER_M = 72 / 0.0254
_SQUARE_PX = 240


def print_file(board: Board, suffix: str) -> bytes:
    """Return the content of a file that prints the board with a white margin of 5 mm.

    Args:
        board: What to print.
        suffix: .pdf, whose page is as large as board and margin, or .png, which carries its
            resolution.

    Raises:
        CalibrationError: The suffix is another one.
    """
    if suffix not in (".pdf", ".png"):
        raise CalibrationError(f"boards are written as .pdf or .png, not as '{suffix}'")
    return _pdf(board) if suffix == ".pdf" else _png(board)


def write_board(board: Board, path: Path, overwrite: bool = False) -> None:
    """Write a board to a new file.

    Raises:
        CalibrationError: The suffix is unknown, the file exists, or it cannot be written.
    """
    content = print_file(board, path.suffix.lower())
    try:
        with path.open("wb" if overwrite else "xb") as file:
            file.write(content)
    except OSError as error:
        raise CalibrationError(f"the board was not written: {error}") from error


def _pdf(board: Board) -> bytes:
    width, height = ((side + 2 * MARGIN_M) * _POINTS_PER_M for side in board.size_m)
    board_width, board_height = (side * _POINTS_PER_M for side in board.size_m)
    margin = MARGIN_M * _POINTS_PER_M
    picture = board.picture(_SQUARE_PX)
    place = f"{board_width:.4f} 0 0 {board_height:.4f} {margin:.4f} {margin:.4f} cm /Board Do"
    rows, columns = picture.shape
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /ViewerPreferences << /PrintScaling /None >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.4f} {height:.4f}] /Contents 4 0 R"
        " /Resources << /XObject << /Board 5 0 R >> >> >>".encode(),
        _stream("", place.encode()),
        _stream(
            f"/Type /XObject /Subtype /Image /Width {columns} /Height {rows} /BitsPerComponent 8"
            " /ColorSpace /DeviceGray /Filter /FlateDecode ",
            zlib.compress(picture.tobytes()),
        ),
    ]
    file, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        places.append(len(file))
        file += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    return file + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n"
        b"%%%%EOF\n" % (table, len(file))
    )


def _stream(fields: str, content: bytes) -> bytes:
    head = f"<< {fields}/Length {len(content)} >>".encode()
    return head + b"\nstream\n" + content + b"\nendstream"


def _png(board: Board) -> bytes:
    margin = round(MARGIN_M / board.square_m * _SQUARE_PX)
    picture = np.pad(board.picture(_SQUARE_PX), margin, constant_values=255)
    _, coded = cv2.imencode(".png", picture)
    content = coded.tobytes()
    # Pixels per metre, in a chunk of its own behind the header, which ends at byte 33.
    per_m = round(_SQUARE_PX / board.square_m)
    chunk = b"pHYs" + struct.pack(">IIB", per_m, per_m, 1)
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return content[:33] + framed + content[33:]
