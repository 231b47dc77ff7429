# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import builtins
import json

import numpy as np
import pytest
import recorded
from roborefer_perception.core.recordings import associate, plane_pose, read_camera
from roborefer_perception.core.recordings_open import Layout, Reading, open_recording
from roborefer_perception.core.recordings_tum import CAMERAS, TumSequence
from roborefer_perception.exceptions import RecordingError


def only(recording):
    [frame] = list(recording.frames())
    return frame


@pytest.mark.parametrize("unit_m", [0.001, 0.0002, 0.0001])
def test_depth_of_a_scene_is_metres_whatever_its_unit(tmp_path, unit_m):
    folder = recorded.write_scene(tmp_path / "table", unit_m)

    frame = only(open_recording(folder))

    assert frame.name == "table"
    assert frame.depth_m.dtype == np.float32
    assert np.abs(frame.depth_m - recorded.depth_m()).max() <= unit_m / 2 + 1e-6
    assert (frame.rgb == recorded.colour()).all()
    assert (frame.camera.fx, frame.camera.cx) == (recorded.FOCAL, recorded.CX)


def test_scenes_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    for number, name in enumerate(("b", "a", "c")):
        recorded.write_scene(tmp_path / "scenes" / name, seed=number)

    recording = open_recording(tmp_path)

    assert [frame.name for frame in recording.frames()] == ["a", "b", "c"]
    assert recording.still
    assert not recording.fixed
    assert list(recording.stamps_ns) == sorted(set(recording.stamps_ns))


def test_plane_of_a_scene_becomes_the_floor_of_a_world(tmp_path):
    frame = only(open_recording(recorded.write_scene(tmp_path / "scene", 0.0001)))
    rays = np.dstack([frame.camera.ray_image, np.ones(frame.depth_m.shape)])
    points = (rays * frame.depth_m[:, :, None]).reshape(-1, 3)

    pose = plane_pose(frame.plane)

    assert np.abs((points @ pose[:3, :3].T + pose[:3, 3])[:, 2]).max() < 2e-4
    assert pose[:3, 3] == pytest.approx([0, 0, 0.6])
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)
    assert pose[:3, :3] @ [0, 0, 1] == pytest.approx([np.sqrt(0.5), 0, -np.sqrt(0.5)])


def test_camera_that_looks_straight_down_has_a_pose_too():
    pose = plane_pose(np.array([0.0, 0.0, -1.0, 0.8]))

    assert pose[:3, :3] @ pose[:3, :3].T == pytest.approx(np.eye(3))
    assert np.linalg.det(pose[:3, :3]) == pytest.approx(1)


def test_normal_that_points_away_from_the_camera_is_turned(tmp_path):
    plane = {"normal": (-recorded.PLANE[:3]).tolist(), "offset_m": -0.6}
    frame = only(open_recording(recorded.write_scene(tmp_path / "a", main_plane_camera=plane)))

    assert frame.plane == pytest.approx(recorded.PLANE)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"depth_scale_m": 1.0}, "depth_scale_m is 1.0"),
        ({"depth_scale_m": 0}, "depth_scale_m is 0"),
        ({"depth_scale_m": "mm"}, "depth_scale_m is mm"),
        ({"depth_scale_m": None}, "depth_scale_m is None"),
        ({"fx": float("nan")}, "intrinsics"),
        ({"fx": None}, "intrinsics"),
        ({"width": 65}, "sizes differ"),
        ({"main_plane_camera": {"normal": [0, 0, 0], "offset_m": 1}}, "main_plane_camera"),
        ({"camera_pose_in_robot_base": [[1, 2], [3, 4]]}, "pose"),
        ({"camera_pose_in_robot_base": np.diag([2, 1, 1, 1]).tolist()}, "no rotation"),
    ],
)
def test_bad_value_of_a_scene_is_named_with_its_file(tmp_path, changes, said):
    folder = recorded.write_scene(tmp_path / "scene", **changes)

    error = only(open_recording(folder))

    assert isinstance(error, RecordingError)
    assert said in str(error)
    assert str(folder) in str(error)


