# shellcheck shell=bash
# Stages for .ci/run and tools/nightly; sourced.
#   stage NAME MINUTES COMMAND...   runs it within its time, with its output in build/ci/NAME.log; a stage that fails
#                                   shows the end of that, and the stages after it still run
#   loud_stage NAME MINUTES ...     the same, and its output is shown as it comes
#   advice NAME MINUTES ...         as stage, but what it finds does not fail the run: the table says so
#   required                        after a stage: where it failed, the run ends here
#   finish                          prints the table of stages; fails where a stage did
mkdir -p build/ci
stage_rows=()
stage_failures=0
stage_last=0

run_stage() {
  local shown=$1 name=$2 minutes=$3 log start seconds state=ok
  shift 3
  log="build/ci/$name.log"
  start=$(date +%s)
  printf '\n==== %s: %s\n' "$name" "$*"
  stage_last=0
  if [[ "$shown" == loud ]]; then
    timeout --kill-after=10 "${minutes}m" "$@" < /dev/null 2>&1 | tee "$log" || stage_last=$?
  else
    timeout --kill-after=10 "${minutes}m" "$@" < /dev/null > "$log" 2>&1 || stage_last=$?
  fi
  seconds=$(($(date +%s) - start))
  if [[ $stage_last -ne 0 ]]; then
    state="FAILED ($stage_last)"
    if [[ $stage_last -eq 124 ]]; then state="OUT OF TIME"; fi
    stage_failures=$((stage_failures + 1))
    if [[ "$shown" != loud ]]; then tail -n 150 "$log"; fi
  fi
  printf '==== %s: %s after %d s\n' "$name" "$state" "$seconds"
  stage_rows+=("$(printf '%-12s %6d s of %3d min  %s' "$name" "$seconds" "$minutes" "$state")")
}
stage() { run_stage quiet "$@"; }
loud_stage() { run_stage loud "$@"; }
advice() {
  local failures=$stage_failures
  run_stage quiet "$@"
  if [[ $stage_failures -ne $failures ]]; then
    stage_failures=$failures
    stage_rows[-1]+=" (advice: does not fail the run)"
  fi
}

required() { if [[ $stage_last -ne 0 ]]; then finish; fi; }

finish() {
  printf '\nStages:\n'
  printf '  %s\n' "${stage_rows[@]}"
  printf '  %-12s %6d s\n' total "$SECONDS"
  if [[ $stage_failures -ne 0 ]]; then
    echo "$stage_failures of ${#stage_rows[@]} stages failed"
    exit 1
  fi
  exit 0
}
