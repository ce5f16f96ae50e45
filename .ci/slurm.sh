#!/usr/bin/env bash
# A SLURM of one machine, on loopback, for tests.
#
#   .ci/slurm.sh install          installs Debian's packages, where this is root and they are missing
#   .ci/slurm.sh start FOLDER     starts it, its files in FOLDER, and prints the variable that clients need
#   .ci/slurm.sh stop FOLDER      ends its jobs and its daemons
#
# Partitions: "short", and "urgent", whose jobs preempt those of "short" (they are requeued).
set -euo pipefail

install() {
    local needed missing=
    for needed in munged slurmctld slurmd srun; do command -v "$needed" >/dev/null || missing=1; done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    export DEBIAN_FRONTEND=noninteractive
    # Nothing is to be started by the installation itself.
    local keep=1
    [ -e /usr/sbin/policy-rc.d ] || { keep=0; printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod +x /usr/sbin/policy-rc.d; }
    local done=0
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >/dev/null || done=1
    [ $keep = 1 ] || rm -f /usr/sbin/policy-rc.d
    return $done
}

free_port() {
    local port
    for _ in $(seq 100); do
        port=$((20000 + RANDOM % 12000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
    done
    return 1
}

configure() {
    local folder=$1 host
    host=$(hostname -s)
    cat >"$folder/slurm.conf" <<CONF
ClusterName=stem
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$(id -un)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
# A requeued job waits until the credential of its earlier start is void: 120 s unless said here.
AuthInfo=socket=$folder/munge.socket,cred_expire=5
CredType=cred/munge
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=1,batch_sched_delay=0
ReturnToService=2
JobRequeue=1
MinJobAge=3600
KillWait=5
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=short Nodes=$host Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$host MaxTime=INFINITE State=UP PriorityTier=2
CONF
}

start() {
    local folder=$1
    mkdir -p "$folder/state" "$folder/spool"
    chmod 755 "$folder"
    head -c 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    configure "$folder"
    export SLURM_CONF=$folder/slurm.conf
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" --pid-file="$folder/munged.pid" \
        --log-file="$folder/munged.log" --seed-file="$folder/munge.seed" 2>>"$folder/munged.log"
    slurmctld -c >>"$folder/slurmctld.log" 2>&1
    slurmd -c >>"$folder/slurmd.log" 2>&1
    for _ in $(seq 150); do
        [ "$(sinfo -h -p short -o %t 2>/dev/null)" = idle ] && { echo "SLURM_CONF=$SLURM_CONF"; return; }
        sleep 0.1
    done
    tail -n 20 "$folder"/*.log >&2
    stop "$folder"
    return 1
}

stop() {
    local folder=$1 daemon pid
    export SLURM_CONF=$folder/slurm.conf
    timeout 5 scancel --me 2>/dev/null || true
    for daemon in slurmd slurmctld munged; do
        pid=$(cat "$folder/$daemon.pid" 2>/dev/null) || continue
        kill "$pid" 2>/dev/null || continue
        for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null || true
    done
}

case "${1:-}" in
install) install ;;
start | stop) "$1" "${2:?a folder}" ;;
*) sed -n '2,9p' "$0"; exit 2 ;;
esac
