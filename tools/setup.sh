#!/usr/bin/env bash
# SPDX-FileCopyrightText: RoboRefer for ROS 2 contributors
# SPDX-License-Identifier: Apache-2.0
# Makes .venv with everything that runs without ROS 2. Safe to run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=()
if command -v apt-get >/dev/null; then
  while read -r package _; do
    if [[ -z $package || $package == \#* ]]; then continue; fi
    [[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == *"ok installed" ]] ||
      wanted+=("$package")
  done <tools/system-packages.txt
fi
if ((${#wanted[@]})); then
  if ((EUID == 0)); then
    root=(env)
  elif sudo -n true 2>/dev/null; then
    root=(sudo -n)
  else
    root=()
  fi
  if ((${#root[@]})); then
    "${root[@]}" apt-get update -qq || echo "setup: apt-get update failed, going on without it"
  fi
  known=()
  for package in "${wanted[@]}"; do
    # A name may be known although no repository has the package: only a candidate counts.
    if [[ $(apt-cache policy "$package") == *"Candidate: "[^\(]* ]]; then known+=("$package"); fi
  done
  if ((${#known[@]} && ${#root[@]})); then
    for package in "${known[@]}"; do
      echo "setup: installing $package"
      "${root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
        apt-get install -y -qq --no-install-recommends "$package" >/dev/null ||
        echo "setup: could not install $package; tests that need it will be skipped"
    done
  elif ((${#known[@]})); then
    echo "setup: some tests need system packages; to run them too, type:"
    echo "  sudo apt-get install --no-install-recommends ${known[*]}"
  fi
fi

if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  for python in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
    if [[ -n $python ]] && "$python" -c \
      'import sys, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
    then
      "$python" -m venv --clear .venv
      break
    fi
  done
fi
if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
  echo "setup: no Python 3.11 to 3.13 that can make a virtual environment was found; type:" >&2
  echo "  sudo apt-get install python3-venv     (or name one: make setup PYTHON=...)" >&2
  exit 1
fi

echo "setup: installing Python packages into .venv"
.venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements.txt
.venv/bin/pocket-ros2 enable --workspace .
echo "setup: fetching the shape of the UR5 (131 MB, once)"
.venv/bin/python -m roborefer_sim.core.assets >/dev/null
touch .venv/.ready
