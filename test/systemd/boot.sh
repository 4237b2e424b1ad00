#!/bin/sh
# Boots a real systemd in a throw-away copy of this machine, runs scenario.sh in it, and ends with 7.
# boot.sh DIRECTORY PROJECT NODE: DIRECTORY is an empty one; what the scenario prints goes to
# DIRECTORY/results/log. To be called under `unshare --mount`, so that all mounts end with it.
set -eu
directory=$1 project=$2 node=$3

mkdir "$directory/results" "$directory/overlay" "$directory/root"
mount -t tmpfs tmpfs "$directory/overlay"
mkdir "$directory/overlay/upper" "$directory/overlay/work"
mount -t overlay overlay \
  -o "lowerdir=/,upperdir=$directory/overlay/upper,workdir=$directory/overlay/work" "$directory/root"

units=$directory/root/etc/systemd/system
mkdir -p "$units/multi-user.target.wants" "$units/scissiond.service.d" "$directory/root/etc/scissiond"
ln -sf /dev/null "$units/systemd-firstboot.service"
cp "$project"/systemd/*.service "$units"
printf '[Service]\nWatchdogSec=5\nRestartSec=100ms\n' > "$units/scissiond.service.d/test.conf"
printf '#!/bin/sh\nexec /opt/node /opt/scissiond/dist/cli/main.js "$@"\n' \
  > "$directory/root/usr/bin/scissiond"
chmod 755 "$directory/root/usr/bin/scissiond"
cat > "$units/scenario.service" <<UNIT
[Service]
Type=oneshot
ExecStart=/bin/sh -c '/bin/sh /opt/scissiond/test/systemd/scenario.sh > /results/log 2>&1; systemctl exit 7'
UNIT
ln -s ../scenario.service "$units/multi-user.target.wants/scenario.service"

exec systemd-nspawn --quiet --directory="$directory/root" --machine="scissiond-test-$$" \
  --boot --register=no --keep-unit --private-network --console=pipe --link-journal=no \
  --bind="$directory/results:/results" --bind-ro="$project:/opt/scissiond" --bind-ro="$node:/opt/node" \
  systemd.unit=multi-user.target
