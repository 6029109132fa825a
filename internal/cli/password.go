package cli

import (
	"errors"
	"fmt"
	"os"
	"os/signal"

	"golang.org/x/term"

	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// newPassword returns the password for a new file.
func (a *app) newPassword(f issueFlags) (string, error) {
	switch {
	case f.generate:
		return pki.GeneratePassword(), nil
	case f.passwordFile != "":
		return certfile.ReadPassword(f.passwordFile)
	case !term.IsTerminal(int(os.Stdin.Fd())):
		return "", errors.New("there is no terminal to ask for the password of the PKCS#12 file: use --password-file FILE or --generate-password")
	}
	password, err := a.askPassword("password for the PKCS#12 file: ")
	if err != nil {
		return "", err
	}
	if password == "" {
		return "", errors.New("the password is empty: nothing was made")
	}
	again, err := a.askPassword("the same again: ")
	if err != nil {
		return "", err
	}
	if again != password {
		return "", errors.New("the two passwords differ: nothing was made")
	}
	return password, nil
}

// showGenerated shows a generated password.
func (a *app) showGenerated(f issueFlags, file string) {
	if f.generate {
		fmt.Fprintf(a.stdout, "password of %s, shown only now: %s\n", file, f.password)
	}
}

// askPassword reads a line from the terminal without echo. Ctrl-C restores the terminal and ends
// the process.
func (a *app) askPassword(prompt string) (string, error) {
	terminal := int(os.Stdin.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return "", fmt.Errorf("asking for the password: %w", err)
	}
	interrupted, done := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(interrupted, os.Interrupt)
	defer signal.Stop(interrupted)
	defer close(done)
	go func() {
		select {
		case <-interrupted:
			term.Restore(terminal, before)
			fmt.Fprintln(a.stderr)
			os.Exit(1)
		case <-done:
		}
	}()
	fmt.Fprint(a.stderr, "tlstunnel: "+prompt)
	password, err := term.ReadPassword(terminal)
	fmt.Fprintln(a.stderr)
	if err != nil {
		return "", fmt.Errorf("asking for the password: %w", err)
	}
	return string(password), nil
}
