#!/bin/sh
# Compiles CUDA sources to an object file and keeps the compiler's report on registers, stacks and spills.
#   compile.sh NVCC SOURCE OBJECT REPORT DEPENDENCIES ARCHITECTURES [FLAGS...]
# ARCHITECTURES is a list such as 80,90; the last one's PTX goes along, for GPUs that are newer than the list.
set -u
nvcc=$1 source=$2 object=$3 report=$4 dependencies=$5 architectures=$6
shift 6
targets=
last=
for a in $(echo "$architectures" | tr , ' '); do
  targets="$targets -gencode arch=compute_$a,code=sm_$a"
  last=$a
done
targets="$targets -gencode arch=compute_$last,code=compute_$last"
# shellcheck disable=SC2086  # a list of words
if "$nvcc" -std=c++17 -O3 -lineinfo $targets -Xptxas -v -Xcompiler -Wall,-Wextra,-fPIC \
  -MD -MF "$dependencies" -MT "$object" "$@" -c "$source" -o "$object" >"$report" 2>&1; then
  exit 0
fi
grep -v '^ptxas info' "$report" >&2
exit 1
