#!/bin/sh
# Packs isoloss for machines on which nothing can be installed: `ninja -C build bundle` makes
# build/isoloss-VERSION-CPU.tar.xz of the programs, laws, experiments, docs and the libraries that they load (all but the
# C library's, which must be as new as here). To be unpacked anywhere. gnuplot comes along where it is installed here.
#
#   bundle.sh MESON BUILD_FOLDER SOURCE_FOLDER VERSION
set -eu
meson=$1 build=$2 source=$3 name=isoloss-$4-$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$meson" install -C "$build" --no-rebuild --quiet --destdir "$work/installed" >/dev/null
prefix=$(dirname "$(dirname "$(find "$work/installed" -name isoloss-train -type f)")")
mv "$prefix" "$work/$name"
mkdir -p "$work/$name/lib/isoloss" "$work/$name/share/doc"
cp -R "$source/docs" "$work/$name/share/doc/isoloss"
cp "$source/README.md" "$source/COPYING" "$work/$name/"

# The libraries of $1, all but the C library's own.
libraries() {
  ldd "$1" | awk '$2 == "=>" && $3 ~ /^\// && $1 !~ /^(libc|libm|libmvec|libpthread|libdl|librt|libresolv|libutil)\.so/ { print $3 }'
}
# The programs find theirs by $ORIGIN/../lib/isoloss, which is linked into them.
for program in isoloss isoloss-train; do
  libraries "$build/$program" | xargs -I '{}' cp -L '{}' "$work/$name/lib/isoloss/"
done
# gnuplot is nobody's build here, so a script in front of it says where its libraries are.
if command -v gnuplot >/dev/null 2>&1; then
  gnuplot=$(readlink -f "$(command -v gnuplot)")
  mkdir -p "$work/$name/lib/gnuplot"
  libraries "$gnuplot" | xargs -I '{}' cp -L '{}' "$work/$name/lib/gnuplot/"
  cp "$gnuplot" "$work/$name/lib/gnuplot/gnuplot"
  cat >"$work/$name/bin/gnuplot" <<'END'
#!/bin/sh
lib=$(dirname "$(readlink -f "$0")")/../lib/gnuplot
LD_LIBRARY_PATH=$lib exec "$lib/gnuplot" "$@"
END
  chmod +x "$work/$name/bin/gnuplot"
else
  echo "bundle: no gnuplot here, so none in it: figures and reports will need the machine's own" >&2
fi
find "$work/$name/bin" "$work/$name/lib" -type f -exec strip --strip-debug '{}' + 2>/dev/null || true
tar -C "$work" -c "$name" | xz -T 0 -4 >"$build/$name.tar.xz"
echo "bundle: $build/$name.tar.xz"
