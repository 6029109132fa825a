package service

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// settleTime is how long the files must be left alone before they are read:
// editors and deployment tools write in several steps.
const settleTime = time.Second

// fileWatch sends on changed if one of its files has changed. A goroutine of its own compares
// the files. Only one goroutine may call the methods.
type fileWatch struct {
	changed chan struct{}
	log     *slog.Logger
	files   []string
	folders map[string]string // see foldersOf
	watcher *fsnotify.Watcher // nil when nothing is watched
	done    chan struct{}
}

func newFileWatch(log *slog.Logger) *fileWatch {
	return &fileWatch{changed: make(chan struct{}, 1), log: log}
}

// follow watches these files from now on, and no longer the earlier ones.
func (w *fileWatch) follow(files []string) {
	folders := foldersOf(files)
	if w.watcher != nil && slices.Equal(files, w.files) && maps.Equal(folders, w.folders) {
		return // a new watcher could miss a change
	}
	w.close()
	if len(files) == 0 {
		return
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		w.log.Error("the files can't be watched: reload by hand", "err", err)
		return
	}
	known := fileStates(files)
	for dir, err := range watchFolders(watcher, folders) {
		w.log.Warn("a folder can't be watched: its files are compared once a second instead", "folder", dir, "err", err)
	}
	w.files, w.folders, w.watcher, w.done = files, folders, watcher, make(chan struct{})
	go w.watchLoop(watcher, files, folders, known, w.done)
}

// watchFolders watches the folders, also those that were replaced since the last call. It
// returns the errors by folder. We watch folders, not files, because most programs replace a
// file instead of writing into it.
func watchFolders(watcher *fsnotify.Watcher, folders map[string]string) (failed map[string]error) {
	failed = map[string]error{}
	for dir := range folders {
		if err := watcher.Add(dir); err != nil {
			failed[dir] = err
		}
	}
	return failed
}

// close stops watching. It may be called again.
func (w *fileWatch) close() {
	if w.watcher != nil {
		w.watcher.Close()
		<-w.done
		w.watcher = nil
	}
}

// watchLoop sends on changed once the files differ from known and haven't changed for
// settleTime. Other files in the same folders, a log for example, may change all the time.
func (w *fileWatch) watchLoop(watcher *fsnotify.Watcher, files []string, folders map[string]string, known []fileState, done chan<- struct{}) {
	defer close(done)
	check := time.NewTimer(settleTime)
	defer check.Stop()
	waiting := true
	seen := known
	for {
		select {
		case _, ok := <-watcher.Events:
			switch {
			case !ok:
				if !slices.Equal(fileStates(files), known) {
					w.signal()
				}
				return
			case !waiting:
				waiting, seen = true, fileStates(files)
				check.Reset(settleTime)
			}
		case err := <-watcher.Errors:
			if err != nil { // nil when closed
				w.log.Error("watching the files", "err", err)
			}
		case <-check.C:
			// The system stops watching a folder that was moved or deleted: try again until
			// it exists.
			waiting = len(watchFolders(watcher, folders)) > 0
			switch now := fileStates(files); {
			case slices.Equal(now, known):
			case slices.Equal(now, seen):
				known = now
				w.signal()
			default:
				waiting, seen = true, now
			}
			if waiting {
				check.Reset(settleTime)
			}
		}
	}
}

func (w *fileWatch) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // a signal is waiting already
	}
}

// fileState changes if a file is replaced or written, or if a symbolic link in its path
// changes.
type fileState struct {
	target   string // the path without symbolic links
	size     int64
	modified int64 // in nanoseconds
}

// fileStates returns a state for each file. It is zero for a file that doesn't exist.
func fileStates(files []string) []fileState {
	states := make([]fileState, len(files))
	for i, file := range files {
		states[i].target, _ = filepath.EvalSymlinks(file)
		if info, err := os.Stat(file); err == nil {
			states[i].size, states[i].modified = info.Size(), info.ModTime().UnixNano()
		}
	}
	return states
}

// foldersOf returns the folders of the files and of the targets of symbolic links, each with
// one of its files.
func foldersOf(files []string) map[string]string {
	folders := map[string]string{}
	for _, file := range files {
		folders[filepath.Dir(file)] = file
		if target, err := filepath.EvalSymlinks(file); err == nil {
			folders[filepath.Dir(target)] = file
		}
	}
	return folders
}

// filesOf returns the files that a reload reads, without the CRLs. It returns none if cfg
// says watch = false.
func filesOf(cfg *config.Config) []string {
	if !cfg.Watch {
		return nil
	}
	files := append([]string{cfg.File}, pki.Files(cfg.PKI.Dir)...)
	for _, f := range cfg.Files() {
		if !f.Written && !isCRL(f) {
			files = append(files, f.Path)
		}
	}
	return files
}

// crlsOf returns the CRLs of cfg, and the CRLs and the index of our own CA if a tunnel trusts it.
func crlsOf(cfg *config.Config) (files []string) {
	if slices.ContainsFunc(cfg.Tunnels, compile.TrustsOwn) {
		files = []string{pki.OwnCRL(cfg.PKI.Dir), pki.PreviousCRL(cfg.PKI.Dir), pki.IndexFile(cfg.PKI.Dir)}
	}
	for _, f := range cfg.Files() {
		if isCRL(f) {
			files = append(files, f.Path)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func isCRL(f config.File) bool { return strings.HasPrefix(f.Key, "crl[") }
