#!/bin/sh
# A SLURM of one node, this computer, to try sweeps on: `slurm.sh start FOLDER`, then
# `export SLURM_CONF=FOLDER/slurm.conf` and sinfo, squeue, sbatch work; `slurm.sh stop FOLDER`.
# Needs root and Debian's or Ubuntu's slurm-wlm and munge. All it writes lies in FOLDER.
set -eu

folder=$(mkdir -p "$2" && cd "$2" && pwd)

start() {
    memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) # MB
    chmod 755 "$folder"
    mkdir -p "$folder/state" "$folder/spool"
    head -c 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    cat >"$folder/slurm.conf" <<EOF
ClusterName=one
SlurmctldHost=localhost
SlurmctldPort=$((20000 + $$ % 10000))
SlurmdPort=$((20001 + $$ % 10000))
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=2
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
NodeName=localhost CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
    munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed"
    export SLURM_CONF="$folder/slurm.conf"
    slurmctld
    slurmd -N localhost
    for _ in $(seq 60); do
        sinfo --noheader --format=%T 2>/dev/null | grep -q idle && return
        sleep 0.5
    done
    echo "SLURM did not come up; its messages:" >&2
    tail -n 5 "$folder"/*.log >&2
    stop
    exit 1
}

stop() {
    SLURM_CONF="$folder/slurm.conf" scancel --quiet --user="$(id -un)" --signal=KILL 2>/dev/null || true
    pids=$(cat "$folder/slurmd.pid" "$folder/slurmctld.pid" "$folder/munged.pid" 2>/dev/null || true)
    [ -z "$pids" ] && return
    kill $pids 2>/dev/null || true
    for _ in $(seq 40); do # until the last has gone
        alive=
        for pid in $pids; do
            kill -0 "$pid" 2>/dev/null && alive="$alive $pid"
        done
        [ -z "$alive" ] && return
        sleep 0.25
    done
    kill -KILL $pids 2>/dev/null || true
}

case $1 in
start | stop) "$1" ;;
*) echo "usage: slurm.sh start|stop FOLDER" >&2 && exit 2 ;;
esac
