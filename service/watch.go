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

// fileWatch says when one of its files has changed. The
// goroutine of the watcher does the looking; the methods aren't for several
// goroutines at once.
type fileWatch struct {
	changed chan struct{}
	log     *slog.Logger
	files   []string
	folders map[string]string // where they are, see foldersOf
	watcher *fsnotify.Watcher // nil when nothing is watched
	done    chan struct{}
}

func newFileWatch(log *slog.Logger) *fileWatch {
	return &fileWatch{changed: make(chan struct{}, 1), log: log}
}

// follow watches the files from now on, in place of those before.
func (w *fileWatch) follow(files []string) {
	folders := foldersOf(files)
	if w.watcher != nil && slices.Equal(files, w.files) && maps.Equal(folders, w.folders) {
		return // and miss nothing
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
	known := snapshot(files)
	for dir, err := range watchFolders(watcher, folders) {
		w.log.Warn("a folder can't be watched: its files are looked at once a second instead", "folder", dir, "err", err)
	}
	w.files, w.folders, w.watcher, w.done = files, folders, watcher, make(chan struct{})
	go w.settle(watcher, files, folders, known, w.done)
}

// watchFolders watches the folders, those anew that have been replaced since,
// and returns why some of them can't be. It is the folders that are watched since
// most programs replace a file and don't write into it.
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

// settle sends on changed once the files differ from what is known and are left
// alone. Something else in their folders, a log say, may change all the time.
func (w *fileWatch) settle(watcher *fsnotify.Watcher, files []string, folders map[string]string, known []fileState, done chan<- struct{}) {
	defer close(done)
	look := time.NewTimer(settleTime)
	defer look.Stop()
	waiting := true
	seen := known
	for {
		select {
		case _, ok := <-watcher.Events:
			switch {
			case !ok:
				if !slices.Equal(snapshot(files), known) {
					w.signal()
				}
				return
			case !waiting:
				waiting, seen = true, snapshot(files)
				look.Reset(settleTime)
			}
		case err := <-watcher.Errors:
			if err != nil { // nil when closed
				w.log.Error("watching the files", "err", err)
			}
		case <-look.C:
			// The system forgets a folder that is moved or deleted: look until it
			// is there again.
			waiting = len(watchFolders(watcher, folders)) > 0
			switch now := snapshot(files); {
			case slices.Equal(now, known):
			case slices.Equal(now, seen):
				known = now
				w.signal()
			default:
				waiting, seen = true, now
			}
			if waiting {
				look.Reset(settleTime)
			}
		}
	}
}

func (w *fileWatch) signal() {
	select {
	case w.changed <- struct{}{}:
	default: // one is waiting already
	}
}

// fileState is another one when a file is replaced or written, or a link on the way to it
// leads elsewhere.
type fileState struct {
	target   string // where the links lead
	size     int64
	modified int64 // in nanoseconds
}

// snapshot has a state for each file, the zero one for a file that isn't there.
func snapshot(files []string) []fileState {
	states := make([]fileState, len(files))
	for i, file := range files {
		states[i].target, _ = filepath.EvalSymlinks(file)
		if info, err := os.Stat(file); err == nil {
			states[i].size, states[i].modified = info.Size(), info.ModTime().UnixNano()
		}
	}
	return states
}

// foldersOf are the folders of the files and of what they are links to, each
// with one of the files.
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

// filesOf lists what a reload reads but for the CRLs, if cfg says that they are
// watched.
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

// crlsOf lists the CRLs that cfg makes us read, and the index of our own CA.
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
