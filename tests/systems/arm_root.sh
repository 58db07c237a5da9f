#!/bin/sh
# Built for 64-bit Arm by Debian's cross compiler with warnings as errors, in a root with the minimal base (root.sh), and
# tried under qemu-user as a Neoverse N1 (NEON, no SVE): the unit tests that are programs (emulated_tests.py), then a
# plan, a training, a fit and a report; the tests of kernels and gradients also as qemu's "max", which has SVE and
# bfloat16. Takes hours, so it is not part of ./runtests.
#
#   tests/systems/arm_root.sh SUITE [FOLDER]      SUITE: trixie; FOLDER: where roots and logs are kept
set -eu
. "$(dirname "$0")/root.sh"
root_make arm-root
inside sh -euc '
  dpkg --add-architecture arm64
  apt-get update -q
  apt-get install -y -q --no-install-recommends gcc g++ crossbuild-essential-arm64 qemu-user meson ninja-build pkgconf \
    python3 ca-certificates gnuplot-nox libyaml-dev:arm64 libsqlite3-dev:arm64 libgsl-dev:arm64 libdnnl-dev:arm64 \
    liblapacke-dev:arm64 libjansson-dev:arm64 libxxhash-dev:arm64 libsentencepiece-dev:arm64 libmicrohttpd-dev:arm64' >"$folder/$suite-arm-packages.log" 2>&1
root_sources /isoloss
inside sh -euc '
  cd /isoloss
  meson setup build --cross-file tests/systems/aarch64.ini -Dcuda=disabled -Dwerror=true
  ninja -k 0 -C build' >"$folder/$suite-arm-build.log" 2>&1 || {
  grep '^FAILED: ' "$folder/$suite-arm-build.log" || tail -n 20 "$folder/$suite-arm-build.log"
  echo "$suite: not built for 64-bit Arm: $folder/$suite-arm-build.log"
  exit 1
}
echo "$suite: built for 64-bit Arm"

# Programs start others by name (isoloss its trainer, tests both), which the kernel cannot do with these: in their places
# stand scripts that call qemu.
inside sh -euc '
  for name in isoloss isoloss-train; do
    head -n 1 "/isoloss/build/$name" | grep -q "^#!" && continue # in a root that was kept
    mv "/isoloss/build/$name" "/isoloss/build/$name.arm"
    printf "#!/bin/sh\nexec qemu-aarch64 \"/isoloss/build/%s.arm\" \"\$@\"\n" "$name" >"/isoloss/build/$name"
    chmod +x "/isoloss/build/$name"
  done
  # The CPU as Arm machines have it in /sys. Without it oneDNN complains on standard error, first of all, and a test of
  # full disks leaves room for few bytes there.
  mkdir -p /sys/devices/system/cpu/cpu0/regs/identification
  echo 0x00000000413fd0c1 >/sys/devices/system/cpu/cpu0/regs/identification/midr_el1'
failed=0
# tests_as CPU LOG COMMAND: the tests whose names COMMAND prints. A test's time limits are those of fast machines. Threads
# that wait for others do not spin: emulated, that takes the time of those that work.
tests_as() {
  inside env QEMU_CPU="$1" OMP_WAIT_POLICY=passive sh -euc "cd /isoloss
    $3 | xargs -d '\n' meson test -C build --no-rebuild --timeout-multiplier 100 --print-errorlogs" \
    >"$folder/$suite-$2.log" 2>&1 || failed=1
  sed -n 's/^\(Ok\|Fail\|Skipped\|Timeout\): */'"$suite"': unit tests under qemu as '"$1"': \1 /p' "$folder/$suite-$2.log"
}
tests_as neoverse-n1 arm-tests 'python3 tests/systems/emulated_tests.py build'
grep '^not run under qemu' "$folder/$suite-arm-tests.log" || true
echo "not run under qemu as max: kernels_trial (times products of bfloat16, of which an emulator tells nothing)"
tests_as max arm-sve-tests "python3 tests/systems/emulated_tests.py build 2>/dev/null |
    grep '^kernels\|^trainer-gradient' | grep -v '^kernels_trial'"
inside sh -euc '
  cd /root
  export QEMU_CPU=neoverse-n1
  printf "%s\n" "corpus: {source: markov2}" \
    "base: {model: {context: 16, layers: 1}, train: {batch_tokens: 64, final_eval_tokens: 512, evals: 0}}" \
    "sweep: {grid: {model.width: [16, 32], train.steps: [2, 4, 8]}}" "fit: [{law: chinchilla}]" >small.yaml
  /isoloss/build/isoloss plan small.yaml
  /isoloss/build/isoloss run small.yaml
  /isoloss/build/isoloss fit small.yaml
  /isoloss/build/isoloss report small.yaml' >"$folder/$suite-arm-loop.log" 2>&1 || failed=1
grep '^products in' "$folder/$suite-arm-loop.log" || true
echo "$suite: plan, run, fit and report under qemu: $(tail -n 1 "$folder/$suite-arm-loop.log")"
root_remove
exit $failed
