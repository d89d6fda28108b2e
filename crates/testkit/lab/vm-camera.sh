#!/usr/bin/env bash
# Runs programs in a small virtual machine whose kernel has a camera (vivid: /dev/video0) and a sound card (snd-aloop: what
# is played comes back at the microphone), for machines that have neither. No root needed.
#
#   vm-camera.sh fetch
#       gets a kernel, if there is none yet
#   vm-camera.sh run [--bin PROGRAM]... [--file FILE]... [--seconds N] [--memory MB] RESULTS SCRIPT
#       boots, runs SCRIPT (for sh) in the directory /results and brings all files from there back into the directory
#       RESULTS, which must exist. Each PROGRAM is in the PATH, with its libraries; each FILE is in /input. The guest's
#       console goes to standard output. Ends with SCRIPT's exit status, or 125 if the machine failed.
#
# The kernel is the newest one of the distribution's packages; it is kept in $XDG_CACHE_HOME/ahoy/vm, by default
# ~/.cache/ahoy/vm. To get a newer one, delete that directory.
set -euo pipefail

cache=${XDG_CACHE_HOME:-$HOME/.cache}/ahoy/vm
kernel=$cache/kernel
# How long a boot and the programs may take under software emulation on a busy machine.
seconds=300
memory=1024
disk_megabytes=1024
modules=(virtio_pci virtio_blk vivid snd-aloop)

fail() {
    echo "vm-camera: $*" >&2
    exit 125
}

need() {
    command -v "$1" >/dev/null || fail "$1 is not installed: run \`cargo xtask setup\`, or install the package $2"
}

# The packages that hold the kernel and its modules. Ubuntu splits them.
kernel_packages() {
    local meta image release
    for meta in linux-image-amd64 linux-image-generic; do
        image=$(apt-cache depends --important "$meta" 2>/dev/null |
            sed -n 's/^ *|\{0,1\}Depends: \(linux-image-[0-9][^ ]*\)$/\1/p' | head -n 1)
        [ -n "$image" ] || continue
        release=${image#linux-image-}
        echo "$image"
        if [ "$meta" = linux-image-generic ]; then
            echo "linux-modules-$release"
            echo "linux-modules-extra-$release"
        fi
        return
    done
    fail "no kernel package is known to apt: run \`apt-get update\`, or unpack a kernel with its modules into $kernel"
}

fetch() {
    [ -e "$kernel/complete" ] && return
    [ "$(uname -m)" = x86_64 ] || fail "only x86_64 machines are supported"
    need apt-get apt
    need dpkg-deb dpkg
    need depmod kmod
    echo "Fetching a kernel with a virtual camera (once, about 70 MB)." >&2
    local work packages
    mkdir -p "$cache"
    # Made aside and renamed, so that two of these at the same time, or an interrupted one, do no harm.
    work=$(mktemp -d "$cache/fetch.XXXXXX")
    # shellcheck disable=SC2064 # the directory of now is meant
    trap "rm -rf '$work'" EXIT
    packages=$(kernel_packages)
    # apt drops its privileges, if it has any, to a user that may not write into the directory; that is only a warning.
    # shellcheck disable=SC2086 # one word for each package
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root $packages) || fail "the kernel could not be downloaded"
    mkdir "$work/root"
    local package
    for package in "$work"/*.deb; do
        dpkg-deb -x "$package" "$work/root"
    done
    if [ -d "$work/root/usr/lib/modules" ] && [ ! -e "$work/root/lib" ]; then
        ln -s usr/lib "$work/root/lib"
    fi
    local image release
    for image in "$work"/root/boot/vmlinuz-*; do
        release=${image##*/vmlinuz-}
    done
    [ -e "$work/root/boot/vmlinuz-$release" ] || fail "the kernel package has no kernel"
    depmod -b "$work/root" "$release" 2>/dev/null || fail "the kernel's modules could not be indexed"
    # Of thousands of modules some twenty are needed.
    module_files "$work/root" "$release" > "$work/needed"
    find -L "$work/root/lib/modules/$release" -name '*.ko*' -type f | grep -vxFf "$work/needed" | xargs rm
    rm -rf "$work/root/usr/share"
    depmod -b "$work/root" "$release" 2>/dev/null || fail "the kernel's modules could not be indexed"
    echo "$release" > "$work/root/complete"
    mv -T "$work/root" "$kernel" 2>/dev/null || [ -e "$kernel/complete" ] || fail "$kernel is in the way: delete it"
    rm -rf "$work"
    trap - EXIT
}

# The files of the modules and of what they depend on, in the order in which they are to be loaded.
module_files() {
    local root=$1 release=$2 module
    for module in "${modules[@]}"; do
        modprobe -d "$root" -S "$release" --show-depends "$module" || fail "the kernel has no module $module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++'
}

# Copies the modules, unpacked, and their order.
add_modules() {
    local root=$1 release=$2 file name
    module_files "$kernel" "$release" | while read -r file; do
        name=${file##*/}
        case $name in
            *.ko) cp "$file" "$root/modules/$name" ;;
            *.ko.xz) xz -dc "$file" > "$root/modules/${name%.xz}" ;;
            *.ko.zst) zstd -qdc "$file" > "$root/modules/${name%.zst}" ;;
            *) fail "$name is packed in an unknown way" ;;
        esac
        name=${name%.xz}
        echo "${name%.zst}" >> "$root/modules/order"
    done
}

