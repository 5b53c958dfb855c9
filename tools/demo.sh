#!/bin/sh
# Mounts sample data with the real mount helper, reads it back, and shows what happened.
set -eu
cd "$(dirname "$0")/.."
shoal=${SHOAL_BIN:-$PWD/build/release/bin/shoal}
PATH=${shoal%/*}:$PATH
[ "$(id -u)" = 0 ] || exec sudo tools/demo.sh
# What it mounts goes with it, and the helper it puts into /sbin nobody else sees.
[ -n "${SHOAL_DEMO_INSIDE:-}" ] ||
  exec unshare --mount --propagation private env SHOAL_DEMO_INSIDE=1 tools/demo.sh

base=$(mktemp -d)
mount_point=$base/mnt
sbin=$(readlink -f /sbin)
origin=
finish() {
  mountpoint -q "$mount_point" && umount "$mount_point"
  [ -z "$origin" ] || kill "$origin"
  ! mountpoint -q "$sbin" || umount -l "$sbin"
  rm -rf "$base"
}
trap finish EXIT
trap 'exit 1' INT TERM
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
run() { printf '$ %s\n' "$*"; "$@"; }
linux_is() { # at least
  [ "$(printf '%s\n' "$1" "$(uname -r)" | sort -V | head -n 1)" = "$1" ]
}

say "1. Sample data: a bucket called 'demo', on this machine"
mkdir -p "$mount_point" "$base/store/demo/models/tiny" "$base/store/demo/data"
head -c 256M /dev/urandom > "$base/store/demo/models/tiny/weights.bin"
for i in 1 2 3 4 5 6 7 8; do head -c 100K /dev/urandom > "$base/store/demo/data/sample-$i.bin"; done
echo "Hello from an object." > "$base/store/demo/hello.txt"
(cd "$base/store/demo" && find . -type f -exec sha256sum {} + | sort -k 2) > "$base/written"

say "2. An origin that speaks OSS and S3, 20 ms from each first byte"
echo 'demo-id:demo-secret' > "$base/passwd-oss"
chmod 600 "$base/passwd-oss"
"$shoal" origin --root "$base/store" --bucket demo --credentials "$base/passwd-oss" \
  --listen 127.0.0.1:0 --latency-ms 20 --log-level warning --json > "$base/origin.out" &
origin=$!
until grep -q Endpoint "$base/origin.out"; do kill -0 "$origin" || exit 1; sleep 0.1; done
endpoint=$(sed -n 's/.*"Endpoint":"\([^"]*\)".*/\1/p' "$base/origin.out")
echo "$endpoint"

say "3. Mount it, as with the real service"
mkdir "$base/sbin"
ln -s "$shoal" "$base/sbin/mount.alinas"
mount -t overlay -o "lowerdir=$base/sbin:$sbin" overlay "$sbin"
mkdir "$base/cache" "$base/state"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
run mount -t alinas -o "efc,protocol=oss,passwd_file=$base/passwd-oss,endpoint=$endpoint" \
  -o "g_tier_DadiIsDistributed=false,g_tier_DadiDiskCacheCapacityMB=1024" \
  -o "g_tier_DadiDiskCachePath=$base/cache/,g_server_Port=$port,state_directory=$base/state" \
  demo:/ "$mount_point"
run findmnt -o SOURCE,TARGET,FSTYPE,OPTIONS "$mount_point"

say "4. Look"
run ls -lR "$mount_point"
run cat "$mount_point/hello.txt"
run df -h "$mount_point"

say "5. Read 256 MiB: cold, from the cache, and the same bytes from a local file"
cp "$base/store/demo/models/tiny/weights.bin" "$base/local"
cat "$base/local" > /dev/null
for file in "cold   $mount_point/models/tiny/weights.bin" \
  "cached $mount_point/models/tiny/weights.bin" "local  $base/local"; do
  printf '%s: ' "${file%% /*}"
  dd if="/${file#* /}" of=/dev/null bs=1M 2>&1 | tail -n 1
done

say "6. Every byte, against the checksums of what was written"
(cd "$mount_point" && find . -type f -exec sha256sum {} + | sort -k 2) > "$base/read"
diff "$base/written" "$base/read"
echo "all $(wc -l < "$base/read") files have the checksums they were written with"

say "7. New objects: into the cache before anybody reads them"
mkdir "$base/store/demo/late"
for i in 1 2 3 4 5 6 7 8; do head -c 4M /dev/urandom > "$base/store/demo/late/part-$i.bin"; done
run shoal warmup load "$mount_point/late" --pattern 'part-[1-4]' --watch
run curl -s "http://localhost:$port/v1/warmup/stat?target_path=late"
run curl -s "http://localhost:$port/v1/tier"
run shoal stat "$mount_point/late"

say "8. kill -9 of the daemon in the middle of a read: the reader does not notice"
if linux_is 6.9; then
  head -c 512M /dev/urandom > "$base/store/demo/models/tiny/another.bin"
  sha256sum < "$base/store/demo/models/tiny/another.bin" > "$base/written"
  sha256sum < "$mount_point/models/tiny/another.bin" > "$base/read" &
  reader=$!
  state=$(grep -lF "\"$mount_point\"" /run/shoal/*/state.json)
  worker=$(sed -n 's/.*"worker_pid": \([0-9]*\).*/\1/p' "$state")
  run kill -9 "$worker"
  wait "$reader"
  run diff "$base/written" "$base/read"
  echo "read whole, while worker $worker died"
else
  echo "left out: this kernel, $(uname -r), cannot ask another worker again; Linux 6.9 can"
fi

say "9. Change options while it is in use"
run shoal update "$mount_point" -o g_tier_DadiDiskCacheCapacityMB=600
if linux_is 6.9; then
  run python3 tools/efc_runtime_ops.py update "$mount_point" -o g_tier_DadiCachePageSizeKB=64
  run python3 tools/efc_runtime_ops.py rollback "$mount_point"
fi
run shoal top "$mount_point" --count 1
run shoal doctor "$mount_point" || true
echo "(the live page of this mount is http://localhost:$port/)"

say "10. What the origin was asked, and what it sent"
python3 -c "
import json, sys, urllib.request
stats = json.load(urllib.request.urlopen(sys.argv[1] + '/__origin/stats'))
for kind, count in stats['requests'].items():
    if count: print(f'{kind:6} {count:5} requests {stats[\"bytes\"][kind]:12,} bytes')" "$endpoint"

say "11. Unmount"
run umount "$mount_point"
echo "done: the mount, the origin and the data are gone again"
