#!/bin/sh
# The quickstart out of a bundle, on a bare Debian (root.sh) with nothing installed but its minimal base: no compiler, no
# Python, no gnuplot. The text is prepared here and carried along, since preparing it needs Python. After
# `ninja -C build bundle`; no part of ./runtests.
#
#   tests/systems/bundle_root.sh SUITE [FOLDER]      SUITE: bookworm, trixie; FOLDER: where roots and logs are kept
set -eu
. "$(dirname "$0")/root.sh"
root_make bundle-root  # its /proc: $ORIGIN and the programs themselves ask there where they are
tar -C "$root/opt" -xJf "$source"/build/isoloss-*.tar.xz
HOME=$root/root XDG_CACHE_HOME=$root/root/.cache "$source/build/isoloss" data prepare --source gcide >/dev/null
code=0
inside sh -euc '
  cd /root
  program=$(echo /opt/isoloss-*/bin/isoloss)
  spec=$(echo /opt/isoloss-*/share/isoloss/experiments/quickstart.yaml)
  for name in cc python3 gnuplot; do
    if command -v $name; then exit 9; fi
  done
  # What the quickstart does not call: LAPACK, which gptq factors by, and the search that sets its order.
  printf "%s\n" "corpus: {source: gcide}" \
    "base: {model: {context: 16, layers: 1}, train: {batch_tokens: 64, final_eval_tokens: 512, evals: 0}}" \
    "sweep: {grid: {model.width: [16, 32], train.steps: [2, 4, 8]}}" \
    "stages: {compress: [{method: gptq, bits: 4, order: [natural, min-pivot], calibration_tokens: 512}]}" \
    "fit: [{law: chinchilla}]" >small.yaml
  for command in plan run fit report; do "$program" $command small.yaml; done
  "$program" run "$spec"
  "$program" fit "$spec"
  "$program" report "$spec"
  ls -l out/reports/quickstart.html
  "$program" runs "$spec"' >"$folder/$suite-bundle.log" 2>&1 || code=$?
echo "$suite: quickstart of a bundle: exit code $code: $(tail -n 1 "$folder/$suite-bundle.log")"
root_remove
exit $code
