#!/bin/sh
# The README's two commands on a bare Debian, as a user with sudo. Makes a root folder (root.sh) with no more in it than
# the minimal base and sudo, copies what is committed here into it, runs ./quickstart and ./runtests, and prints one
# line for each and the versions met. Takes an hour or more, so it is not part of ./runtests.
#
#   tests/systems/bare_root.sh SUITE [FOLDER]      SUITE: bookworm, trixie; FOLDER: where roots and logs are kept
#
# ISOLOSS_COMMANDS=./runtests: that one only.
set -eu
. "$(dirname "$0")/root.sh"
root_make root
inside sh -c 'apt-get update -q && apt-get install -y -q --no-install-recommends sudo' >"$folder/$suite-sudo.log"
inside sh -c 'id -u user >/dev/null 2>&1 || useradd -m user'
echo 'user ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/user"
root_sources /home/user/isoloss
inside chown -R user: /home/user

as_user() { inside su - user -c "cd isoloss && $1"; }
failed=0
for command in ${ISOLOSS_COMMANDS:-./quickstart ./runtests}; do
  name=$suite-$(basename "$command")
  begun=$(date +%s)
  code=0
  as_user "$command" >"$folder/$name.log" 2>&1 || code=$?
  [ $code = 0 ] || failed=1
  echo "$suite: $command: exit code $code after $((($(date +%s) - begun) / 60)) minutes: $(tail -n 1 "$folder/$name.log")"
done
as_user 'sed -n "s/^PRETTY_NAME=//p" /etc/os-release; gcc --version | head -n 1; meson --version; gnuplot --version
  dpkg-query -W libdnnl-dev liblapacke-dev libgsl-dev libsqlite3-dev libsentencepiece-dev
  build/isoloss plan experiments/quickstart.yaml
  [ ! -e out ] || { ls out/reports/quickstart.html; build/isoloss runs experiments/quickstart.yaml; }' |
  tee "$folder/$suite-versions.log"
root_remove
exit $failed
