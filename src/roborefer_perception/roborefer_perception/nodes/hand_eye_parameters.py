# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The one table of the parameters of `hand_eye`.

Type `python3 -m roborefer_perception.nodes.hand_eye_parameters` to print config/hand_eye.yaml,
with `--readme` the table of the README.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from roborefer_common.core.parameters import Row, readme_table, sample_yaml

from roborefer_perception.core.board import Board
from roborefer_perception.core.hand_eye import LEAST_SAMPLES, Mount
from roborefer_perception.core.hand_eye_session import SessionSettings

_BOARD, _SESSION = Board(), SessionSettings()

TABLE = tuple(
    replace(row, fixed=not row.name.startswith("output."))
    for row in (
        Row(
            "mount", str(Mount.EYE_TO_HAND), "Whether the camera is on the tool or stands still.",
            choices=tuple(map(str, Mount)),
        ),
        Row("base_frame", "base_link", "Root of the arm."),
        Row("tool_frame", "tool0", "What the board or the camera is fixed to."),
        Row(
            "camera_frame", "",
            "Frame that is given a place, such as camera_link; TF must connect it with the"
            " images' frame. Empty is the images' frame itself.",
        ),
        Row("board.columns", _BOARD.columns, "Squares in a row.", 3, 50),
        Row("board.rows", _BOARD.rows, "Rows of squares; an odd number.", 3, 49),
        Row("board.square_m", _BOARD.square_m, "Side of a square as measured, metres.", 1e-3, 1),
        Row("board.marker_m", _BOARD.marker_m, "Side of a marker as measured, metres.", 1e-3, 1),
        Row("board.dictionary", _BOARD.dictionary, "Predefined dictionary of OpenCV's ArUco."),
        Row("looks_per_s", 5.0, "How often a picture is searched for the board, Hz.", 0.2, 30),
        Row("max_image_age", 1.0, "Older images are no samples, seconds.", 0.05, 60),
        Row("tf_timeout", 0.3, "How long TF at the image's stamp is waited for, seconds.", 0, 5),
        Row(
            "samples.least", 10, "Samples below which nothing is calculated.", LEAST_SAMPLES, 500
        ),
        Row(
            "samples.still_s", _SESSION.still_s, "The board must have stood still for this long,"
            " seconds.", 0, 10,
        ),
        Row(
            "samples.still_px", _SESSION.still_px, "It stands still while its corners move by"
            " less from look to look, pixels.", 0.1, 20,
        ),
        Row(
            "samples.turn_deg", _SESSION.turn_deg, "A sample has the tool turned by this much"
            " against all others, degrees,", 0, 90,
        ),
        Row("samples.move_m", _SESSION.move_m, "or moved by this much, metres.", 0, 1),
        Row(
            "samples.most_error_px", _SESSION.most_error_px, "Largest error of the board's"
            " corners in a picture, pixels.", 0.05, 2,
        ),
        Row(
            "most_mismatch_mm", 10.0, "Median mismatch of the samples above which there is no"
            " result, millimetres.", 0.1, 100,
        ),
        Row("output.file", "hand_eye.yaml", "Where the result is written."),
        Row("output.overwrite", False, "Whether a file of this name may be replaced."),
    )
)  # fmt: skip


def sample_file() -> str:
    """Return the text of config/hand_eye.yaml."""
    made_by = "python3 -m roborefer_perception.nodes.hand_eye_parameters > config/hand_eye.yaml"
    return sample_yaml(TABLE, {}, "A camera beside the arm, the board in its hand.", made_by)


if __name__ == "__main__":
    print(readme_table(TABLE) if "--readme" in sys.argv else sample_file(), end="")
