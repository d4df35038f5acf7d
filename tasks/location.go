package tasks

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/hashline/hashline/pipeline"
)

// location is a Redis: one server, one that Sentinels name, or a Cluster.
type location struct {
	name    string // what of the URL may be printed
	kind    string // "", "sentinel" or "cluster"
	addrs   []string
	options *redis.Options // of its servers
	master  string         // what the Sentinels call it
	access  access
}

// access is how to get in, as the URL or options of Dial say it.
type access struct {
	prefix             string
	username, password string // of the servers
	sentinelUsername   string
	sentinelPassword   string
	ca, cert, key      string // files
	tls                *tls.Config
}

// wantURL lists what Dial takes.
const wantURL = "want redis://host:port/db, unix:///path, redis-sentinel://host1,host2/db?master=NAME or redis-cluster://host1,host2; rediss instead of redis for TLS"

const wantEscapes = "in a user or password, / ? # @ are written as %%2F %%3F %%23 %%40"

func badURL(format string, args ...any) *pipeline.Error {
	return (&pipeline.Error{Class: pipeline.ClassUsage, Message: "the Redis URL is not valid: " + fmt.Sprintf(format, args...)}).WithHint(wantURL)
}

// parseLocation reads a URL of Dial. What it complains of holds no password.
func parseLocation(text string, a access) (*location, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, badURL("it has no scheme")
	}
	scheme, kind, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(scheme), "+", "-"), "-")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	authority, tail := rest[:end], rest[end:]
	path, _, _ := strings.Cut(tail, "?")
	if strings.Contains(path, "@") && !strings.Contains(authority, "@") && scheme != "unix" {
		return nil, badURL("a character of its user or password is not escaped").WithHint(wantEscapes)
	}
	user, hosts := "", authority
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		user, hosts = authority[:at+1], authority[at+1:]
	}
	l := &location{kind: kind, addrs: strings.Split(hosts, ","), access: a}
	if err := l.checkKind(scheme); err != nil {
		return nil, err
	}
	u, err := url.Parse(scheme + "://" + user + l.addrs[0] + tail)
	if err != nil {
		return nil, badURL("it cannot be parsed").WithHint(wantEscapes + "; " + wantURL)
	}
	l.name = strings.ToLower(text[:strings.Index(text, "://")]) + "://" + hosts + u.Path
	return l, l.read(u)
}

// checkKind knows the schemes, and gives every host a port.
func (l *location) checkKind(scheme string) error {
	port := "6379"
	switch {
	case scheme == "unix" && l.kind == "":
		return nil
	case scheme != "redis" && scheme != "rediss":
		return badURL("it begins with %.20q", scheme)
	case l.kind == "" && len(l.addrs) > 1:
		return badURL("it names several hosts").WithHint("those of a Cluster follow redis-cluster://, Sentinels redis-sentinel://")
	case l.kind == "sentinel":
		port = "26379"
	case l.kind != "" && l.kind != "cluster":
		return badURL("it begins with %.20q", scheme+"-"+l.kind)
	}
	for i, a := range l.addrs {
		host, number, err := net.SplitHostPort(a)
		if err != nil {
			host, number = strings.Trim(a, "[]"), port
		}
		if host == "" && l.kind == "" {
			host = "localhost" // as go-redis has it
		}
		if host == "" {
			return badURL("a host has no name")
		}
		l.addrs[i] = net.JoinHostPort(host, number)
	}
	return nil
}

