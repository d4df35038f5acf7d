package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/graph"
	"gonum.org/v1/gonum/graph/encoding"
	"gonum.org/v1/gonum/graph/encoding/dot"
	"gonum.org/v1/gonum/graph/simple"

	"github.com/hashline/hashline/artifact"
	"github.com/hashline/hashline/monitor"
	"github.com/hashline/hashline/pipeline"
	"github.com/hashline/hashline/sample"
	"github.com/hashline/hashline/stages"
)

func (a *app) graphCommand() *cobra.Command {
	var o pipelineOptions
	var format string
	c := &cobra.Command{
		Use: "graph", Short: "Draw the plan that a pipeline makes, as text or DOT", Args: cobra.NoArgs,
		Example: "  producer graph --models random_forest\n  producer graph --format dot | dot -Tsvg > plan.svg",
		RunE: func(*cobra.Command, []string) error {
			var err error
			spec := stages.Default()
			if o.file != "" {
				if spec, err = o.readFile(); err != nil {
					return err
				}
			}
			if spec, err = o.apply(spec, nil); err != nil {
				return err
			}
			if spec.Target == "" {
				spec.Target = stages.SuperstoreTarget
			}
			plan, err := spec.Build(artifact.Ref{Digest: artifact.DigestOf(nil)})
			if err != nil {
				return err
			}
			switch format {
			case "text":
				return graphText(a.out, plan)
			case "dot":
				return graphDOT(a.out, plan)
			}
			return usage("--format %.40q is none", format).WithHint("want text or dot")
		},
	}
	o.flags(c)
	c.Flags().StringVar(&format, "format", "text", "`format`: text or dot")
	return c
}

func graphText(w io.Writer, p *pipeline.Plan) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STAGE\tKIND\tNEEDS")
	for _, s := range p.Stages {
		needs := strings.Join(s.Upstream(), ", ")
		if needs == "" {
			needs = "the input file"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", s.Name, s.Kind, needs)
	}
	return t.Flush()
}

// dotNode is a stage in DOT.
type dotNode struct {
	graph.Node
	stage pipeline.Stage
}

func (n dotNode) DOTID() string { return `"` + n.stage.Name + `"` }

func (n dotNode) Attributes() []encoding.Attribute {
	return []encoding.Attribute{{Key: "shape", Value: "box"}, {Key: "style", Value: "rounded"}}
}

