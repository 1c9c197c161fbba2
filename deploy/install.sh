#!/usr/bin/env bash
# Install this checkout as a service: sudo deploy/install.sh [--no-start]
# 把这份代码装成系统服务：             sudo deploy/install.sh [--no-start]
#
#   --no-start           install, but do not start it · 只安装，不启动
#   --uninstall          take it away; configuration and state stay · 卸载，保留配置和状态
#   --uninstall --purge  … and configuration, state and user too · 连配置、状态和用户一起删除
#   --prefix DIR         put the files below DIR; touch no user and no service (for packagers and tests)
#   PYTHON=python3.12    (environment) the Python to use · 指定 Python
#
# Run it again to upgrade: it changes only what differs, and never your configuration.
# 升级就是再运行一次：只改动有变化的部分，不会动你的配置。
#
# What goes where
#   /opt/homebridge_svc                         environment with the program
#   /usr/local/bin/homebridge-svc               the command; called as root it becomes the service's user
#   /etc/homebridge_svc/homebridge.toml         your configuration (from the example, written once), root's and 0640
#   /etc/homebridge_svc/*                       your secrets, one file each, the service's own and 0600
#   /etc/systemd/system/homebridge-svc.service  the unit
#   /var/lib/homebridge_svc                     state file and ADB key, 0700
set -euo pipefail
umask 022

readonly user=homebridge_svc service=homebridge-svc.service
prefix='' start=true uninstall='' purge=''

# Every sentence is said twice: say "English" "中文"
say() { printf '\033[1m== %s\033[0m\n   %s\n' "$1" "$2"; }
fail() {
  printf '\033[1;31m%s\033[0m\n' "$@" >&2
  exit 1
}

while [ $# -gt 0 ]; do
  case $1 in
    --no-start) start='' ;;
    --uninstall) uninstall=true ;;
    --purge) purge=true ;;
    --prefix)
      [ -n "${2:-}" ] || fail "--prefix needs a directory" "--prefix 后面要写目录"
      mkdir -p "$2"
      prefix=$(realpath "$2")
      shift
      ;;
    -h | --help)
      sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
      exit 0
      ;;
    *) fail "unknown option $1: see --help" "不认识的参数 $1：请看 --help" ;;
  esac
  shift
done
[ -z "$purge" ] || [ -n "$uninstall" ] || fail "--purge goes with --uninstall" "--purge 要和 --uninstall 一起用"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly venv=$prefix/opt/homebridge_svc etc=$prefix/etc/homebridge_svc state=$prefix/var/lib/homebridge_svc
readonly wrapper=$prefix/usr/local/bin/homebridge-svc unit=$prefix/etc/systemd/system/$service
readonly config=$etc/homebridge.toml

# --prefix: the same files, and nothing that belongs to the running system
on_system() { [ -z "$prefix" ]; }
with_systemd() { on_system && [ -d /run/systemd/system ]; }
own() { ! on_system || chown "$@"; }

# put MODE FILE: write standard input there, unless that is what stands there already. Not behind a pipe: what
# changed would be forgotten with the subshell.
changed=''
put() {
  local new
  new=$(mktemp)
  cat >"$new"
  if ! cmp -s "$new" "$2"; then
    install -D -m "$1" "$new" "$2"
    changed="$changed $2"
  fi
  rm -f "$new"
}

# A Python below /home or /root will not do: the service may not look in there.
find_python() {
  local candidate
  for candidate in ${PYTHON:-/usr/bin/python3 /usr/local/bin/python3 python3 python3.13 python3.12 python3.11}; do
    if "$candidate" - "$prefix" <<'END' 2>/dev/null; then
import sys
at_home = sys.base_prefix.startswith(("/home/", "/root/")) and not sys.argv[1]
sys.exit(sys.version_info < (3, 11) or at_home)
END
      command -v "$candidate"
      return
    fi
  done
  fail "Python 3.11 or newer is needed, and not one below /home or /root." \
    "Raspberry Pi OS 12 (bookworm) or newer has it: apt install python3 python3-venv" \
    "需要 Python 3.11 以上，而且不能装在 /home 或 /root 里。" \
    "请用树莓派系统 12（bookworm）或更新版本：apt install python3 python3-venv"
}

make_user() {
  on_system || return 0
  getent passwd "$user" >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir "$state" --shell /usr/sbin/nologin "$user"
}

# The program is installed again only when the checkout, the pinned versions or the Python changed.
install_program() {
  local python stamp
  python=$(find_python)
  stamp=$({ "$python" --version && find homebridge_svc pyproject.toml scripts/constraints.txt \
    -type f ! -path '*/__pycache__/*' -exec sha256sum {} + | LC_ALL=C sort -k 2; } | sha256sum)
  [ "$(cat "$venv/.installed" 2>/dev/null)" != "$stamp" ] || return 0
  say "Installing into $venv (a few minutes on a small Pi)" "正在安装到 $venv（小型树莓派上要几分钟）"
  # an environment that works is kept, so that a download which fails leaves yesterday's program in place
  "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$python" -m venv --clear "$venv" ||
    fail "$venv could not be made: apt install python3-venv" "无法创建 $venv：请先 apt install python3-venv"
  "$venv/bin/pip" install --quiet --no-input --disable-pip-version-check -c scripts/constraints.txt '.[demo]' ||
    fail "The packages could not be installed: see above. Does it speak of gcc or Python.h (netifaces is compiled here)?" \
      "    apt install gcc python3-dev" \
      "安装依赖失败，原因见上。如果提到 gcc 或 Python.h（netifaces 要在本机编译），请先执行上面的 apt 命令。" \
      "如果是网络问题，请检查网络或换 pip 镜像后再运行一次。"
  echo "$stamp" >"$venv/.installed"
  changed="$changed $venv"
}

