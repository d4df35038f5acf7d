// Package hashline holds the sources of the packages that stages are built from, for the code fingerprints of their
// kinds (see pipeline.Code), and the outside modules that each reaches.
package hashline

import "embed"

// Module is the path of the module.
const Module = "github.com/hashline/hashline"

// Sources are the Go files of every package that a stage kind can be built from. Test files are left out of fingerprints.
//
//go:embed artifact/*.go pipeline/*.go ml/*/*.go stages/*.go stages/*/*.go stages/*/*/*.go
var Sources embed.FS

// Modules has a line for each of these packages: its path, then the modules outside this one that it reaches. A test
// holds it to `go list -deps`, and writes it anew with -update.
//
//go:embed modules.txt
var Modules string
