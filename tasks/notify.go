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

// A notification is tried with every round of the reconciler for notifyFor after the end of its run.
const (
	notifyFor     = 24 * time.Hour
	notifyAtOnce  = 20 // that are tried in a round
	notifyTimeout = 5 * time.Second
)

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

// notify tells the webhook of the runs of this store that ended.
func (w *Worker) notify(ctx context.Context) error {
	if w.webhook == "" {
		return nil
	}
	ended := w.key.ended(w.storeID())
	old := strconv.FormatInt(time.Now().Add(-notifyFor).UnixMilli(), 10)
	if err := w.redis.ZRemRangeByScore(ctx, ended, "-inf", old).Err(); err != nil {
		return err
	}
	runs, err := w.redis.ZRandMember(ctx, ended, notifyAtOnce).Result() // by chance, so that one which is never taken holds up no other
	if err != nil {
		return err
	}
	var errs []error
	for _, run := range runs {
		err := w.post(ctx, run)
		if err != nil && !errors.Is(err, ErrNoRun) {
			errs = append(errs, fmt.Errorf("run %s: %w", run, err))
			continue
		}
		errs = append(errs, w.redis.ZRem(ctx, ended, run).Err())
	}
	return errors.Join(errs...)
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
		return errors.New("the webhook does not answer") // the error would show the address
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10))
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the webhook answered %s", answer.Status)
	}
	return nil
}
