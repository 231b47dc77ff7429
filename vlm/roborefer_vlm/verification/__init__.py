# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
"""Comparison with what the original implementation computes.

A golden directory holds small checkpoints, pictures and recorded results:

    checkpoints/<name>/           published layout, random weights
    images/                       pictures and their depth pictures
    expected/<name>/              inference.json|npz, train.json|npz; `*_pillow13.*` where the
                                  resizing of Pillow 13 and newer changes the result
    train/records.json            the conversations of train.json

`python -m roborefer_vlm.verification DIRECTORY` compares everything in it and ends with
status 1 if anything lies outside its tolerance. `inference.verify_inference` and
`training.verify_training` do the same for one checkpoint and return the comparisons.
"""
