#!/bin/sh
# Builds libfuse for us, once, and prints the pkg-config folder to add.
#
#   tools/build_libfuse.sh PREFIX
#
# Debian 12 and Ubuntu 24.04 ship 3.14, which does not know the messages of today's kernels;
# and no distribution's own build lets a program feed messages to the decoder
# (enable-custom-io, see docs/decisions/0002). The source of a later suite is fetched
# with apt's own client, from a source list and list cache under PREFIX, so the system's apt
# configuration is never touched, and built statically. The mirror is the one this machine
# already uses.
set -eu
prefix=$1

if [ -f "$prefix/done" ]; then echo "$prefix/lib/pkgconfig"; exit 0; fi

# The first suite of each distribution with a libfuse new enough.
. /etc/os-release
case "$ID" in
  ubuntu) suite=resolute path='ubuntu(-ports)?' keyring=/usr/share/keyrings/ubuntu-archive-keyring.gpg ;;
  *) suite=forky path=debian keyring=/usr/share/keyrings/debian-archive-keyring.gpg ;;
esac
# Cloud images name their mirrors in a list of their own.
mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/* /etc/apt/mirrors/* 2>/dev/null |
  grep -v '^ *#' | grep -oE "https?://[^ ]*/$path/?([[:space:]]|\$)" | head -n 1 |
  tr -d '[:space:]' || true)
if [ -z "$mirror" ]; then
  echo "no $ID mirror among this machine's apt sources to take libfuse's source from" >&2
  exit 1
fi
[ -f "$keyring" ] || { echo "missing $keyring: install the archive keyring package" >&2; exit 1; }

rm -rf "$prefix"
mkdir -p "$prefix/apt/lists/partial" "$prefix/apt/cache/archives/partial" "$prefix/source"
echo "deb-src [signed-by=$keyring] $mirror $suite main" > "$prefix/apt/sources.list"
: > "$prefix/apt/status"
# A mirror that is days behind is as good for a source, whose checksum is in the signed list.
options="-o Dir::Etc::SourceList=$prefix/apt/sources.list -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists=$prefix/apt/lists -o Dir::State::status=$prefix/apt/status
  -o Dir::Cache=$prefix/apt/cache -o APT::Sandbox::User=root
  -o Acquire::Check-Valid-Until=false -q"
build() {
  # shellcheck disable=SC2086  # $options is a list of words
  apt-get $options update &&
    cd "$prefix/source" &&
    apt-get $options source --tar-only fuse3 &&
    tar -xf fuse3_*.orig.tar.* --strip-components 1 &&
    custom_io=$(grep -o enable-custom-io meson_options.txt || true) &&  # before 3.18.3 always built
    meson setup build --prefix "$prefix" --libdir lib --default-library static \
      --buildtype release -Dexamples=false -Dtests=false -Dutils=false \
      ${custom_io:+"-D$custom_io=true"} &&
    ninja -C build install
}
build > "$prefix/log" 2>&1 || {
  tail -n 30 "$prefix/log" >&2
  echo "libfuse could not be built: the log is $prefix/log" >&2
  exit 1
}
rm -rf "$prefix/apt" "$prefix/source"
touch "$prefix/done"
echo "$prefix/lib/pkgconfig"
