#!/usr/bin/env bash
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# Runs the ament linters over src/, those that this machine has. They are installed by a sourced
# ROS 2 or by Debian. ament_copyright is left out: it knows no SPDX lines, tools/check_tree.py does.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
failed=0

lint() {
  if ! command -v "$1" >/dev/null; then
    echo "$1: skipped, not installed (Debian: python3-${1//_/-})"
  elif output=$("$@" 2>&1); then
    echo "$1: ok"
  else
    printf '%s\n' "$output"
    failed=1
  fi
}

lint ament_xmllint src
lint ament_lint_cmake --linelength 99 src
if [[ -n $(find src -name '*.py' -print -quit) ]]; then
  lint ament_flake8 --config tools/flake8.ini src
  lint ament_pep257 --convention google --add-ignore D100 D101 D102 D103 D104 D105 D107 -- src
fi
exit "$failed"
