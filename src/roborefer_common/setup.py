# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from setuptools import find_packages, setup

PACKAGE = "roborefer_common"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
    ],
    install_requires=["setuptools", "numpy", "opencv-python-headless>=4.6"],
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="What the nodes of RoboRefer share: parameter tables, QoS profiles, waits",
    license="Apache-2.0",
)
