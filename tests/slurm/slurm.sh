#!/bin/sh
# A SLURM of one node, this computer, to try sweeps on: `slurm.sh start FOLDER`, then
# `export SLURM_CONF=FOLDER/slurm.conf` and sinfo, squeue, sbatch work; `slurm.sh stop FOLDER`.
# Needs root and Debian's or Ubuntu's slurm-wlm and munge. All it writes lies in FOLDER.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "$2" && cd "$2" && pwd)
export SLURM_CONF="$folder/slurm.conf"
. "$here/common.sh"

start() {
    check_tools
    trap give_up EXIT # if a command below fails
    start_munge
    mkdir -p "$folder/spool"
    cat >"$SLURM_CONF" <<END
ClusterName=one
SlurmctldHost=localhost
AuthInfo=socket=$folder/munge.socket
SlurmdSpoolDir=$folder/spool
SlurmdPidFile=$folder/slurmd.pid
SlurmdLogFile=$folder/slurmd.log
NodeName=localhost CPUs=$(nproc) RealMemory=$(memory) State=UNKNOWN
$(settings)
END
    slurmctld
    slurmd -N localhost
    wait_for_nodes localhost
    trap - EXIT
}

stop() {
    trap - EXIT
    scancel --quiet --user="$(id -un)" --signal=KILL 2>/dev/null || true
    for _ in $(seq 20); do # until the last job has gone, which would wait for the controller
        [ -z "$(squeue --noheader 2>/dev/null)" ] && break
        sleep 0.5
    done
    end $(pids slurmd slurmctld munged)
}

case $1 in
start | stop) "$1" ;;
*) echo "usage: slurm.sh start|stop FOLDER" >&2 && exit 2 ;;
esac
