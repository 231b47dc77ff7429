# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""A second opinion on collisions that shares nothing with the planner's checker.

Shapes are the convex hulls of UR's own collision meshes, kinematics are those of UR's URDF in
MuJoCo, distances are coal's, and nothing is padded: what this finds is real contact.
"""

from __future__ import annotations

import functools

import coal
import mujoco
import numpy as np
from roborefer_grasping.core.world import Shape
from roborefer_sim.core.arm import ARM_JOINTS
from roborefer_sim.core.assets import cache_directory, ur5_urdf

# Link of the URDF, mesh of the cache.
LINKS = {
    "base_link": "base",
    "shoulder_link": "shoulder",
    "upper_arm_link": "upperarm",
    "forearm_link": "forearm",
    "wrist_1_link": "wrist1",
    "wrist_2_link": "wrist2",
    "wrist_3_link": "wrist3",
}
# Hulls of these links overlap at any angle of the joints between them.
NEIGHBOURS = {
    ("base_link", "shoulder_link"),
    ("base_link", "upper_arm_link"),
    ("shoulder_link", "upper_arm_link"),
    ("upper_arm_link", "forearm_link"),
    ("forearm_link", "wrist_1_link"),
    ("forearm_link", "wrist_2_link"),
    ("wrist_1_link", "wrist_2_link"),
    ("wrist_1_link", "wrist_3_link"),
    ("wrist_2_link", "wrist_3_link"),
}
HAND = ("palm", "finger_-1", "finger_1")


@functools.cache
def hull_of(mesh):
    """Convex hull of a mesh of the UR5, in the frame of its link."""
    model = coal.MeshLoader().load(str(cache_directory() / f"{mesh}.stl"), np.ones(3))
    # buildConvexRepresentation would take the mesh as it is for convex, and miss collisions.
    model.buildConvexHull(True, "Qt")
    return model.convex


def solid_of(obstacle):
    x, y, z = obstacle.size
    if obstacle.shape == Shape.BOX:
        return coal.Box(x, y, z)
    return coal.Cylinder(x / 2, z) if obstacle.shape == Shape.CYLINDER else coal.Sphere(x / 2)


def transform(pose):
    return coal.Transform3s(np.ascontiguousarray(pose[:3, :3]), pose[:3, 3].copy())


class CoalCell:
    """UR5 and gripper among the obstacles of a World; obstacles are not padded."""

    def __init__(self, gripper, world):
        self.gripper, self.world = gripper, world
        self._model = mujoco.MjModel.from_xml_path(str(ur5_urdf()))
        self._data = mujoco.MjData(self._model)
        self._joints = [int(self._model.joint(name).qposadr[0]) for name in ARM_JOINTS]
        self._bodies = {name: self._model.body(name).id for name in LINKS if name != "base_link"}
        self._tool = self._model.body("tool0").id
        self.parts = [
            (name, name, coal.CollisionObject(hull_of(mesh)), np.eye(4))
            for name, mesh in LINKS.items()
        ]
        self.parts += list(self._hand())
        self.held = [
            (part.name, "held", coal.CollisionObject(solid_of(part)), self._tcp() @ part.pose)
            for part in (world.held.parts if world.held else ())
        ]
        self.obstacles = [
            (o.name, coal.CollisionObject(solid_of(o), transform(o.pose))) for o in world.obstacles
        ]
        self._request = coal.CollisionRequest()
        self._others = coal.DynamicAABBTreeCollisionManager()
        for _, thing in self.obstacles:
            self._others.registerObject(thing)
        self._others.setup()

    def _tcp(self):
        pose = np.eye(4)
        pose[2, 3] = self.gripper.tcp_offset
        return pose

    def _hand(self):
        gripper = self.gripper
        length, width, height = gripper.palm
        center = np.eye(4)
        center[2, 3] = height / 2
        yield "palm", "palm", coal.CollisionObject(coal.Box(length, width, height)), center
        tip = gripper.tcp_offset + gripper.finger_reach
        for side in (-1, 1):
            pose = np.eye(4)
            pose[:3, 3] = (
                0.0,
                side * (self.world.jaw + gripper.finger_thickness) / 2,
                (height + tip) / 2,
            )
            box = coal.Box(gripper.pad_width, gripper.finger_thickness, tip - height)
            yield f"finger_{side}", f"finger_{side}", coal.CollisionObject(box), pose

    def place(self, joints):
        """Move all parts to where these joints put them."""
        self._data.qpos[self._joints] = joints
        mujoco.mj_kinematics(self._model, self._data)
        frames = {name: self._frame(body) for name, body in self._bodies.items()}
        frames["base_link"] = np.eye(4)
        tool = self._frame(self._tool)
        for _, frame, thing, pose in self.parts + self.held:
            whole = frames[frame] if frame in frames else tool @ pose
            thing.setTransform(transform(whole))
            thing.computeAABB()

    def _frame(self, body):
        pose = np.eye(4)
        pose[:3, :3] = self._data.xmat[body].reshape(3, 3)
        pose[:3, 3] = self._data.xpos[body]
        return pose

    def contact(self, joints):
        """Names of two things that overlap, or None."""
        self.place(joints)
        moving = [p for p in self.parts if p[0] != "base_link"] + self.held
        for name, frame, thing, _ in moving:
            may_touch = self.world.touchable if frame == "held" else ()
            if not may_touch and not self._near(thing):
                continue
            for other, obstacle in self.obstacles:
                if other not in may_touch and self._overlap(thing, obstacle):
                    return name, other
        return self._self_contact()

    def _near(self, thing):
        callback = coal.CollisionCallBackDefault()
        callback.data.request.num_max_contacts = 1
        self._others.collide(thing, callback)
        return callback.data.result.isCollision()

    def _self_contact(self):
        for i, (first, first_frame, a, _) in enumerate(self.parts + self.held):
            for second, second_frame, b, _ in (self.parts + self.held)[i + 1 :]:
                if _never_checked(first, first_frame, second, second_frame):
                    continue
                if self._overlap(a, b):
                    return first, second
        return None

    def _overlap(self, a, b):
        if not a.getAABB().overlap(b.getAABB()):
            return False
        result = coal.CollisionResult()
        return coal.collide(a, b, self._request, result) > 0


def _never_checked(first, first_frame, second, second_frame):
    hand = (*HAND, "held", "wrist_3_link")
    if first_frame in hand and second_frame in hand:
        return True
    return (first, second) in NEIGHBOURS
