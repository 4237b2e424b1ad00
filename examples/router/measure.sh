#!/bin/sh
# Reports both directions of one link over MQTT, as a router sees them: round trip and loss by ping, and what
# its interface has left of the line's rate. Runs for ever; OpenWrt's BusyBox shell is enough.
#
#   measure.sh [-e SECONDS] [-i INTERFACE -u UP_MBPS -d DOWN_MBPS] SITE FROM TO ADDRESS [options of mosquitto_pub]
#   measure.sh -i wan -u 20 -d 100 default edge-1 gpu-1 203.0.113.7 -h edge-1 -p 1883
#
# FROM is the node on this side of the link, TO the one at ADDRESS. Without -i, -u and -d it tells no bandwidth:
# byte counters say what was used, so what is free needs the rate of the line.
# Needs ping and mosquitto_pub (OpenWrt: mosquitto-client-nossl; Debian: mosquitto-clients).
set -eu

usage() {
  sed -n 's/^#   //p' "$0" >&2
  exit 2
}

every=5 interface='' up='' down=''
while getopts e:i:u:d: option; do
  case $option in
    e) every=$OPTARG ;;
    i) interface=$OPTARG ;;
    u) up=$OPTARG ;;
    d) down=$OPTARG ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -ge 4 ] || usage
links=scission/v1/$1/links from=$2 to=$3 address=$4
shift 4

# iputils ("rtt min/avg/max/mdev = …") or BusyBox ("round-trip min/avg/max = …"). Without the line that counts
# packets nothing was measured (no such host, no route), which says nothing about the link.
measure() {
  ping -q -c 5 -W 2 "$address" 2>&1 | awk '
    /packet loss/ { sub(/%.*/, ""); loss = $NF }
    /min\/avg\/max/ { split($0, halves, " = "); split(halves[2], ms, "/"); rtt = ms[2] }
    END {
      if (loss != "") printf "\"lossPercent\":%s", loss
      if (rtt != "") printf ",\"rttMs\":%s", rtt
    }'
}

# Seconds since the machine started, which nobody sets; then the bytes sent and received. Nothing while the
# interface is gone.
counted=/sys/class/net/$interface/statistics
counters() {
  [ -n "$interface" ] || return 0
  sent=$(cat "$counted/tx_bytes") && received=$(cat "$counted/rx_bytes") || return 0
  echo "$(cut -d ' ' -f 1 /proc/uptime) $sent $received"
}
if [ -n "$interface" ] && ! { [ -r "$counted/tx_bytes" ] && [ -r "$counted/rx_bytes" ]; }; then
  echo "measure.sh: -i $interface: no byte counters can be read in $counted" >&2
  exit 2
fi

# free LINE_MBPS FIELD: what the counters $before and $now leave of the line, as a member of the report. Streams
# share a full line, so a tenth can always be had.
free() {
  [ -n "$1" ] && [ -n "$before" ] && [ -n "$now" ] || return 0
  echo "$before $now" | awk -v line="$1" -v field="$2" '{
    seconds = $4 - $1
    used = seconds > 0 ? ($(field + 3) - $field) * 8 / 1000000 / seconds : 0
    free = used > 0 ? line - used : line
    if (free < line / 10) free = line / 10
    printf ",\"bandwidthMbps\":%.6f", free
  }'
}

# report FROM/TO BANDWIDTH [options]. It carries no time: a router may not know it, and then the arrival counts.
report() {
  topic=$links/$1 message="{\"source\":\"router\",$measured$2}"
  shift 2
  mosquitto_pub -t "$topic" -m "$message" "$@" || true
}

before=''
while :; do
  measured=$(measure)
  now=$(counters)
  if [ -n "$measured" ]; then
    report "$from/$to" "$(free "$up" 2)" "$@"
    report "$to/$from" "$(free "$down" 3)" "$@"
  else
    echo "ping of $address measured nothing" >&2
  fi
  before=$now
  sleep "$every"
done
