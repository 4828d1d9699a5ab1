#!/bin/sh
# Copyright (c) 2026, The sciviz.paraview developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Reports the facts of a login node, in one round trip. plugins/module_utils/cluster/facts.py fills in the @NAMES@ and reads the answer.

part() { printf '\n==%s\n' "$1"; }
limit() { if command -v timeout >/dev/null 2>&1; then timeout -k 2 "$@"; else shift; "$@"; fi; }
# shellcheck disable=SC2329 # the text filled in calls these two
detect() { part "detect_$1"; shift; limit 10 "$@" 2>&1 </dev/null | head -n 200; }
# shellcheck disable=SC2329
first_node() { part "first_node_$1"; shift; limit 10 "$@" 2>/dev/null </dev/null | head -n 2000; }

part host; hostname
part uid; id -u
part home; printf '%s\n' "$HOME"
part connection; printf '%s\n' "$SSH_CONNECTION"
PATH=$PATH:/usr/sbin:/sbin
part addresses; { ip -4 -o addr show scope global || hostname -I; } 2>/dev/null
have=
# shellcheck disable=SC2043 # there may be several
for c in @COMMANDS@; do command -v "$c" >/dev/null 2>&1 && have=1; done
if [ -z "$have" ] && [ -r /etc/profile ]; then . /etc/profile >/dev/null 2>&1 </dev/null; part profile; echo read; fi
LC_ALL=C; export LC_ALL
@DETECT@
part tools; for c in setsid grep sed awk; do command -v "$c" >/dev/null 2>&1 || echo "$c"; done
part guard; ls -ldn @SITE_DIRECTORY@ @SITE_FILE@ 2>/dev/null
# It comes last, so that no line in it can be read as another part.
part site; cat @SITE_FILE@ 2>/dev/null
