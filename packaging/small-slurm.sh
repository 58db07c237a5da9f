#!/bin/bash
# A few boxes without a scheduler become a small Slurm cluster: munge, slurm.conf, one shared folder. docs/small-cluster.md
# is the manual. All files are in a folder that every box sees; nothing in /etc is touched.
#   small-slurm.sh join FOLDER [ADDRESS]    on every box: writes what the box has to FOLDER/boxes/NAME
#   small-slurm.sh head FOLDER              on one of them: makes the key and slurm.conf; again when a box has joined
#   small-slurm.sh start FOLDER             on every box, the head first, and after each start of the machine
#   small-slurm.sh stop FOLDER              on a box
#   eval "$(small-slurm.sh env FOLDER)"     what a shell needs that calls sbatch, squeue or isoloss run --executor slurm
# One user runs it all, on every box the same; where that is root, other users may submit too. Needs Debian's slurm-wlm
# and munge (slurmctld, slurmd, munged, mungekey), and clocks that agree.
set -eu
usage() { sed -n '2,11s/^# \{0,1\}//p' "$0" >&2; exit 2; }
fail() { echo "small-slurm.sh: $*" >&2; exit 3; }
[ $# -ge 2 ] || usage
command=$1 folder=$(readlink -m "$2") name=$(hostname -s) user=$(id -un)
PATH=$PATH:/usr/sbin:/sbin
# Of this box alone: sockets, spool, logs and its copy of the key.
own=${SMALL_SLURM_LOCAL:-/var/tmp/small-slurm-$user}/$name
conf=$folder/slurm.conf socket=$own/munge.socket

for program in slurmd slurmctld munged mungekey; do
  [ "$command" = env ] || command -v $program >/dev/null || fail "$program is missing (Debian: apt install slurm-wlm munge)"
done

join() {
  local address=${1:-} gpus
  [ -n "$address" ] || address=$(hostname -I | awk '{print $1}')
  [ -n "$address" ] || fail "this box has no address: give one"
  gpus=$(find /dev -maxdepth 1 -name 'nvidia[0-9]*' 2>/dev/null | wc -l)
  mkdir -p "$folder/boxes"
  # "NodeName=box CPUs=8 Boards=1 SocketsPerBoard=1 CoresPerSocket=4 ThreadsPerCore=2 RealMemory=32000"; a part of the
  # memory is left to the system.
  slurmd -C | awk -v address="$address" -v gpus="$gpus" '/^NodeName=/ {
    for (i = 1; i <= NF; i++) {
      if ($i ~ /^RealMemory=/) $i = "RealMemory=" int(substr($i, 12) * 0.95)
      if ($i ~ /^(Gres|NodeName)=/) $i = ""
    }
    print $0 " NodeAddr=" address " NodeHostname=NAME" (gpus > 0 ? " Gres=gpu:" gpus : "")
  }' | sed "s/NodeHostname=NAME/NodeHostname=$name/; s/  */ /g; s/^ //" > "$folder/boxes/$name.new"
  [ -s "$folder/boxes/$name.new" ] || fail "slurmd -C says nothing of this box"
  mv "$folder/boxes/$name.new" "$folder/boxes/$name"
  echo "$name: $(cat "$folder/boxes/$name")"
}

