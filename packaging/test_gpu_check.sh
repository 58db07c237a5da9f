#!/bin/sh
# The script that checks a GPU, whole, against the emulated device; and what isoloss gpu-report makes of its results.
#   test_gpu_check.sh PROGRAM CHECK_SH SETTINGS [ISOLOSS]
set -u
program=$1 script=$2 settings=$3 isoloss=${4:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp "$program" "$work/isoloss-gpu-check"
cp "$script" "$work/check.sh"
export GPU_CHECK_SETTINGS="$settings" PATH="$work/tools:$PATH"
# No tools of this machine, should it have a GPU: the device is the emulated one.
mkdir "$work/tools"
for tool in nvidia-smi compute-sanitizer ncu; do
  printf '#!/bin/sh\nexit 1\n' >"$work/tools/$tool"
  chmod +x "$work/tools/$tool"
done
rm "$work/tools/compute-sanitizer" "$work/tools/ncu"
printf '#!/bin/sh\n[ "${1:-}" = -d ] && : >"$CUDA_MPS_PIPE_DIRECTORY/started"\nexit 0\n' >"$work/tools/nvidia-cuda-mps-control"
chmod +x "$work/tools/nvidia-cuda-mps-control"
number=0
result() {
  number=$((number + 1))
  if [ "$1" = 0 ]; then
    echo "ok $number - $2"
  else
    echo "not ok $number - $2"
    sed 's/^/# /' "$work/said" "$work/results/verdicts.tsv" 2>/dev/null
  fi
}
parts='machine tests same speed bench pack'
sh "$work/check.sh" --out "$work/results" $parts >"$work/said" 2>&1
result $? 'every part is good'
[ "$(cut -f 2 "$work/results/verdicts.tsv" | sort -u)" = yes ] && [ "$(wc -l <"$work/results/verdicts.tsv")" -ge 9 ]
result $? 'every verdict is yes'
[ -f "$work/results/mps/started" ]
result $? 'MPS had a pipe folder of its own'
# A part again replaces what it said; a run whose losses differ is found.
lines=$(wc -l <"$work/results/verdicts.tsv")
sed 's/\[ "\$(losses same-first)" = "\$(losses same-\$name)" \]/[ "$(losses same-first)" = "$(losses same-$name | sed s\/1\/2\/)" ]/' \
  "$work/check.sh" >"$work/planted.sh"
sh "$work/planted.sh" --out "$work/results" same >"$work/said" 2>&1
[ $? = 1 ] && [ "$(grep -c '^losses,.*	no	' "$work/results/verdicts.tsv")" = 3 ] &&
  [ "$(wc -l <"$work/results/verdicts.tsv")" = "$lines" ]
result $? 'other losses are found'
sh "$work/check.sh" --out "$work/results" nothing >"$work/said" 2>&1
[ $? = 2 ]
result $? 'a part that is none is bad usage'
if [ -n "$isoloss" ]; then
  "$isoloss" gpu-report "$work/results" >"$work/said" 2>&1 && grep -q '^| losses, graphs | NO' "$work/said" &&
    grep -q '^| cuda-emulated' "$work/said" && grep -q '^| attention forward |' "$work/said" &&
    grep -q '^| 1 M, none, 32 tokens |' "$work/said"
  result $? 'gpu-report makes a table of it'
  "$isoloss" gpu-report "$work" >"$work/said" 2>&1
  [ $? = 2 ] && grep -q 'verdicts.tsv' "$work/said"
  result $? 'gpu-report says what is missing'
fi
echo "1..$number"
