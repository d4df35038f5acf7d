package tree

import (
	"encoding/json"
	"testing"

	"github.com/hashline/hashline/ml/num"
)

// The benchmarks have the size of the Superstore data: 8000 rows to learn from, 2000 to judge by.

func BenchmarkFitTree(b *testing.B) {
	columns, y := generate(8000, 2, 1)
	for b.Loop() {
		mustFit(b, FitTree, columns, y, 2, Options{MaxDepth: 10, MinSamplesLeaf: 5, Cores: 2})
	}
}

func BenchmarkFitForest(b *testing.B) {
	for name, classes := range map[string]int{"2 classes": 2, "3 classes": 3, "20 classes": 20} {
		columns, y := generate(8000, classes, 1)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				mustFit(b, FitForest, columns, y, classes, Options{Trees: 100, MinSamplesLeaf: 3, MaxFeatures: 0.5, Cores: 2})
			}
		})
	}
}

func benchForest(b *testing.B) *Ensemble {
	columns, y := generate(8000, 2, 1)
	return mustFit(b, FitForest, columns, y, 2, Options{Trees: 100, MinSamplesLeaf: 3, MaxFeatures: 0.5, Cores: 2})
}

func BenchmarkPredict(b *testing.B) {
	m := benchForest(b)
	columns, _ := generate(2000, 2, 2)
	for b.Loop() {
		mustPredict(b, m, columns...)
	}
}

func BenchmarkPredictPermuted(b *testing.B) {
	m := benchForest(b)
	columns, _ := generate(2000, 2, 2)
	permutations := make([][]int32, 5)
	for r := range permutations {
		permutations[r] = make([]int32, 2000)
		num.NewRNG(1, uint64(r)).Perm(permutations[r])
	}
	for b.Loop() {
		if err := m.PredictPermuted(columns, permutations, 2, func(int, int, []float64) {}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSaveAndLoad(b *testing.B) {
	m := benchForest(b)
	for b.Loop() {
		var loaded Ensemble
		if err := json.Unmarshal(bytesOf(b, m), &loaded); err != nil {
			b.Fatal(err)
		}
	}
}
