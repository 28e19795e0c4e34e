#!/bin/sh
# Makes the signed file of the first step of systemd/README.md from the publishers' files: pack.sh FOLDER. Kept if made.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
checkout=$(cd "$here/../../.." && pwd)
shared=$checkout/../shared gated=$checkout/.venv/bin/gated
mkdir -p "$1/stick"
cd "$1"
now=$(git -C "$checkout" rev-parse HEAD:gated HEAD:systemd HEAD:models; git -C "$checkout" diff HEAD -- gated systemd models | sha256sum)
[ "$(cat packed 2>/dev/null)" != "$now" ] || exit 0
cp "$shared"/models/sources/* "$shared/models/yunet_n_dynamic.onnx" "$shared/models/mobilefacenet_128d.onnx" stick
[ -e release ] || ssh-keygen -q -t ed25519 -N '' -f release
[ -d models ] || "$gated" models pull site --from stick --accept-licence
rm -f gate.tar
"$gated" bundle gate.tar --target trixie-amd64 --models site --sign release
echo "$now" >packed
