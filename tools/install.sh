#!/bin/sh
# Installs the program and what is made from it. Run as root:
#
#   tools/install.sh PROGRAM [ROOT]
#
# ROOT is put before every path, for packages; it is empty for this machine.
set -eu
program=$1
root=${2:-}
tools=$(dirname "$0")
packaging=$tools/../packaging

install -s -D -m 755 "$program" "$root/usr/local/bin/shoal"
mkdir -p "$root/sbin" "$root/usr/bin"
# mount -t alinas. The other two are for `mount -o remount` and `mount -t fuse.shoal`: mount(8)
# takes the type from its table, where the kernel has it with "fuse." before it.
for helper in mount.alinas mount.fuse.alinas mount.fuse.shoal; do
  ln -sf /usr/local/bin/shoal "$root/sbin/$helper"
done
ln -sf /usr/local/bin/shoal "$root/usr/bin/aliyun-alinas-efc-cli"
install -D -m 755 "$tools/efc_runtime_ops.py" "$root/usr/local/share/shoal/efc_runtime_ops.py"
# A mount as a service, and what an operator imports into Grafana and Prometheus.
install -D -m 644 "$packaging/systemd/shoal@.service" \
  "$root/usr/local/lib/systemd/system/shoal@.service"
for file in grafana/shoal.json prometheus/shoal.rules.yml; do
  install -D -m 644 "$packaging/$file" "$root/usr/local/share/shoal/$file"
done

for page in shoal.1 mount.alinas.8 aliyun-alinas-efc-cli.1; do
  folder="$root/usr/local/share/man/man${page##*.}"
  mkdir -p "$folder"
  "$program" manual "${page%.*}" > "$folder/$page"
done
share="$root/usr/local/share"
mkdir -p "$share/bash-completion/completions" "$share/zsh/site-functions" \
  "$share/fish/vendor_completions.d"
"$program" completion bash > "$share/bash-completion/completions/shoal"
"$program" completion zsh > "$share/zsh/site-functions/_shoal"
"$program" completion fish > "$share/fish/vendor_completions.d/shoal.fish"
# Both shells look for a file of the program's name.
for name in aliyun-alinas-efc-cli mount.alinas efc_runtime_ops.py; do
  ln -sf shoal "$share/bash-completion/completions/$name"
  ln -sf shoal.fish "$share/fish/vendor_completions.d/$name.fish"
done
echo "installed; shoal doctor says whether this machine is ready"
