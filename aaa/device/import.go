package device

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/redis/go-redis/v9"
)

// ImportOptions steer an import.
type ImportOptions struct {
	// Name lets a broken import go on: run it again with the same name and the
	// same devices in the same order. Empty: always from the start.
	Name string
	// Batch is how many devices go in one transaction, 256.
	Batch int
}

// ImportProgress is how far an import has come.
type ImportProgress struct {
	Profiles int
	Devices  uint64 // written
	Skipped  uint64 // written by the earlier run this one goes on from
}

// Import writes profiles, then devices, each batch with its changes and the
// place reached in one transaction. progress, which may be nil, is called
// after each batch. An error of the iterator ends the import; errors name a
// device by its number, never by its identity.
func (s *Store) Import(ctx context.Context, o ImportOptions, profiles []ProfileSpec,
	devices iter.Seq2[DeviceSpec, error], progress func(ImportProgress),
) (ImportProgress, error) {
	im := importer{s: s, o: o, progress: progress}
	if im.o.Batch <= 0 {
		im.o.Batch = 256
	}
	for i := range profiles {
		if err := s.Set(ctx, &profiles[i]); err != nil {
			return im.done, err
		}
		im.done.Profiles++
	}
	start, err := im.start(ctx)
	if err != nil {
		return im.done, err
	}
	n := uint64(0)
	for d, err := range devices {
		n++
		if err != nil {
			return im.done, fmt.Errorf("reading device %d: %w", n, err)
		}
		if n <= start {
			im.done.Skipped++
			continue
		}
		if err := im.add(ctx, n, d); err != nil {
			return im.done, err
		}
	}
	if err := im.flush(ctx, n); err != nil {
		return im.done, err
	}
	if o.Name == "" {
		return im.done, nil
	}
	return im.done, wrap(s.c.Del(ctx, im.cursor()).Err(), "ending the import")
}

type importer struct {
	s        *Store
	o        ImportOptions
	progress func(ImportProgress)
	done     ImportProgress
	idents   [][]byte
	specs    []DeviceSpec
}

func (im *importer) cursor() string { return im.s.r.key("import:" + im.o.Name) }

func (im *importer) start(ctx context.Context) (uint64, error) {
	if im.o.Name == "" {
		return 0, nil
	}
	if !validName(im.o.Name) {
		return 0, fmt.Errorf("import: %q is not a name", im.o.Name)
	}
	n, err := im.s.c.Get(ctx, im.cursor()).Uint64()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	return n, wrap(err, "reading how far the import came")
}

func (im *importer) add(ctx context.Context, n uint64, d DeviceSpec) error {
	ident, err := d.check()
	if err != nil {
		return fmt.Errorf("device %d: %w", n, err)
	}
	im.idents, im.specs = append(im.idents, ident), append(im.specs, d)
	if len(im.specs) < im.o.Batch {
		return nil
	}
	return im.flush(ctx, n)
}

// flush writes the batch that ends with device n.
func (im *importer) flush(ctx context.Context, n uint64) error {
	if len(im.specs) == 0 {
		return nil
	}
	count := uint64(len(im.specs))
	last, err := im.s.version(ctx, int64(count))
	if err != nil {
		return fmt.Errorf("writing devices up to %d: %w", n, err)
	}
	_, err = im.s.c.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for i := range im.specs {
			im.s.setDevice(ctx, p, im.idents[i], im.specs[i].value(last-count+1+uint64(i)))
		}
		if im.o.Name != "" {
			p.Set(ctx, im.cursor(), n, 0)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("writing devices up to %d: %w", n, err)
	}
	im.done.Devices += count
	im.idents, im.specs = im.idents[:0], im.specs[:0]
	if im.progress != nil {
		im.progress(im.done)
	}
	return nil
}
