#!/bin/sh
# Built with each compiler that a Debian or Ubuntu has of those that isoloss takes (gcc 11, clang 14 and newer), warnings
# as errors, in a root with the minimal base (root.sh); then a few tests of what compilers do differently: vector code,
# OpenMP, C++. Takes hours, so it is not part of ./runtests.
#
#   tests/systems/compilers_root.sh SUITE [FOLDER]      SUITE: bookworm, trixie, ...; FOLDER: where roots and logs are kept
#
# ISOLOSS_COMPILERS="gcc-11 clang-16": these only. ISOLOSS_MESON="-Doptimization=0": how meson is called.
set -eu
. "$(dirname "$0")/root.sh"
root_make compilers-root
inside sh -euc '
  apt-get update -q
  apt-get install -y -q --no-install-recommends meson ninja-build pkgconf python3 ca-certificates libc6-dev gnuplot-nox \
    libyaml-dev libsqlite3-dev libgsl-dev libdnnl-dev liblapacke-dev libjansson-dev libxxhash-dev libsentencepiece-dev' \
  >"$folder/$suite-compilers-packages.log" 2>&1
root_sources /isoloss
failed=0 tried=0
for compiler in ${ISOLOSS_COMPILERS:-gcc-11 gcc-12 gcc-13 gcc-14 gcc-15 clang-14 clang-15 clang-16 clang-17 clang-18 \
  clang-19 clang-20 clang-21 clang-22}; do
  case $compiler in
  gcc-*) partner=g++-${compiler#gcc-} packages=$partner ;;
  *) partner=clang++-${compiler#clang-} packages="libomp-${compiler#clang-}-dev g++" ;; # g++ has its C++ library
  esac
  inside apt-cache show "$compiler" >/dev/null 2>&1 || {
    echo "$suite: $compiler: not a package there"
    continue
  }
  tried=$((tried + 1))
  log=$folder/$suite-$compiler.log
  # Of the OpenMP libraries of several clangs apt keeps one.
  if inside sh -euc "
      apt-get install -y -q --no-install-recommends $compiler $packages
      cd /isoloss
      [ -e build-$compiler/build.ninja ] ||
        CC=$compiler CXX=$partner meson setup build-$compiler -Dcuda=disabled -Dwerror=true ${ISOLOSS_MESON:-}
      ninja -k 0 -C build-$compiler" >"$log" 2>&1; then
    inside sh -c "cd /isoloss && meson test -C build-$compiler --no-rebuild --timeout-multiplier 20 --print-errorlogs \
        base threads kernels_attention kernels_blocks kernels_cases kernels_device kernels_products formats_closed_forms \
        formats_passes trainer-gradient trainer-refusals compress_methods 'data tokenizer' 'fitting fit' store" >>"$log" 2>&1 ||
      failed=1
    echo "$suite: $(inside "$compiler" --version | head -n 1): no warning; tests $(sed -n 's/^\(Ok\|Fail\|Skipped\|Timeout\): */\1 /p' "$log" | tr '\n' ' ')"
    rm -rf "$root/isoloss/build-$compiler"
  else
    failed=1
    echo "$suite: $(inside "$compiler" --version | head -n 1): not built ($log): $(grep -c '^FAILED: ' "$log") steps failed"
  fi
done
[ $tried -gt 0 ] || failed=1
root_remove
exit $failed