install_command() {
  put 755 "$wrapper" <<END
#!/bin/sh
# Written by homebridge_svc's install.sh. Called as root it becomes the service's user, who may read the secrets and
# write the state directory, and can do no more than the service can.
export STATE_DIRECTORY="\${STATE_DIRECTORY:-$state}"
if [ "\$(id -u)" = 0 ] && id $user >/dev/null 2>&1; then
  exec runuser -u $user -- $venv/bin/homebridge-svc "\$@"
fi
exec $venv/bin/homebridge-svc "\$@"
END
}

# Secrets are files of the service's own with mode 0600; the rest is root's, so that the service cannot change it.
install_config() {
  local code token
  if [ ! -d "$etc" ]; then
    install -d -m 750 "$etc"
    own "root:$user" "$etc"
  fi
  put 640 "$etc/homebridge.example.toml" <config/homebridge.example.toml
  own "root:$user" "$etc/homebridge.example.toml"
  for code in config/ir/*.toml; do
    [ -e "$etc/ir/${code##*/}" ] || put 644 "$etc/ir/${code##*/}" <"$code"
  done
  if [ ! -e "$config" ]; then
    put 640 "$config" <config/homebridge.example.toml
    own "root:$user" "$config"
  fi
  if [ ! -e "$etc/web_token" ]; then
    token=$(head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n')
    put 600 "$etc/web_token" <<<"$token"
    own "$user:$user" "$etc/web_token"
  fi
  # what somebody wrote as root with the right mode, the service could not read
  ! on_system || find "$etc" -maxdepth 1 -type f -user root -perm 600 -exec chown "$user:$user" {} +
  if [ ! -d "$state" ]; then # systemd would make it at the first start; pairing comes before that
    install -d -m 700 "$state"
    own "$user:$user" "$state"
  fi
}

install_unit() {
  local text
  text=$(sed -e "s|@USER@|$user|g" -e "s|@PROGRAM@|$venv/bin/homebridge-svc|g" -e "s|@CONFIG@|$config|g" \
    deploy/homebridge-svc.service.in)
  put 644 "$unit" <<<"$text"
}

start_service() {
  if ! with_systemd; then
    on_system && say "systemd does not run here: nothing was started" "这里没有运行 systemd：没有启动服务"
    return 0
  fi
  [ -z "$changed" ] || systemctl daemon-reload
  [ -n "$start" ] || return 0
  if ! "$wrapper" check -c "$config"; then
    say "The file is not right yet: see above. Edit it, then run this again." "配置还没写好，原因见上。改好后再运行一次本脚本。"
    how_to_go_on
    return 0
  fi
  systemctl --quiet enable "$service"
  systemctl "$(if [ -n "$changed" ]; then echo restart; else echo start; fi)" "$service" ||
    fail "It does not start: journalctl -u $service -n 30" "启动失败，请看：journalctl -u $service -n 30"
  say "It runs: systemctl status $service" "已在运行：systemctl status $service"
}

how_to_go_on() {
  cat <<END

   sudo nano $config
   sudo install -m 600 -o $user -g $user /dev/stdin $etc/mqtt_password   # type the secret, Enter, Ctrl-D · 输入密钥，回车，Ctrl-D
   sudo homebridge-svc check -c $config
   sudo homebridge-svc pair adb 192.168.1.20       # once per projector with ADB · 每台用 ADB 的投影仪做一次
   sudo homebridge-svc doctor -c $config
   sudo deploy/install.sh
END
}

remove() {
  if with_systemd; then
    systemctl --quiet disable --now "$service" 2>/dev/null || true # it may never have been installed
  fi
  rm -f "$unit" "$wrapper"
  rm -rf "$venv"
  ! with_systemd || systemctl daemon-reload
  if [ -n "$purge" ]; then
    rm -rf "$etc" "$state"
    ! on_system || ! getent passwd "$user" >/dev/null || userdel "$user"
    say "It is gone, with configuration and state" "已卸载，配置和状态也已删除"
  else
    say "It is gone; $etc and $state stay (--purge removes them)" "已卸载；保留了 $etc 和 $state（加 --purge 才会删除）"
  fi
}

if on_system && [ "$(id -u)" != 0 ]; then
  fail "Run it as root: sudo deploy/install.sh" "请用 root 运行：sudo deploy/install.sh"
fi
if [ -n "$uninstall" ]; then
  remove
  exit 0
fi
make_user
install_program
install_command
install_config
install_unit
[ -z "$changed" ] || say "Written:$changed" "以上文件有更新"
start_service
[ -n "$changed" ] || say "Everything was up to date" "已是最新，没有改动"
