#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Starts job.sh in a job that runs already, on its root node. plugins/module_utils/cluster/own_job.py fills in the @NAMES@, and leaves out the parts
# between BEGIN and END that this batch system does not need.
cd @DIR@ || exit 1
mask=$(umask)
umask 077
# A later session in the same job does not take this one's processes for the job's.
PARAVIEW_ATTACHED=1
export PARAVIEW_ATTACHED
job_process='' job_began=''

limit() { if command -v timeout > /dev/null 2>&1; then timeout -k 2 "$@"; else shift; "$@"; fi; }

# MPI launchers that do not know the batch system take their nodes from a file.
name_hosts() {
  : "${OMPI_MCA_orte_default_hostfile:=$slots}" "${PRTE_MCA_prte_default_hostfile:=$slots}" "${HYDRA_HOST_FILE:=$slots}"
  export OMPI_MCA_orte_default_hostfile PRTE_MCA_prte_default_hostfile HYDRA_HOST_FILE
}

# BEGIN variable
# Sets $job_process and $job_began, the number and the start of the job's first process. This script can read the environments of the user's own processes alone.
find_process() {
  # Other sessions in this job. A process that ends meanwhile is in this list, since it is made first.
  others=" $(grep -lszx 'PARAVIEW_ATTACHED=1' /proc/[0-9]*/environ 2>/dev/null | tr '\n' ' ')"
  # shellcheck disable=SC2013 # these are words
  for file in $(grep -lszxe @MARK@ /proc/[0-9]*/environ 2>/dev/null); do
    case $others in *" $file "*) continue;; esac
    number=${file#/proc/} number=${number%/environ}
    { IFS= read -r stat < "/proc/$number/stat"; } 2>/dev/null || continue
    # shellcheck disable=SC2086 # it is to be split
    set -- ${stat##*) }
    case ${20-} in '' | *[!0-9]*) continue;; esac
    [ -z "$job_began" ] || [ "${20}" -lt "$job_began" ] || continue
    job_process=$number job_began=${20}
  done
}

# Prints a process's environment as shell lines. Variables that a shell cannot assign, or that would change this one, are left out.
environment_of() {
  tr '\000\n' '\n\001' < "/proc/$1/environ" | LC_ALL=C sed -n \
    -e '/^\(IFS\|PS4\|OPTIND\|PWD\|OLDPWD\|SHLVL\|_\|PPID\|UID\|EUID\|GROUPS\|SHELLOPTS\|BASHOPTS\|ENV\|POSIXLY_CORRECT\)=/d' \
    -e "s/'/'\\\\''/g" -e "s/^\([A-Za-z_][A-Za-z0-9_]*\)=\(.*\)\$/\1='\2'; export \1/p" | tr '\001' '\n'
}

find_process
taken=
if [ -n "$job_process" ]; then taken=$(environment_of "$job_process" 2>/dev/null); fi
# A variable of the job may have the name of one of this script's.
set -- "$job_process" "$job_began" "$taken" "$mask"
eval "$3"
job_process=$1 job_began=$2 mask=$4
[ -n "$3" ] || job_process=
set --
# END variable

# shellcheck disable=SC2034 # the batch system's lines and job.sh use them
job_id=@JOB_ID@ use=@USE@ each=@EACH@ all=@ALL@ started=@STARTED@
slots=@DIR@/slots second='' unwatched=

# The nodes as the job's own processes name them, else as the batch system does.
if [ -n "$job_process" ] || [ "$started" = 1 ]; then
  { @JOB_NODES@
  } 2>/dev/null | grep . > nodes.job
  if [ "$(wc -l < nodes.job)" -eq "$all" ]; then mv nodes.job nodes; fi
fi
awk -v most="$use" -v each="$each" 'NF && NR <= most { for (i = 0; i < each; i++) print $1 }' nodes > slots
# shellcheck disable=SC2034 # the batch system's lines use it
[ "$use" -lt 2 ] || second=$(sed -n 2p nodes)
# BEGIN login
# Nothing shows when the job ends, so job.sh ends when the job's time is over.
# shellcheck disable=SC2034 # job.sh uses it
[ -n "$job_process" ] || { unwatched=1; name_hosts; echo unwatched > news.unwatched; }
# END login
@ATTACH_SETUP@
cd @DIR@ || exit 1
# Files that the user saves get their mode from the user's own umask.
umask "$mask"
# shellcheck source=/dev/null
. ./job.sh