func graphDOT(w io.Writer, p *pipeline.Plan) error {
	g := simple.NewDirectedGraph()
	nodes := map[string]dotNode{}
	for i, s := range p.Stages {
		n := dotNode{simple.Node(i), s}
		nodes[s.Name] = n
		g.AddNode(n)
	}
	for _, s := range p.Stages {
		for _, up := range s.Upstream() {
			g.SetEdge(simple.Edge{F: nodes[up], T: nodes[s.Name]})
		}
	}
	b, err := dot.Marshal(g, "hashline", "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(w, strings.Replace(string(b), "{\n", "{\n  rankdir=LR;\n", 1))
	return err
}

func (a *app) initCommand() *cobra.Command {
	var file string
	var force bool
	c := &cobra.Command{
		Use: "init [FILE]", Short: "Write a pipeline file that explains every field", Args: cobra.MaximumNArgs(1),
		Example: "  producer init\n  producer init sales.yaml",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				if c.Flags().Changed("output") {
					return usage("init writes one file, and %.60q and --output name one each", args[0]).WithHint("leave one out")
				}
				file = args[0]
			}
			if file == "-" {
				_, err := a.out.Write(stages.Commented())
				return err
			}
			flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
			if force {
				flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
			}
			f, err := os.OpenFile(file, flags, 0o644)
			if errors.Is(err, os.ErrExist) {
				return usage("%s exists already", file).WithHint("--force overwrites it, -o FILE writes another")
			}
			if err != nil {
				return usage("%v", err)
			}
			_, err = f.Write(stages.Commented())
			if err = errors.Join(err, f.Close()); err != nil {
				return usage("%v", err)
			}
			fmt.Fprintf(a.err, "wrote %s; run it with: producer submit FILE --pipeline %s\n", file, file)
			return nil
		},
	}
	c.Flags().StringVarP(&file, "output", "o", "pipeline.yaml", "`file` to write, as FILE; - for standard output")
	c.Flags().BoolVar(&force, "force", false, "overwrite an existing file")
	return c
}

func (a *app) sampleCommand() *cobra.Command {
	var rows int64
	var seed uint64
	var file string
	var licence bool
	c := &cobra.Command{
		Use:   "sample",
		Short: "Write the Superstore data, or with --rows a larger file of its shape",
		Long: `Sample writes the Superstore data that this program carries, 9,994 rows. With --rows it writes a larger, made-up file of
the same columns and relations, with the blemishes of real files; the same rows and seed give the same file anywhere.`,
		Example: "  producer sample -o superstore.csv\n  producer sample --rows 1000000 --seed 7 | producer submit -",
		Args:    cobra.NoArgs, Annotations: map[string]string{handlesSignals: "yes"},
		RunE: func(c *cobra.Command, _ []string) error {
			if licence {
				_, err := io.WriteString(a.out, sample.Licence())
				return err
			}
			if c.Flags().Changed("rows") && rows < 1 {
				return usage("--rows is %d", rows).WithHint("want at least 1")
			}
			w, closeIt, err := a.outFile(file)
			if err != nil {
				return err
			}
			ctx, stop := a.interruptible(c.Context())
			defer stop()
			if c.Flags().Changed("rows") {
				err = sample.Generate(ctx, w, rows, seed)
			} else {
				var data []byte
				if data, err = sample.Superstore(); err == nil {
					_, err = w.Write(data)
				}
			}
			return interrupted(ctx, errors.Join(err, closeIt()))
		},
	}
	c.Flags().Int64Var(&rows, "rows", 0, "`number` of rows to make up")
	c.Flags().Uint64Var(&seed, "seed", 42, "`number` that decides them")
	c.Flags().StringVarP(&file, "output", "o", "-", "`file` to write, - for standard output")
	c.Flags().BoolVar(&licence, "licence", false, "print the licence of the data instead")
	return c
}

func (a *app) outFile(name string) (io.Writer, func() error, error) {
	if name == "-" {
		return a.out, func() error { return nil }, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, nil, usage("--output: %v", err)
	}
	return f, f.Close, nil
}

func (a *app) monitorCommand() *cobra.Command {
	var address string
	c := &cobra.Command{
		Use:   "monitor --redis URL",
		Short: "Serve asynq's web monitor for the queue, read-only, on this machine",
		Long: `Monitor serves asynq's web monitor: queues, tasks and workers as they are. It answers on this machine alone, to a
browser that names it localhost or 127.0.0.1, changes nothing, and ends at Ctrl-C. It prints its address on standard
output.`,
		Example: "  producer monitor --redis redis://localhost:6379/0\n  producer monitor --redis redis://localhost:6379/0 --listen 127.0.0.1:0",
		Args:    cobra.NoArgs, Annotations: map[string]string{handlesSignals: "yes"},
		RunE: func(c *cobra.Command, _ []string) error {
			if a.redis == "" {
				return usage("monitor needs --redis").WithHint("a run without Redis keeps its queue in its own process, where no other can look; `producer show RUN` shows it")
			}
			host, _, err := net.SplitHostPort(address)
			if ip := net.ParseIP(host); err != nil || (host != "localhost" && (ip == nil || !ip.IsLoopback())) {
				return usage("--listen %.60q is no address of this machine alone", address).WithHint("want 127.0.0.1:PORT; reach it from elsewhere through an SSH tunnel")
			}
			return a.serveMonitor(c.Context(), address)
		},
	}
	c.Flags().StringVar(&address, "listen", "127.0.0.1:8383", "`address` to serve on; port 0 picks a free one")
	return c
}

func (a *app) serveMonitor(ctx context.Context, address string) error {
	conn, err := a.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return usage("--listen: %v", err).WithHint("choose another port")
	}
	h, closeMonitor := monitor.Handler(conn.AsynqOptions())
	defer closeMonitor()
	server := monitor.Server(h)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	fmt.Fprintf(a.out, "http://%s/\n", l.Addr())
	select {
	case err := <-failed:
		return err
	case <-a.signals:
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil && !errors.Is(err, http.ErrServerClosed) {
		return server.Close()
	}
	return nil
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version of the program, its libraries and its stages' code", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			registry, err := newRegistry()
			if err != nil {
				return err
			}
			code := map[string]string{}
			for _, k := range registry.Names() {
				if code[k], err = registry.Fingerprint(k); err != nil {
					return err
				}
			}
			v := versions()
			if asJSON {
				return writeJSON(a.out, map[string]any{"schema": "hashline.version/1", "versions": v, "code": code, "revision": revision()})
			}
			t := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
			for _, m := range []map[string]string{v, code} {
				for _, n := range slices.Sorted(maps.Keys(m)) {
					fmt.Fprintf(t, "%s\t%s\n", n, m[n])
				}
			}
			return t.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

// revision is the commit that the program was built from, if the build knew it.
func revision() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return s.Value
		}
	}
	return ""
}
