# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import zipfile

import pytest
from roborefer_sim.core import assets
from roborefer_sim.core.gl import RAY_CASTER, explain
from roborefer_sim.exceptions import AssetError

URDF = """<robot name="ur5"><gazebo><plugin/></gazebo><link name="base_link"><collision><geometry>
<mesh filename="package://x/meshes/ur5/collision/base.stl"/></geometry></collision></link></robot>"""


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "data.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"share/{assets.URDF}", URDF)
        archive.writestr("dist-info/licenses/LICENSE", "terms")
        archive.writestr(f"share/{assets.ROBOT}/README.md", "license: BSD")
        for number in range(7):
            archive.writestr(f"share/{assets.MESHES}{number}.stl", b"solid")
    return path


def test_conversion_keeps_shape_and_notices(wheel, tmp_path):
    assets.convert(wheel, tmp_path / "cache" / "ur5")

    names = {path.name for path in (tmp_path / "cache" / "ur5").iterdir()}
    assert names == {
        "ur5.urdf",
        "NOTICE-LICENSE",
        "NOTICE-README.md",
        *map("{}.stl".format, range(7)),
    }
    urdf = (tmp_path / "cache" / "ur5" / "ur5.urdf").read_text()
    assert 'filename="base.stl"' in urdf
    assert "gazebo" not in urdf
    assert "<compiler" in urdf


def test_an_incomplete_wheel_leaves_nothing_behind(wheel, tmp_path):
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(f"share/{assets.MESHES}more.stl", b"solid")

    with pytest.raises(AssetError, match="7 meshes"):
        assets.convert(wheel, tmp_path / "cache" / "ur5")

    assert not (tmp_path / "cache").exists()


def test_no_wheel_at_all_is_named(tmp_path):
    (tmp_path / "no.whl").write_bytes(b"PK no")

    with pytest.raises(AssetError, match=r"no\.whl is no readable wheel"):
        assets.convert(tmp_path / "no.whl", tmp_path / "x")


def test_an_empty_cache_says_how_to_fill_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ROBOREFER_CACHE", str(tmp_path))

    with pytest.raises(AssetError, match=r"python3 -m roborefer_sim\.core\.assets"):
        assets.ur5_urdf()


def test_mujoco_imported_too_early_is_told():
    code = (
        "import os; os.environ.pop('MUJOCO_GL', None); import mujoco\n"
        "from roborefer_sim.core.gl import choose_gl\n"
        "choose_gl()"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)

    assert "call choose_gl() first" in result.stderr


def test_the_ray_caster_names_what_would_draw_better():
    assert "libegl1" in explain(RAY_CASTER)
