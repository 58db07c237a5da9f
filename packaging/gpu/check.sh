#!/bin/sh
# Checks a GPU with what is in this folder. It needs a driver and cuBLASLt, nothing else.
#   ./check.sh [--out FOLDER] [PART ...]       parts, in this order: machine tests same speed bench pack sanitize profile
# Without a part all of them, 25 minutes at most; a part may be run alone, and again. All goes into one folder, results
# by default, which `isoloss gpu-report FOLDER` makes a table of. The exit code is 0 when every part that was run is.
set -u
here=$(cd "$(dirname "$0")" && pwd)
out=results
if [ "${1:-}" = --out ]; then
  out=$2
  shift 2
fi
mkdir -p "$out" || exit 3
out=$(cd "$out" && pwd)
program=$here/isoloss-gpu-check
. "${GPU_CHECK_SETTINGS:-$here/settings.sh}"
for folder in "$here/lib" /usr/local/cuda/lib64; do
  [ -d "$folder" ] && LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$folder
done
export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:-}
export XDG_CACHE_HOME="$out/cache"   # trials of this check are its own
unset ISOLOSS_TRIALS ISOLOSS_GRAPHS ISOLOSS_NATIVE

# A run's folder from scratch: make NAME field=value ...
make() {
  folder=$out/runs/$1
  shift
  rm -rf "$folder"
  "$program" make-run "$folder" corpus.source=markov2 model.device="$device" model.dtype=bfloat16 train.evals=0 \
    train.eval_tokens="$eval_tokens" train.final_eval_tokens="$eval_tokens" train.warmup_steps=2 "$@" >/dev/null
}

# Trains it: train NAME LIMIT [options]; what it says goes to NAME/said.
train() {
  folder=$out/runs/$1 limit=$2
  shift 2
  timeout "$limit" "$program" train "$@" "$folder/config.json" >>"$folder/said" 2>&1
}

losses() { sed -n 's/.*"event":"step","step":\([0-9]*\),.*"loss":\([^,]*\),.*/\1 \2/p' "$out/runs/$1/events.jsonl"; }

# One line of results/verdicts.tsv: what, whether it is as it should be (yes, no), and more.
verdict() {
  printf '%s\t%s\t%s\n' "$1" "$2" "${3:-}" >>"$out/verdicts.tsv"
  [ "$2" = yes ] || bad=1
}

part_machine() {
  {
    date -u '+date %Y-%m-%d %H:%M:%S UTC'
    uname -srm
    sed -n 's/^model name[^:]*: /cpu /p' /proc/cpuinfo | head -n 1
    nproc
  } >"$out/machine.txt"
  nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.mem,power.limit,mig.mode.current,compute_mode \
    --format=csv >"$out/nvidia-smi.csv" 2>&1
  nvidia-smi -q >"$out/nvidia-smi.txt" 2>&1
  ls -l /usr/local/cuda/lib64/libcublasLt* "$here"/lib/libcublasLt* >"$out/libraries.txt" 2>/dev/null
  return 0
}

part_tests() {
  for name in $tests; do
    timeout "$test_limit" "$program" test "$name" >"$out/test-$name.tap" 2>&1
    code=$?
    failed=$(grep -c '^not ok' "$out/test-$name.tap")
    if [ $code = 0 ]; then
      verdict "test $name" yes "$(grep -c '^ok' "$out/test-$name.tap") cases"
    else
      verdict "test $name" no "$failed failed, exit code $code"
    fi
  done
}

# The same losses whatever must not change them.
part_same() {
  run="$same_model train.steps=$same_steps train.log_steps=1"
  # shellcheck disable=SC2086  # lists of words
  for name in first second graphs resumed; do make "same-$name" $run train.checkpoint_steps=$((same_steps / 2)); done
  train same-first "$same_limit" || verdict 'training' no "$(tail -n 1 "$out/runs/same-first/said")"
  train same-second "$same_limit"
  ISOLOSS_GRAPHS=off train same-graphs "$same_limit"
  train same-resumed "$same_limit" --steps $((same_steps / 2))
  train same-resumed "$same_limit"
  count=$(losses same-first | wc -l)
  for name in second graphs resumed; do
    if [ "$count" -eq "$same_steps" ] && [ "$(losses same-first)" = "$(losses same-$name)" ]; then
      verdict "losses, $name" yes "$count steps, the same bits"
    else
      verdict "losses, $name" no "$count steps and $(losses same-$name | wc -l) of $same_steps, or they differ"
    fi
  done
}

