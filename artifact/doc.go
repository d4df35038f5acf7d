// Package artifact keeps immutable bytes under the digest of their content, and the results of actions under their keys.
//
// A Store has three parts. Blobs are named by SHA-256, so they verify themselves: Open reads a blob back only when its
// bytes still have its digest, and a damaged one is removed and reported as ErrCorrupt. Action results are claims: which
// outputs an action made. The first result of a key is served; a later, different one is kept beside it. Run documents
// are the small records of a run. Results and documents have names that say nothing of their bytes, so each carries a
// seal, the digest of its text; one that does not fit its seal is ErrCorrupt.
//
// What cannot be computed again (ingested input, plans, run records) is written durably: file and directory are synced.
// A blob that can be recomputed is not, since a torn one can only be a miss. Putting bytes that are there already checks
// those that are there, and puts the new ones in the place of damaged ones.
//
// A Store lies in a Backend: a local directory, or with package artifact/s3 a bucket. Package artifact/artifacttest has the
// suite that every Backend passes.
//
//	store, err := artifact.Open(ctx, dir)
//	ref, err := store.PutBytes(ctx, []byte("hello"))
//	blob, err := store.Open(ctx, ref) // verified before it returns
//
// A Store may be used by many goroutines and by many processes at once.
package artifact