def test_cut_off_and_wrong_pictures_are_refused_and_the_others_still_come(tmp_path):
    for name in "abcd":
        recorded.write_scene(tmp_path / name)
    (tmp_path / "a" / "depth.png").write_bytes(b"\x89PNG")
    (tmp_path / "b" / "depth.png").write_bytes((tmp_path / "b" / "rgb.png").read_bytes())
    (tmp_path / "c" / "rgb.png").unlink()

    frames = list(open_recording(tmp_path).frames())

    assert [type(frame) is RecordingError for frame in frames] == [True, True, True, False]
    assert "16 bits" in str(frames[1])
    assert "no such file" in str(frames[2])


def test_missing_intrinsic_is_named(tmp_path):
    folder = recorded.write_scene(tmp_path / "scene")
    fields = json.loads((folder / "camera.json").read_text())
    del fields["cy"]
    (folder / "camera.json").write_text(json.dumps(fields))

    assert "no cy" in str(only(open_recording(folder)))


def test_sequence_is_paired_and_has_poses_at_the_stamps_of_colour(tmp_path):
    camera = recorded.write_tum(tmp_path / "seq")

    recording = open_recording(tmp_path / "seq", Reading(camera_file=camera))

    frames = list(recording.frames())
    assert len(frames) == 5
    assert not recording.still
    assert frames[0].stamp_ns == 1311868164_400000000
    for i, frame in enumerate(frames):
        assert (frame.rgb == recorded.colour(i)).all()
        assert np.abs(frame.depth_m - recorded.depth_m()).max() < 1.1e-4
        # Moved by 0.1 m/s; stamps are written in microseconds, the track's in 0.1 ms.
        assert frame.t_world_optical[:3, 3] == pytest.approx([0.1 * i / 30, 0, 1], abs=2e-5)


def test_depth_that_is_too_late_for_the_budget_leaves_nothing_to_play(tmp_path):
    camera = recorded.write_tum(tmp_path / "seq", frames=1, late_depth_s=0.03)

    with pytest.raises(RecordingError, match=r"within 0.02 s"):
        TumSequence(tmp_path / "seq", camera)

    assert len(TumSequence(tmp_path / "seq", camera, budget_s=0.04).stamps_ns) == 1


def test_frames_far_from_the_track_have_no_pose(tmp_path):
    camera = recorded.write_tum(tmp_path / "seq", poses=False)
    (tmp_path / "seq" / "groundtruth.txt").write_text("1311868164.5 0 0 0 0 0 0 1\n")

    frames = list(TumSequence(tmp_path / "seq", camera).frames())

    assert [frame.t_world_optical is None for frame in frames] == [True, True, True, False, True]


@pytest.mark.parametrize("name", ["rgbd_dataset_freiburg2_desk", "fr2_desk"])
def test_camera_of_a_published_sequence_is_known_by_its_name(tmp_path, name):
    recorded.write_tum(tmp_path / name)

    assert TumSequence(tmp_path / name).camera == CAMERAS["2"]


def test_sequence_of_an_unknown_camera_asks_for_a_camera_file(tmp_path):
    recorded.write_tum(tmp_path / "fr21_office")

    with pytest.raises(RecordingError, match="give a camera file"):
        TumSequence(tmp_path / "fr21_office")


def test_picture_that_is_missing_is_named_and_the_others_still_come(tmp_path):
    camera = recorded.write_tum(tmp_path / "seq", frames=3)
    [*_, last] = sorted((tmp_path / "seq" / "depth").iterdir())
    last.unlink()

    frames = list(TumSequence(tmp_path / "seq", camera).frames())

    assert [isinstance(frame, RecordingError) for frame in frames] == [False, False, True]
    assert last.name in str(frames[2])


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("rgb.txt", "1.0 a.png b.png\n", "line 1"),
        ("rgb.txt", "noon a.png\n", "'noon' is no stamp"),
        ("rgb.txt", "nan a.png\n", "is no stamp"),
        ("rgb.txt", "1.0 ../../a.png\n", "outside"),
        ("depth.txt", "# nothing\n", "lists no pictures"),
        ("depth.txt", None, "cannot be read"),
        ("groundtruth.txt", "1.0 0 0 0 0 0 0\n", "line 1"),
        ("groundtruth.txt", "1.0 0 0 nan 0 0 0 1\n", "line 1"),
        ("groundtruth.txt", "1.0 0 0 0 0 0 0 2\n", "unit length"),
        ("camera.yaml", "image_width: 64\n", "no fx"),
        ("camera.yaml", "[1, 2]\n", "mapping"),
        ("camera.yaml", "camera_matrix: {data: [1]}\n", "intrinsics"),
    ],
)
def test_bad_lists_of_a_sequence_name_file_and_value(tmp_path, file, text, said):
    camera = recorded.write_tum(tmp_path / "seq", frames=1)
    path = tmp_path / "seq" / file
    path.unlink() if text is None else path.write_text(text)

    with pytest.raises(RecordingError, match=said) as caught:
        TumSequence(tmp_path / "seq", camera)

    assert str(path) in str(caught.value)


