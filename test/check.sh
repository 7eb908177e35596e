#!/usr/bin/env bash
# What is checked about the source before any test runs. Tools are pinned here
# and run from the module cache, so that the product's go.mod lists none.
set -euo pipefail
cd "$(dirname "$0")/.."

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2

unformatted=$(git ls-files -co --exclude-standard -- '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then
	printf 'not formatted, run gofmt -w:\n%s\n' "$unformatted" >&2
	exit 1
fi
go vet ./...
go run "$staticcheck" ./...
