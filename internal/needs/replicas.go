package needs

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Sentinels are three Sentinels that watch a master, called main, with two replicas. They replace it a second after its end.
type Sentinels struct {
	Servers   []*Server // the first is the master at the start
	Sentinels []*Server
}

// RedisSentinel starts them, and returns when they know each other. With two passwords, the servers want the first and the
// Sentinels the second.
func RedisSentinel(t testing.TB, passwords ...string) *Sentinels {
	t.Helper()
	var ofServers, ofSentinels string
	var args []string
	if len(passwords) == 2 {
		ofServers, ofSentinels = passwords[0], passwords[1]
		args = []string{"--requirepass", ofServers, "--masterauth", ofServers}
	}
	master := Redis(t, args...)
	host, port, _ := net.SplitHostPort(master.Addr)
	s := &Sentinels{Servers: []*Server{master}}
	for range 2 {
		s.Servers = append(s.Servers, Redis(t, append([]string{"--replicaof", host, port, "--repl-diskless-sync-delay", "0"}, args...)...))
	}
	for _, each := range s.Servers {
		each.pass = ofServers
	}
	master.Await([]string{"connected_slaves:2"}, "INFO", "replication")
	conf := fmt.Sprintf("bind 127.0.0.1\nsentinel monitor main %s %s 2\nsentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n", host, port)
	if ofServers != "" {
		conf += fmt.Sprintf("requirepass %s\nsentinel sentinel-pass %s\nsentinel auth-pass main %s\n", ofSentinels, ofSentinels, ofServers)
	}
	for range 3 {
		s.Sentinels = append(s.Sentinels, sentinel(t, conf, ofSentinels))
	}
	for _, each := range s.Sentinels {
		each.Await([]string{"status=ok", "slaves=2", "sentinels=3"}, "INFO", "sentinel")
	}
	return s
}

func sentinel(t testing.TB, conf, password string) *Server {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "sentinel.conf") // which it writes to
	if err := os.WriteFile(file, []byte(conf+"dir "+dir+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, Dir: dir, pass: password, args: []string{program(t), file, "--sentinel"}, port: "--port", sign: "+monitor"}
	if !s.launch(freeAddr) {
		t.Fatal(s.args, "does not start")
	}
	return s
}

// URL names the master by its Sentinels.
func (s *Sentinels) URL() string {
	return "redis-sentinel://" + addresses(s.Sentinels) + "/0?master=main"
}

// Master returns the server that is the master now.
func (s *Sentinels) Master() *Server {
	answer, err := s.Sentinels[0].CLI("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")
	if err != nil {
		return nil
	}
	for _, each := range s.Servers {
		if each.Addr == strings.ReplaceAll(answer, "\n", ":") {
			return each
		}
	}
	return nil
}

// Cluster is three masters, each with a replica that takes its place about two seconds after its end.
type Cluster struct{ Servers []*Server }

// RedisCluster starts one, and returns when it works and has its replicas.
func RedisCluster(t testing.TB) *Cluster {
	t.Helper()
	c := &Cluster{}
	create := []string{"--cluster", "create", "--cluster-replicas", "1", "--cluster-yes"}
	for range 6 {
		s := start(t, freeBusAddr, "--port", []string{"--save", "", "--cluster-enabled", "yes", "--cluster-node-timeout", "1500", "--repl-diskless-sync-delay", "0"})
		c.Servers = append(c.Servers, s)
		create = append(create, s.Addr)
	}
	if out, err := exec.Command(Tool(t, "redis-cli"), create...).CombinedOutput(); err != nil {
		t.Fatalf("redis-cli %v: %v\n%s", create, err, out)
	}
	for _, s := range c.Servers {
		s.Await([]string{"cluster_state:ok", "cluster_known_nodes:6"}, "CLUSTER", "INFO")
		if strings.Contains(s.role(), "slave") {
			s.Await([]string{"master_link_status:up"}, "INFO", "replication")
		}
	}
	return c
}

func (s *Server) role() string {
	answer, _ := s.CLI("ROLE")
	first, _, _ := strings.Cut(answer, "\n")
	return first
}

// URL names the first servers of the Cluster.
func (c *Cluster) URL() string { return "redis-cluster://" + addresses(c.Servers[:3]) }

// Masters returns the servers that are masters now.
func (c *Cluster) Masters() []*Server {
	var list []*Server
	for _, s := range c.Servers {
		if s.cmd != nil && s.role() == "master" {
			list = append(list, s)
		}
	}
	return list
}

func addresses(servers []*Server) string {
	var list []string
	for _, s := range servers {
		list = append(list, s.Addr)
	}
	return strings.Join(list, ",")
}

// freeBusAddr returns a loopback address that nobody listens on, nor on the port that a Cluster adds to it.
func freeBusAddr(t testing.TB) string {
	t.Helper()
	for range 100 {
		port := 20000 + rand.IntN(10000)
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if free(addr) && free(net.JoinHostPort("127.0.0.1", strconv.Itoa(port+10000))) {
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

func free(addr string) bool {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return false
	}
	return l.Close() == nil
}
