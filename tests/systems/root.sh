# shellcheck shell=sh
# A root folder with a bare Debian or Ubuntu, for the scripts here, which read this file first. As root, with
# debootstrap.
#
#   SCRIPT SUITE [FOLDER]      SUITE: bookworm, trixie, jammy, noble; FOLDER: where roots and logs are kept
#
# The minimal base is made once and kept in FOLDER/SUITE-base.tar; the roots themselves are removed at the end. Other
# mirrors than debootstrap's own: ISOLOSS_MIRROR=ADDRESS. ISOLOSS_KEEP=yes keeps the root at the end, to look at what
# failed in it, and goes on in one that was kept, where only files that changed are copied anew. Ubuntu's keys are not
# among Debian's: without its keyring, debootstrap takes its base unchecked, and only from ISOLOSS_MIRROR.
suite=${1:?"$(basename "$0") SUITE [FOLDER]"}
folder=${2:-/var/tmp/isoloss-systems}
source=$(cd "$(dirname "$0")/../.." && pwd)

# In a mount namespace, so that nothing stays mounted whatever happens.
if [ "${ISOLOSS_ROOT_NAMESPACE:-}" != yes ]; then
  mkdir -p "$folder"
  ISOLOSS_ROOT_NAMESPACE=yes exec unshare --mount --pid --fork "$0" "$suite" "$folder"
fi

# root_make NAME: unpacks the base into $root, with /proc, shared memory, pseudo-terminals and the network's names. Locks
# live as long as this process: one caller at a time has the root, and one makes the base.
root_make() {
  root=$folder/$suite-$1
  exec 8>"$root.lock" 9>"$folder/$suite-base.lock"
  flock -n 8 || {
    echo "$0: another process works in $root: wait for it, or name another folder" >&2
    exit 3
  }
  flock 9
  kept=no
  if [ "${ISOLOSS_KEEP:-}" = yes ] && [ -e "$root.kept" ]; then kept=yes; else rm -rf --one-file-system "$root" "$root.kept"; fi
  mkdir -p "$root"
  if [ $kept = yes ]; then
    echo "$suite: goes on in $root"
  elif [ ! -f "$folder/$suite-base.tar" ]; then
    # Ubuntu keeps most libraries in universe, which a machine of its installer's making has.
    parts=main script=/usr/share/debootstrap/scripts/$suite
    case $suite in
    jammy | noble)
      parts=main,universe
      [ -e "$script" ] || script=${script%/*}/gutsy # the script of all Ubuntus, for those newer than debootstrap
      ;;
    esac
    debootstrap --variant=minbase --merged-usr --components=$parts "$suite" "$root" "${ISOLOSS_MIRROR:-}" "$script" \
      >"$folder/$suite-debootstrap.log"
    tar -C "$root" -cf "$folder/$suite-base.tar.part" .
    mv "$folder/$suite-base.tar.part" "$folder/$suite-base.tar"
  else
    tar -C "$root" -xf "$folder/$suite-base.tar"
  fi
  exec 9>&-
  [ "${ISOLOSS_KEEP:-}" != yes ] || touch "$root.kept"
  [ ! -f /etc/resolv.conf ] || cp -L /etc/resolv.conf "$root/etc/resolv.conf"
  mkdir -p "$root/dev/shm" "$root/dev/pts"
  mount -t proc proc "$root/proc"
  mount -t tmpfs shm "$root/dev/shm"
  mount -t devpts -o ptmxmode=666,newinstance devpts "$root/dev/pts"
  ln -sf pts/ptmx "$root/dev/ptmx"
}

# inside COMMAND...: runs it in the root.
inside() {
  chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
    DEBIAN_FRONTEND=noninteractive "$@"
}

# root_sources PLACE: what is committed here, copied to PLACE in the root; files that are the same already keep their times.
root_sources() {
  rm -rf "$root.sources"
  mkdir -p "$root$1" "$root.sources"
  git -C "$source" archive HEAD | tar -C "$root.sources" -xf -
  (cd "$root.sources" && find . ! -type d) | while IFS= read -r file; do
    cmp -s "$root.sources/$file" "$root$1/$file" && continue
    mkdir -p "$(dirname "$root$1/$file")"
    cp -P "$root.sources/$file" "$root$1/$file"
  done
  rm -rf "$root.sources"
}

root_remove() {
  umount "$root/dev/pts" "$root/dev/shm" "$root/proc"
  [ "${ISOLOSS_KEEP:-}" = yes ] || rm -rf --one-file-system "$root"
}
