# shellcheck shell=bash
# run_sanitized PRESET PROGRAM...: builds those of the test programs that exist and runs them; sourced by asan and tsan.
run_sanitized() {
  local preset=$1 present=() program pattern
  shift
  tools/build "$preset" help > "build/$preset-targets.txt"
  for program in "$@"; do
    if grep -qE "^$program:|^$program " "build/$preset-targets.txt"; then present+=("$program"); fi
  done
  tools/build "$preset" "${present[@]}"
  pattern=$(IFS='|'; echo "${present[*]}")
  # The sanitizers reserve address ranges that a high-entropy layout may already use.
  setarch --addr-no-randomize tools/test "$preset" -R "^($pattern)\$"
}
