package endtoend

import (
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/pipeline"
)

// document is what `submit --json` prints, as far as these tests read it. It is written down here once more, as another
// program would: the names are a promise.
type document struct {
	RunID        string             `json:"run_id"`
	Status       string             `json:"status"`
	ExitCode     int                `json:"exit_code"`
	Mode         string             `json:"mode"`
	FinishedAt   time.Time          `json:"finished_at"`
	PlanDigest   string             `json:"plan_digest"`
	ResultDigest string             `json:"result_digest"`
	Stages       []stage            `json:"stages"`
	Warnings     []artifact.Warning `json:"warnings"`
	Error        *pipeline.Error    `json:"error"`
	Input        struct {
		SHA256 string `json:"sha256"`
	} `json:"input"`
	Counts struct {
		Stages   int `json:"stages"`
		Computed int `json:"computed"`
		Cached   int `json:"cached"`
	} `json:"counts"`
}

type stage struct {
	Name       string            `json:"name"`
	Cache      string            `json:"cache"`
	Attempts   int               `json:"attempts"`
	ActionKey  string            `json:"action_key"`
	Code       string            `json:"code"`
	Worker     string            `json:"worker"`
	StartedAt  time.Time         `json:"started_at"`
	FinishedAt time.Time         `json:"finished_at"`
	Outputs    []artifact.Output `json:"outputs"`
}
