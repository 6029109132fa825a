package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// maxFile is far above any real config (1 MiB is some 3,000 tunnels) and far
// below the size of a wrong file, for example a log.
const maxFile = 1 << 20

// Load reads the config in file. It returns an error only if the file can't be read. The problems
// have everything that is wrong with its text, sorted, up to 100 errors and 100 warnings. If the
// file isn't TOML, they have only the first mistake. The config can be used if [Problems.Err] is
// nil.
func Load(file string) (*Config, Problems, error) {
	data, err := read(file)
	if err != nil {
		return nil, nil, err
	}
	cfg, problems := Parse(file, data)
	return cfg, problems, nil
}

func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && info.IsDir() {
		return nil, fmt.Errorf("reading config %q: this is a folder; name the file in it, such as %q",
			file, filepath.Join(file, "config.toml"))
	}
	if err == nil && !info.Mode().IsRegular() {
		// Opening a FIFO blocks until another process writes to it. A reload would block the service.
		return nil, fmt.Errorf("reading config %q: it isn't a regular file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, readError(file, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, readError(file, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading config %q: it is larger than 1 MiB; is it the right file?", file)
	}
	return data, nil
}

func readError(file string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		advice = "; `tlstunnel init` writes one, `--config FILE` names another"
	case errors.Is(err, fs.ErrPermission):
		advice = fmt.Sprintf("; run as an administrator (root), or let the user %s read it", userName())
	}
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		err = pathErr.Err // the name is in our message
	}
	return fmt.Errorf("reading config %q: %w%s", file, err, advice)
}

// userName is the user that can't read the file. The message must have it: the service writes it,
// and root, who can read the file, sees it.
func userName() string {
	if known, err := user.Current(); err == nil {
		return strconv.Quote(known.Username)
	}
	return "with the number " + strconv.Itoa(os.Getuid())
}

// Parse is Load for data that the caller has read. It doesn't open file: problems show its name,
// and relative paths start in its folder. The config is nil only if data can't be read as TOML. If
// there are other problems, the caller can look for more of them in the config.
func Parse(file string, data []byte) (*Config, Problems) {
	src := strings.TrimPrefix(string(data), "\ufeff") // Notepad's mark for UTF-8
	r := report{cfg: defaults(), wrong: map[string]bool{}}
	r.cfg.positions = newPositions(file, src)
	if abs, err := filepath.Abs(file); err == nil {
		file = abs
	}
	r.cfg.File = file

	var doc map[string]any
	if problem, ok := encodingProblem(&r.cfg.positions); !ok {
		return nil, Problems{problem}
	}
	keys, tooDeep := scanKeys(src)
	if tooDeep >= 0 {
		return nil, Problems{depthProblem(&r.cfg.positions, tooDeep)}
	}
	if _, err := toml.Decode(src, &doc); err != nil {
		return nil, Problems{syntaxProblem(&r.cfg.positions, err)}
	}
	r.cfg.positions.keys = keys
	r.table("", doc, reflect.ValueOf(r.cfg).Elem())
	r.validate()
	r.cfg.problems, r.cfg.wrong = r.problems(), r.wrong
	return r.cfg, r.cfg.problems
}
