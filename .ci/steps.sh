# Steps of a run, one after the other or side by side: each bounded, timed, its output kept.
# MOST_MINUTES bounds all of them together. Source this.

ulimit -c 0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
steps=() failed=()
declare -A running=()

# run NAME MINUTES COMMAND...: a step.
run() {
  printf '\n=== %s (begins after %d s)\n' "$1" "$SECONDS"
  _measure "$@" | tee "$logs/$1.log"
  _note "$1"
}

# begin NAME MINUTES COMMAND...: a step beside those that follow, until `finish NAME`.
begin() {
  printf '\n=== %s (begins after %d s, beside what follows)\n' "$1" "$SECONDS"
  _measure "$@" >"$logs/$1.log" &
  running[$1]=$!
}

finish() {
  wait "${running[$1]}"
  printf '\n=== %s\n' "$1"
  cat "$logs/$1.log"
  _note "$1"
}

# conclude: say what failed, and how long each step took. Ends the script.
conclude() {
  local name
  for name in "${failed[@]}"; do
    printf '\n=== the last lines of: %s\n' "$name"
    tail -n 300 "$logs/$name.log"
  done
  printf '\n=== %d s in all\n' "$SECONDS"
  printf '%s\n' "${steps[@]}"
  if [ "${#failed[@]}" -gt 0 ]; then
    exit 1
  fi
  exit 0
}

# Seconds by the clock and of all processors: a busy machine makes more of the first.
_measure() {
  local TIMEFORMAT='%0R %0U %0S'
  { time _within "${@:2}" 2>&1; } 2>"$logs/$1.time"
  echo "$?" >"$logs/$1.code"
}

# What hangs gets SIGABRT: pytest then prints each thread's stack.
_within() {
  local most=$(($1 * 60)) left=$((MOST_MINUTES * 60 - SECONDS))
  [ "$left" -gt "$most" ] || most=$((left > 1 ? left : 1))
  timeout --verbose --signal=ABRT --kill-after=30 "$most" "${@:2}"
}

_note() {
  local code seconds user system took word=passed
  read -r code <"$logs/$1.code"
  read -r seconds user system <"$logs/$1.time"
  took="$seconds s ($((user + system)) s of processors)"
  case $code in
    0) ;;
    124 | 137) word="FAILED, still running" ;;
    *) word="FAILED, exit code $code" ;;
  esac
  [ "$code" -eq 0 ] || failed+=("$1")
  steps+=("$1: $word after $took")
  printf '=== %s: %s after %s\n' "$1" "$word" "$took"
  return "$code"
}
