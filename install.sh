#!/bin/sh
# Installs fleet: the executable, its group, and a system service that is always on.
#
#   curl -fsSL RELEASES/channels/install.sh | sh
#   curl -fsSL RELEASES/channels/install.sh | sh -s -- --dry-run
#   sh install.sh --help
#
# Running it again upgrades in place; containers go on running. Nothing is changed before everything
# needed has been fetched and checked, and the executable is replaced by one rename.
set -eu

# A release fills these in; FLEET_RELEASES and FLEET_RELEASE_KEY override them.
RELEASES=${FLEET_RELEASES:-@RELEASES@}
# PEM of the public key that SHA256SUMS.sig is checked with; empty where releases are not signed.
RELEASE_KEY=${FLEET_RELEASE_KEY:-@RELEASE_KEY@}

PREFIX=${FLEET_PREFIX:-/usr/local}
BIN=$PREFIX/bin/fleet
STATE=/var/lib/fleet
DEFAULTS=/etc/default/fleet
UNIT=/etc/systemd/system/fleet.service
OPENRC=/etc/init.d/fleet
# What fleet upgrade checks releases with.
KEYFILE=/etc/fleet/release.pem
GROUP=fleet
BASH_COMPLETIONS=/usr/share/bash-completion/completions
FISH_COMPLETIONS=/usr/share/fish/vendor_completions.d
ZSH_COMPLETIONS=/usr/share/zsh/vendor-completions
MAN_PAGES=$PREFIX/share/man/man1
# How long the service may take until it answers, in seconds.
START_SECONDS=30

version='' channel=stable from='' dry_run='' uninstall='' purge='' start=yes docker=ask yes=''
work='' staged=''
# What this run has changed while it is not through; $work/placed names the files that were not there before.
replaced='' grouped=''

usage() {
  cat <<'TEXT'
Installs fleet as a system service, or upgrades it in place.

  --version VERSION   this version instead of the channel's newest
  --channel NAME      stable (default), or another channel of the release server
  --from FILE|URL     an executable, or a folder or mirror with the layout of the release server
  --no-start          install only; start nothing
  --with-docker       install Docker Engine too where it is missing (asked on a terminal)
  --without-docker    do not
  --dry-run           say what would be done, and do nothing
  --uninstall         stop the service and remove what this script installed; data is kept
  --purge             with --uninstall: leave the cluster and remove the data as well
  -y, --yes           ask nothing
  -h, --help          this text

Environment: FLEET_RELEASES (release server), FLEET_PREFIX (default /usr/local).
TEXT
}

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }
fail() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }
# Runs a command that changes the machine, or only says so.
run() {
  if [ -n "$dry_run" ]; then say "would run: $*"; else "$@"; fi
}
# The same for one whose output nobody wants to read.
run_quietly() {
  if [ -n "$dry_run" ]; then say "would run: $*"; else "$@" >/dev/null 2>&1; fi
}

cleanup() {
  code=$?
  trap - EXIT
  take_back
  [ -z "$work" ] || rm -rf "$work"
  [ -z "$staged" ] || rm -f "$staged"
  if [ "$code" -ne 0 ] && [ "$code" -ne 2 ]; then
    say "Nothing of an earlier installation was removed." >&2
  fi
  exit "$code"
}

# An installation is whole or not there; an upgrade is done or was not begun.
take_back() {
  [ -z "$replaced" ] || mv -f "$BIN.previous" "$BIN"
  if [ -n "$work" ] && [ -f "$work/placed" ]; then
    while IFS= read -r file; do rm -f "$file"; done <"$work/placed"
    [ -e "$BIN" ] || rm -f "$MAN_PAGES/fleet.1" "$MAN_PAGES"/fleet-*.1
  fi
  [ -z "$grouped" ] || groupdel "$GROUP" 2>/dev/null || delgroup "$GROUP" 2>/dev/null || true
}

# From here on it is whole.
keep() {
  rm -f "$work/placed"
  replaced='' grouped=''
}

# Notes a file that this run is about to put where there is none.
note() {
  [ -e "$1" ] || printf '%s\n' "$1" >>"$work/placed"
}

