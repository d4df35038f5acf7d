// Package s3 keeps the objects of an artifact.Store in a bucket of Amazon S3, or of a server that speaks its protocol, so
// that workers on machines without a common file system share one store.
//
//	store, err := artifact.Open(ctx, "s3://bucket/prefix?endpoint=http://host:port&region=eu-central-1", s3.Scheme)
//
// It is a package of its own, so that a program which keeps its store in a directory links no client for S3.
//
// The location names the bucket, which must exist, and a prefix. Parameters: endpoint, an http or https URL (default: AWS);
// region (default: AWS_REGION, AWS_DEFAULT_REGION, else what the server says); lookup, "path" or "dns", for how the bucket
// stands in URLs (default: dns at the large providers, path elsewhere).
//
// Credentials never stand in a location. They come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN; from
// the files of the AWS command (~/.aws, AWS_PROFILE, AWS_SHARED_CREDENTIALS_FILE); or from the role of the machine or pod
// (instance metadata unless AWS_EC2_METADATA_DISABLED is true, ECS, EKS). They need to get, put, delete and list objects, and to
// list and abort multipart uploads. Certificates of an own authority are taken from SSL_CERT_FILE.
//
// The server must honour If-None-Match on writing: the first of two objects of one name stays. That is tried when a store is
// made, and a server that does not is refused. An object is sent in one request, or above 16 MiB in parts which become visible together; an upload that is
// interrupted leaves nothing to be seen, and its parts are removed, at the latest when a large object is stored two days
// later. Objects above 4 MiB pass through a temporary file (TMPDIR), so that memory stays bounded.
//
// Nothing waits for ever: a server that is silent for Config.Patience ends a request, a request is tried four times, and
// then the error is artifact.ErrUnreachable.
package s3
