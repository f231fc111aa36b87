#!/usr/bin/env bash
# tests/package_test.sh BUILD SHARED: installs BUILD to a folder of its own, builds examples/ against it with nothing but
# find_package(kinglet), and runs them on a tiny model. Exits with 77, and says why, where that cannot be done.
set -euo pipefail
build=$1
shared=$2
source_dir=$(cd "$(dirname "$0")/.." && pwd)
fixture="$shared/fixtures/models/qwen2.5"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" > "$work/install.log"
for file in bin/kinglet include/kinglet/kinglet.h include/kinglet/kinglet.hpp share/doc/kinglet/copyright \
  share/bash-completion/completions/kinglet share/zsh/vendor-completions/_kinglet; do
  [[ -s "$work/prefix/$file" ]] || { echo "not installed: $file"; exit 1; }
done
version=$("$work/prefix/bin/kinglet" --version)
echo "installed $version"

cmake -S "$source_dir/examples" -B "$work/examples" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  > "$work/configure.log" || { cat "$work/configure.log"; exit 1; }
cmake --build "$work/examples" > "$work/build.log" || { cat "$work/build.log"; exit 1; }

if [[ ! -d "$fixture" ]]; then
  echo "SKIP: the examples were built and not run: shared fixtures are absent: $fixture"
  exit 77
fi
# The fixture has no vocabulary; one of single bytes fits every model of 320 tokens.
mkdir "$work/model"
cp "$fixture/config.json" "$fixture/model.safetensors" "$source_dir"/tests/data/byte_tokenizer/*.json "$work/model"

expect() {
  local output
  output=$("${@:2}") || { echo "failed: ${*:2}"; echo "$output"; exit 1; }
  grep -qE "$1" <<< "$output" || { echo "no '$1' in the output of ${*:2}:"; echo "$output"; exit 1; }
}
expect '^the text is 5 tokens' "$work/examples/complete" "$work/model" Hello
expect "^kinglet ${version#kinglet }, qwen2, 320 tokens" "$work/examples/complete" "$work/model" Hello
expect '^> two' "$work/examples/chat" "$work/model" one two
if "$work/examples/complete" "$work/no-such-model" Hello 2> "$work/error"; then
  echo "a missing model was no error"
  exit 1
fi
grep -q no-such-model "$work/error"