part_speed() {
  for name in $speed_models; do
    eval "fields=\$model_$name"
    for batch in $speed_batches; do
      for format in none fp8-mixed; do
        [ "$format" = none ] || [ "$batch" = "${speed_batches%% *}" ] || continue
        run=speed-$name-$batch-$format
        # shellcheck disable=SC2154,SC2086
        make "$run" $fields train.batch_tokens=$batch train.steps=$speed_steps train.log_steps=4 format=$format
        ( nvidia-smi dmon -s pucm -d 1 -c "$speed_seconds" >"$out/runs/$run/dmon" 2>&1 & )
        timeout -s TERM -k 15 "$speed_seconds" "$program" train "$out/runs/$run/config.json" >"$out/runs/$run/said" 2>&1
        code=$?
        # 124: it was stopped, as meant.
        if [ $code = 0 ] || [ $code = 1 ] || [ $code = 124 ]; then
          verdict "speed $name M, $batch tokens, $format" yes
        else
          verdict "speed $name M, $batch tokens, $format" no "exit code $code: $(tail -n 1 "$out/runs/$run/said")"
        fi
        rm -rf "$out/runs/$run"/step-* "$out/runs/$run"/checkpoint*
      done
    done
  done
}

part_bench() {
  # shellcheck disable=SC2086
  if timeout "$bench_limit" "$program" bench "$device" $bench_options >"$out/bench.jsonl" 2>"$out/bench.said"; then
    verdict bench yes "$(grep -c '"pass"' "$out/bench.jsonl") passes"
  else
    verdict bench no "$(tail -n 1 "$out/bench.said")"
  fi
}

# Several small runs at once, without MPS and with it.
part_pack() {
  mps=
  command -v nvidia-cuda-mps-control >/dev/null 2>&1 && mps=mps
  for way in alone turns $mps; do
    many=$pack_runs
    [ $way = alone ] && many=1
    if [ $way = mps ]; then
      CUDA_MPS_PIPE_DIRECTORY=$out/mps CUDA_MPS_LOG_DIRECTORY=$out/mps
      export CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
      mkdir -p "$out/mps"
      nvidia-cuda-mps-control -d >"$out/mps.said" 2>&1 || { verdict "pack $way" no 'MPS does not start'; continue; }
    fi
    i=0
    while [ $i -lt "$many" ]; do
      # shellcheck disable=SC2086
      make "pack-$way-$i" $same_model train.steps=$speed_steps train.log_steps=4 seed=$i
      timeout -s TERM -k 15 "$pack_seconds" "$program" train "$out/runs/pack-$way-$i/config.json" \
        >"$out/runs/pack-$way-$i/said" 2>&1 &
      i=$((i + 1))
    done
    wait
    i=0 fine=yes
    while [ $i -lt "$many" ]; do
      [ "$(losses "pack-$way-$i" | wc -l)" -gt 1 ] || fine=no
      i=$((i + 1))
    done
    verdict "pack $way" $fine "$many at once"
    if [ $way = mps ]; then
      echo quit | nvidia-cuda-mps-control >>"$out/mps.said" 2>&1
      unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
    fi
  done
}

part_sanitize() {
  command -v compute-sanitizer >/dev/null 2>&1 || return 0
  for name in $sanitize_tests; do
    for tool in memcheck racecheck; do
      timeout "$sanitize_limit" compute-sanitizer --tool $tool "$program" test "$name" >"$out/$tool-$name.txt" 2>&1
      code=$?
      errors=$(sed -n 's/.*ERROR SUMMARY: \([0-9]*\) error.*/\1/p' "$out/$tool-$name.txt" | tail -n 1)
      if [ $code = 124 ]; then
        verdict "$tool $name" yes 'not finished in its time'
      else
        [ "${errors:-1}" = 0 ] && verdict "$tool $name" yes || verdict "$tool $name" no "${errors:-no} errors"
      fi
    done
  done
}

part_profile() {
  command -v ncu >/dev/null 2>&1 || return 0
  # shellcheck disable=SC2086
  make profile $same_model train.steps=4 train.log_steps=1
  ISOLOSS_GRAPHS=off timeout 90 ncu --clock-control none --set basic -c 60 --csv \
    -k 'regex:attention|cross|rmsnorm|adamw|swiglu|qkv|embedding' "$program" train "$out/runs/profile/config.json" \
    >"$out/ncu.csv" 2>"$out/ncu.said"
  return 0
}

parts=${*:-machine tests same speed bench pack sanitize profile}
worst=0
for part in $parts; do
  case $part in
    machine | tests | same | speed | bench | pack | sanitize | profile) ;;
    *) echo "check.sh: no part '$part'" >&2 && exit 2 ;;
  esac
  # What an earlier run of the part said is replaced.
  if [ -f "$out/verdicts.tsv" ]; then
    case $part in
      tests) pattern='^test ' ;; same) pattern='^losses, \|^training	' ;; sanitize) pattern='^memcheck \|^racecheck ' ;;
      *) pattern="^$part" ;;
    esac
    grep -v "$pattern" "$out/verdicts.tsv" >"$out/verdicts.new"
    mv "$out/verdicts.new" "$out/verdicts.tsv"
  fi
  began=$(date +%s) bad=0
  "part_$part"
  took=$(($(date +%s) - began))
  printf '%s\t%s\t%s\n' "$part" "$([ $bad = 0 ] && echo yes || echo no)" "$took" >>"$out/parts.tsv"
  printf '%-10s %s, %s s\n' "$part" "$([ $bad = 0 ] && echo good || echo BAD)" "$took"
  [ $bad = 0 ] || worst=1
done
exit $worst
