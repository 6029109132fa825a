// Package cli is the command line. Each command has a file. The answer of a command goes to
// stdout. Everything else goes to stderr, each line with the prefix "tlstunnel:", in lower case
// and without a full stop. The exit codes are 0 for done, 1 for failed and 2 for wrong usage.
// The command status has more.
package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tlstunnel/internal/config"
	"tlstunnel/internal/quote"
	"tlstunnel/internal/version"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// app is what the commands share. The writers stdout and stderr quote what goes through them:
// names, answers and errors may have text from outside.
type app struct {
	stdout, stderr io.Writer
	console        io.Writer // stderr itself, for the log
	example        []byte    // the commented config that init writes
	configFile     string
	configGiven    bool // by the flag
	json           bool
	parsed         bool // the command line has no mistake: a later error isn't wrong usage
}

// Main runs the command line args, without the program's name, and returns the
// exit code. The example is the config that init writes.
func Main(args []string, example []byte, stdout, stderr io.Writer) int {
	keepOutOfCores()
	a := &app{stdout: quote.Writer(stdout), stderr: quote.Writer(stderr), console: stderr, example: example}
	root := a.rootCommand()
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	cmd, err := root.ExecuteC()
	code, coded := errors.AsType[exitError](err)
	switch {
	case err == nil:
		return 0
	case coded:
		return int(code)
	case !a.parsed:
		a.complain(err)
		a.hint(helpFor(cmd))
		return 2
	default:
		a.complain(err)
		return 1
	}
}

// helpFor says which help explains how to use cmd.
func helpFor(cmd *cobra.Command) string {
	if cmd.HasAvailableSubCommands() {
		return fmt.Sprintf("`%s --help` lists the commands", cmd.CommandPath())
	}
	return fmt.Sprintf("`%s --help` explains it, with examples", cmd.CommandPath())
}

// oneArg returns an error unless there is exactly one argument.
func oneArg(cmd *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return fmt.Errorf("this command needs one argument, and got %d: `%s`", len(args), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
}

// exitError is the exit code of a command whose answer has already said why.
type exitError int

func (exitError) Error() string { return "failed, as reported" }

const errReported exitError = 1

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tlstunnel",
		Short: "TLS around TCP programs that can't speak it",
		Long: `tlstunnel puts TLS around TCP programs that can't speak it: DICOM, HL7, Modbus,
databases, servers of your own. It reads one TOML file with tunnels. Its first run
makes a CA and a server certificate of its own.`,
		Example: `  tlstunnel demo      # see it work, on this machine, in one second
  tlstunnel init      # write a commented config and make the certificates
  tlstunnel check     # find every mistake in the config
  tlstunnel run       # serve
  tlstunnel install   # as a service of this machine`,
		Version:       version.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate(builtFrom().text())
	root.PersistentPreRun = func(*cobra.Command, []string) {
		a.parsed, a.configGiven = true, root.PersistentFlags().Changed("config")
	}
	root.PersistentFlags().StringVar(&a.configFile, "config", config.DefaultPaths().Config, "the config `file`")
	root.AddCommand(a.runCommand(), a.demoCommand(), a.benchCommand(), a.checkCommand(), a.initCommand(), a.pathsCommand(), a.versionCommand(),
		a.installCommand(), a.uninstallCommand(), a.startCommand(), a.stopCommand(), a.restartCommand(),
		a.reloadCommand(), a.statusCommand(), a.caCommand(), a.certCommand(), a.csrCommand())
	return root
}

// group makes parent a command that only holds others. Using it alone is wrong usage.
func group(parent *cobra.Command, commands ...*cobra.Command) *cobra.Command {
	parent.Args = func(cmd *cobra.Command, args []string) error {
		if err := cobra.NoArgs(cmd, args); err != nil {
			return err
		}
		return fmt.Errorf("say what to do: `%s` needs a command", cmd.CommandPath())
	}
	parent.RunE = func(*cobra.Command, []string) error { return nil } // without RunE, cobra doesn't check Args
	parent.AddCommand(commands...)
	return parent
}

// addJSON gives cmd the flag for answers that a program can read.
func (a *app) addJSON(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.json, "json", false, "answer in JSON")
	return cmd
}

// loadConfig reads the config. The error has a line for each mistake in it. The config may be there
// in spite of an error. The problems include the warnings.
func (a *app) loadConfig() (*config.Config, config.Problems, error) {
	if err := a.forgotSudo(); err != nil {
		return nil, nil, err
	}
	return loadFile(a.configFile)
}

// loadForCA is loadConfig for commands that need our own CA. If the CA was there before and is gone,
// it returns the same error as a start of the service.
func (a *app) loadForCA() (*config.Config, error) {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	return cfg, pki.Lost(cfg.PKI.Dir, compile.Marks(cfg))
}

func loadFile(file string) (*config.Config, config.Problems, error) {
	cfg, problems, err := config.Load(file)
	if err == nil {
		err = problems.Err()
	}
	return cfg, problems, err
}

// complain writes each line of err to stderr.
func (a *app) complain(err error) {
	for line := range strings.Lines(err.Error()) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(a.stderr, "tlstunnel: %s\n", line)
		}
	}
}

func (a *app) hint(text string) { fmt.Fprintf(a.stderr, "tlstunnel: hint: %s\n", quote.Text(text)) }

func (a *app) answerJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isInteractive reports whether w is a terminal.
func isInteractive(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
