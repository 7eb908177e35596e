#!/usr/bin/env bash
# Compares the Go benchmarks of this work tree with those of BASE (a commit or
# branch), taking turns so that a machine that drifts hurts both alike.
set -euo pipefail
cd "$(dirname "$0")/.."

benchstat=golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da
pkg=${PKG:-./...}
work=$(mktemp -d)
trap 'git worktree remove --force "$work/base" 2>/dev/null || true; rm -rf "$work"' EXIT

git worktree add --quiet --detach "$work/base" "${BASE:-main}"
for _ in $(seq "${COUNT:-6}"); do
	(cd "$work/base" && go test -run='^$' -bench=. -benchmem -count=1 "$pkg") >>"$work/base.txt"
	go test -run='^$' -bench=. -benchmem -count=1 "$pkg" >>"$work/this.txt"
done
go run "$benchstat" "base=$work/base.txt" "this=$work/this.txt"
