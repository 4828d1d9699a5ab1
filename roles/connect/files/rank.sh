#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Gives a process of pvserver's a GPU of its own where it sees several, and becomes what stands behind it on the command line.

count() { n=0; for file in "$@"; do if (true < "$file") 2>/dev/null; then n=$((n + 1)); fi; done; echo $n; }

# What a batch system's cgroup shuts off is there and cannot be opened, and EGL of NVIDIA's driver does not count it.
gpus() {
  seen=$(count /dev/nvidia[0-9]*) wish=${CUDA_VISIBLE_DEVICES-all}
  [ "$seen" -eq 0 ] || return 0
  seen=$(count /dev/dri/renderD*) wish=${ROCR_VISIBLE_DEVICES-${HIP_VISIBLE_DEVICES-all}}
  # Mesa counts those as well that cannot be opened.
  set -- /dev/dri/renderD*
  [ "$seen" -eq $# ] || seen=0
}

# An MPI's own number comes first: a batch script has the batch system's, and hands it on to all that it starts.
rank() {
  for number in "${OMPI_COMM_WORLD_LOCAL_RANK-}" "${MV2_COMM_WORLD_LOCAL_RANK-}" "${MPI_LOCALRANKID-}" "${PMI_LOCAL_RANK-}" "${PALS_LOCAL_RANKID-}" \
    "${FLUX_TASK_LOCAL_ID-}" "${SLURM_LOCALID-}"; do
    case $number in '' | *[!0-9]*) ;; *) echo "$number"; return;; esac
  done
  echo 0
}

# device RANK SEEN WISH: the rank's GPU, counted as EGL counts; nothing where that is not known.
device() {
  rank=$1 seen=$2 plain=1
  if [ "$3" = all ]; then echo $((rank % seen)); return; fi
  set -f; IFS=', '
  # shellcheck disable=SC2086 # it is to be split
  set -- $3
  unset IFS
  for one; do
    case $one in -1 | NoDevFiles) return;; *[!0-9]*) plain=; continue;; esac
    [ "$one" -lt "$seen" ] || plain=
  done
  [ $# -gt 0 ] || return
  # Names, and numbers of a whole node where a cgroup shows a part of it, are in their order where all of them are seen.
  if [ -n "$plain" ]; then
    shift $((rank % $#))
    echo "$1"
  elif [ $# -eq "$seen" ]; then
    echo $((rank % seen))
  fi
}

if [ -z "${VTK_DEFAULT_EGL_DEVICE_INDEX+set}" ]; then
  gpus
  if [ "$seen" -gt 1 ]; then
    index=$(device "$(rank)" "$seen" "$wish")
    if [ -n "$index" ]; then VTK_DEFAULT_EGL_DEVICE_INDEX=$index; export VTK_DEFAULT_EGL_DEVICE_INDEX; fi
  fi
fi
exec "$@"
