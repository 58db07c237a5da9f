#!/bin/sh
# Packs what checks a GPU elsewhere: `ninja -C build gpu-check` makes build/isoloss-gpu-check.tar.xz of one program, its
# script and the libraries that it loads (not the C library's, the driver's and cuBLASLt).
#   bundle.sh PROGRAM SOURCE_FOLDER OUTPUT
set -eu
program=$1 source=$2 output=$3 name=isoloss-gpu-check
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/$name/lib"
cp "$program" "$work/$name/isoloss-gpu-check"
cp "$source/packaging/gpu/check.sh" "$source/packaging/gpu/settings.sh" "$work/$name/"
ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// && $1 !~ /^(libc|libm|libmvec|libpthread|libdl|librt|libresolv|libutil)\.so/ { print $3 }' |
  xargs -r -I '{}' cp -L '{}' "$work/$name/lib/"
strip --strip-debug "$work/$name/isoloss-gpu-check" "$work/$name"/lib/* 2>/dev/null || true
tar -C "$work" -c "$name" | xz -T 0 -6 >"$output"
echo "gpu-check: $output, $(du -k "$output" | cut -f 1) KiB"
