// Package pipeline describes computations by content and runs one of them.
//
// A Kind says what a stage does and is registered once; Typed makes one of a plain function. A Stage is a named step of a
// Plan, of one kind, with parameters and needs; NewPlan makes a plan of stages, or says what is wrong with it. Running a stage is an action: its ActionKey hashes the kind, the
// fingerprint of the kind's code, the parameters, the seed where the kind uses one, and the digests of the inputs; never
// names, times, hosts or numbers of workers. So an action whose key is known need not run again, and an output that did
// not change stops the ripple: what lies downstream is keyed by content, not by how the content came about.
//
// The Executor looks an action up, verifies what it finds, else runs it and publishes blobs first and the result last.
// A RunRecord keeps what a run did; its result digest is one hash over every output of class Result, so two runs that
// agree on it produced the same bits.
//
// # What a plan can say
//
// A stage runs when all that it needs is there. Its needs are inputs, or order alone (a Need without role and output). What
// becomes of it when another fails is a matter of the need: it is skipped, the run fails at once, or it goes on without the
// input. A stage that is marked Always runs in the end whatever happened, as a cleanup does. A failed stage fails the run,
// unless every stage that needs it goes on without it; see RunRecord.Close.
//
// A Condition looks at a value in the JSON of an earlier output, and a stage for which it does not hold is SKIPPED with a
// reason; so is one whose function returns Skip. A skipped stage is no failure, and what needs it is skipped too, or goes
// on. A stage may wait for a time or for a signal, be tried again by a Retry of its own, have a Timeout, a Pool and a
// size of Memory; whoever runs the plan sees to these.
//
// A stage whose kind Expands returns further stages, as folds and sweeps need. They are an output, named StagesOutput, so
// they are cached and recorded like any other. A need with Each takes an output of all of them.
//
// # What is promised
//
// Whether an action is cached is a property of its kind: NeverCache is for side effects. A cached action may still be computed
// more than once, by two workers at the same time or after a crash, so what Run does must bear being done again; a Flight
// makes the first of these rare. The first result of a key that is stored counts.
//
// Outputs are published only when Run has returned nil within its context, all of them or none. Inline outputs travel with
// the state of the run and need no store up to InlineLimit bytes; where bytes are is no part of a key.
//
// A plan keeps PlanSchema, and with it its text and digest, as long as it uses nothing that came later. What a worker does
// not understand it leaves to others: a schema that it does not know, or a kind that it does not have. The fields of
// records are only ever added to.
//
// The package knows no queue and no machine learning.
package pipeline
