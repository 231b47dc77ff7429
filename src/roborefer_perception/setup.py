# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "roborefer_perception"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{PACKAGE}/config", sorted(glob("config/*"))),
    ],
    install_requires=[
        "setuptools",
        "httpx",
        "numpy",
        "opencv-python-headless>=4.6,<5",
        "pyyaml",
        "scipy",
    ],
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="From words and RGB-D pictures to places in the world that can be trusted",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "hand_eye = roborefer_perception.nodes.hand_eye:main",
            "referrer = roborefer_perception.nodes.referrer:main",
            "rgbd_player = roborefer_perception.nodes.rgbd_player:main",
        ]
    },
)