parse_flags() {
  while [ $# -gt 0 ]; do
    case $1 in
      --version | --channel | --from)
        [ $# -ge 2 ] || usage_error "$1 needs a value"
        case $1 in
          --version) version=${2#v} ;;
          --channel) channel=$2 ;;
          --from) from=$2 ;;
        esac
        shift
        ;;
      --version=*) version=${1#*=} version=${version#v} ;;
      --channel=*) channel=${1#*=} ;;
      --from=*) from=${1#*=} ;;
      --no-start) start='' ;;
      --with-docker) docker=yes ;;
      --without-docker) docker=no ;;
      --dry-run) dry_run=yes ;;
      --uninstall) uninstall=yes ;;
      --purge) purge=yes ;;
      -y | --yes) yes=yes ;;
      -h | --help)
        usage
        exit 0
        ;;
      *) usage_error "unknown flag $1" ;;
    esac
    shift
  done
  case $version in *[!0-9A-Za-z.+-]*) usage_error "\"$version\" is no version" ;; esac
  case $channel in '' | *[!0-9A-Za-z.-]*) usage_error "\"$channel\" is no channel" ;; esac
  [ -z "$purge" ] || [ -n "$uninstall" ] || usage_error "--purge goes with --uninstall"
}

usage_error() {
  printf 'error: %s; see --help\n' "$1" >&2
  exit 2
}

# ---- what this machine is ---------------------------------------------------------------------

detect() {
  [ "$(uname -s)" = Linux ] || fail "fleet runs on Linux; this is $(uname -s)"
  case $(uname -m) in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) fail "fleet is built for x86_64 and aarch64; this machine is $(uname -m)" ;;
  esac
  distribution=unknown
  if [ -r /etc/os-release ]; then
    # shellcheck disable=SC1091
    distribution=$(. /etc/os-release && printf '%s' "${PRETTY_NAME:-${ID:-unknown}}")
  fi
  packager=none
  for candidate in apt-get dnf yum zypper pacman apk; do
    if have "$candidate"; then packager=$candidate && break; fi
  done
  # The folder exists only while systemd is what started the machine.
  if [ -d /run/systemd/system ] && have systemctl; then
    init=systemd
  elif have rc-service && have rc-update; then
    init=openrc
  else
    init=none
  fi
}

need_root() {
  [ "$(id -u)" -eq 0 ] || [ -n "$dry_run" ] ||
    fail "this changes the system: run it as root, for example: curl … | sudo sh"
}

# ---- fetching and checking ---------------------------------------------------------------------

# fetch URL FILE
fetch() {
  case $1 in
    http://* | https://*)
      if have curl; then
        curl -fsSL --retry 3 --connect-timeout 10 -o "$2" "$1"
      elif have wget; then
        wget -q -T 30 -t 3 -O "$2" "$1"
      else
        fail "neither curl nor wget is here to fetch $1: install one of them"
      fi
      ;;
    *) cp "$1" "$2" ;;
  esac
}

exists() {
  case $1 in
    http://* | https://*) fetch "$1" "$work/probe" 2>/dev/null ;;
    *) [ -f "$1" ] ;;
  esac
}

sha256_of() {
  if have sha256sum; then
    sha256sum "$1" | cut -d ' ' -f 1
  elif have openssl; then
    openssl dgst -sha256 -r "$1" | cut -d ' ' -f 1
  else
    fail "neither sha256sum nor openssl is here to check the download: install one of them"
  fi
}

# check_sum FILE SUMS NAME
check_sum() {
  wanted=$(awk -v name="$3" '$2 == name || $2 == "*" name { print $1; exit }' "$2")
  [ -n "$wanted" ] || fail "the list of checksums does not name $3"
  found=$(sha256_of "$1")
  [ "$wanted" = "$found" ] ||
    fail "$3 is damaged or not what was released: its SHA-256 is $found, not $wanted"
}

