# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""The UR5 with a parallel-jaw gripper of 2F-85 dimensions, as a MuJoCo description.

Frames and joint names are those of ur_description: `base_link` (x forward, z up) to `tool0`
(z out of the flange). The jaw closes along the y axis of tool0; its two finger joints read the
distance of each pad from the middle, so 0 is closed and OPEN_M is open.
"""

from __future__ import annotations

import mujoco

from roborefer_sim.core.assets import ur5_urdf

ARM_JOINTS = (
    "shoulder_pan_joint",
    "shoulder_lift_joint",
    "elbow_joint",
    "wrist_1_joint",
    "wrist_2_joint",
    "wrist_3_joint",
)
FINGER_JOINTS = ("gripper_left_finger_joint", "gripper_right_finger_joint")
GRIPPER_ACTUATOR = "gripper"
# Half the stroke of a 2F-85, metres: the largest thing that fits is twice as wide.
OPEN_M = 0.0425
# From the flange to the middle of the pads, along z of tool0, metres.
TCP_OFFSET_M = 0.1285
GRIP_FORCE_N = 40.0
# Folded back above the base, so that the camera sees the whole table; radians.
HOME = (0.0, -2.23, 1.585, -0.93, -1.5708, -1.5708)

# Servo gains by joint: stiff enough to hold a lifted thing within a millimetre, soft enough not
# to ring at a step of 2 ms.
_GAINS = {name: (2000.0, 150.0) for name in ARM_JOINTS[:3]}
_GAINS |= {name: (500.0, 25.0) for name in ARM_JOINTS[3:]}
_EFFORT_N_M = {name: 150.0 for name in ARM_JOINTS[:3]} | {name: 28.0 for name in ARM_JOINTS[3:]}
# Links that meshes of neighbours always touch; from the SRDF of ur_description.
_NEIGHBOURS = (
    ("base_link", "shoulder_link"),
    ("base_link", "upper_arm_link"),
    ("shoulder_link", "upper_arm_link"),
    ("upper_arm_link", "forearm_link"),
    ("forearm_link", "wrist_1_link"),
    ("forearm_link", "wrist_2_link"),
    ("forearm_link", "wrist_3_link"),
    ("wrist_1_link", "wrist_2_link"),
    ("wrist_1_link", "wrist_3_link"),
    ("wrist_2_link", "wrist_3_link"),
)
_DARK = (0.13, 0.13, 0.14, 1.0)
_STEEL = (0.62, 0.64, 0.67, 1.0)
_JOINT_BLUE = (0.36, 0.55, 0.68, 1.0)


def ur5_spec() -> mujoco.MjSpec:
    """Describe the arm with servos and gripper; its root body is `base_link`.

    Raises:
        AssetError: The UR5's description was not put into the cache.
    """
    spec = mujoco.MjSpec.from_file(str(ur5_urdf()))
    spec.modelname = "ur5"
    for body in spec.bodies:
        body.gravcomp = 1.0
        for geom in body.geoms:
            if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
                geom.name = f"{body.name}_shape"
                geom.rgba = _JOINT_BLUE if "wrist" in body.name else _STEEL
            else:
                # The URDF marks the flange with a tiny box, which would collide with the gripper.
                spec.delete(geom)
    for name in ARM_JOINTS:
        joint = spec.joint(name)
        joint.armature = 0.1
        stiffness, damping = _GAINS[name]
        effort = _EFFORT_N_M[name]
        actuator = spec.add_actuator(name=name, target=name)
        actuator.trntype = mujoco.mjtTrn.mjTRN_JOINT
        actuator.set_to_position(kp=stiffness, kv=damping)
        actuator.forcelimited = True
        actuator.forcerange = (-effort, effort)
    for first, second in _NEIGHBOURS:
        spec.add_exclude(bodyname1=first, bodyname2=second)
    _add_gripper(spec)
    return spec


def _add_gripper(spec: mujoco.MjSpec) -> None:
    palm = spec.body("tool0").add_body(name="gripper_base_link", gravcomp=1.0)
    box = mujoco.mjtGeom.mjGEOM_BOX
    palm.add_geom(
        name="gripper_palm", type=box, size=(0.0375, 0.0375, 0.045), pos=(0, 0, 0.045),
        rgba=_DARK, mass=0.777,
    )  # fmt: skip
    for joint_name, side in zip(FINGER_JOINTS, (1.0, -1.0), strict=True):
        finger = palm.add_body(name=joint_name.replace("_joint", "_link"), gravcomp=1.0)
        finger.add_joint(
            name=joint_name,
            type=mujoco.mjtJoint.mjJNT_SLIDE,
            axis=(0, side, 0),
            range=(0, OPEN_M),
            armature=0.05,
            damping=10.0,
        )
        finger.add_geom(
            type=box, size=(0.010, 0.005, 0.0275), pos=(0, side * 0.011, 0.1175), rgba=_DARK,
            mass=0.03,
        )  # fmt: skip
        finger.add_geom(
            name=joint_name.replace("_joint", "_pad"), type=box, size=(0.011, 0.003, 0.0165),
            pos=(0, side * 0.003, TCP_OFFSET_M), rgba=(0.3, 0.3, 0.3, 1), mass=0.02, condim=4,
            friction=(1.0, 0.02, 0.001), priority=1, solref=(0.005, 1),
            solimp=(0.95, 0.99, 0.001, 0.5, 2),
        )  # fmt: skip
        spec.add_exclude(bodyname1="gripper_base_link", bodyname2=finger.name)
    spec.add_exclude(bodyname1="wrist_3_link", bodyname2="gripper_base_link")
    spec.add_equality(
        name="jaw",
        type=mujoco.mjtEq.mjEQ_JOINT,
        objtype=mujoco.mjtObj.mjOBJ_JOINT,
        name1=FINGER_JOINTS[0],
        name2=FINGER_JOINTS[1],
        solref=(0.005, 1),
    )
    palm.add_site(name="tcp", pos=(0, 0, TCP_OFFSET_M), size=(0.004, 0.004, 0.004), group=4)
    grip = spec.add_actuator(name=GRIPPER_ACTUATOR, target=FINGER_JOINTS[0])
    grip.trntype = mujoco.mjtTrn.mjTRN_JOINT
    grip.set_to_position(kp=4000.0, kv=100.0)
    grip.forcelimited = True
    grip.forcerange = (-GRIP_FORCE_N, GRIP_FORCE_N)
