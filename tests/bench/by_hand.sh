#!/bin/sh
# What a scientist would type, as a script: master, job, queue and log asked every second, forward. Run by run.py as alice on the workstation.
set -eu
master=/tmp/by-hand-$$
port=$1
cluster() { ssh -S "$master" login.lab.example "$@"; }
ssh -f -N -M -S "$master" login.lab.example
cluster 'cat > by-hand.sh' <<'E'
#!/bin/sh
exec xvfb-run -a -s -noreset pvserver --server-port=0
E
job=$(cluster sbatch --parsable -n1 -t 10 -o by-hand.log by-hand.sh)
until [ "$(cluster squeue -h -j "$job" -o %T)" = RUNNING ]; do sleep 1; done
node=$(cluster squeue -h -j "$job" -o %B)
until line=$(cluster grep -a Accepting by-hand.log); do sleep 1; done
ssh -S "$master" -O forward -L "127.0.0.1:$port:$node:${line##*:}" login.lab.example
echo ready
read -r _end || :
cluster scancel "$job"
until [ -z "$(cluster squeue -h -j "$job" 2>/dev/null)" ]; do sleep 0.2; done
cluster rm -f by-hand.sh by-hand.log
ssh -S "$master" -O exit login.lab.example 2>/dev/null