# check_signature SUMS URL-of-signature
check_signature() {
  case $RELEASE_KEY in '' | @*) return 0 ;; esac
  exists "$2" || fail "the checksums are not signed, and this script expects a signature at $2"
  fetch "$2" "$work/signature"
  have openssl || fail "openssl is needed to check the signature of the release: install it"
  printf '%s\n' "$RELEASE_KEY" >"$work/key.pem"
  openssl dgst -sha256 -verify "$work/key.pem" -signature "$work/signature" "$1" >/dev/null 2>&1 ||
    fail "the signature of the checksums is not the release key's: do not install this"
  say "Signature of the release: good."
}

# Puts the checked executable at $work/fleet.
obtain() {
  source=$from
  if [ -z "$source" ]; then
    case $RELEASES in
      '' | @*) fail "this copy of install.sh names no release server: give --from FILE|URL, or set FLEET_RELEASES" ;;
    esac
    source=$RELEASES
  fi
  if is_executable_source "$source"; then
    say "Taking fleet from $source."
    fetch "$source" "$work/fleet" || fail "could not get $source"
    if exists "$source.sha256"; then
      fetch "$source.sha256" "$work/sums"
      check_sum "$work/fleet" "$work/sums" "$(basename "$source")"
    else
      warn "there is no $source.sha256 to check it with"
    fi
  else
    source=${source%/}
    if [ -z "$version" ]; then
      fetch "$source/channels/$channel" "$work/channel" ||
        fail "the release server $source has no channel \"$channel\""
      version=$(head -n 1 "$work/channel")
      version=${version#v}
      case $version in '' | *[!0-9A-Za-z.+-]*) fail "$source/channels/$channel holds no version" ;; esac
    fi
    name=fleet-linux-$arch
    say "Fetching fleet $version for $arch from $source."
    fetch "$source/v$version/SHA256SUMS" "$work/sums" ||
      fail "the release server $source has no version $version"
    check_signature "$work/sums" "$source/v$version/SHA256SUMS.sig"
    fetch "$source/v$version/$name" "$work/fleet" || fail "could not get $source/v$version/$name"
    check_sum "$work/fleet" "$work/sums" "$name"
    say "Checksum: good."
  fi
  chmod 0755 "$work/fleet"
  offered=$("$work/fleet" --version 2>/dev/null) ||
    fail "what was fetched does not run on this machine ($distribution, $arch)"
}

is_executable_source() {
  case $1 in
    http://* | https://*) case $(basename "$1") in fleet | fleet-linux-*) return 0 ;; *) return 1 ;; esac ;;
    *)
      [ -e "$1" ] || fail "$1 does not exist"
      [ -f "$1" ]
      ;;
  esac
}

# ---- what fleet needs --------------------------------------------------------------------------

install_packages() {
  case $packager in
    apt-get)
      export DEBIAN_FRONTEND=noninteractive
      run_quietly apt-get update -qq &&
        run_quietly apt-get install -y -qq --no-install-recommends "$@"
      ;;
    dnf | yum) run "$packager" install -y -q "$@" ;;
    zypper) run zypper --non-interactive --quiet install "$@" ;;
    pacman) run pacman -S --needed --noconfirm "$@" ;;
    apk) run apk add --quiet "$@" ;;
    *) return 1 ;;
  esac
}

tools() {
  missing=''
  for tool in ipvsadm iptables ip; do
    have "$tool" || [ -x "/usr/sbin/$tool" ] || [ -x "/sbin/$tool" ] || missing="$missing $tool"
  done
  [ -n "$missing" ] || return 0
  packages=''
  for tool in $missing; do
    case $tool:$packager in
      ip:dnf | ip:yum) packages="$packages iproute" ;;
      ip:*) packages="$packages iproute2" ;;
      *) packages="$packages $tool" ;;
    esac
  done
  say "Installing$packages."
  # shellcheck disable=SC2086
  install_packages $packages ||
    warn "could not install$packages: install them by hand; until then published ports may not work"
}

