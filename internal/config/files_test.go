package config

import (
	"maps"
	"reflect"
	"slices"
	"testing"
)

// noFiles are the keys with text that doesn't name a file.
var noFiles = []string{
	"log.level", "log.format",
	"pki.key_type", "pki.names", "pki.subject.country", "pki.subject.state", "pki.subject.locality", "pki.subject.organization",
	"pki.subject.organizational_unit", "pki.subject.common_name", "pki.subject.email",
	"tunnel.name", "tunnel.mode", "tunnel.listen", "tunnel.target", "tunnel.client_auth", "tunnel.server_name", "tunnel.pins",
	"tunnel.crl_expired", "tunnel.profile", "tunnel.alpn", "tunnel.close_notify",
	"tunnel.acme.directory", "tunnel.acme.email", "tunnel.acme.domains", "tunnel.acme.challenge", "tunnel.acme.http_listen", "tunnel.acme.eab_kid",
}

// TestFilesIsComplete: each key with text either is in Files or is listed above.
func TestFilesIsComplete(t *testing.T) {
	c := Config{Tunnels: make([]Tunnel, 1)}
	texts := map[string]bool{} // the keys with text; true: it names no file
	fillTexts(reflect.ValueOf(&c).Elem(), "", texts)
	for _, key := range noFiles {
		if _, ok := texts[key]; !ok {
			t.Errorf("there is no key %s with text", key)
		}
		texts[key] = true
	}
	named := map[string]string{}
	for _, f := range c.Files() {
		key := trimIndex(f.Key)
		if f.Tunnel >= 0 {
			key = "tunnel." + key
		}
		named[key] = f.Path
	}
	for _, key := range slices.Sorted(maps.Keys(texts)) {
		switch path, ok := named[key]; {
		case ok && texts[key]:
			t.Errorf("%s is in Files, and in the list of keys that name none", key)
		case !ok && !texts[key]:
			t.Errorf("Files doesn't know %s: add it there if it names a file, else to the list of keys that name none", key)
		case ok && path != "the value of "+key:
			t.Errorf("%s: Files has the path %q", key, path)
		}
	}
}

// fillTexts sets every text in v, the table at path, to a text that names its key.
func fillTexts(v reflect.Value, path string, keys map[string]bool) {
	for i := range v.NumField() {
		field, tag := v.Field(i), v.Type().Field(i).Tag.Get("toml")
		if tag == "" {
			continue
		}
		key := join(path, tag)
		switch {
		case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.String:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
			field.Index(0).SetString("the value of " + key)
			keys[key] = false
		case field.Kind() == reflect.String:
			field.SetString("the value of " + key)
			keys[key] = false
		case field.Kind() == reflect.Slice && field.Type() == reflect.TypeFor[[]Tunnel]():
			fillTexts(field.Index(0), key, keys)
		case field.Kind() == reflect.Struct:
			fillTexts(field, key, keys)
		}
	}
}

// TestFiles: absent keys, and words that stand for no file.
func TestFiles(t *testing.T) {
	for _, test := range []struct {
		name string
		cfg  Config
		want []File
	}{
		{"none", Config{PKI: PKI{Dir: "/pki"}, Log: Log{File: Console}, Tunnels: []Tunnel{{Cert: Own, CA: []string{Own}}}},
			[]File{{Tunnel: -1, Key: "pki.dir", Path: "/pki", Folder: true, Secret: true, Written: true}}},
		{"some", Config{PKI: PKI{Dir: "/pki"}, Log: Log{File: "/log"}, Tunnels: []Tunnel{{Cert: "/both.p12", KeyPasswordFile: "/password"}, {Cert: "/crt", Key: "/key", ClientCA: []string{Own, "/ca"}}}},
			[]File{
				{Tunnel: 0, Key: "cert", Path: "/both.p12", Secret: true},
				{Tunnel: 0, Key: "key_password_file", Path: "/password", Secret: true},
				{Tunnel: 1, Key: "cert", Path: "/crt"},
				{Tunnel: 1, Key: "key", Path: "/key", Secret: true},
				{Tunnel: 1, Key: "client_ca[1]", Path: "/ca"},
				{Tunnel: -1, Key: "pki.dir", Path: "/pki", Folder: true, Secret: true, Written: true},
				{Tunnel: -1, Key: "log.file", Path: "/log", Written: true},
			}},
	} {
		if got := test.cfg.Files(); !slices.Equal(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
