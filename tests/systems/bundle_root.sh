#!/bin/sh
# The quickstart out of a bundle, on a bare Debian with nothing installed but its minimal base: no compiler, no Python, no
# gnuplot. The text is prepared here and carried along, since preparing it needs Python. As root, after
# `ninja -C build bundle` and with FOLDER/SUITE-base.tar, which bare_root.sh makes. No part of ./runtests.
#
#   tests/systems/bundle_root.sh SUITE [FOLDER]
set -eu
suite=${1:?bundle_root.sh SUITE [FOLDER]}
folder=${2:-/var/tmp/isoloss-systems}
source=$(cd "$(dirname "$0")/../.." && pwd)
root=$folder/$suite-bundle-root
if [ "${ISOLOSS_ROOT_NAMESPACE:-}" != yes ]; then
  ISOLOSS_ROOT_NAMESPACE=yes exec unshare --mount --pid --fork "$0" "$suite" "$folder"
fi
rm -rf "$root"
mkdir -p "$root"
tar -C "$root" -xf "$folder/$suite-base.tar"
tar -C "$root/opt" -xJf "$source"/build/isoloss-*.tar.xz
mount -t proc proc "$root/proc"  # $ORIGIN and the programs themselves ask it where they are
HOME=$root/root XDG_CACHE_HOME=$root/root/.cache "$source/build/isoloss" data prepare --source gcide >/dev/null
code=0
chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root sh -euc '
  cd /root
  program=$(echo /opt/isoloss-*/bin/isoloss)
  spec=$(echo /opt/isoloss-*/share/isoloss/experiments/quickstart.yaml)
  ! command -v python3 && ! command -v gnuplot
  "$program" run "$spec" && "$program" fit "$spec" && "$program" report "$spec"
  ls -l out/reports/quickstart.html; "$program" runs "$spec"' >"$folder/$suite-bundle.log" 2>&1 || code=$?
echo "$suite: quickstart of a bundle: exit code $code: $(tail -n 1 "$folder/$suite-bundle.log")"
umount "$root/proc"
rm -rf --one-file-system "$root"
exit $code
