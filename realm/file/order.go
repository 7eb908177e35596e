package file

import "sync"

// inOrder does n pieces of work, as many at once as there are workers, and
// takes the results in the order of the pieces; a result's memory is used
// again by a later piece. It ends early where take returns false.
func inOrder[R any](n, workers int, work func(worker, i int, r *R), take func(i int, r *R) bool) {
	workers = min(workers, n)
	if workers <= 1 {
		var r R
		for i := range n {
			if work(0, i, &r); !take(i, &r) {
				return
			}
		}
		return
	}
	type place struct {
		r      R
		failed any // what work panicked with
		done   chan struct{}
	}
	places := make([]place, 2*workers)
	for i := range places {
		places[i].done = make(chan struct{}, 1)
	}
	jobs := make(chan int, len(places))
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range jobs {
				p := &places[i%len(places)]
				func() {
					defer func() { p.failed = recover() }()
					work(w, i, &p.r)
				}()
				p.done <- struct{}{}
			}
		})
	}
	defer group.Wait()
	defer close(jobs)
	given := 0
	for i := range n {
		for ; given < n && given < i+len(places); given++ {
			jobs <- given
		}
		p := &places[i%len(places)]
		<-p.done
		if p.failed != nil {
			panic(p.failed)
		}
		if !take(i, &p.r) {
			return
		}
	}
}
