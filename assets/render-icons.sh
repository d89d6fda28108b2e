#!/bin/sh
# Renders assets/icon.svg into the icons that the bundles need (assets/icons). The results are checked in, so only a
# change of the drawing needs this. Debian packages: librsvg2-bin imagemagick icnsutils optipng
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT

for size in 16 24 32 48 64 128 256 512; do
    rsvg-convert --width $size --height $size icon.svg --output "$work/$size.png"
done
# -nx keeps 32-bit colour, which Tauri insists on.
optipng -quiet -nx -o5 "$work"/*.png

mkdir -p icons
# The sizes of the hicolor theme, from which Linux desktops choose.
for size in 16 24 32 48 64 128 256 512; do
    cp "$work/$size.png" "icons/${size}x$size.png"
done
png2icns icons/icon.icns "$work/16.png" "$work/32.png" "$work/128.png" "$work/256.png" "$work/512.png" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}
convert "$work/16.png" "$work/24.png" "$work/32.png" "$work/48.png" "$work/64.png" "$work/256.png" icons/icon.ico
