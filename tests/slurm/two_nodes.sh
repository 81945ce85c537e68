#!/bin/sh
# A SLURM of two nodes on this computer, to see what a lost node does to a sweep:
#   two_nodes.sh start FOLDER        then `export SLURM_CONF=FOLDER/slurm.conf`: sinfo, srun, sbatch work
#   two_nodes.sh lose FOLDER node2   ends all that runs on the node, as a power failure does
#   two_nodes.sh cut FOLDER node2    pulls its network cable; its jobs go on
#   two_nodes.sh mend FOLDER node2   after either: the node is back
#   two_nodes.sh stop FOLDER
# Each node is a network namespace with a host name of its own and one CPU; the file system is
# shared. The controller runs outside of both. Needs root, and Debian's slurm-wlm, munge and
# iproute2. All lies in FOLDER, except the namespaces p300-N-node1 and p300-N-node2 and the bridge
# p300-N that joins them; `stop` removes these.
set -eu

usage() {
    echo "usage: two_nodes.sh start|stop FOLDER, or two_nodes.sh lose|cut|mend FOLDER node1|node2" >&2
    exit 2
}

[ $# -ge 2 ] || usage
here=$(cd "$(dirname "$0")" && pwd)
folder=$(mkdir -p "$2" && cd "$2" && pwd)
export SLURM_CONF="$folder/slurm.conf"
. "$here/common.sh"
net=$(cat "$folder/net" 2>/dev/null || true) # p300-N, when there is a cluster in the folder

start() {
    check_tools ip
    if [ -n "$net" ] && scontrol ping >/dev/null 2>&1; then
        return # it runs
    fi
    stop # what a killed one has left
    trap give_up EXIT # if a command below fails
    lay_cables
    start_munge
    # a lost node is noticed within SlurmdTimeout; its job waits cred_expire before it starts anew
    cat >"$SLURM_CONF" <<END
ClusterName=two
SlurmctldHost=localhost($subnet.254)
AuthInfo=socket=$folder/munge.socket,cred_expire=5
SlurmdTimeout=5
MessageTimeout=5
SlurmdSpoolDir=$folder/spool-%n
SlurmdPidFile=$folder/slurmd-%n.pid
SlurmdLogFile=$folder/slurmd-%n.log
NodeName=node1 NodeAddr=$subnet.1 CPUs=1 RealMemory=$(memory) State=UNKNOWN
NodeName=node2 NodeAddr=$subnet.2 CPUs=1 RealMemory=$(memory) State=UNKNOWN
$(settings)
END
    slurmctld
    start_node node1
    start_node node2
    wait_for_nodes node1 node2
    trap - EXIT
}

# Make a bridge with a namespace at each of two cables; the first number that is free names them.
lay_cables() {
    number=0
    until ip link add "p300-$number" type bridge 2>"$folder/ip.log"; do
        number=$((number + 1))
        if [ $number = 50 ]; then
            trap - EXIT
            cannot "got no network bridge: $(cat "$folder/ip.log"); expected rights to make one"
        fi
    done
    net=p300-$number subnet=10.213.$number
    echo "$net" >"$folder/net"
    ip addr add "$subnet.254/24" dev "$net"
    ip link set "$net" up
    for k in 1 2; do
        node=$net-node$k
        ip netns add "$node"
        ip link add "$net-$k" type veth peer name eth0 netns "$node"
        ip link set "$net-$k" master "$net" up
        ip -n "$node" addr add "$subnet.$k/24" dev eth0
        ip -n "$node" link set eth0 up
        ip -n "$node" link set lo up
        mkdir -p "$folder/spool-node$k"
    done
    printf '%s\n' "127.0.0.1 localhost" "$subnet.1 node1" "$subnet.2 node2" >"$folder/hosts"
}

# `ip netns exec` would hide /sys/fs/cgroup, without which slurmd does not start.
start_node() {
    nsenter --net="/run/netns/$net-$1" unshare --uts --mount --propagation slave \
        sh -c 'mount --bind "$1" /etc/hosts && hostname "$2" && exec slurmd -N "$2"' - "$folder/hosts" "$1"
}

lose() {
    kill -KILL $(ip netns pids "$net-$1" 2>/dev/null) 2>/dev/null || true
}

cut() {
    ip link set "$net-${1#node}" down
}

mend() {
    ip link set "$net-${1#node}" up
    kill -0 $(pids "slurmd-$1") 2>/dev/null || start_node "$1"
    wait_for_nodes "$1"
}

stop() {
    trap - EXIT
    end $(pids slurmctld munged)
    [ -n "$net" ] || return 0
    for k in 1 2; do
        lose "node$k"
        ip link delete "$net-$k" 2>/dev/null || true # at once; with its namespace, some time later
        ip netns delete "$net-node$k" 2>/dev/null || true
    done
    ip link delete "$net" 2>/dev/null || true
    rm -f "$folder/net"
    net=
}

case $1 in
start | stop) "$1" ;;
lose | cut | mend)
    case ${3-} in
    node1 | node2) "$1" "$3" ;;
    *) usage ;;
    esac
    ;;
*) usage ;;
esac
