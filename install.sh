#!/bin/sh
# Installs fleet as a system service. This version is a stub: it says what to do instead.
set -eu
cat >&2 <<'TEXT'
fleet cannot be installed by this script yet. Build it from a checkout and start it by hand:

  npx -y deno@2.9.6 task compile
  install -m 0755 dist/fleet /usr/local/bin/fleet
  fleet init --advertise-addr ADDRESS
TEXT
exit 1
