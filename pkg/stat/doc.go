// Package stat counts. A shard adds to plain words of its own, about two
// nanoseconds an event; Publish, called by the shard some ten times a second,
// copies them to an atomic side, and one Prometheus collector sums that side
// over the shards when it is scraped. It sits beside the packet walk: every
// stage counts, nothing waits for a reader.
//
// Registration happens when a configuration is loaded. It gives an ID per
// series (a name and its label values); the hot path knows only IDs. Label
// values are names from the configuration or closed sets, never octets from
// the wire, and the number of series is capped: what comes after folds into
// `other`.
//
// Memory: a Shard owns its local words and grows them; the Registry owns the
// rest and keeps the place of a retired series for its return.
//
// Concurrency: Registry and the atomic types may be used by any goroutine, a
// Shard by the one that writes to it. Collect, Value and Each run beside all
// of them and see counts as of the last Publish.
//
// It does not serve HTTP, keep history, or count distinct things. Only this
// package and cmd know Prometheus.
package stat
