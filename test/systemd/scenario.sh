#!/bin/sh
# What an administrator does with the unit, on a booted system. One line "@ ..." for each result.
config=/etc/scissiond/scissiond.yaml

say() { echo "@ $*"; }
property() { systemctl show --property="$1" --value scissiond; }
# until_true COMMAND: polls for 30 seconds.
until_true() {
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    if [ "$tries" -gt 150 ]; then return 1; fi
    sleep 0.2
  done
}
is_active() { [ "$(property ActiveState)" = active ]; }
status_has() { property StatusText | grep -q "$1"; }
is_another_process() {
  [ "$(property MainPID)" != "$first" ] && [ "$(property MainPID)" != 0 ] &&
    is_active
}

# Ports of their own: the copied system may run a broker itself.
cat > $config <<'YAML'
node: { name: edge-1 }
listen: { port: 28420 }
mqtt: { broker: { port: 21883 } }
probeServer: { port: 28421 }
YAML

systemctl start scissiond
say "start: $? $(property ActiveState)"
say "owner: $(stat -c %U /proc/"$(property MainPID)") $(stat -c %a /var/lib/private/scissiond)"
first=$(property MainPID)

echo 'thresholds: { holdSeconds: 9 }' >> $config
systemctl reload scissiond
say "reload: $?"
until_true is_active

echo 'sitte: x' >> $config
systemctl reload scissiond
until_true status_has 'old one stays in force'
say "reload of a bad file: $?"
until_true is_active
say "after it: $? $(property ActiveState)"
sed -i '$d' $config
if [ "$(property MainPID)" = "$first" ]; then say "still the first process"; fi

kill -STOP "$first"
until_true is_another_process
say "watchdog: $? $(property NRestarts)"

systemctl stop scissiond
say "stop: $? $(property ActiveState) $(property Result)"

echo 'sitte: x' >> $config
systemctl start scissiond
say "start with a bad file: $? $(property ExecMainStatus) $(property ActiveState)"
journalctl --unit scissiond --no-pager --output cat | tail -n 40
