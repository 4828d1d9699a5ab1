#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Leaves a file with this host's name for job.sh, which counts the hosts with ranks. If several GPUs are visible, assigns one of them to this process of
# pvserver. Then becomes the command in its arguments.

# Of thousands of ranks, one of each host creates the file; none starts a process for it.
if { IFS= read -r host < /proc/sys/kernel/hostname; } 2>/dev/null; then
  case $host in '' | */* | localhost*) ;; *) [ -e "${0%/*}/host.$host" ] || { true > "${0%/*}/host.$host"; } 2>/dev/null || :;; esac
fi

count() { n=0; for file in "$@"; do if (true < "$file") 2>/dev/null; then n=$((n + 1)); fi; done; echo $n; }

# A GPU that the batch system's cgroup excludes has a device file that cannot be opened. EGL of NVIDIA's driver does not count it.
gpus() {
  seen=$(count /dev/nvidia[0-9]*) visible=${CUDA_VISIBLE_DEVICES-all}
  [ "$seen" -eq 0 ] || return 0
  seen=$(count /dev/dri/renderD*) visible=${ROCR_VISIBLE_DEVICES-${HIP_VISIBLE_DEVICES-${ZE_AFFINITY_MASK-all}}}
  # Mesa also counts devices that cannot be opened. If there are any, no index is set.
  set -- /dev/dri/renderD*
  [ "$seen" -eq $# ] || seen=0
}

# MPI's own variable comes first: the batch system's is also set in the batch script itself, and inherited by all that it starts.
rank() {
  for number in "${OMPI_COMM_WORLD_LOCAL_RANK-}" "${MV2_COMM_WORLD_LOCAL_RANK-}" "${MVP_COMM_WORLD_LOCAL_RANK-}" "${JSM_NAMESPACE_LOCAL_RANK-}" \
    "${MPI_LOCALRANKID-}" "${PMI_LOCAL_RANK-}" "${PALS_LOCAL_RANKID-}" "${FLUX_TASK_LOCAL_ID-}" "${SLURM_LOCALID-}"; do
    case $number in '' | *[!0-9]*) ;; *) echo "$number"; return;; esac
  done
  echo 0
}

# device RANK SEEN VISIBLE: prints the index of the rank's GPU in EGL's order; nothing if it is unknown.
device() {
  rank=$1 seen=$2 plain=1
  if [ "$3" = all ]; then echo $((rank % seen)); return; fi
  set -f; IFS=', '
  # shellcheck disable=SC2086 # it is to be split
  set -- $3
  unset IFS
  for gpu; do
    case $gpu in -1 | NoDevFiles) return;; *[!0-9]*) plain=; continue;; esac
    [ "$gpu" -lt "$seen" ] || plain=
  done
  [ $# -gt 0 ] || return
  # Names, and numbers that refer to the whole node although a cgroup shows only some GPUs, cannot be converted. If their count equals the number of
  # GPUs seen, all of these are usable.
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
    index=$(device "$(rank)" "$seen" "$visible")
    if [ -n "$index" ]; then VTK_DEFAULT_EGL_DEVICE_INDEX=$index; export VTK_DEFAULT_EGL_DEVICE_INDEX; fi
  fi
fi
exec "$@"
