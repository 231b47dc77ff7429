# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "roborefer_bringup"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", sorted(glob("launch/*.launch.py"))),
        (f"share/{PACKAGE}/config", sorted(glob("config/*"))),
        (f"share/{PACKAGE}/sounds", sorted(glob("sounds/*"))),
    ],
    install_requires=["setuptools", "numpy", "opencv-python-headless>=4.6"],
    extras_require={"film": ["av>=14"]},
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="Whole robots by one launch file, and a client library for programs",
    license="Apache-2.0",
    entry_points={"console_scripts": ["demo = roborefer_bringup.demo.main:main"]},
)
