# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Installs the package into a colcon workspace."""

from glob import glob

from setuptools import find_packages, setup

PACKAGE = "roborefer_operator"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(exclude=["test"]),
    package_data={PACKAGE: ["core/console/page/*"]},
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
        "pocketsphinx>=5.1.1,<6",
        "py_trees>=2.2,<3",
        "PyYAML",
        "trimesh>=4",
        "viser>=1.1.1,<2",
        "websockets>=14",
    ],
    zip_safe=False,
    maintainer="RoboRefer for ROS 2 contributors",
    maintainer_email="maintainers@roborefer.invalid",
    description="From what people type or say to tasks that a robot carries out",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "console = roborefer_operator.nodes.console:main",
            "executive = roborefer_operator.nodes.executive:main",
            "mock_robot = roborefer_operator.nodes.mock_robot:main",
            "say_wav = roborefer_operator.nodes.say_wav:main",
            "speech = roborefer_operator.nodes.speech:main",
        ]
    },
)
