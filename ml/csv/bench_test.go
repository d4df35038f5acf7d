package csv_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/hashline/hashline/ml/csv"
	"github.com/hashline/hashline/sample"
)

func BenchmarkReadSuperstore(b *testing.B) {
	data, err := sample.Superstore()
	if err != nil {
		b.Fatal(err)
	}
	src := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, _, err := csv.Read(context.Background(), src, csv.Options{Cores: 2}); err != nil {
			b.Fatal(err)
		}
	}
}
