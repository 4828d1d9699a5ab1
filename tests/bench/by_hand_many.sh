#!/bin/sh
# What a scientist would type for several sessions at once on a login node without a batch system, as a script. Run by many.py as alice on the workstation.
set -eu
count=$1

session() {
    master=/tmp/by-hand-$$-$1
    # sshd drops logins while too many others are under way.
    until ssh -f -N -M -S "$master" login.lab.example 2>/dev/null; do sleep 1; done
    ssh -S "$master" login.lab.example "setsid xvfb-run -a -s -noreset pvserver --server-port=0 >by-hand.$1.log 2>&1 & echo \$! >by-hand.$1.pid"
    until line=$(ssh -S "$master" login.lab.example grep -a Accepting "by-hand.$1.log"); do sleep 1; done
    ssh -S "$master" -O forward -L "127.0.0.1:$((24000 + $1)):127.0.0.1:${line##*:}" login.lab.example
}

for number in $(seq "$count"); do session "$number" & done
wait
echo ready
read -r _end || :
for number in $(seq "$count"); do
    ssh -S "/tmp/by-hand-$$-$number" login.lab.example "kill -- -\$(cat by-hand.$number.pid); rm -f by-hand.$number.log by-hand.$number.pid" || :
    ssh -S "/tmp/by-hand-$$-$number" -O exit login.lab.example 2>/dev/null || :
done
