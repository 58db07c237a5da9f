#!/bin/sh
# Compiles the CUDA backend for one architecture and reads the compiler's report: test_compiles.sh PYTHON RESOURCES.PY
# COMPILE.SH NVCC SOURCE OBJECT REPORT ...
python=$1 resources=$2
shift 2
sh "$@" || exit 1
shift 4
exec "$python" "$resources" "$1"
