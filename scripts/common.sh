# Shared by demo, test and bench: find a Python that really starts, make an environment, install this checkout.
# shellcheck shell=bash

say() { printf '\033[1m== %s\033[0m\n' "$*"; }

# A pyenv shim may exist for a version that is not there: only one that starts counts.
starts() { command -v "$1" >/dev/null 2>&1 && "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

# Every Python 3.11 … 3.13 that starts, one path per version.
pythons() {
  local version candidate
  for version in 3.11 3.12 3.13; do
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python; do
      if starts "$candidate" && "$candidate" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$version')"; then
        echo "$candidate"
        break
      fi
    done
  done
}

# The Python to use when one is enough: python3 where it is new enough, else the first that starts.
python_for_us() {
  if starts python3; then
    echo python3
  else
    pythons | head -n 1
  fi
}

# environment DIRECTORY PYTHON EXTRAS: make it once, install again only when the project's metadata changed.
environment() {
  local dir=$1 python=$2 extras=$3 stamp
  [ -n "$python" ] || { echo "No Python 3.11 or newer was found. Install one (Debian, Raspberry Pi OS: apt install python3 python3-venv)." >&2; exit 1; }
  stamp=$(cat pyproject.toml scripts/constraints.txt homebridge_svc/__init__.py | cksum)" $extras"
  if [ "$(cat "$dir/.stamp" 2>/dev/null)" != "$stamp" ]; then
    say "Setting up $dir with $("$python" --version) (once, a minute or two)"
    [ -x "$dir/bin/python" ] || "$python" -m venv "$dir" || { echo "Making $dir failed (Debian: apt install python3-venv)." >&2; exit 1; }
    "$dir/bin/pip" install --quiet --disable-pip-version-check -c scripts/constraints.txt -e ".[$extras]" || {
      echo "Installing failed. If the message above speaks of a compiler, python-miio's netifaces is being built:" >&2
      echo "install gcc and Python's headers (Debian, Raspberry Pi OS: apt install gcc python3-dev) and try again." >&2
      exit 1
    }
    echo "$stamp" >"$dir/.stamp"
  fi
}
