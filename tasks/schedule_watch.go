package tasks

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/artifact"
)

// sensor is what a scheduler has observed of a watched path. One goroutine at a time uses it.
type sensor struct {
	looked time.Time
	rest   int               // looks to leave out, so that another scheduler may try
	files  map[string]*sight // by path
	known  map[string]string // stamps in Redis; nil: not read yet
	told   string            // the problem that Redis has been told of
}

// sight is one file, as it was seen.
type sight struct {
	stamp
	inode   uint64
	since   time.Time // since when it looks like that
	handled bool      // its content is known
}

// unknown is a problem that another scheduler may have told of.
const unknown = "?"

func newSensor() *sensor { return &sensor{files: map[string]*sight{}, told: unknown} }

// stamp tells whether a file may have changed. The content of one that has the same stamp as before is taken to be the same.
type stamp struct {
	size             int64
	modified, status int64 // when its bytes, and when its bytes, name or mode changed last; ns
}

func (s stamp) String() string { return fmt.Sprintf("%d:%d:%d", s.size, s.modified, s.status) }

// startReading looks at a path in the background when its turn has come.
func (s *Scheduler) startReading(ctx context.Context, background *sync.WaitGroup, p *plannedSchedule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reading[p.Name] || s.now().Sub(p.sensor.looked) < cmp.Or(p.Watch.Every, defaultEvery) {
		return
	}
	s.reading[p.Name] = true
	background.Go(func() {
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			p.sensor.looked = s.now()
			delete(s.reading, p.Name)
		}()
		if err := s.watch(ctx, p); err != nil && ctx.Err() == nil {
			s.log.Warn("watching", "schedule", p.Name, "error", err)
		}
	})
}

// watch looks at a path, unless another scheduler does. One that cannot see the path leaves it to others for a while.
func (s *Scheduler) watch(ctx context.Context, p *plannedSchedule) error {
	if p.sensor.rest > 0 {
		p.sensor.rest--
		return nil
	}
	lease := max(10*time.Second, 3*cmp.Or(p.Watch.Every, defaultEvery))
	if mine, err := s.claimWatch(ctx, p, lease); err != nil || !mine {
		p.sensor.files, p.sensor.known, p.sensor.told = map[string]*sight{}, nil, unknown // who looks meanwhile knows more
		return err
	}
	holding, stop := context.WithCancel(ctx)
	var holder sync.WaitGroup
	holder.Go(func() { every(holding, lease/4, func(ctx context.Context) { _, _ = s.claimWatch(ctx, p, lease) }) })
	err := s.lookAt(ctx, p)
	stop()
	holder.Wait()
	if s.looked != nil && err == nil {
		s.looked()
	}
	if err != nil || ctx.Err() != nil {
		p.sensor.rest = 3
		_, released := s.claimWatch(context.WithoutCancel(ctx), p, 0)
		return errors.Join(err, released)
	}
	return nil
}

// claimWatch reports whether this scheduler is the one that looks at the path; it is for so long. 0 gives it up.
func (s *Scheduler) claimWatch(ctx context.Context, p *plannedSchedule, d time.Duration) (bool, error) {
	n, err := watchScript.Run(ctx, s.redis, []string{s.scheduleKey("watching:" + p.Name)}, s.options.ID, d.Milliseconds()).Int()
	return n == 1, err
}

