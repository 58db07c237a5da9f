#!/bin/bash
# packaging/small-slurm.sh on three boxes: namespaces of this machine with hosts' names, addresses and temporary folders of
# their own, on one bridge; then a sweep over them, compared with a local one.
#   small_slurm.sh ISOLOSS      needs root, iproute2, slurm-wlm and munge; skipped (77) where they are missing
set -eu
isoloss=$(readlink -f "${1:?the program isoloss}") here=$(cd "$(dirname "$0")" && pwd)
script=$here/../../packaging/small-slurm.sh
PATH=$PATH:/usr/sbin:/sbin
skip() { echo "skipped: $*"; exit 77; }
[ "$(id -u)" = 0 ] || skip "not root"
for program in ip nsenter slurmctld slurmd munged mungekey; do command -v $program >/dev/null || skip "$program is missing"; done
ip netns add "isoloss-$$-net" 2>/dev/null || skip "no network namespaces here"
dir=$(mktemp -d /tmp/isoloss-boxes-XXXXXX) boxes=() failed=0
local_folder=/var/tmp/small-slurm-root
end() {
  for i in 1 2 3; do [ -z "${boxes[$i]:-}" ] || in_box $i "$script" stop "$dir/shared" || true; done
  sleep 1
  for i in 1 2 3; do
    for process in $(ip netns pids "isoloss-$$-$i" 2>/dev/null); do kill -9 "$process" 2>/dev/null || true; done
    ip netns del "isoloss-$$-$i" 2>/dev/null || true
  done
  ip netns del "isoloss-$$-net" 2>/dev/null || true
  [ -n "${KEEP:-}" ] || rm -rf "$dir"
}
trap end EXIT
check() { if "${@:2}"; then echo "ok - $1"; else echo "not ok - $1"; failed=1; fi; }
in_box() { nsenter -t "${boxes[$1]}" -n -u -m -- "${@:2}"; }

mkdir -p "$dir/shared" "$local_folder"
ip -n "isoloss-$$-net" link add bridge type bridge
ip -n "isoloss-$$-net" link set bridge up
for i in 1 2 3; do
  ip netns add "isoloss-$$-$i"
  ip link add "port$i" netns "isoloss-$$-net" type veth peer name eth0 netns "isoloss-$$-$i"
  ip -n "isoloss-$$-net" link set "port$i" master bridge up
  ip -n "isoloss-$$-$i" addr add "10.77.0.$i/24" dev eth0
  ip -n "isoloss-$$-$i" link set eth0 up
  ip -n "isoloss-$$-$i" link set lo up
  ip netns exec "isoloss-$$-$i" unshare --uts --mount bash -c "hostname box$i; mount -t tmpfs box $local_folder; echo \$\$ > $dir/pid$i;
    exec sleep 3600" </dev/null >/dev/null 2>&1 &
  until [ -s "$dir/pid$i" ]; do sleep 0.1; done
  boxes[$i]=$(cat "$dir/pid$i")
done

check "start before head is refused" eval '! in_box 1 "$script" start "$dir/shared" 2>"$dir/said" && grep -q "call it with head" "$dir/said"'
for i in 1 2; do check "box$i joins" in_box $i "$script" join "$dir/shared"; done
check "a head of two boxes" in_box 1 "$script" head "$dir/shared"
check "a box that has not joined is refused" eval '! in_box 3 "$script" start "$dir/shared" 2>"$dir/said" && grep -q "has not joined" "$dir/said"'
check "box3 joins" in_box 3 "$script" join "$dir/shared"
check "a head of three boxes" in_box 1 "$script" head "$dir/shared"
check "only its owner reads the key" eval '[ "$(stat -c %a "$dir/shared/munge.key")" = 600 ]'
for i in 1 2 3; do check "box$i starts" in_box $i "$script" start "$dir/shared" </dev/null; done
check "starting again changes nothing" in_box 2 "$script" start "$dir/shared" </dev/null
eval "$("$script" env "$dir/shared")"
check "three boxes are idle" eval '[ "$(in_box 1 sinfo -h -N -t idle -o %N | wc -l)" = 3 ]'

cat > "$dir/boxes.yaml" <<SPEC
experiment: boxes
corpus: {source: markov2}
base:
  model: {layers: 1, width: 16, context: 32, dtype: float32}
  train: {batch_tokens: 256, steps: 2000, eval_tokens: 1024, final_eval_tokens: 1024}
sweep: [{grid: {seed: [1, 2, 3, 4, 5, 6, 7, 8, 9]}}]
run: {slurm: {time: 10 min, cpus: 1, memory: 500M}}
SPEC
export XDG_CACHE_HOME=$dir/cache XDG_CONFIG_HOME=$dir/config ISOLOSS_HOME=$dir/shared/home
check "a sweep over the boxes" eval 'in_box 1 timeout 500 "$isoloss" run "$dir/boxes.yaml" --executor slurm --follow >"$dir/said" 2>&1 </dev/null && grep -q "9 runs: 9 done" "$dir/said"'
tail -3 "$dir/said"
hosts=$(cat "$dir"/shared/home/runs/*/events.jsonl | grep -o '"host":"box[123]"' | sort | uniq -c)
echo "$hosts"
check "more than one box trained" eval '[ "$(echo "$hosts" | wc -l)" -ge 2 ]'
check "a job follows from another box" eval 'in_box 3 "$isoloss" status boxes >"$dir/said" 2>&1 </dev/null && grep -q "9" "$dir/said"'
list() { ISOLOSS_HOME=$1 "$isoloss" runs boxes --columns id,state,loss,train_loss,step --csv; }
ISOLOSS_HOME=$dir/local "$isoloss" run "$dir/boxes.yaml" --quiet >/dev/null </dev/null
list "$dir/shared/home" > "$dir/over-boxes"
list "$dir/local" > "$dir/at-home"
check "the table is that of a local sweep" cmp "$dir/over-boxes" "$dir/at-home"
exit $failed
