# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of cameras, decoded; what cannot be is a refusal of the query."""

from __future__ import annotations

from roborefer_common.core import pictures
from roborefer_common.core.pictures import Depth, RawPicture, Rgb
from roborefer_common.exceptions import PictureError

from roborefer_perception.exceptions import Reason, ReferFailure


def decode_color(picture: RawPicture) -> Rgb:
    """Make RGB of a picture, as roborefer_common.core.pictures does.

    Raises:
        ReferFailure: UNSUPPORTED_IMAGE.
    """
    try:
        return pictures.decode_color(picture)
    except PictureError as error:
        raise ReferFailure(Reason.UNSUPPORTED_IMAGE, str(error)) from error


def decode_depth(picture: RawPicture) -> Depth:
    """Make metres of a picture, as roborefer_common.core.pictures does.

    Raises:
        ReferFailure: UNSUPPORTED_IMAGE.
    """
    try:
        return pictures.decode_depth(picture)
    except PictureError as error:
        raise ReferFailure(Reason.UNSUPPORTED_IMAGE, str(error)) from error