// lookAt looks at every file of the path once.
func (s *Scheduler) lookAt(ctx context.Context, p *plannedSchedule) error {
	names, err := s.list(p.Watch)
	if told := s.tellProblem(ctx, p, err); told != nil || err != nil {
		return errors.Join(err, told)
	}
	if p.sensor.known == nil {
		if p.sensor.known, err = s.redis.HGetAll(ctx, s.scheduleKey("files:"+p.Name)).Result(); err != nil {
			return err
		}
	}
	there := map[string]bool{}
	var failed error
	for _, name := range names {
		there[name] = true
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := s.lookAtFile(ctx, p, name); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(failed, s.forgetFiles(ctx, p, there))
}

// tellProblem keeps with the schedule why its path cannot be looked at, or that it can.
func (s *Scheduler) tellProblem(ctx context.Context, p *plannedSchedule, err error) error {
	text := ""
	if err != nil {
		text = clip(fmt.Sprintf("scheduler %s: %v", s.options.ID, err))
	}
	if text == p.sensor.told {
		return nil
	}
	var told error
	if text == "" {
		told = s.redis.HDel(ctx, s.scheduleKey("problems"), p.Name).Err()
	} else {
		told = s.redis.HSet(ctx, s.scheduleKey("problems"), p.Name, text).Err()
	}
	if told == nil {
		p.sensor.told = text
	}
	return told
}

// forgetFiles drops what is known of files that are gone.
func (s *Scheduler) forgetFiles(ctx context.Context, p *plannedSchedule, there map[string]bool) error {
	var gone []string
	for name := range p.sensor.files {
		if !there[name] {
			delete(p.sensor.files, name)
		}
	}
	for name := range p.sensor.known {
		if !there[name] {
			gone = append(gone, name)
			delete(p.sensor.known, name)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return s.redis.HDel(ctx, s.scheduleKey("files:"+p.Name), gone...).Err()
}

// unfinished are the ends of names that programs give to files which they still write.
var unfinished = []string{"~", ".tmp", ".part", ".partial", ".crdownload", ".filepart"}

// list returns the files of a path that may be read.
func (s *Scheduler) list(w *Watch) ([]string, error) {
	if s.options.MayRead != nil {
		if err := s.options.MayRead(w.Path); err != nil {
			return nil, err
		}
	}
	return w.list()
}

// list returns the files that count, in the order of their names. A file that is not there yet is no error; a folder that
// is not there is.
func (w *Watch) list() ([]string, error) {
	info, err := os.Stat(w.Path)
	if errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(filepath.Dir(w.Path)); err == nil && w.Match == "" {
			return nil, nil
		}
	}
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{w.Path}, nil
	}
	entries, err := os.ReadDir(w.Path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if w.counts(e.Name()) {
			names = append(names, filepath.Join(w.Path, e.Name()))
		}
	}
	return names, nil
}

// counts reports whether a file of a folder counts by its name.
func (w *Watch) counts(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	for _, end := range unfinished {
		if strings.HasSuffix(strings.ToLower(name), end) {
			return false
		}
	}
	if w.Match == "" {
		return true
	}
	ok, err := path.Match(w.Match, name)
	return ok && err == nil
}

// lookAtFile submits the content of a file that is complete and new.
func (s *Scheduler) lookAtFile(ctx context.Context, p *plannedSchedule, name string) error {
	var st unix.Stat_t
	if err := unix.Stat(name, &st); err != nil {
		if errors.Is(err, unix.ENOENT) { // it went away meanwhile
			return nil
		}
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Size == 0 { // what is empty is still to be written
		return nil
	}
	now := newSight(&st, s.now())
	was := p.sensor.files[name]
	if was == nil || was.stamp != now.stamp || was.inode != now.inode {
		p.sensor.files[name] = now
		if now.stamp.String() == p.sensor.known[name] {
			now.handled = true
		}
		if now.handled || !movedIn(was, now) {
			return nil
		}
		was = now
	} else if was.handled || s.now().Sub(was.since) < cmp.Or(p.Watch.Settle, defaultSettle) {
		return nil
	}
	ref, err := s.read(ctx, name, was)
	if err != nil {
		return err
	}
	if ref == nil { // it changes while one reads
		delete(p.sensor.files, name)
		return nil
	}
	if err := s.noteContent(ctx, p, name, was, *ref); err != nil {
		return err
	}
	was.handled = true
	p.sensor.known[name] = was.stamp.String()
	return nil
}

func newSight(st *unix.Stat_t, now time.Time) *sight {
	return &sight{stamp: stamp{st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, inode: st.Ino, since: now}
}

// movedIn reports whether a file is another one than before, and was given its name, or its time, after it was written:
// renaming it, or setting its time as cp -p and rsync do, is what comes last.
func movedIn(was, now *sight) bool {
	return (was == nil || was.inode != now.inode) && now.status > now.modified
}

// read stores the content of a file. It returns nil when the file is not what was seen any more.
func (s *Scheduler) read(ctx context.Context, name string, seen *sight) (*artifact.Ref, error) {
	f, err := os.Open(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if same, err := seen.isStill(f, name); err != nil || !same {
		return nil, err
	}
	if s.store == nil {
		return nil, errors.New("a path can be watched only with a store")
	}
	ref, err := s.store.Put(ctx, f, artifact.Durable())
	if err != nil {
		return nil, err
	}
	if same, err := seen.isStill(f, name); err != nil || !same || ref.Size != seen.size {
		return nil, err
	}
	return &ref, nil
}

// isStill reports whether both the open file and what has its name now look as they did.
func (g *sight) isStill(f *os.File, name string) (bool, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, err
	}
	if now := newSight(&st, g.since); now.stamp != g.stamp || now.inode != g.inode {
		return false, nil
	}
	if err := unix.Stat(name, &st); err != nil {
		return false, nil
	}
	now := newSight(&st, g.since)
	return now.stamp == g.stamp && now.inode == g.inode, nil
}

// noteContent makes a tick of a content that was never seen before.
func (s *Scheduler) noteContent(ctx context.Context, p *plannedSchedule, name string, seen *sight, ref artifact.Ref) error {
	now, err := s.options.Clock(ctx)
	if err != nil {
		return err
	}
	tick := pendingTick{Key: ref.Digest.String(), Cause: CauseWatch, Time: now.UTC().Truncate(time.Second), Path: name, Content: &ref}
	triple, err := tick.triple()
	if err != nil {
		return err
	}
	if p.Watch.NewOnly && max(seen.modified, seen.status) < p.Created.UnixNano() {
		triple[1] = ""
	}
	raw, err := hex.DecodeString(ref.Digest.Hex())
	if err != nil {
		return err
	}
	args := append([]any{p.Name, p.Generation, keepTicks, name, seen.stamp.String(), string(raw)}, triple...)
	return s.runScheduleScript(ctx, contentScript, p.place(), p.Name, args...).Err()
}

func isNil(err error) bool { return errors.Is(err, redis.Nil) }