docker_engine() {
  if have dockerd || [ -S /var/run/docker.sock ]; then return 0; fi
  if [ "$docker" = ask ]; then
    docker=no
    if [ -n "$yes" ]; then
      docker=yes
    elif [ -t 1 ] && [ -r /dev/tty ] && [ -z "$dry_run" ]; then
      printf 'Docker Engine is not here, and fleet runs beside it. Install it now? [Y/n] '
      read -r answer </dev/tty || answer=n
      case $answer in '' | [Yy]*) docker=yes ;; esac
    fi
  fi
  if [ "$docker" = no ]; then
    warn "Docker Engine is not here; fleet needs it to run services: install it, or run this again with --with-docker"
    return 0
  fi
  say "Installing Docker Engine."
  case $packager in
    apt-get) install_packages docker.io ;;
    dnf | yum) install_packages moby-engine || install_packages docker ;;
    zypper | pacman | apk) install_packages docker ;;
    *) false ;;
  esac || fail "Docker Engine could not be installed: install it by hand and run this again"
  case $init in
    systemd) run_quietly systemctl enable --now docker || true ;;
    openrc)
      run_quietly rc-update add docker default || true
      run_quietly rc-service docker start || true
      ;;
  esac
}

group() {
  if grep -q "^$GROUP:" /etc/group; then return 0; fi
  say "Creating the group $GROUP: its members may use the cluster, which is as much as being root."
  if have groupadd; then run groupadd --system "$GROUP"; else run addgroup -S "$GROUP"; fi
  [ -n "$dry_run" ] || grouped=yes
}

# ---- the executable and the service --------------------------------------------------------------

put_executable() {
  if [ -n "$dry_run" ]; then
    say "would install: $BIN ($offered)"
    return 0
  fi
  mkdir -p "$(dirname "$BIN")"
  # On the same file system, so that the rename is one step.
  staged=$(mktemp "$(dirname "$BIN")/.fleet.XXXXXX")
  cat "$work/fleet" >"$staged"
  chmod 0755 "$staged"
  note "$BIN"
  # Kept for going back, here and by hand.
  if [ -f "$BIN" ]; then
    cp -p "$BIN" "$BIN.previous"
    replaced=yes
  fi
  mv -f "$staged" "$BIN"
  staged=''
}

# put FILE MODE, content on standard input; written beside it and renamed.
put() {
  if [ -n "$dry_run" ]; then
    cat >/dev/null
    say "would write: $1"
    return 0
  fi
  mkdir -p "$(dirname "$1")"
  staged=$(mktemp "$(dirname "$1")/.fleet.XXXXXX")
  cat >"$staged"
  chmod "$2" "$staged"
  note "$1"
  mv -f "$staged" "$1"
  staged=''
}

systemd_unit() {
  # No setting here gives the service a mount namespace of its own: what the agent mounts for tasks
  # (secrets on tmpfs) must be seen by the engine. Memory must be executable for V8.
  cat <<TEXT
[Unit]
Description=fleet agent: services on a cluster of Docker hosts
Wants=network-online.target docker.service
After=network-online.target docker.service

[Service]
Type=notify
NotifyAccess=main
EnvironmentFile=-$DEFAULTS
Environment=HOME=/root FLEET_SUPERVISED=1
# Goes back to the executable before when an upgrade does not come up; fleet upgrade writes it.
ExecStartPre=-/bin/sh -c '[ ! -r $STATE/upgrade-guard.sh ] || exec /bin/sh $STATE/upgrade-guard.sh'
ExecStart=$BIN agent
ExecReload=/bin/kill -HUP \$MAINPID
Restart=always
RestartSec=2
TimeoutStartSec=120
TimeoutStopSec=15
WatchdogSec=60
RuntimeDirectory=fleet
RuntimeDirectoryPreserve=yes
RuntimeDirectoryMode=0755
StateDirectory=fleet
StateDirectoryMode=0700
UMask=0077
LimitNOFILE=1048576
LimitCORE=0
TasksMax=infinity
OOMScoreAdjust=-500
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
KeyringMode=private

[Install]
WantedBy=multi-user.target
TEXT
}

