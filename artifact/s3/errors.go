package s3

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/hashline/hashline/artifact"
)

// Error says why the store cannot be used. It is an artifact.ErrUnreachable, or an artifact.ErrLocation when what says
// where the store is cannot be right.
type Error struct {
	Message string // what, and where
	Next    string // what to do next
	Cause   error  // perhaps nil; not shown, as its text may hold more than is the reader's business

	location bool // it is an artifact.ErrLocation
}

func (e *Error) Error() string { return e.Message }

// Hint says what to do next.
func (e *Error) Hint() string { return e.Next }

// Unwrap leaves out the cause: a request that the client canceled is no cancellation by the caller.
func (e *Error) Unwrap() error {
	if e.location {
		return artifact.ErrLocation
	}
	return artifact.ErrUnreachable
}

func problem(cause error, message, next string) error {
	return &Error{Message: message, Next: next, Cause: cause}
}

// invalid refuses a location without repeating it.
func invalid(what, next string) error {
	return &Error{Message: "the location of the store (s3://...) " + what, Next: next, location: true}
}

var (
	errTaken  = errors.New("the name is taken")
	errGone   = errors.New("the upload is gone")
	errAgain  = errors.New("another request for the same name was in the way")
	errSilent = errors.New("the server is silent")
	errOver   = errors.New("the request is over")
)

// fault turns an error of the client into one of the store's.
func (b *bucket) fault(ctx context.Context, name string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	}
	if known, ok := errors.AsType[*Error](err); ok {
		return known
	}
	answer := minio.ToErrorResponse(err)
	switch answer.Code {
	case minio.NoSuchKey, "NotFound":
		return fmt.Errorf("%s: %w", name, artifact.ErrNotFound)
	case "NoSuchUpload":
		return fmt.Errorf("%s: %w", name, errGone)
	case minio.PreconditionFailed:
		return fmt.Errorf("%s: %w", name, errTaken)
	case "ConditionalRequestConflict", "OperationAborted":
		return fmt.Errorf("%s: %w", name, errAgain)
	}
	message, next := b.explain(answer, err)
	return problem(err, message, next)
}

// explain says in one sentence why a request failed, and what to do next.
func (b *bucket) explain(answer minio.ErrorResponse, err error) (message, next string) {
	bucket, server := b.config.Bucket, b.server()
	switch answer.Code {
	case minio.NoSuchBucket:
		return fmt.Sprintf("there is no bucket %s at %s", bucket, server), "make the bucket, or correct the name in --store"
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidSecurity", "AuthFailure", "XAdminUserNotFound":
		return fmt.Sprintf("%s refuses the credentials for the bucket %s", server, bucket), "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the profile"
	case "ExpiredToken", "ExpiredTokenException":
		return fmt.Sprintf("the credentials for the bucket %s have expired", bucket), "fetch new ones and try again"
	case "RequestTimeTooSkewed":
		return fmt.Sprintf("the clocks of this machine and of %s differ too much", server), "set the clock of this machine"
	case "AuthorizationHeaderMalformed", "InvalidRegion", "PermanentRedirect", "MovedPermanently", "TemporaryRedirect":
		return fmt.Sprintf("the bucket %s is not in the region that was asked for", bucket), "give the right one: --store 's3://" + bucket + "?region=NAME'"
	case "NotImplemented":
		return fmt.Sprintf("%s does not know a request that the store needs", server), "it must support If-None-Match on writing and multipart uploads"
	}
	switch {
	case answer.StatusCode == http.StatusForbidden || answer.Code == minio.AccessDenied:
		return fmt.Sprintf("%s denies access to the bucket %s", server, bucket), "check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and what they may do: get, put, delete and list objects"
	case answer.StatusCode != 0:
		return fmt.Sprintf("%s answers with status %d for the bucket %s", server, answer.StatusCode, bucket), "try again later, or look at the server's log"
	}
	return b.explainNetwork(err)
}

// explainNetwork is explain for a request that had no answer.
func (b *bucket) explainNetwork(err error) (message, next string) {
	server := b.server()
	var timeout net.Error
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("there is no host %s", dns.Name), "correct endpoint= in --store, or check the network"
	}
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Sprintf("%s does not answer in time", server), "check endpoint= in --store, the server and the network"
	case strings.Contains(err.Error(), "x509:") || strings.Contains(err.Error(), "tls:"):
		return fmt.Sprintf("the certificate of %s is not trusted", server), "name its authority's file in SSL_CERT_FILE"
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("%s does not speak TLS", server), "write endpoint=http:// in --store"
	case strings.Contains(err.Error(), "connection refused"):
		return fmt.Sprintf("nothing listens at %s", server), "check endpoint= in --store, and that the server runs"
	}
	return fmt.Sprintf("the connection to %s breaks", server), "check endpoint= in --store, the server and the network"
}

// server names the server in messages.
func (b *bucket) server() string {
	if b.config.Endpoint == "" {
		return "AWS S3"
	}
	return "the S3 server " + strings.TrimRight(b.config.Endpoint, "/")
}
