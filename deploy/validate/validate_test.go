// Package validate decodes the manifests strictly and holds the pods to the "restricted" security profile.
//
// It is a module of its own: the product does not need Kubernetes' libraries.
package validate

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	psapi "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

func scheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, batchv1.AddToScheme, corev1.AddToScheme, networkingv1.AddToScheme,
	} {
		if err := add(s); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// manifests decodes every document of the files, refusing unknown and repeated fields.
func manifests(t *testing.T, files []string) []runtime.Object {
	t.Helper()
	s := scheme(t)
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, s, s, json.SerializerOptions{Yaml: true, Strict: true})
	var objects []runtime.Object
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		docs := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(b)))
		for i := 0; ; i++ {
			doc, err := docs.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s, document %d: %v", file, i, err)
			}
			object, _, err := decoder.Decode(doc, nil, nil)
			if err != nil {
				t.Fatalf("%s, document %d: %v", file, i, err)
			}
			objects = append(objects, object)
		}
	}
	return objects
}

// base lists the files that the kustomization names; a file it forgets would never be applied.
func base(t *testing.T) []string {
	t.Helper()
	dir := filepath.Join("..", "base")
	b, err := os.ReadFile(filepath.Join(dir, "kustomization.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var k struct {
		metav1.TypeMeta `json:",inline"`
		Namespace       string   `json:"namespace"`
		Resources       []string `json:"resources"`
		Labels          []struct {
			Pairs map[string]string `json:"pairs"`
		} `json:"labels"`
		Images []struct {
			Name    string `json:"name"`
			NewName string `json:"newName"`
			NewTag  string `json:"newTag"`
		} `json:"images"`
	}
	if err := yaml.UnmarshalStrict(b, &k); err != nil {
		t.Fatalf("kustomization.yaml: %v", err)
	}
	present, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, r := range k.Resources {
		files = append(files, filepath.Join(dir, r))
	}
	for _, p := range present {
		if filepath.Base(p) != "kustomization.yaml" && !slices.Contains(files, p) {
			t.Errorf("%s is not among the resources of kustomization.yaml", p)
		}
	}
	return files
}

func TestBaseDecodesStrictly(t *testing.T) {
	kinds := map[string]int{}
	for _, o := range manifests(t, base(t)) {
		kinds[o.GetObjectKind().GroupVersionKind().Kind]++
	}
	for _, want := range []string{"Namespace", "Deployment", "StatefulSet", "Service", "PersistentVolumeClaim", "NetworkPolicy"} {
		if kinds[want] == 0 {
			t.Errorf("the base has no %s", want)
		}
	}
}

// The overlay with the store in a bucket still fits the base. The library behind `kubectl kustomize` puts it together:
// Debian 12's kubectl has one of 2018, which does not understand the overlay.
func TestBucketOverlay(t *testing.T) {
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join("..", "s3"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "s3.yaml")
	if err := os.WriteFile(file, out, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, o := range manifests(t, []string{file}) {
		if kind := o.GetObjectKind().GroupVersionKind().Kind; kind == "PersistentVolumeClaim" {
			t.Errorf("a %s is left", kind)
		}
	}
	if !bytes.Contains(out, []byte("--store=s3://")) || bytes.Contains(out, []byte("claimName")) {
		t.Errorf("the workers' store is no bucket:\n%s", out)
	}
}

func TestExamplesDecodeStrictly(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("..", "examples", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	manifests(t, files)
}

func TestPodsMeetTheRestrictedProfile(t *testing.T) {
	examples, err := filepath.Glob(filepath.Join("..", "examples", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	pods := 0
	for _, o := range manifests(t, append(base(t), examples...)) {
		name, meta, spec := podOf(o)
		if spec == nil {
			continue
		}
		pods++
		level := psapi.LevelVersion{Level: psapi.LevelRestricted, Version: psapi.LatestVersion()}
		for _, r := range evaluator.EvaluatePod(level, meta, spec) {
			if !r.Allowed {
				t.Errorf("%s: %s: %s", name, r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		for _, c := range spec.Containers {
			if c.SecurityContext == nil || c.SecurityContext.ReadOnlyRootFilesystem == nil || !*c.SecurityContext.ReadOnlyRootFilesystem {
				t.Errorf("%s: container %s may write its root file system", name, c.Name)
			}
			if c.Resources.Limits.Memory().IsZero() {
				t.Errorf("%s: container %s has no memory limit", name, c.Name)
			}
		}
	}
	if pods < 3 {
		t.Errorf("got %d pod templates, want at least 3", pods)
	}
}

func TestRedisKeepsItsData(t *testing.T) {
	for _, o := range manifests(t, base(t)) {
		s, ok := o.(*appsv1.StatefulSet)
		if !ok {
			continue
		}
		args := s.Spec.Template.Spec.Containers[0].Args
		for flag, want := range map[string]string{"--appendonly": "yes", "--maxmemory-policy": "noeviction"} {
			i := slices.Index(args, flag)
			if i < 0 || i+1 >= len(args) || args[i+1] != want {
				t.Errorf("redis runs with %q, want %s %s", args, flag, want)
			}
		}
		return
	}
	t.Error("the base has no StatefulSet")
}

// podOf returns the pod template of a workload, or a nil spec.
func podOf(o runtime.Object) (string, *metav1.ObjectMeta, *corev1.PodSpec) {
	switch w := o.(type) {
	case *appsv1.Deployment:
		return "deployment " + w.Name, &w.Spec.Template.ObjectMeta, &w.Spec.Template.Spec
	case *appsv1.StatefulSet:
		return "statefulset " + w.Name, &w.Spec.Template.ObjectMeta, &w.Spec.Template.Spec
	case *batchv1.Job:
		return fmt.Sprintf("job %s%s", w.Name, w.GenerateName), &w.Spec.Template.ObjectMeta, &w.Spec.Template.Spec
	}
	return "", nil, nil
}