def test_each_depth_picture_is_used_once_and_by_the_nearest():
    pairs = associate([0, 10, 20], [9, 21, 22], 15)

    assert pairs == [(1, 0), (2, 1)]


def test_distortion_of_a_camera_file_is_kept(tmp_path):
    file = tmp_path / "camera.yaml"
    file.write_text(
        "{width: 4, height: 3, fx: 5, fy: 5, cx: 1, cy: 1, model: plumb_bob, d: [0.1, 0, 0, 0]}"
    )

    assert read_camera(file).d == (0.1, 0, 0, 0)


@pytest.mark.parametrize(
    ("storage", "packed", "encoding"),
    [
        ("mcap", False, "16UC1"),
        ("sqlite3", False, "32FC1"),
        ("mcap", True, "16UC1"),
    ],
)
def test_bag_gives_pictures_intrinsics_and_pose(tmp_path, storage, packed, encoding):
    pytest.importorskip("rosbags")
    folder = recorded.write_bag(tmp_path / "bag", storage, packed, encoding)

    recording = open_recording(folder)

    frames = list(recording.frames())
    assert list(recording.stamps_ns) == [5_000_000_000, 5_100_000_000, 5_200_000_000]
    for i, frame in enumerate(frames):
        assert (frame.rgb == recorded.colour(i)).all()
        assert np.abs(frame.depth_m - recorded.depth_m()).max() < 5.1e-4
        assert frame.camera.fx == recorded.FOCAL
        # Ahead of the camera is along x of the world.
        assert frame.t_world_optical @ [0, 0, 1, 1] == pytest.approx([2.25, 0, 0, 1])


def test_bag_without_a_topic_lists_those_that_it_has(tmp_path):
    pytest.importorskip("rosbags")
    folder = recorded.write_bag(tmp_path / "bag", skip=("/camera/color/camera_info",))

    with pytest.raises(RecordingError, match="camera_info; it has /camera/aligned"):
        open_recording(folder)


def test_bag_without_static_frames_has_no_poses(tmp_path):
    pytest.importorskip("rosbags")
    folder = recorded.write_bag(tmp_path / "bag", skip=("/tf_static",))

    assert all(frame.t_world_optical is None for frame in open_recording(folder).frames())


def test_broken_bags_are_refused(tmp_path):
    pytest.importorskip("rosbags")
    folder = recorded.write_bag(tmp_path / "bag")
    [file] = folder.glob("*.mcap")
    file.write_bytes(file.read_bytes()[:3000])

    with pytest.raises(RecordingError, match=str(folder)):
        open_recording(folder)


def test_missing_library_says_what_to_type(tmp_path, monkeypatch):
    (tmp_path / "metadata.yaml").touch()
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("rosbags"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)

    with pytest.raises(RecordingError, match="pip install 'rosbags"):
        open_recording(tmp_path)


def test_what_is_no_recording_says_what_one_is(tmp_path):
    with pytest.raises(RecordingError, match="neither"):
        open_recording(tmp_path)
    with pytest.raises(RecordingError, match="no such"):
        open_recording(tmp_path / "nowhere")
    with pytest.raises(RecordingError, match=r"camera\.json"):
        open_recording(tmp_path, Reading(layout=Layout.FOLDER))
