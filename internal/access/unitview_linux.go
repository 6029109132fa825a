package access

import (
	"fmt"
	"path/filepath"
	"strings"

	"tlstunnel/internal/osservice"
)

// unitView says which folders a unit hides from its service or makes read-only: the sandboxing
// settings of systemd.exec(5).
type unitView struct {
	sealed   []place // hidden with all bind mounts in it
	hidden   []place // replaced by an empty or private folder
	mounted  []place // a bind mount makes it visible in a hidden folder
	readOnly []place // the service can't write there
	writable []place // an exception in a read-only folder
}

// place is a folder, and the setting of the unit that names it.
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
		add(&v.readOnly, "ProtectHome", homes...)
	}
	switch p["ProtectSystem"] {
	case "strict":
		add(&v.readOnly, "ProtectSystem", "/")
	case "full":
		add(&v.readOnly, "ProtectSystem", "/usr", "/boot", "/efi", "/etc")
	case "yes":
		add(&v.readOnly, "ProtectSystem", "/usr", "/boot", "/efi")
	}
	if private := p["PrivateTmp"]; private != "" && private != "no" {
		add(&v.hidden, "PrivateTmp", "/tmp", "/var/tmp")
	}
	for property, parent := range map[string]string{"StateDirectory": "/var/lib", "LogsDirectory": "/var/log", "CacheDirectory": "/var/cache", "RuntimeDirectory": "/run"} {
		for _, name := range strings.Fields(p[property]) {
			add(&v.writable, property, filepath.Join(parent, name))
		}
	}
	add(&v.sealed, "InaccessiblePaths", strings.Fields(p["InaccessiblePaths"])...)
	for property, places := range map[string][]*[]place{
		"TemporaryFileSystem": {&v.hidden}, "BindPaths": {&v.mounted, &v.writable}, "BindReadOnlyPaths": {&v.mounted, &v.readOnly},
		"ReadOnlyPaths": {&v.readOnly}, "ReadWritePaths": {&v.writable},
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

// deepest returns the place that contains path. Of several it returns the one with the longest
// path. Its folder is "" if no place contains path.
func deepest(places []place, path string) (found place) {
	for _, p := range places {
		in := p.folder == "/" || path == p.folder || strings.HasPrefix(path, p.folder+"/")
		if in && len(p.folder) > len(found.folder) {
			found = p
		}
	}
	return found
}

// refusal says that the unit hides the place from its service.
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
		setting = "ProtectHome=tmpfs and " + setting // ProtectHome=yes hides bind mounts too
	}
	return fmt.Sprintf("%s, or let the unit show it, by `systemctl edit %s` and there [Service] and %s", text, osservice.Name, setting)
}

// refusal returns which setting of the unit keeps its service from a use of path, and how to
// change it; "" if none does.
func (v unitView) refusal(path string, u use) string {
	if sealed := deepest(v.sealed, path); sealed.folder != "" {
		return sealed.refusal(path, u)
	}
	if hidden := deepest(v.hidden, path); len(hidden.folder) > len(deepest(v.mounted, path).folder) {
		return hidden.refusal(path, u)
	}
	readOnly := deepest(v.readOnly, path)
	if u == toRead || len(readOnly.folder) <= len(deepest(v.writable, path).folder) {
		return ""
	}
	return fmt.Sprintf("its unit (%s) lets it write elsewhere only: allow it by `systemctl edit %s` and there [Service] and ReadWritePaths=%s",
		readOnly.because, osservice.Name, path)
}
