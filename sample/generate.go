package sample

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/hashline/hashline/ml/num"
)

// Columns of the data.
const (
	colOrderID = 1
	colShip    = 4
	colState   = 10
	colPostal  = 11
	colSales   = 17
	columns    = 21
)

// unit is the number of money's smallest steps in one: the data has up to four decimals.
const unit = 10_000

// line is one real order line, taken apart.
type line struct {
	customer string // customer id, name and segment, as written
	place    string // country to postal code
	region   string // as written, with its comma
	bare     string // country to state, without the postal code
	product  string // product id to product name
	mode     string
	sales    int64 // in units, for the line's quantity
	profit   int64
	quantity int64
	discount string
	ship     int // days from order to shipping
	state    int // index into book.states
	country  string
}

// book is the real data as a source of lines.
type book struct {
	lines  []line
	states [][]int32 // the lines of each state
}

func newBook() (*book, error) {
	data, err := Superstore()
	if err != nil {
		return nil, err
	}
	records, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("the data in the program is damaged: %w", err)
	}
	b := &book{}
	byState := map[string]int{}
	for _, r := range records[1:] {
		l, err := newLine(r)
		if err != nil {
			return nil, fmt.Errorf("the data in the program is damaged: %w", err)
		}
		s, ok := byState[r[colState]]
		if !ok {
			s = len(b.states)
			byState[r[colState]] = s
			b.states = append(b.states, nil)
		}
		l.state = s
		b.states[s] = append(b.states[s], int32(len(b.lines)))
		b.lines = append(b.lines, l)
	}
	return b, nil
}

func newLine(r []string) (line, error) {
	l := line{mode: quoted(r[4]), customer: quoted(r[5]) + "," + quoted(r[6]) + "," + quoted(r[7]), bare: quoted(r[8]) + "," + quoted(r[9]) + "," + quoted(r[10]) + ",",
		region: "," + quoted(r[12]) + ",", product: quoted(r[13]) + "," + quoted(r[14]) + "," + quoted(r[15]) + "," + quoted(r[16]) + ",", discount: r[19], country: r[colOrderID][:2]}
	l.place = l.bare + r[colPostal]
	ordered, err := time.Parse(time.DateOnly, r[2])
	if err != nil {
		return l, err
	}
	shipped, err := time.Parse(time.DateOnly, r[3])
	if err != nil {
		return l, err
	}
	l.ship = int(shipped.Sub(ordered).Hours() / 24)
	if l.sales, err = money(r[17]); err != nil {
		return l, err
	}
	if l.quantity, err = strconv.ParseInt(r[18], 10, 64); err != nil {
		return l, err
	}
	l.profit, err = money(r[20])
	return l, err
}

