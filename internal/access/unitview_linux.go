package access

import (
	"fmt"
	"path/filepath"
	"strings"

	"tlstunnel/internal/osservice"
)

// unitView is what a unit shows its service of the machine's folders, by systemd.exec(5).
type unitView struct {
	sealed []place // the service sees nothing of the folder, nor of a bind mount in it
	hidden []place // it sees a folder of its own in place of this one
	shown  []place // it sees this all the same, by a bind mount
	locked []place // the service can't write there
	open   []place // it can all the same
}

// place is a folder, and the setting of the unit that speaks of it.
type place struct{ folder, because string }

// The properties of the unit that a unitView is made from.
var viewProperties = []string{"ProtectSystem", "ProtectHome", "PrivateTmp", "InaccessiblePaths", "TemporaryFileSystem",
	"BindPaths", "BindReadOnlyPaths", "ReadOnlyPaths", "ReadWritePaths",
	"StateDirectory", "LogsDirectory", "CacheDirectory", "RuntimeDirectory"}

func viewOf(p map[string]string) (v unitView) {
	add := func(places *[]place, property string, folders ...string) {
		for _, folder := range folders {
			folder = strings.TrimLeft(folder, "-+")
			*places = append(*places, place{filepath.Clean(folder), property + "=" + p[property]})
		}
	}
	homes := []string{"/home", "/root", "/run/user"}
	switch p["ProtectHome"] {
	case "yes":
		add(&v.sealed, "ProtectHome", homes...)
	case "tmpfs":
		add(&v.hidden, "ProtectHome", homes...)
	case "read-only":
		add(&v.locked, "ProtectHome", homes...)
	}
	switch p["ProtectSystem"] {
	case "strict":
		add(&v.locked, "ProtectSystem", "/")
	case "full":
		add(&v.locked, "ProtectSystem", "/usr", "/boot", "/efi", "/etc")
	case "yes":
		add(&v.locked, "ProtectSystem", "/usr", "/boot", "/efi")
	}
	if private := p["PrivateTmp"]; private != "" && private != "no" {
		add(&v.hidden, "PrivateTmp", "/tmp", "/var/tmp")
	}
	for property, parent := range map[string]string{"StateDirectory": "/var/lib", "LogsDirectory": "/var/log", "CacheDirectory": "/var/cache", "RuntimeDirectory": "/run"} {
		for _, name := range strings.Fields(p[property]) {
			add(&v.open, property, filepath.Join(parent, name))
		}
	}
	add(&v.sealed, "InaccessiblePaths", strings.Fields(p["InaccessiblePaths"])...)
	for property, places := range map[string][]*[]place{
		"TemporaryFileSystem": {&v.hidden}, "BindPaths": {&v.shown, &v.open}, "BindReadOnlyPaths": {&v.shown, &v.locked},
		"ReadOnlyPaths": {&v.locked}, "ReadWritePaths": {&v.open},
	} {
		for _, word := range strings.Fields(p[property]) {
			// SOURCE:DESTINATION:OPTIONS of a bind mount, PATH:OPTIONS of the others.
			parts := strings.Split(word, ":")
			if strings.HasPrefix(property, "Bind") && len(parts) > 1 && parts[1] != "" {
				parts = parts[1:]
			}
			for _, list := range places {
				add(list, property, parts[0])
			}
		}
	}
	return v
}

// deepest is the place that path is in, the one with the longest path if there are
// several. Its folder is "" if there is none.
func deepest(places []place, path string) (found place) {
	for _, p := range places {
		in := p.folder == "/" || path == p.folder || strings.HasPrefix(path, p.folder+"/")
		if in && len(p.folder) > len(found.folder) {
			found = p
		}
	}
	return found
}

// refusal says that the unit shows its service nothing of the place.
func (hidden place) refusal(path string, u use) string {
	elsewhere, setting := "/etc/tlstunnel", "BindReadOnlyPaths="+filepath.Dir(path)
	if u != toRead {
		elsewhere, setting = "/var/lib/tlstunnel", "BindPaths="+filepath.Dir(path)
	}
	text := fmt.Sprintf("its unit (%s) shows it no %s of this machine: put it elsewhere, such as below %s", hidden.because, hidden.folder, elsewhere)
	switch property, _, _ := strings.Cut(hidden.because, "="); property {
	case "InaccessiblePaths":
		return text
	case "ProtectHome":
		setting = "ProtectHome=tmpfs and " + setting // with "yes", it sees no bind mount there either
	}
	return fmt.Sprintf("%s, or let the unit show it, by `systemctl edit %s` and there [Service] and %s", text, osservice.Name, setting)
}

// refusal is what of the unit keeps its service from a use of path, and how to change
// that; "" if nothing does.
func (v unitView) refusal(path string, u use) string {
	if sealed := deepest(v.sealed, path); sealed.folder != "" {
		return sealed.refusal(path, u)
	}
	if hidden := deepest(v.hidden, path); len(hidden.folder) > len(deepest(v.shown, path).folder) {
		return hidden.refusal(path, u)
	}
	locked := deepest(v.locked, path)
	if u == toRead || len(locked.folder) <= len(deepest(v.open, path).folder) {
		return ""
	}
	return fmt.Sprintf("its unit (%s) lets it write elsewhere only: allow it by `systemctl edit %s` and there [Service] and ReadWritePaths=%s",
		locked.because, osservice.Name, path)
}
