package boost

import (
	"math"
	"sync"
	"sync/atomic"
)

// crew is goroutines that do one job after another together. A round of boosting has dozens of jobs of some ten microseconds
// each, and to wake a sleeping thread takes longer than that on many machines: a member of the crew therefore watches for
// the next job for a short while before it goes to sleep.
type crew struct {
	size    int // goroutines, the one that calls do among them
	job     atomic.Pointer[job]
	members []member
}

// member is a goroutine besides the one that calls do.
type member struct {
	asleep atomic.Bool
	wake   chan struct{}
}

// job is tasks to be done, each once, by whoever takes it first.
type job struct {
	work  func(i int)
	taken []atomic.Bool
	left  atomic.Int64
	done  sync.WaitGroup
}

// newCrew starts the goroutines, of which there should not be more than can run at once; stop ends them.
func newCrew(size int) *crew {
	c := &crew{size: size, members: make([]member, size-1)}
	for i := range c.members {
		c.members[i].wake = make(chan struct{}, 1)
		go c.attend(i+1, &c.members[i])
	}
	return c
}

// stop lets the goroutines end. It must not be called while do runs.
func (c *crew) stop() { c.publish(ended) }

// ended is the job after which there is none.
var ended = new(job)

// do calls work for 0 to n-1 and returns when all is done. Member i of the crew begins with task i, so that what belongs to
// a task stays in the cache of its core from job to job.
func (c *crew) do(n int, work func(i int)) {
	if c.size == 1 || n == 1 {
		for i := range n {
			work(i)
		}
		return
	}
	j := &job{work: work, taken: make([]atomic.Bool, n)}
	j.left.Store(int64(n))
	j.done.Add(n)
	c.publish(j)
	j.help(0, c.size)
	if !watch(func() bool { return j.left.Load() == 0 }) {
		j.done.Wait()
	}
}

// publish lets the members know of a job.
func (c *crew) publish(j *job) {
	c.job.Store(j)
	for i := range c.members {
		if m := &c.members[i]; m.asleep.CompareAndSwap(true, false) {
			m.wake <- struct{}{}
		}
	}
}

// attend does jobs until the crew is stopped.
func (c *crew) attend(number int, m *member) {
	var last *job
	for {
		if !watch(func() bool { return c.job.Load() != last }) {
			m.asleep.Store(true)
			if c.job.Load() == last || !m.asleep.CompareAndSwap(true, false) {
				<-m.wake // asleep, or a job came in between whose caller saw this one asleep
			}
			continue
		}
		if last = c.job.Load(); last == ended {
			return
		}
		last.help(number, c.size)
	}
}

// help does the tasks that nobody has taken, beginning with the helper's own.
func (j *job) help(number, size int) {
	n := len(j.taken)
	for first := range size {
		for i := (number + first) % size; i < n; i += size {
			if j.taken[i].CompareAndSwap(false, true) {
				j.work(i)
				j.left.Add(-1)
				j.done.Done()
			}
		}
	}
}

// watch reports whether the condition became true within some hundred microseconds.
func watch(condition func() bool) bool {
	x := 3.0
	for range 4096 {
		if condition() {
			return true
		}
		for range 6 { // a chain of slow operations, which leaves a core that is shared to its other thread
			x = math.Sqrt(x + 1)
		}
	}
	return x < 0 || condition()
}
