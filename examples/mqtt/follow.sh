#!/bin/sh
# Follows the plan of one pipeline over MQTT: one line for each revision, for ever.
#
#   follow.sh SITE PIPELINE [options of mosquitto_sub]
#   follow.sh default vision-cam-1 -h edge-1 -p 8883 --cafile ca.pem -u dashboard
#
# The last plan is retained, so the first line comes at once. Needs mosquitto_sub (Debian: mosquitto-clients).
# A password on a command line can be read by others: put `-P PASSWORD` into ~/.config/mosquitto_sub.
set -eu

if [ $# -lt 2 ]; then
  sed -n 's/^#   //p' "$0" >&2
  exit 2
fi
site=$1 pipeline=$2
shift 2
topic="scission/v1/$site/partitions/$pipeline"

# The first value of a member of the document, whose own members come before those of its partitions.
member() {
  printf '%s\n' "$plan" | grep -o "\"$1\":[^,}]*" | head -n 1 | cut -d : -f 2- | tr -d '"'
}

# mosquitto_sub connects again by itself once it was connected; this loop waits for a broker that is away.
while :; do
  mosquitto_sub "$@" -q 1 -t "$topic" -F '%p' || true
  sleep 2
done | {
  last=
  while IFS= read -r plan; do
    if [ -z "$plan" ]; then
      last=
      echo "$pipeline: gone"
      continue
    fi
    # A connection that was made again brings the retained plan once more.
    version="$(member epoch) $(member revision)"
    [ "$version" != "$last" ] || continue
    last=$version
    # What comes after the partitions is the fallback, which is another way to run the model.
    nodes=$(printf '%s\n' "${plan%%'"hops":'*}" | grep -o '"node":"[^"]*","tier":"[^"]*","firstLayer":[0-9]*,"lastLayer":[0-9]*' |
      sed 's/"node":"\([^"]*\)".*"firstLayer":\([0-9]*\),"lastLayer":\([0-9]*\)/\1:\2-\3/' | tr '\n' ' ')
    echo "$pipeline: revision $(member revision), $(member predictedLatencyMs) ms, $nodes"
  done
}
