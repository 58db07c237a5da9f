#!/bin/bash
# Private throw-away Slurm cluster on 127.0.0.1: no munge, no systemd, no /etc/slurm, no root needed.
#   slurm-loopback.sh start DIR [nodes=2] [cpus-per-node=2] [fake-gpus-per-node=0] [base-port=16817]
#   eval "$(slurm-loopback.sh env DIR)"      # exports SLURM_CONF
#   slurm-loopback.sh stop DIR
# Needs Debian's slurm-wlm (22.05). auth/none is safe only because everything binds to loopback.
# Fake GPUs need root (mknod of a null device); they make Slurm hand out CUDA_VISIBLE_DEVICES.
set -eu
cmd=${1:?start|stop|env}; dir=$(readlink -m "${2:?directory}")
case $cmd in
env) echo "export SLURM_CONF=$dir/slurm.conf"; exit 0;;
stop)
  export SLURM_CONF=$dir/slurm.conf
  scancel --quiet -u "$(id -un)" 2>/dev/null || true; sleep 1
  pids=; for p in "$dir"/*.pid; do [ -e "$p" ] && pids="$pids $(cat "$p")"; done
  # Daemons write their state while they end: the folder is the caller's once they are gone.
  for _ in $(seq 100); do
    left=; for p in $pids; do kill "$p" 2>/dev/null && left="$left $p"; done
    [ -n "$left" ] || exit 0
    sleep .1
  done
  for p in $left; do kill -9 "$p" 2>/dev/null || true; done
  exit 0;;
start) ;;
*) echo "usage: $0 start|stop|env DIR" >&2; exit 2;;
esac
nodes=${3:-2} cpus=${4:-2} gpus=${5:-0} port=${6:-16817}
host=$(hostname -s) user=$(id -un) mem=$(( $(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo) * 8 / 10 / nodes ))
mkdir -p "$dir"/state "$dir"/log; for i in $(seq "$nodes"); do mkdir -p "$dir/spool/n$i"; done
gres=; gresline=
if [ "$gpus" -gt 0 ]; then
  for g in $(seq 0 $((gpus-1))); do [ -c "$dir/fakegpu$g" ] || mknod "$dir/fakegpu$g" c 1 3; done
  gres="Gres=gpu:$gpus"; gresline="GresTypes=gpu"
  echo "NodeName=n[1-$nodes] Name=gpu File=$dir/fakegpu[0-$((gpus-1))]" > "$dir/gres.conf"
fi
echo "CgroupPlugin=cgroup/v1" > "$dir/cgroup.conf"
cat > "$dir/slurm.conf" <<EOF
ClusterName=loopback
SlurmctldHost=$host(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/none
CredType=cred/none
# both are needed: without NoCtldInAddrAny slurmctld listens on every address
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort=$port
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd-%n.pid
SlurmctldLogFile=$dir/log/slurmctld.log
SlurmdLogFile=$dir/log/slurmd-%n.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,batch_sched_delay=0
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$dir/log/jobcomp.txt
ReturnToService=2
SlurmdTimeout=30
KillWait=5
MinJobAge=600
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=10001
$gresline
NodeName=n[1-$nodes] NodeHostname=$host NodeAddr=127.0.0.1 Port=[$((port+1))-$((port+nodes))] CPUs=$cpus Boards=1 SocketsPerBoard=1 CoresPerSocket=$cpus ThreadsPerCore=1 RealMemory=$mem $gres State=UNKNOWN
PartitionName=urgent Nodes=n[1-$nodes] PriorityTier=10 DefMemPerCPU=$((mem/cpus)) MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=debug PriorityTier=1 Nodes=n[1-$nodes] Default=YES DefMemPerCPU=$((mem/cpus)) MaxTime=INFINITE State=UP
EOF
[ "$nodes" -eq 1 ] && sed -i "s/n\[1-1\]/n1/g; s/Port=\[\([0-9]*\)-[0-9]*\]/Port=\1/" "$dir/slurm.conf" && { [ -e "$dir/gres.conf" ] && sed -i 's/n\[1-1\]/n1/' "$dir/gres.conf" || true; }
export SLURM_CONF=$dir/slurm.conf
slurmctld -f "$SLURM_CONF" -c
for i in $(seq "$nodes"); do slurmd -f "$SLURM_CONF" -c -N "n$i"; done
for _ in $(seq 60); do
  [ "$(sinfo -h -N -p debug -o %t 2>/dev/null | grep -c '^idle$')" -eq "$nodes" ] && { sinfo -N -h -p debug -o '%N %t cpus=%c mem=%m gres=%G'; exit 0; }
  sleep .25
done
echo "slurm did not come up; see $dir/log" >&2; exit 1