openrc_script() {
  cat <<TEXT
#!/sbin/openrc-run
description="fleet agent: services on a cluster of Docker hosts"
supervisor=supervise-daemon
command="$BIN"
command_args="agent"
respawn_delay=2
respawn_max=0
output_log=/var/log/fleet.log
error_log=/var/log/fleet.log
rc_ulimit="-n 1048576 -c 0"
extra_started_commands="reload"

depend() {
  need net
  want docker
  after docker firewall
}

start_pre() {
  checkpath -d -m 0755 /run/fleet
  checkpath -d -m 0700 $STATE
  set -a
  if [ -r $DEFAULTS ]; then . $DEFAULTS; fi
  set +a
  export FLEET_SUPERVISED=1
  if [ -r $STATE/upgrade-guard.sh ]; then sh $STATE/upgrade-guard.sh; fi
}

reload() {
  ebegin "Reloading \$RC_SVCNAME"
  supervise-daemon "\$RC_SVCNAME" --signal HUP
  eend \$?
}
TEXT
}

defaults_file() {
  cat <<'TEXT'
# Settings of the fleet agent; every flag of `fleet agent` is a variable here. After a change:
# systemctl restart fleet (or: rc-service fleet restart). Containers go on running.
#FLEET_LISTEN_ADDR=0.0.0.0:2377
#FLEET_LOG_LEVEL=info
TEXT
  case $RELEASES in
    '' | @*) say "#FLEET_RELEASES=" ;;
    *) say "# Where fleet upgrade looks for releases." && say "FLEET_RELEASES=$RELEASES" ;;
  esac
}

release_key() {
  case $RELEASE_KEY in '' | @*) return 0 ;; esac
  printf '%s\n' "$RELEASE_KEY" | put "$KEYFILE" 0644
}

# Completion and manual pages, where this system looks for them. Nothing depends on them.
integrations() {
  program=$BIN
  [ -z "$dry_run" ] || program=$work/fleet
  "$program" completion bash >"$work/bash" 2>/dev/null && [ -s "$work/bash" ] || return 0
  if [ -d "$BASH_COMPLETIONS" ]; then put "$BASH_COMPLETIONS/fleet" 0644 <"$work/bash"; fi
  if [ -d "$FISH_COMPLETIONS" ]; then "$program" completion fish | put "$FISH_COMPLETIONS/fleet.fish" 0644; fi
  if [ -d "$ZSH_COMPLETIONS" ]; then "$program" completion zsh | put "$ZSH_COMPLETIONS/_fleet" 0644; fi
  if [ -n "$dry_run" ]; then
    say "would write: $MAN_PAGES/fleet.1 and a page for each command"
    return 0
  fi
  mkdir -p "$MAN_PAGES"
  "$BIN" man --output "$MAN_PAGES" >/dev/null 2>&1 || warn "the manual pages could not be written"
}

# One that fleet init or fleet join started by itself: it would keep the service from starting, and outlive it.
stop_agent() {
  pid=$(cat "$STATE/lock" 2>/dev/null) || return 0
  is_agent "$pid" || return 0
  run kill "$pid"
  tries=0
  while [ -z "$dry_run" ] && is_agent "$pid"; do
    tries=$((tries + 1))
    [ "$tries" -lt "$START_SECONDS" ] || fail "the agent with pid $pid does not stop"
    sleep 1
  done
}

is_agent() {
  case $1 in '' | *[!0-9]*) return 1 ;; esac
  # In this order: a shell says that there is no such process where standard error goes by then.
  tr '\0' '\n' 2>/dev/null <"/proc/$1/cmdline" | grep -qx agent
}

service() {
  [ -f "$DEFAULTS" ] || defaults_file | put "$DEFAULTS" 0644
  release_key
  case $init in
    systemd)
      systemd_unit | put "$UNIT" 0644
      run systemctl daemon-reload
      [ -z "$start" ] || run_quietly systemctl enable fleet
      [ -z "$start" ] || systemctl is-active --quiet fleet || stop_agent
      [ -z "$start" ] || run systemctl restart fleet
      ;;
    openrc)
      openrc_script | put "$OPENRC" 0755
      [ -z "$start" ] || run_quietly rc-update add fleet default
      [ -z "$start" ] || rc-service fleet status >/dev/null 2>&1 || stop_agent
      [ -z "$start" ] || run rc-service fleet restart
      ;;
    none)
      say "This machine has neither systemd nor OpenRC: have your supervisor run \"$BIN agent\" and restart it when it ends."
      keep
      return 0
      ;;
  esac
  keep
  if [ -z "$start" ] || [ -n "$dry_run" ]; then return 0; fi
  tries=0
  until "$BIN" version >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt "$START_SECONDS" ] ||
      fail "fleet is installed, but its service does not answer: see \"journalctl -u fleet\" or /var/log/fleet.log"
    sleep 1
  done
}

