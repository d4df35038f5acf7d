package pipeline

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Duration is a time.Duration whose JSON is text such as "90s" or "1h30m0s".
type Duration time.Duration

// String returns the text form, which is that of time.Duration.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText gives the text form.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads whatever time.ParseDuration does, but for signs and a lack of units.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil || b[0] == '+' || b[0] == '-' || string(b) == "0" {
		return fmt.Errorf("%.40q is no duration: want a number with a unit, such as 90s, 1h30m or 0s", b)
	}
	*d = Duration(v)
	return nil
}

// MaxAttempts bounds Retry.Attempts.
const MaxAttempts = 1000

// Retry says how often a stage that fails is tried, and when. Errors that Permanent marks, bad input and cancels are never
// tried again.
type Retry struct {
	Attempts int      `json:"attempts,omitempty"` // in all; 0: what the run allows
	Backoff  Duration `json:"backoff,omitempty"`  // pause after the first failure; 0: none
	Factor   float64  `json:"factor,omitempty"`   // by which each further pause is longer; 0: 2
	Max      Duration `json:"max,omitempty"`      // the longest pause; 0: MaxPause
}

// MaxPause is the longest pause between two attempts that a Retry without Max makes.
const MaxPause = 24 * time.Hour

// Pause returns how long to wait after so many failures, at least 1, until the next attempt: Backoff * Factor^(failures-1),
// at most Max. There is no chance in it. A nil Retry pauses nowhere.
func (r *Retry) Pause(failures int) time.Duration {
	if r == nil || r.Backoff <= 0 {
		return 0
	}
	longest, factor := time.Duration(r.Max), r.Factor
	if longest == 0 {
		longest = MaxPause
	}
	if factor == 0 {
		factor = 2
	}
	pause := float64(r.Backoff) * math.Pow(factor, float64(max(0, failures-1)))
	if !(pause < float64(longest)) {
		return longest
	}
	return time.Duration(pause)
}

func (r *Retry) check() error {
	switch {
	case r.Attempts < 0 || r.Attempts > MaxAttempts:
		return fmt.Errorf("retry: %d attempts, want 0 to %d", r.Attempts, MaxAttempts)
	case r.Backoff < 0 || r.Max < 0:
		return errors.New("retry: a pause is negative")
	case r.Max != 0 && r.Max < r.Backoff:
		return fmt.Errorf("retry: the longest pause %s is shorter than the first, %s", r.Max, r.Backoff)
	case r.Factor != 0 && !(r.Factor >= 1 && r.Factor <= 1000):
		return fmt.Errorf("retry: factor %v, want 1 to 1000", r.Factor)
	}
	return nil
}

// canonical returns the one way to write what r says.
func (r *Retry) canonical() *Retry {
	if r == nil {
		return nil
	}
	c := *r
	if c.Factor == 2 || c.Backoff == 0 {
		c.Factor = 0
	}
	if c.Backoff == 0 {
		c.Max = 0
	}
	if c == (Retry{}) {
		return nil
	}
	return &c
}

// Wait holds a stage whose needs are met: for a time, until a signal of that name came, or both.
type Wait struct {
	Delay  Duration `json:"delay,omitempty"`
	Signal string   `json:"signal,omitempty"`
}

func (w *Wait) check() error {
	switch {
	case w.Delay < 0:
		return errors.New("wait: the delay is negative")
	case w.Delay == 0 && w.Signal == "":
		return errors.New("wait: give a delay, a signal or both")
	case w.Signal != "" && !ValidStageName(w.Signal):
		return fmt.Errorf("wait: signal %.80q: %w", w.Signal, errName)
	}
	return nil
}