head() {
  local boxes address line
  [ -d "$folder/boxes" ] && boxes=$(ls "$folder/boxes" | grep -v '\.new$') && [ -n "$boxes" ] ||
    fail "no box has joined: call it with join on each, this one too"
  [ -e "$folder/boxes/$name" ] || fail "this box has not joined"
  # Whoever has the key is anybody to the cluster.
  [ -e "$folder/munge.key" ] || (umask 077; mungekey --create --keyfile="$folder/munge.key" --bits=1024)
  mkdir -p "$folder/state"
  address=$(sed 's/.*NodeAddr=\([^ ]*\).*/\1/' "$folder/boxes/$name")
  {
    echo "# Written by small-slurm.sh on $name"
    echo "ClusterName=small"
    echo "SlurmctldHost=$name($address)"
    echo "SlurmUser=$user"
    echo "SlurmdUser=$user"
    echo "AuthType=auth/munge"
    echo "AuthInfo=socket=${own%/"$name"}/munge.socket"
    echo "CredType=cred/munge"
    echo "SlurmctldPort=${SMALL_SLURM_PORT:-6817}"
    echo "SlurmdPort=$((${SMALL_SLURM_PORT:-6817} + 1))"
    echo "StateSaveLocation=$folder/state"
    echo "SlurmdSpoolDir=${own%/"$name"}/%n/spool"
    echo "SlurmctldPidFile=${own%/"$name"}/slurmctld.pid"
    echo "SlurmdPidFile=${own%/"$name"}/%n/slurmd.pid"
    echo "SlurmctldLogFile=${own%/"$name"}/slurmctld.log"
    echo "SlurmdLogFile=${own%/"$name"}/%n/slurmd.log"
    echo "MailProg=/bin/true"
    # What needs no control groups, so that it works in containers and on every distribution.
    echo "ProctrackType=proctrack/linuxproc"
    echo "TaskPlugin=task/none"
    echo "SwitchType=switch/none"
    echo "MpiDefault=none"
    echo "SelectType=select/cons_tres"
    echo "SelectTypeParameters=CR_Core_Memory"
    echo "SchedulerParameters=batch_sched_delay=0,sched_interval=10,bf_interval=10"
    echo "JobAcctGatherType=jobacct_gather/none"
    echo "AccountingStorageType=accounting_storage/none"
    echo "ReturnToService=2"
    echo "SlurmdTimeout=60"
    echo "KillWait=30"
    echo "MaxArraySize=10001"
    echo "MaxJobCount=50000"
    grep -qs 'Gres=gpu' "$folder"/boxes/* && echo "GresTypes=gpu"
    for box in $boxes; do echo "NodeName=$box $(cat "$folder/boxes/$box") State=UNKNOWN"; done
    line=$(echo $boxes | tr ' ' ',')
    echo "PartitionName=all Nodes=$line Default=YES DefMemPerCPU=${SMALL_SLURM_MEMORY:-1000} MaxTime=INFINITE State=UP"
  } > "$conf.new"
  : > "$folder/gres.conf.new"
  for box in $boxes; do
    line=$(sed -n 's/.*Gres=gpu:\([0-9]*\).*/\1/p' "$folder/boxes/$box")
    [ -z "$line" ] || echo "NodeName=$box Name=gpu File=/dev/nvidia[0-$((line - 1))]" >> "$folder/gres.conf.new"
  done
  mv "$folder/gres.conf.new" "$folder/gres.conf"
  echo "CgroupPlugin=cgroup/v1" > "$folder/cgroup.conf"  # read also where nothing uses it
  mv "$conf.new" "$conf"
  echo "$conf: $(echo "$boxes" | wc -l) boxes, the head is $name"
  if [ -e "${own%/"$name"}/slurmctld.pid" ]; then SLURM_CONF=$conf scontrol reconfigure || true; fi
}

alive() { [ -e "$1" ] && kill -0 "$(cat "$1")" 2>/dev/null; }

start() {
  local waited
  [ -e "$conf" ] || fail "$conf is missing: call it with head on one of the boxes"
  [ -e "$folder/boxes/$name" ] || fail "this box has not joined"
  grep -q "^NodeName=$name " "$conf" || fail "$conf does not know this box: call it with head again"
  [ -r "$folder/munge.key" ] || fail "cannot read $folder/munge.key: it belongs to $(stat -c %U "$folder/munge.key")"
  mkdir -p "$own/spool"
  chmod 755 "${own%/"$name"}" "$own"  # munged refuses a socket's folder that others may write to
  if ! alive "$own/munged.pid"; then
    (umask 077; cp "$folder/munge.key" "$own/munge.key")
    munged --force --socket="$socket" --key-file="$own/munge.key" --log-file="$own/munged.log" --pid-file="$own/munged.pid" \
      --seed-file="$own/munged.seed" || fail "munged does not start: $own/munged.log"
  fi
  ln -sfn "$name/munge.socket" "${own%/"$name"}/munge.socket"  # slurm.conf has one path for all boxes
  export SLURM_CONF=$conf
  if grep -q "^SlurmctldHost=$name(" "$conf" && ! alive "${own%/"$name"}/slurmctld.pid"; then
    slurmctld -f "$conf" || fail "slurmctld does not start: ${own%/"$name"}/slurmctld.log"
  fi
  alive "$own/slurmd.pid" || slurmd -f "$conf" -N "$name" || fail "slurmd does not start: $own/slurmd.log"
  for waited in $(seq 60); do
    if sinfo -h -N -n "$name" -o %t 2>/dev/null | grep -Eq '^(idle|mix|alloc|comp)'; then
      sinfo -h -N -n "$name" -o '%N %t, %c CPUs, %m MB, %G'
      return
    fi
    sleep 0.5
  done
  fail "$name does not come up; see $own/slurmd.log$(grep -q "^SlurmctldHost=$name(" "$conf" || echo ", and whether the head is started")"
}

stop() {
  local file
  for file in "$own/slurmd.pid" "${own%/"$name"}/slurmctld.pid" "$own/munged.pid"; do
    alive "$file" && kill "$(cat "$file")" || true
  done
}

case $command in
  join) join "${3:-}" ;;
  head | start | stop) "$command" ;;
  env) printf 'export SLURM_CONF=%q\n' "$conf" ;;
  *) usage ;;
esac
