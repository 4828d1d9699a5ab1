# shellcheck shell=bash disable=SC2154
# Grid Engine, where the lab's generation has it: what qmaster would spool itself, in its own (classic) format, which it reads
# when it starts. Sourced behind site.
cell=/var/lib/gridengine/default
common=$cell/common
spool=/var/spool/gridengine/qmaster
defaults=/usr/share/gridengine
# same VALUE NAME...: lines for attributes of one value
same() { printf "%s $1\n" "${@:2}"; }

echo login | put $common/act_qmaster
sed "s|^spooling_method.*|spooling_method classic|; s|^spooling_lib.*|spooling_lib libspoolc|
    s|^spooling_params.*|spooling_params $common;$spool|" $defaults/default-bootstrap | put $common/bootstrap
# the end of a job is in qacct at once
sed 's/^reporting_params.*/& accounting_flush_time=00:00:00/; s/^administrator_mail.*/administrator_mail none/
    s|^shepherd_cmd.*|shepherd_cmd /usr/local/sbin/shepherd|' $defaults/default-configuration | put $common/configuration
# the shepherd of a parallel job's other nodes leaves processes of theirs behind when the job is killed
put /usr/local/sbin/shepherd <<'SHEPHERD'
#!/bin/sh
group=$(sed -n 's/^add_grp_id=//p' config)
(
    {
        tail --pid=$$ -s 0.1 -f /dev/null
        while left=$(grep -ls "^Groups:.*\<$group\>" /proc/[0-9]*/status); do
            echo "$left" | cut -d/ -f3 | xargs kill -9
        done
    } >/dev/null 2>&1 </dev/null &
)
exec /usr/lib/gridengine/sge_shepherd -bg
SHEPHERD
chmod 755 /usr/local/sbin/shepherd
mkdir -p $spool/{advance_reservations,calendars,ckpt,job_scripts,jobs,projects,qinstances,resource_quotas,users,zombies}
cp -r $defaults/util/resources/{centry,usersets} $spool/
printf '%s\n' root sgeadmin | put $spool/managers
for host in "${cluster[@]}"; do
    echo "hostname $host" | put "$spool/admin_hosts/$host"
done
for host in login login2; do
    echo "hostname $host" | put "$spool/submit_hosts/$host"
done
for host in "${nodes[@]}"; do
    echo "hostname $host" | put "$spool/exec_hosts/$host"
done
printf '%s\n' 'group_name @nodes' "hostlist ${nodes[*]}" | put $spool/hostgroups/@nodes

# parallel_environment NAME RULE
parallel_environment() {
    {
        same NONE user_lists xuser_lists start_proc_args stop_proc_args qsort_args
        same FALSE job_is_first_task accounting_summary
        printf '%s\n' "pe_name $1" 'slots 999' "allocation_rule $2" 'control_slaves TRUE' 'urgency_slots min'
    } | put "$spool/pe/$1"
}
parallel_environment mpi "\$round_robin"
parallel_environment mpi1 1
parallel_environment mpi2 2

# queue NAME INITIAL_STATE BITS: a queue on both nodes; BITS say the state for now: 1024 not heard of, 4 disabled
queue() {
    {
        same NONE {load,suspend}_thresholds ckpt_list prolog epilog {starter,suspend,resume,terminate}_method owner_list \
            {,x}user_lists subordinate_list complex_values {,x}projects calendar
        same INFINITY {s,h}_{rt,cpu,fsize,data,stack,core,rss,vmem}
        printf '%s\n' "qname $1" 'hostlist @nodes' "initial_state $2" 'slots 2' 'pe_list mpi mpi1 mpi2' 'qtype BATCH INTERACTIVE' \
            'seq_no 0' 'nsuspend 1' 'suspend_interval 00:05:00' 'priority 0' 'min_cpu_interval 00:05:00' 'processors UNDEFINED' \
            'rerun FALSE' 'tmpdir /tmp' 'shell /bin/sh' 'shell_start_mode posix_compliant' 'notify 00:00:60'
    } | put "$spool/cqueues/$1"
    for host in "${nodes[@]}"; do
        printf '%s\n' "qname $1" "hostname $host" "state $3" 'pending_signal 0' 'pending_signal_del 0' 'version 1' |
            put "$spool/qinstances/$1/$host"
    done
}
queue debug.q default 1024
queue down.q disabled 1028

put $common/sched_configuration <<'CONF'
algorithm default
schedule_interval 0:0:1
maxujobs 0
queue_sort_method 0
job_load_adjustments NONE
load_adjustment_decay_time 0:7:30
load_formula np_load_avg
schedd_job_info true
flush_submit_sec 1
flush_finish_sec 1
params none
reprioritize_interval 0:0:0
halftime 168
usage_weight_list cpu=1.000000 mem=0.000000 io=0.000000
compensation_factor 5.000000
weight_user 0.250000
weight_project 0.250000
weight_department 0.250000
weight_job 0.250000
weight_tickets_functional 0
weight_tickets_share 0
weight_tickets_override 0
share_override_tickets TRUE
share_functional_shares TRUE
max_functional_jobs_to_schedule 200
report_pjob_tickets TRUE
max_pending_tasks_per_job 50
halflife_decay_list none
policy_hierarchy OFS
weight_ticket 0.500000
weight_waiting_time 0.278000
weight_deadline 3600000.000000
weight_urgency 0.500000
weight_priority 0.000000
max_reservation 0
default_duration INFINITY
CONF
chown -R sgeadmin:sgeadmin $common $spool
for host in "${cluster[@]}"; do
    mkdir -p "$up/$host$cell"
    cp -a $common "$up/$host$cell/"
done
mkdir -p "$up/login${spool%/*}"
mv $spool "$up/login${spool%/*}/"
rm -r $common
