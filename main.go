// Tlstunnel puts TLS around TCP programs that can't speak it.
package main

import (
	_ "embed"
	"os"

	"tlstunnel/internal/cli"
)

//go:embed config.example.toml
var exampleConfig []byte

func main() { os.Exit(cli.Main(os.Args[1:], exampleConfig, os.Stdout, os.Stderr)) }
