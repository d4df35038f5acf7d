package boost

import "sync/atomic"

// counter hands out work.
type counter struct{ next atomic.Int64 }

func (c *counter) drain(n int, work func(i int)) {
	for {
		i := int(c.next.Add(1)) - 1
		if i >= n {
			return
		}
		work(i)
	}
}
