# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "roborefer_grasping"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["core/*.toml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{PACKAGE}/config", sorted(glob("config/*.yaml"))),
    ],
    install_requires=[
        "setuptools",
        "mujoco-core>=4.0,<4.1",
        "numpy",
        "ompl>=2.0.1,<3",
        "ruckig",
        "scipy",
        "toppra",
    ],
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="From a referred place to an arm that has picked or placed there, safely",
    license="Apache-2.0",
    entry_points={"console_scripts": ["arm = roborefer_grasping.nodes.arm:main"]},
)
