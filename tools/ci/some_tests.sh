# shellcheck shell=bash
# run_some_tests PRESET PROGRAM...: builds those of the test programs that exist and runs them; sourced.
run_some_tests() {
  local preset=$1 known present=() program
  shift
  tools/configure "$preset"
  known=$(ctest --test-dir "build/$preset" --show-only | sed -n 's/^ *Test *#[0-9]*: //p')
  for program in "$@"; do
    if grep -qxF "$program" <<< "$known"; then present+=("$program"); fi
  done
  tools/build "$preset" "${present[@]}"
  # The sanitizers reserve address ranges that a high-entropy layout may already use.
  setarch --addr-no-randomize tools/test "$preset" -R "^($(IFS='|'; echo "${present[*]}"))\$"
}