// read takes what is ours from the URL and gives the rest to go-redis.
func (l *location) read(u *url.URL) error {
	q := u.Query()
	take := func(to *string, names ...string) {
		for _, name := range names {
			if v := q.Get(name); v != "" {
				*to = v
			}
			q.Del(name)
		}
	}
	var server string
	take(&l.access.prefix, "prefix")
	take(&l.access.ca, "ca")
	take(&l.access.cert, "cert")
	take(&l.access.key, "key")
	take(&server, "server_name")
	if l.kind == "sentinel" {
		take(&l.master, "master", "master_name")
		take(&l.access.sentinelUsername, "sentinel_username")
		take(&l.access.sentinelPassword, "sentinel_password")
		if name, db, _ := strings.Cut(strings.Trim(u.Path, "/"), "/"); name != "" && !isNumber(name) { // redis+sentinel://hosts/NAME/DB, as Python has it
			l.master, u.Path = name, "/"+db
		}
		if l.master == "" {
			return badURL("it does not say which master its Sentinels watch").WithHint("add ?master=NAME")
		}
	}
	if l.kind == "cluster" && strings.Trim(u.Path, "/0") != "" {
		return badURL("a Cluster has database 0 alone")
	}
	u.RawQuery = q.Encode()
	var err error
	if l.options, err = redis.ParseURL(u.String()); err != nil {
		return badURL("%s", strings.TrimPrefix(err.Error(), "redis: "))
	}
	if l.kind == "" && u.Scheme != "unix" {
		l.options.Addr = l.addrs[0]
	}
	return l.complete(server)
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}

// dialTimeout is how long an unreachable Redis may keep a command waiting.
const dialTimeout = 4 * time.Second

// poolSize bounds the connections of a process to a server. They are made when they are needed; everyone who watches
// holds one.
const poolSize = 128

// complete sets what is the same for all URLs.
func (l *location) complete(server string) error {
	o := l.options
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = dialTimeout, 10*time.Second, 10*time.Second
	o.ContextTimeoutEnabled = true // else a server that accepts and is silent costs ReadTimeout
	o.MaxRetries = 1
	o.PoolSize = poolSize
	if o.Username == "" && o.Password == "" {
		o.Username, o.Password = l.access.username, l.access.password
	}
	if l.access.tls != nil {
		o.TLSConfig = l.access.tls.Clone()
	}
	return l.secure(server)
}

// secure gives TLS its certificates.
func (l *location) secure(server string) error {
	a, t := l.access, l.options.TLSConfig
	if t == nil {
		if a.ca+a.cert+a.key+server != "" {
			return usageOf("certificates are given, but the Redis URL asks for no TLS", "begin it with rediss instead of redis")
		}
		return nil
	}
	if a.tls == nil {
		t.ServerName = server // "": that of each server's address
	}
	t.MinVersion = max(t.MinVersion, tls.VersionTLS12)
	if a.ca != "" {
		pem, err := os.ReadFile(a.ca)
		if err != nil {
			return usageOf("the CA of Redis cannot be read: "+reason(err), "want a file with certificates as PEM")
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return usageOf("the CA of Redis, "+a.ca+", holds no certificate", "want a file with certificates as PEM")
		}
	}
	if a.cert+a.key == "" {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(a.cert, a.key)
	if err != nil {
		return usageOf("the client certificate for Redis cannot be read: "+reason(err), "want cert=FILE and key=FILE, both as PEM")
	}
	t.Certificates = []tls.Certificate{pair}
	return nil
}

func usageOf(message, hint string) error {
	return &pipeline.Error{Class: pipeline.ClassUsage, Message: message, Hint: hint}
}

// reason is an error of the file system without its operation.
func reason(err error) string {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Path + ": " + path.Err.Error()
	}
	return err.Error()
}

// client makes a client; it connects when it is used.
func (l *location) client() redis.UniversalClient {
	o := *l.options
	switch l.kind {
	case "sentinel":
		return redis.NewFailoverClient(&redis.FailoverOptions{MasterName: l.master, SentinelAddrs: l.addrs, SentinelUsername: l.access.sentinelUsername, SentinelPassword: l.access.sentinelPassword,
			ClientName: o.ClientName, Protocol: o.Protocol, Username: o.Username, Password: o.Password, DB: o.DB, MaxRetries: o.MaxRetries, DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout,
			WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: true, PoolSize: o.PoolSize, TLSConfig: o.TLSConfig, DisableIdentity: o.DisableIdentity})
	case "cluster":
		return redis.NewClusterClient(&redis.ClusterOptions{Addrs: l.addrs, ClientName: o.ClientName, Protocol: o.Protocol, Username: o.Username, Password: o.Password, DialTimeout: o.DialTimeout,
			ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, ContextTimeoutEnabled: true, PoolSize: o.PoolSize, TLSConfig: o.TLSConfig, DisableIdentity: o.DisableIdentity})
	}
	return redis.NewClient(&o)
}
