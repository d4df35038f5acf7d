package s3

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/internal/needs"
)

// Credentials are found where the AWS command finds them.
func TestCredentialSources(t *testing.T) {
	server := needs.S3(t)
	role := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{"AccessKeyId": server.AccessKey, "SecretAccessKey": server.Secret, "Code": "Success",
			"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339)})
	}))
	t.Cleanup(role.Close)
	file := filepath.Join(t.TempDir(), "credentials")
	text := "[default]\naws_access_key_id = none\naws_secret_access_key = none\n[team]\naws_access_key_id = " + server.AccessKey + "\naws_secret_access_key = " + server.Secret + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"variables":     {map[string]string{"AWS_ACCESS_KEY_ID": server.AccessKey, "AWS_SECRET_ACCESS_KEY": server.Secret}, true},
		"profile":       {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_PROFILE": "team"}, true},
		"role of a pod": {map[string]string{"AWS_CONTAINER_CREDENTIALS_FULL_URI": role.URL}, true},
		"other profile": {map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file}, false},
		"none":          {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range []string{"AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
				"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"} {
				t.Setenv(v, "")
			}
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
			t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
			for k, v := range c.env {
				t.Setenv(k, v)
			}
			_, err := artifact.Open(t.Context(), "s3://"+server.Name+"/p?endpoint="+server.Endpoint, Scheme)
			if (err == nil) != c.want || err != nil && !errors.Is(err, artifact.ErrUnreachable) {
				t.Errorf("got %v", err)
			}
		})
	}
}
