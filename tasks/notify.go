package tasks

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hashline/hashline/pipeline"
)

// Notification is what a webhook is sent, as JSON, when a run ends. It may come more than once.
type Notification struct {
	RunID        string            `json:"run_id"`
	Name         string            `json:"name"`
	Tags         map[string]string `json:"tags"`
	Status       string            `json:"status"`
	CreatedAt    time.Time         `json:"created_at"`
	FinishedAt   time.Time         `json:"finished_at"`
	ResultDigest string            `json:"result_digest"`
	Error        *pipeline.Error   `json:"error"`
}

// A notification is tried for notifyFor after the end of its run: at once, and after each failure a pause that doubles up to
// notifyPause. A round ends with the first that is not answered, so a webhook that hangs is asked once in notifyTimeout.
const (
	notifyFor     = 24 * time.Hour
	notifyEvery   = time.Second
	notifyPause   = time.Minute
	notifyAtOnce  = 20 // that are tried in a round
	notifyTimeout = 5 * time.Second
)

// refusal is a run whose notification was not taken.
type refusal struct {
	pause time.Duration
	next  time.Time // when it is tried again
}

// errNoAnswer hides what went wrong, which would show the address of the webhook.
var errNoAnswer = errors.New("the webhook does not answer")

// checkWebhook refuses what cannot be posted to. A webhook is set where a worker is started: an address never comes out of
// Redis.
func checkWebhook(address string) error {
	if address == "" {
		return nil
	}
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return &pipeline.Error{Class: pipeline.ClassUsage, Message: "the webhook is no http or https URL", Hint: "want https://host/path"}
	}
	return nil
}

// notifier tells the webhook of the runs of this store that ended. It is apart from the reconciler, which a webhook that hangs
// must not keep from its work.
func (w *Worker) notifier(ctx context.Context) {
	if w.webhook == "" {
		return
	}
	refused := map[string]refusal{}
	var warned time.Time
	every(ctx, notifyEvery, func(ctx context.Context) {
		err := w.notify(ctx, refused)
		if err == nil || ctx.Err() != nil || time.Since(warned) < notifyPause {
			return
		}
		warned = time.Now()
		w.log.Warn("telling the webhook, which is tried again", "error", err)
	})
}

// notify is one round; one worker of a store at a time does it. It returns what went wrong first.
func (w *Worker) notify(ctx context.Context, refused map[string]refusal) error {
	lock := w.key.notifyLock(w.storeID())
	won, err := w.redis.SetNX(ctx, lock, w.info.ID, 3*notifyTimeout).Result()
	if err != nil || !won {
		return err
	}
	defer func() { _ = w.redis.Del(context.WithoutCancel(ctx), lock).Err() }() // it ends by itself, too
	if err := w.beginToNotify(ctx); err != nil {
		return err
	}
	ended := w.key.ended(w.storeID())
	start := time.Now()
	old := strconv.FormatInt(start.Add(-notifyFor).UnixMilli(), 10)
	if err := w.redis.ZRemRangeByScore(ctx, ended, "-inf", old).Err(); err != nil {
		return err
	}
	runs, err := w.redis.ZRandMember(ctx, ended, notifyAtOnce).Result() // by chance, so that one which is never taken holds up no other
	if err != nil {
		return err
	}
	var failed error
	for _, run := range runs {
		if time.Since(start) > notifyTimeout {
			break
		}
		if time.Now().Before(refused[run].next) {
			continue
		}
		err := w.post(ctx, run)
		if err == nil || errors.Is(err, ErrNoRun) {
			delete(refused, run)
			err = w.redis.ZRem(ctx, ended, run).Err()
		} else {
			refuse(refused, run)
		}
		if err != nil && failed == nil {
			failed = fmt.Errorf("run %s: %w", run, err)
		}
		if errors.Is(err, errNoAnswer) {
			break
		}
	}
	return failed
}

// beginToNotify lets a webhook that is new be told of no run that ended before its first worker was made. It is not new while any worker
// of the store has had one within notifyFor: what ended since is told.
func (w *Worker) beginToNotify(ctx context.Context) error {
	hooked := w.key.hooked(w.storeID())
	n, err := w.redis.Exists(ctx, hooked).Result()
	if err == nil && n == 0 {
		before := "(" + strconv.FormatInt(w.info.StartedAt.UnixMilli(), 10)
		err = w.redis.ZRemRangeByScore(ctx, w.key.ended(w.storeID()), "-inf", before).Err()
	}
	if err != nil {
		return err
	}
	return w.redis.Set(ctx, hooked, w.info.ID, notifyFor).Err()
}

// refuse puts a run off.
func refuse(refused map[string]refusal, run string) {
	if len(refused) > 10_000 {
		clear(refused)
	}
	pause := min(max(2*refused[run].pause, notifyEvery), notifyPause)
	refused[run] = refusal{pause, time.Now().Add(pause)}
}

// post sends the notification of one run.
func (w *Worker) post(ctx context.Context, run string) error {
	r, err := (&Client{w.core}).Record(ctx, run)
	if err != nil {
		return err
	}
	b, err := json.Marshal(Notification{r.RunID, r.Name, r.Tags, r.Status, r.CreatedAt, r.FinishedAt, r.ResultDigest, r.Error})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.webhook, bytes.NewReader(b))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return errNoAnswer
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", answer.Status)
	}
	return nil
}
