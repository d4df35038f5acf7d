package boost

import (
	"sync/atomic"
	"testing"
)

// Every task of every job is done once, before do returns, whatever the size of the crew.
func TestCrew(t *testing.T) {
	for _, size := range []int{1, 2, 3, 8} {
		c := newCrew(size)
		for jobs := range 200 {
			n := jobs % 20
			done := make([]atomic.Int32, n)
			c.do(n, func(i int) { done[i].Add(1) })
			for i := range done {
				if k := done[i].Load(); k != 1 {
					t.Fatalf("crew of %d: task %d of %d was done %d times", size, i, n, k)
				}
			}
		}
		c.stop()
	}
}

// Jobs that come while members sleep, and while they watch.
func TestCrewSleeps(t *testing.T) {
	c := newCrew(3)
	defer c.stop()
	for range 50 {
		for i := range c.members {
			for !c.members[i].asleep.Load() { // they fall asleep without a job
			}
		}
		var sum atomic.Int64
		c.do(10, func(i int) { sum.Add(int64(i)) })
		c.do(10, func(i int) { sum.Add(int64(i)) })
		if sum.Load() != 90 {
			t.Fatalf("%d, want 90", sum.Load())
		}
	}
}