func quoted(s string) string {
	var b bytes.Buffer
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' {
			b.WriteByte('"')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// money reads a decimal number as units.
func money(s string) (int64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if f < 0 {
		return -int64(float64(-f*unit) + 0.5), err
	}
	return int64(float64(f*unit) + 0.5), err
}

// appendMoney writes units as a decimal number without trailing zeros.
func appendMoney(b []byte, v int64) []byte {
	if v < 0 {
		b = append(b, '-')
		v = -v
	}
	b = strconv.AppendInt(b, v/unit, 10)
	if rest := v % unit; rest > 0 {
		b = append(b, '.', byte('0'+rest/1000), byte('0'+rest/100%10), byte('0'+rest/10%10), byte('0'+rest%10))
		for b[len(b)-1] == '0' {
			b = b[:len(b)-1]
		}
	}
	return b
}

// days of the calendar that orders fall on: four years, as in the data.
const (
	firstYear = 2014
	allDays   = 1461
)

// Generate writes a table of the data's shape: the same columns, orders of several lines, places with their discounts,
// products with their prices and margins, and the blemishes of real files: missing values in several spellings, stray
// spaces, repeated rows. It is a function of rows and seed on any machine, and needs no more memory for more rows.
func Generate(ctx context.Context, w io.Writer, rows int64, seed uint64) error {
	if rows < 1 {
		return fmt.Errorf("%d rows: want at least 1", rows)
	}
	b, err := newBook()
	if err != nil {
		return err
	}
	g := generator{book: b, rng: num.NewRNG(seed, 0x73616d706c65), w: bufio.NewWriterSize(w, 256<<10)}
	for d := range allDays {
		g.dates = append(g.dates, time.Date(firstYear, 1, 1+d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	for d := range 31 { // shipping may reach into the next year
		g.dates = append(g.dates, time.Date(firstYear+4, 1, 1+d, 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	if _, err := g.w.WriteString(`"Row ID","Order ID","Order Date","Ship Date","Ship Mode","Customer ID","Customer Name","Segment","Country","City","State","Postal Code","Region","Product ID","Category","Sub-Category","Product Name","Sales","Quantity","Discount","Profit"` + "\n"); err != nil {
		return err
	}
	for g.written < rows {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := g.order(rows); err != nil {
			return err
		}
	}
	return g.w.Flush()
}

// generator writes one order after the other.
type generator struct {
	*book
	rng     *num.RNG
	w       *bufio.Writer
	dates   []string
	row     []byte
	head    []byte
	written int64
	rowID   int64
	orders  int64
}

// oneIn is true once in n times.
func (g *generator) oneIn(n int) bool { return g.rng.Intn(n) == 0 }

// order writes the lines of one order, at most up to the wanted number of rows.
func (g *generator) order(rows int64) error {
	place, who := &g.lines[g.rng.Intn(len(g.lines))], &g.lines[g.rng.Intn(len(g.lines))]
	day := g.rng.Intn(allDays)
	g.orders++
	h := append(g.head[:0], `,"`...)
	h = append(append(h, place.country...), '-')
	h = append(append(h, g.dates[day][:4]...), '-')
	h = append(strconv.AppendInt(h, 100_000+g.orders, 10), `",`...)
	h = append(append(h, g.dates[day]...), ',')
	if !g.oneIn(700) { // some were never shipped
		h = append(h, g.dates[day+place.ship]...)
	}
	h = append(append(h, ','), place.mode...)
	h = append(append(h, ','), who.customer...)
	h = append(h, ',')
	g.head = h
	for range g.lineCount() {
		if g.written >= rows {
			return nil
		}
		if err := g.line(place, rows); err != nil {
			return err
		}
	}
	return nil
}

// lineCount is the number of lines of an order: two on average, as in the data.
func (g *generator) lineCount() int {
	n := 1
	for n < 14 && g.rng.Intn(2) == 0 {
		n++
	}
	return n
}

// line writes a line of a product sold in the same state, with another quantity, price and margin.
func (g *generator) line(place *line, rows int64) error {
	local := g.states[place.state]
	l := &g.lines[local[g.rng.Intn(len(local))]]
	quantity := l.quantity
	if g.oneIn(2) {
		quantity = int64(1 + g.rng.Intn(7))
	}
	price := int64(950 + g.rng.Intn(101)) // per mille
	sales := max(1, l.sales*quantity/l.quantity*price/1000)
	profit := l.profit*quantity/l.quantity*price/1000 + sales*int64(g.rng.Intn(41)-20)/1000
	g.rowID++
	b := strconv.AppendInt(g.row[:0], g.rowID, 10)
	b = append(b, g.head...)
	switch {
	case g.oneIn(300):
		b = append(b, place.bare...) // no postal code
	case g.oneIn(900):
		b = append(append(b, place.bare...), "N/A"...)
	case g.oneIn(500):
		b = append(append(b, place.place...), ' ')
	default:
		b = append(b, place.place...)
	}
	b = append(append(b, place.region...), l.product...)
	b = append(appendMoney(b, sales), ',')
	if !g.oneIn(1500) {
		b = strconv.AppendInt(b, quantity, 10)
	}
	b = append(append(b, ','), l.discount...)
	b = append(appendMoney(append(b, ','), profit), '\n')
	g.row = b
	copies := int64(1)
	if g.oneIn(2000) {
		copies = 2
	}
	for range min(copies, rows-g.written) {
		if _, err := g.w.Write(b); err != nil {
			return err
		}
		g.written++
	}
	return nil
}
