#!/usr/bin/env bash
# format.sh [--check]: applies .clang-format to every C++ file, or only says which files it would change (exit code 1).
set -euo pipefail
cd "$(dirname "$0")/.."

mode=${1:-}
case $mode in "" | --check) ;; *) echo "format: expected no argument or --check, got $mode" >&2 && exit 2 ;; esac

# Versions differ in details, so only one of them can be the judge.
wanted=14
if ! tool=$(command -v "clang-format-$wanted" || command -v clang-format); then
  echo "format: clang-format not found; run make setup" >&2
  exit 1
fi
version=$("$tool" --version | sed -E 's/.*version ([0-9]+).*/\1/')
if [ "$version" != "$wanted" ]; then
  echo "format: not done: clang-format $wanted is the reference, found $version" >&2
  [ "$mode" = --check ] && exit 0
  exit 1
fi

mapfile -d '' files < <(find app bench include src tests -type f \( -name '*.cpp' -o -name '*.h' \) -print0 | sort -z)
if [ -z "$mode" ]; then
  "$tool" -i "${files[@]}"
  exit
fi

failed=0
for file in "${files[@]}"; do
  if ! "$tool" "$file" | cmp -s - "$file"; then
    echo "$file: not formatted; run make format" >&2
    failed=1
  fi
done
[ $failed -eq 0 ] && echo "format: ${#files[@]} files are formatted"
exit $failed
