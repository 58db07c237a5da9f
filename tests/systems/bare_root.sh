#!/bin/sh
# The README's two commands on a bare Debian, as a user with sudo. Makes a root folder by debootstrap (no more in it than
# the minimal base and sudo), copies what is committed here into it, runs ./quickstart and ./runtests, and prints one
# line for each and the versions met. As root, with debootstrap; takes an hour or more, so it is not part of ./runtests.
#
#   tests/systems/bare_root.sh SUITE [FOLDER]      SUITE: bookworm, trixie; FOLDER: where roots are kept
#
# The minimal base is kept in FOLDER/SUITE-base.tar and the logs next to it; the root itself is removed at the end.
set -eu
suite=${1:?bare_root.sh SUITE [FOLDER]}
folder=${2:-/var/tmp/isoloss-systems}
mirror=${ISOLOSS_MIRROR:-http://deb.debian.org/debian}
source=$(cd "$(dirname "$0")/../.." && pwd)
root=$folder/$suite-root

# In a mount namespace, so that nothing stays mounted whatever happens.
if [ "${ISOLOSS_ROOT_NAMESPACE:-}" != yes ]; then
  mkdir -p "$folder"
  ISOLOSS_ROOT_NAMESPACE=yes exec unshare --mount --pid --fork "$0" "$suite" "$folder"
fi

if [ ! -f "$folder/$suite-base.tar" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$folder/$suite-debootstrap.log"
  tar -C "$root" -cf "$folder/$suite-base.tar.part" .
  mv "$folder/$suite-base.tar.part" "$folder/$suite-base.tar"
fi
rm -rf "$root"
mkdir -p "$root"
tar -C "$root" -xf "$folder/$suite-base.tar"
[ ! -f /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm"
mount -t tmpfs shm "$root/dev/shm"
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
inside sh -c 'apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends sudo' \
  >"$folder/$suite-sudo.log"
inside useradd -m user
echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
mkdir "$root/home/user/isoloss"
git -C "$source" archive HEAD | tar -C "$root/home/user/isoloss" -xf -
inside chown -R user: /home/user

as_user() { inside su - user -c "cd isoloss && $1"; }
failed=0
for command in ./quickstart ./runtests; do
  name=$suite-$(basename "$command")
  begun=$(date +%s)
  code=0
  as_user "$command" >"$folder/$name.log" 2>&1 || code=$?
  [ $code = 0 ] || failed=1
  echo "$suite: $command: exit code $code after $((($(date +%s) - begun) / 60)) minutes: $(tail -n 1 "$folder/$name.log")"
done
as_user 'sed -n "s/^PRETTY_NAME=//p" /etc/os-release; gcc --version | head -n 1; meson --version; gnuplot --version
  dpkg-query -W libdnnl-dev libgsl-dev libsqlite3-dev libsentencepiece-dev
  ls out/reports/quickstart.html; build/isoloss runs experiments/quickstart.yaml' |
  tee "$folder/$suite-versions.log"
umount "$root/dev/shm" "$root/proc"
rm -rf --one-file-system "$root"
exit $failed
