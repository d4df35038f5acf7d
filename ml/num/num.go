// Package num is arithmetic that gives the same bits on every machine.
//
// Go may fuse x*y + z into one rounding on arm64 and others, and math.Exp and friends use what the processor offers. So
// everything that feeds a result is computed with the functions here, every product that meets a sum is written
// float64(x*y), and sums over rows have an order that depends on the number of rows alone.
package num

import (
	"math"
	"strconv"
)

// Float is a float64 whose JSON is null where it is undefined (NaN or infinite) and the shortest exact text otherwise.
type Float float64

// MarshalJSON implements json.Marshaler.
func (f Float) MarshalJSON() ([]byte, error) {
	v := float64(f)
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
}

// UnmarshalJSON implements json.Unmarshaler; null gives NaN.
func (f *Float) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*f = Float(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(b), 64)
	*f = Float(v)
	return err
}

// Defined reports whether the value is a finite number.
func (f Float) Defined() bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }

// lanes is the number of partial sums. It is a constant of the format of results: another number, other bits.
const lanes = 64

// Sum adds v in 64 lanes by index modulo 64, then the lanes in order.
func Sum(v []float64) float64 {
	var s [lanes]float64
	i := 0
	for ; i+lanes <= len(v); i += lanes {
		block := v[i : i+lanes : i+lanes]
		for l := range lanes {
			s[l] += block[l]
		}
	}
	for l := 0; i < len(v); i, l = i+1, l+1 {
		s[l] += v[i]
	}
	total := 0.0
	for _, x := range s {
		total += x
	}
	return total
}

// Mean is the mean of finite numbers, which is finite though their sum may not be.
func Mean(v []float64) float64 {
	if sum := Sum(v); !math.IsInf(sum, 0) && !math.IsNaN(sum) {
		return sum / float64(len(v))
	}
	parts := make([]float64, len(v))
	for i, x := range v {
		parts[i] = x / float64(len(v))
	}
	return Sum(parts)
}

// Dot is the Sum of the products.
func Dot(a, b []float64) float64 {
	var s [lanes]float64
	i := 0
	for ; i+lanes <= len(a); i += lanes {
		x, y := a[i:i+lanes:i+lanes], b[i:i+lanes:i+lanes]
		for l := range lanes {
			s[l] += float64(x[l] * y[l])
		}
	}
	for l := 0; i < len(a); i, l = i+1, l+1 {
		s[l] += float64(a[i] * b[i])
	}
	total := 0.0
	for _, x := range s {
		total += x
	}
	return total
}