remove() {
  if [ ! -e "$BIN" ] && [ ! -e "$UNIT" ] && [ ! -e "$OPENRC" ] && { [ -z "$purge" ] || [ ! -e "$STATE" ]; }; then
    say "fleet is not installed here."
    return 0
  fi
  if [ -n "$purge" ] && [ -x "$BIN" ]; then
    run_quietly "$BIN" leave --force || warn "this node could not leave its cluster: remove it there with \"fleet node rm\""
  fi
  case $init in
    systemd) [ ! -e "$UNIT" ] || run_quietly systemctl disable --now fleet || true ;;
    openrc)
      if [ -e "$OPENRC" ]; then
        run_quietly rc-service fleet stop || true
        run_quietly rc-update del fleet default || true
      fi
      ;;
  esac
  stop_agent
  run rm -f "$UNIT" "$OPENRC" "$BIN" "$BIN.previous" "$BIN.trial" "$BIN.rolled-back" "$KEYFILE"
  [ -n "$dry_run" ] || rmdir "$(dirname "$KEYFILE")" 2>/dev/null || true
  run rm -f "$BASH_COMPLETIONS/fleet" "$FISH_COMPLETIONS/fleet.fish" "$ZSH_COMPLETIONS/_fleet"
  run rm -f "$MAN_PAGES/fleet.1" "$MAN_PAGES"/fleet-*.1
  [ "$init" != systemd ] || run systemctl daemon-reload
  if [ -n "$purge" ]; then
    run rm -rf "$STATE" "$DEFAULTS" /run/fleet /var/cache/fleet /var/log/fleet.log
    if grep -q "^$GROUP:" /etc/group; then
      if have groupdel; then run groupdel "$GROUP"; else run delgroup "$GROUP"; fi
    fi
    [ -n "$dry_run" ] || say "fleet and its data are gone."
  elif [ -z "$dry_run" ]; then
    say "fleet is removed; its data is kept in $STATE (remove it with --uninstall --purge)."
  fi
  [ -z "$dry_run" ] || say "Nothing was changed."
}

main() {
  parse_flags "$@"
  need_root
  trap cleanup EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  detect
  if [ -n "$uninstall" ]; then
    remove
    return 0
  fi
  work=$(mktemp -d)
  # Where nothing may be run in the folder for temporary files, what was fetched is tried beside its place.
  printf '#!/bin/sh\n' >"$work/try" && chmod 0755 "$work/try"
  if ! "$work/try" 2>/dev/null && [ -z "$dry_run" ]; then
    rm -rf "$work"
    mkdir -p "$(dirname "$BIN")"
    work=$(mktemp -d "$(dirname "$BIN")/.fleet.XXXXXX")
  fi
  obtain
  before=''
  if [ -x "$BIN" ]; then before=$("$BIN" --version 2>/dev/null) || before='an unknown version'; fi
  say "System: $distribution, $arch, service manager: $init, packages: $packager."
  tools
  docker_engine
  group
  put_executable
  integrations
  service
  [ -z "$dry_run" ] || { say "Nothing was changed." && return 0; }
  if [ -z "$before" ]; then
    say "Installed: $offered"
    say ""
    say "Make this machine a cluster:      fleet init --advertise-addr ADDRESS"
    say "or join it to one:                fleet join --token TOKEN MANAGER:2377"
  elif [ "$before" = "$offered" ]; then
    say "Up to date: $offered"
  else
    say "Upgraded: $before -> $offered"
  fi
}

# Called last, so that a download that breaks off runs nothing.
main "$@"
