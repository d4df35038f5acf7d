package needs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Certificates are files of a CA of one test's own and of what it signed.
type Certificates struct {
	CA                    string
	ServerCert, ServerKey string // for 127.0.0.1 and redis.example
	ClientCert, ClientKey string
}

// NewCertificates makes them.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	dir := t.TempDir()
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA of a test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caKey := newKey(t)
	sign := func(name string, cert *x509.Certificate, key *ecdsa.PrivateKey) (certFile, keyFile string) {
		der, err := x509.CreateCertificate(rand.Reader, cert, ca, &key.PublicKey, caKey)
		if err != nil {
			t.Fatal(err)
		}
		keyDER, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return writePEM(t, filepath.Join(dir, name+".crt"), "CERTIFICATE", der), writePEM(t, filepath.Join(dir, name+".key"), "EC PRIVATE KEY", keyDER)
	}
	leaf := func(serial int64) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "redis.example"}, NotBefore: ca.NotBefore, NotAfter: ca.NotAfter,
			DNSNames: []string{"redis.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	}
	c := &Certificates{}
	c.CA, _ = sign("ca", ca, caKey)
	c.ServerCert, c.ServerKey = sign("server", leaf(2), newKey(t))
	c.ClientCert, c.ClientKey = sign("client", leaf(3), newKey(t))
	return c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, file, kind string, der []byte) string {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// RedisTLS starts a redis-server that speaks TLS alone. Of HASHLINE_REDIS_SERVER that cannot, the test is skipped.
func RedisTLS(t testing.TB, c *Certificates, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, Dir: t.TempDir(), port: "--tls-port", sign: "Ready to accept connections"}
	s.args = append([]string{program(t), "--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--port", "0", "--tls-ca-cert-file", c.CA, "--tls-cert-file", c.ServerCert, "--tls-key-file", c.ServerKey}, args...)
	if s.launch(freeBusAddr) { // it may be one of a Cluster
		return s
	}
	if os.Getenv("HASHLINE_REDIS_SERVER") != "" {
		t.Skip("it was built without TLS, or does not start: ", s.args)
	}
	t.Fatal(s.args, "does not start")
	return nil
}
