# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Real RGB-D scenes, which lie outside the repository: readers and geometry on what cameras see.

`benchmarks/real_scenes.py` measures the same through the running nodes, and more.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from roborefer_perception.core.place import locate
from roborefer_perception.core.recordings import plane_pose
from roborefer_perception.core.recordings_folder import SceneFolder, read_scene
from roborefer_perception.core.types import Kind

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "real_rgbd"
SCENES = sorted(file.parent for file in (DATA / "scenes").glob("*/camera.json"))

pytestmark = pytest.mark.skipif(not SCENES, reason=f"the real scenes are not in {DATA}")


def innermost(mask):
    """Return u and v of the pixel that lies deepest in a mask."""
    depth_px = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    v, u = np.unravel_index(int(depth_px.argmax()), mask.shape)
    return float(u), float(v)


def test_all_scenes_are_found():
    assert len(SceneFolder(DATA).folders) == len(SCENES)


@pytest.mark.parametrize("folder", SCENES, ids=lambda folder: folder.name)
def test_units_and_intrinsics_agree_with_the_annotated_points(folder):
    frame = read_scene(folder)
    ids = cv2.imread(str(folder / "instances.png"), cv2.IMREAD_GRAYSCALE)

    for one in json.loads((folder / "instances.json").read_text()):
        known = (ids == one["id"]) & (frame.depth_m > 0)
        rays = frame.camera.ray_image[known]
        points = np.c_[rays, np.ones(len(rays))] * frame.depth_m[known][:, None]
        # The annotation is rounded to a millimetre, and its point is not quite the same mean.
        assert np.median(points[:, 2]) == pytest.approx(one["median_depth_m"], abs=1e-3)
        assert np.median(points, axis=0) == pytest.approx(one["median_point_camera_m"], abs=0.02)


@pytest.mark.parametrize("folder", SCENES, ids=lambda folder: folder.name)
def test_middle_of_every_thing_is_placed_on_it(folder):
    frame = read_scene(folder)
    ids = cv2.imread(str(folder / "instances.png"), cv2.IMREAD_GRAYSCALE)
    rays = np.dstack([frame.camera.ray_image, np.ones(ids.shape)])
    points = rays * frame.depth_m[:, :, None]

    for one in json.loads((folder / "instances.json").read_text()):
        mask = ids == one["id"]
        place = locate(frame.depth_m, frame.camera, innermost(mask), Kind.OBJECT)
        measured = points[mask & (frame.depth_m > 0)]
        assert np.linalg.norm(measured - place.point, axis=1).min() < 0.01, one["name"]


@pytest.mark.parametrize("folder", SCENES, ids=lambda folder: folder.name)
def test_free_space_is_level_on_the_main_plane(folder):
    frame = read_scene(folder)
    floor = plane_pose(frame.plane)
    asked = json.loads((DATA / "Placement" / "question.json").read_text())

    for one in (one for one in asked if one["scene"] == folder.name):
        mask = cv2.imread(str(DATA / "Placement" / one["mask_path"]), cv2.IMREAD_GRAYSCALE) > 0
        place = locate(frame.depth_m, frame.camera, innermost(mask), Kind.FREE_SPACE)
        up = floor[:3, :3] @ place.rotation[:, 2]
        assert np.degrees(np.arccos(min(1.0, up[2]))) < 3, one["object"]
        assert abs((floor[:3, :3] @ place.point + floor[:3, 3])[2]) < 0.02, one["object"]
