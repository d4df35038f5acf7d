package s3

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/s3utils"

	"github.com/hashline/hashline/artifact"
)

// Scheme lets artifact.Open open stores at s3:// URLs.
var Scheme = artifact.Scheme{Name: "s3", Open: func(ctx context.Context, location string) (artifact.Backend, error) {
	c, err := Parse(location)
	if err != nil {
		return nil, err
	}
	return New(ctx, c)
}}

// Config says where the objects are.
type Config struct {
	Bucket   string // it must exist
	Prefix   string // of every object's name, without slashes at its ends; "": none
	Endpoint string // http:// or https:// URL of the server; "": AWS
	Region   string // "": AWS_REGION, else AWS_DEFAULT_REGION, else what the server says
	Lookup   string // "path", "dns", or "" for what suits the endpoint

	Credentials *credentials.Credentials // nil: the environment, the files of the AWS command, the role of the machine
	Patience    time.Duration            // for which the server may be silent, 0: 20 s
}

const (
	awsEndpoint     = "https://s3.amazonaws.com"
	defaultPatience = 20 * time.Second
	tries           = 4
)

// Parse reads a location such as s3://bucket/prefix?endpoint=http://host:port&region=eu-central-1.
func Parse(location string) (Config, error) {
	u, err := url.Parse(location)
	if err != nil { // the text of err would repeat the location, and what secret may stand in it
		return Config{}, invalid("is no URL", "want s3://BUCKET/PREFIX?endpoint=http://HOST:PORT")
	}
	if u.User != nil {
		return Config{}, invalid("holds a user or password, which would be stored and shown", "take it out, and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	c := Config{Bucket: u.Host, Prefix: strings.Trim(u.Path, "/")}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Config{}, invalid("has parameters that cannot be read", "want ?endpoint=http://HOST:PORT&region=NAME")
	}
	fields := map[string]*string{"endpoint": &c.Endpoint, "region": &c.Region, "lookup": &c.Lookup}
	for name, values := range query {
		field := fields[name]
		if field == nil || len(values) > 1 {
			return Config{}, invalid(fmt.Sprintf("has a parameter %.30q that is unknown or given twice", name),
				"there are endpoint, region and lookup; credentials are taken from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
		}
		*field = values[0]
	}
	return c, c.check()
}

// check finds what cannot be right before anything is sent.
func (c Config) check() error {
	if s3utils.CheckValidBucketNameStrict(c.Bucket) != nil {
		return invalid(fmt.Sprintf("names a bucket %.70q, which is none", c.Bucket), "want 3 to 63 lower-case letters, digits, dots and hyphens: s3://BUCKET/PREFIX")
	}
	if c.Prefix != "" && (!artifact.ValidName(c.Prefix) || len(c.Prefix) > 500) {
		return invalid("has a prefix that makes no names of objects", "want s3://BUCKET/PREFIX, of printable ASCII")
	}
	if c.Lookup != "" && c.Lookup != "path" && c.Lookup != "dns" {
		return invalid(fmt.Sprintf("has lookup=%.20q", c.Lookup), "want path or dns")
	}
	if strings.ContainsFunc(c.Region, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		return invalid(fmt.Sprintf("has region=%.40q", c.Region), "want a name such as eu-central-1")
	}
	u, err := url.Parse(cmp.Or(c.Endpoint, awsEndpoint))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return invalid("has an endpoint that is no address of a server", "want endpoint=http://HOST:PORT or https://HOST")
	case u.User != nil:
		return invalid("has an endpoint that holds a user or password", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead")
	}
	return nil
}

// New makes the Backend. It looks for credentials, and sends nothing to the server yet.
func New(ctx context.Context, c Config) (artifact.Backend, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := &bucket{config: c, patience: cmp.Or(c.Patience, defaultPatience)}
	b.transport = newTransport(b.patience)
	creds := c.Credentials
	if creds == nil {
		creds = chain(b.patience)
	}
	value, err := creds.GetWithContext(nil)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil || value.AccessKeyID == "" {
		return nil, problem(nil, fmt.Sprintf("there are no credentials for the store %s", b.Location()),
			"set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give the machine a role")
	}
	u, _ := url.Parse(cmp.Or(c.Endpoint, awsEndpoint)) // checked above
	b.core, err = minio.NewCore(u.Host, &minio.Options{
		Creds: creds, Secure: u.Scheme == "https", Transport: b.transport, MaxRetries: tries,
		Region:       cmp.Or(c.Region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		BucketLookup: map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "dns": minio.BucketLookupDNS}[c.Lookup],
	})
	if err != nil {
		return nil, invalid("has an endpoint that is no address of a server", "want endpoint=http://HOST:PORT or https://HOST")
	}
	return b, nil
}

// chain looks for credentials where the AWS command does. Instance metadata is asked with little patience: on a machine
// outside AWS nobody answers at its address.
func chain(patience time.Duration) *credentials.Credentials {
	providers := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	ask := &http.Client{Timeout: min(patience, 5*time.Second)}
	role := os.Getenv("AWS_WEB_IDENTITY_TOKEN_FILE") + os.Getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") + os.Getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI")
	if role == "" {
		ask.Timeout = min(patience, time.Second)
	}
	if role != "" || !strings.EqualFold(os.Getenv("AWS_EC2_METADATA_DISABLED"), "true") {
		providers = append(providers, &credentials.IAM{Client: ask})
	}
	return credentials.NewChainCredentials(providers)
}

// Location returns the URL that Parse reads to the same Config.
func (b *bucket) Location() string {
	u := url.URL{Scheme: "s3", Host: b.config.Bucket, Path: b.config.Prefix}
	if u.Path != "" {
		u.Path = "/" + u.Path
	}
	var query []string
	for _, p := range [][2]string{{"endpoint", b.config.Endpoint}, {"region", b.config.Region}, {"lookup", b.config.Lookup}} {
		if p[1] != "" {
			query = append(query, p[0]+"="+p[1]) // checked: nothing in them has a meaning in a query
		}
	}
	u.RawQuery = strings.Join(query, "&")
	return u.String()
}

// Where returns the object's URL, without the server.
func (b *bucket) Where(name string) string { return "s3://" + b.config.Bucket + "/" + b.key(name) }

// key is the whole name of an object in the bucket.
func (b *bucket) key(name string) string {
	if b.config.Prefix == "" {
		return name
	}
	return b.config.Prefix + "/" + name
}
