# What slurm.sh and two_nodes.sh share; both set `folder`, where everything is written.

# Print why SLURM cannot be started here, and end with status 3.
cannot() {
    echo "$1" >&2
    exit 3
}

check_tools() {
    missing=
    for tool in munged slurmctld slurmd "$@"; do
        command -v "$tool" >/dev/null || missing="$missing $tool"
    done
    [ -z "$missing" ] || cannot "got no$missing; install slurm-wlm, munge and iproute2"
    [ "$(id -u)" = 0 ] || cannot "got user $(id -un); expected root, to start SLURM"
}

# Print the part of slurm.conf that does not depend on the nodes.
settings() {
    port=$((20000 + 2 * ($$ % 5000)))
    cat <<END
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthType=auth/munge
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
KillWait=2
StateSaveLocation=$folder/state
SlurmctldPidFile=$folder/slurmctld.pid
SlurmctldLogFile=$folder/slurmctld.log
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
END
}

# Print the memory of this computer in MB, less what others need.
memory() {
    awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo
}

start_munge() {
    chmod 755 "$folder"
    mkdir -p "$folder/state"
    head -c 1024 /dev/urandom >"$folder/munge.key"
    chmod 600 "$folder/munge.key"
    munged --force --socket="$folder/munge.socket" --key-file="$folder/munge.key" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed"
}

# Wait until every named node is idle.
wait_for_nodes() {
    for _ in $(seq 60); do
        idle=$(sinfo --noheader --Node --states=idle --nodes="$(echo "$*" | tr ' ' ,)" --format=%N)
        [ "$(echo "$idle" | grep -c .)" = $# ] && return
        sleep 0.5
    done 2>/dev/null
    return 1
}

# Show why SLURM did not come up, and stop what did.
give_up() {
    echo "SLURM did not come up; its messages:" >&2
    tail -n 5 "$folder"/*.log >&2
    stop
    exit 1
}

# End processes and wait until the last has gone.
end() {
    [ $# = 0 ] && return
    kill "$@" 2>/dev/null || true
    for _ in $(seq 40); do
        alive=
        for pid in "$@"; do
            kill -0 "$pid" 2>/dev/null && alive="$alive $pid"
        done
        [ -z "$alive" ] && return
        sleep 0.25
    done
    kill -KILL "$@" 2>/dev/null || true
}

# Print the numbers of the processes that wrote these files.
pids() {
    for name in "$@"; do
        cat "$folder/$name.pid" 2>/dev/null || true
    done
}
