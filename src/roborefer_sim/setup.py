# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "roborefer_sim"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["core/*.toml"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{PACKAGE}"]),
        (f"share/{PACKAGE}", ["package.xml"]),
        (f"share/{PACKAGE}/launch", glob("launch/*.launch.py")),
        (f"share/{PACKAGE}/config", glob("config/*")),
    ],
    install_requires=["setuptools", "mujoco-core[rendering]>=4.0,<4.1", "numpy", "scipy"],
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="Stand-in robots, cameras and tables in MuJoCo that speak like the real ones",
    license="Apache-2.0",
    entry_points={"console_scripts": ["simulator = roborefer_sim.nodes.main:main"]},
)
