#!/usr/bin/env bash
# Runs every fuzz target of the module for FUZZTIME (default 60s), one after
# the other. FUZZ limits it to packages that match this pattern.
set -euo pipefail
cd "$(dirname "$0")/.."

targets=0
for package in $(go list "${FUZZ:-./...}"); do
	dir=$(go list -f '{{.Dir}}' "$package")
	for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*\(' "$dir"/*_test.go 2>/dev/null | sed -E 's/^func (.*)\($/\1/' | sort -u); do
		printf '== %s %s\n' "$package" "$target"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="${FUZZTIME:-60s}" "$package"
		targets=$((targets + 1))
	done
done
printf '%d fuzz targets clean, %s each\n' "$targets" "${FUZZTIME:-60s}"
[ "$targets" -gt 0 ]
