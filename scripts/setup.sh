#!/usr/bin/env bash
# Installs what the project needs from Debian's packages. Where everything is there already it does nothing and needs no root.
set -euo pipefail

packages=(
  build-essential cmake ninja-build pkg-config ccache clang-format python3
  libtorch-dev libopenblas0-openmp
  libcli11-dev nlohmann-json3-dev libfmt-dev zlib1g-dev libpng-dev libjpeg62-turbo-dev libzip-dev libssl-dev
  libgtest-dev libgmock-dev libbenchmark-dev
  libjs-chart.js dataset-fashion-mnist chromium
)

fail() {
  echo "setup: $*" >&2
  exit 1
}

can_be_root() {
  [ "$(id -u)" -eq 0 ] && return 0
  command -v sudo >/dev/null || return 1
  [ -t 0 ] || sudo -n true 2>/dev/null # without a terminal nobody can type a password
}

as_root() {
  if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
  fail "expected Debian 12 (apt-get and dpkg-query); elsewhere install the equivalents of: ${packages[*]}"

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done

if [ ${#missing[@]} -gt 0 ]; then
  can_be_root || fail "needs root or sudo to install: ${missing[*]}"
  echo "setup: installing ${missing[*]}"
  as_root apt-get update -q
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi

# libtorch uses whichever BLAS and LAPACK the alternatives point to. The pthread build of OpenBLAS has a thread pool of its own beside
# libtorch's OpenMP one, so the two fight for the cores and --threads does not reach it.
while read -r name _ value <&3; do # stdin stays the user's, for sudo
  case $name in libblas.so.3-* | liblapack.so.3-*) ;; *) continue ;; esac
  case $value in
    */openblas-openmp/*) ;;
    */openblas-pthread/*)
      if can_be_root; then
        echo "setup: selecting OpenBLAS's OpenMP build for ${name%-linux-gnu*}"
        as_root update-alternatives --set "$name" "${value/openblas-pthread/openblas-openmp}"
      else
        echo "setup: warning: $name is $value, expected the openblas-openmp build; select it with update-alternatives as root" >&2
      fi
      ;;
    *) echo "setup: warning: $name is $value; expected OpenBLAS's OpenMP build (openblas-openmp)" >&2 ;;
  esac
done 3< <(update-alternatives --get-selections)
