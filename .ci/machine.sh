# The machine that `.ci/run` stands on: packages, a Docker engine of our own on a socket of its own, and an end that stops
# whatever was started on every way out. It is sourced from the repository's root.

set -m # every step is a process group of its own, which can be ended as a whole while we wait for it

work=$(mktemp -d /var/tmp/deploytasks-ci.XXXXXX)
dockerd_pid=
step_pid=

stop() {
  status=$?
  trap - EXIT INT TERM HUP
  if [ -n "$step_pid" ]; then
    kill -- "-$step_pid" 2>/dev/null || true
    wait "$step_pid" 2>/dev/null || true
  fi
  if [ -n "$dockerd_pid" ]; then
    kill "$dockerd_pid" 2>/dev/null || true
    wait "$dockerd_pid" 2>/dev/null || true
  fi
  awk -v under="$work/" 'index($2, under) == 1 { print $2 }' /proc/mounts | sort -r | xargs -r umount 2>/dev/null || true
  rm -rf "$work" || true
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

step() {
  local began=$SECONDS
  "$@" &
  step_pid=$!
  wait "$step_pid"
  step_pid=
  echo "$*: $((SECONDS - began)) s"
}

install_packages() {
  local missing=() # RUNLEVEL=1 below: the package shall not start an engine of the system's own
  command -v dockerd >/dev/null || missing+=(docker.io)
  command -v git >/dev/null || missing+=(git)
  command -v make >/dev/null || missing+=(make)
  command -v chromium >/dev/null || missing+=(chromium)
  command -v zsh >/dev/null || missing+=(zsh)
  command -v fish >/dev/null || missing+=(fish)
  python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3 python3-venv)
  [ -x /bin/busybox ] || missing+=(busybox-static)
  [ ${#missing[@]} -eq 0 ] && return
  step apt-get update -q
  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive step apt-get install -y -q --no-install-recommends "${missing[@]}" ca-certificates
}

start_engine() {
  # In a namespace of its own, and without a bridge: containers use the host's network, and no firewall rule is touched.
  dockerd --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/dockerd.pid" \
    --host "unix://$work/docker.sock" --iptables=false --bridge=none \
    --containerd-namespace "deploytasks-$$" --containerd-plugins-namespace "deploytasks-plugins-$$" \
    >"$work/dockerd.log" 2>&1 &
  dockerd_pid=$!
  export DOCKER_HOST="unix://$work/docker.sock"
  unset DOCKER_CONTEXT DOCKER_TLS_VERIFY DOCKER_CERT_PATH
  for _ in $(seq 120); do
    docker version >/dev/null 2>&1 && return
    kill -0 "$dockerd_pid" 2>/dev/null || break
    sleep 0.5
  done
  echo "the Docker engine did not start:" >&2
  tail -n 40 "$work/dockerd.log" >&2
  return 1
}
