#!/bin/sh
# Installs redis-server where apt and the rights are there; otherwise says in one line what to install.
set -eu

complain() {
  echo "redis-server is missing: install it (Debian and Ubuntu: apt install redis-server) and run this again" >&2
  exit 1
}

command -v apt-get >/dev/null || complain
as_root=
if [ "$(id -u)" != 0 ]; then
  # Only where no password is asked for: nothing here waits for an answer.
  command -v sudo >/dev/null && sudo -n true 2>/dev/null || complain
  as_root='sudo -n'
fi

# A policy that starts no services: the bridge runs a Redis of its own, a second one would only take a port.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
  $as_root chmod 755 "$policy"
  trap '$as_root rm -f "$policy"' EXIT
fi

echo "installing redis-server"
$as_root apt-get update -qq || complain
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends redis-server >/dev/null || complain
