// Package pipeline describes computations by content and runs one of them.
//
// A Kind says what a stage does and is registered once. A Stage is a named step of a Plan, of one kind, with parameters
// and needs. Running a stage is an action: its ActionKey hashes the kind, the fingerprint of the kind's code, the
// parameters, the seed where the kind uses one, and the digests of the inputs; never names, times, hosts or numbers of
// workers. So an action whose key is known need not run again, and an output that did not change stops the ripple: what
// lies downstream is keyed by content, not by how the content came about.
//
// The Executor looks an action up, verifies what it finds, else runs it and publishes blobs first and the result last.
// A RunRecord keeps what a run did; its result digest is one hash over every output of class Result, so two runs that
// agree on it produced the same bits.
//
// The package knows no queue and no machine learning.
package pipeline