# Copies a program without its symbols, and its libraries.
add_program() {
    local root=$1 program=$2 target library
    target=$root/usr/bin/${program##*/}
    if ! { command -v strip >/dev/null && strip -o "$target" "$program" 2>/dev/null; }; then
        cp "$program" "$target"
    fi
    # A static program has none; ldd says so and fails.
    { ldd "$program" 2>/dev/null || true; } | grep -o '/[^ ]*' | while read -r library; do
        mkdir -p "$root${library%/*}"
        cp -L "$library" "$root$library"
    done
}

write_init() {
    cat > "$1/init" <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin HOME=/root XDG_RUNTIME_DIR=/tmp
mount -t devtmpfs dev /dev
mkdir -p /dev/shm
mount -t tmpfs shm /dev/shm
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmp /tmp
mount -t tmpfs results /results
ifconfig lo 127.0.0.1
while read -r module; do
    case $module in
        # One camera of the kind of a webcam and nothing else.
        vivid.ko) options='n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00' ;;
        *) options= ;;
    esac
    insmod "/modules/$module" $options || echo "vm-camera: the module $module could not be loaded"
done < /modules/order
cd /results
sh /script < /dev/null
echo "$?" > /results/exit-status
# The disk has no file system: it is the archive.
tar -cf /dev/vda -C /results . && sync && echo 'vm-camera: results written'
poweroff -f
INIT
    chmod +x "$1/init"
    # What is played comes back at the microphone.
    cat > "$1/etc/asound.conf" <<'ALSA'
pcm.!default {
    type asym
    playback.pcm "plug:'hw:Loopback,0,0'"
    capture.pcm "plug:'hw:Loopback,1,0'"
}
ctl.!default { type hw card Loopback }
ALSA
}

run() {
    local programs=() files=()
    while [ $# -gt 2 ]; do
        case $1 in
            --bin) programs+=("$2") ;;
            --file) files+=("$2") ;;
            --seconds) seconds=$2 ;;
            --memory) memory=$2 ;;
            *) fail "unknown option $1" ;;
        esac
        shift 2
    done
    [ $# -eq 2 ] || fail "what to run is missing: RESULTS SCRIPT"
    local results=$1 script=$2 program file
    [ -d "$results" ] || fail "$results is not a directory"
    need qemu-system-x86_64 qemu-system-x86
    need busybox busybox-static
    need cpio cpio
    need modprobe kmod
    fetch
    local release work
    release=$(cat "$kernel/complete")
    work=$(mktemp -d "${TMPDIR:-/tmp}/vm-camera.XXXXXX")
    # shellcheck disable=SC2064 # the directory of now is meant
    trap "rm -rf '$work'" EXIT

    local root=$work/root
    mkdir -p "$root"/{bin,dev,etc,input,modules,proc,results,root,sys,tmp,usr/bin,usr/share}
    cp "$(command -v busybox)" "$root/bin/busybox"
    cp "$script" "$root/script"
    for program in ${programs[@]+"${programs[@]}"}; do
        add_program "$root" "$(command -v -- "$program")" || fail "$program is not there"
    done
    for file in ${files[@]+"${files[@]}"}; do
        cp -rL "$file" "$root/input/"
    done
    [ -d /usr/share/alsa ] && cp -rL /usr/share/alsa "$root/usr/share/"
    add_modules "$root" "$release"
    write_init "$root"
    (cd "$root" && find . | cpio -o -H newc --quiet) > "$work/initrd"
    truncate -s "${disk_megabytes}M" "$work/disk"

    # Software emulation: hardware virtualisation is often there but broken inside other virtual machines.
    local machine=(-machine q35 -accel 'tcg,thread=multi' -cpu max -smp 2 -m "$memory" -display none -monitor none
        -nic none -no-reboot -serial stdio -drive "file=$work/disk,format=raw,if=virtio,cache=unsafe"
        -kernel "$kernel/boot/vmlinuz-$release" -initrd "$work/initrd"
        -append 'console=ttyS0 quiet panic=-1 tsc=unstable mitigations=off')
    timeout --kill-after=5 "$seconds" qemu-system-x86_64 "${machine[@]}" < /dev/null 2> "$work/qemu-errors" |
        tr -d '\r' | tee "$work/console" || true
    if ! grep -q '^vm-camera: results written$' "$work/console"; then
        cat "$work/qemu-errors" >&2
        fail "the machine did not finish within $seconds s"
    fi
    tar -xf "$work/disk" -C "$results" --no-same-owner --no-overwrite-dir || fail "the results could not be unpacked"
    local status
    status=$(cat "$results/exit-status")
    rm "$results/exit-status"
    exit "$status"
}

case ${1-} in
    fetch) fetch ;;
    run) shift && run "$@" ;;
    *) fail "say fetch or run; the beginning of $0 explains them" ;;
esac
