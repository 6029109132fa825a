package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

const exampleFile = "../../config.example.toml"

// exampleText is the example after a user has removed each #.
func exampleText(t *testing.T) string {
	text := string(readFile(t, exampleFile))
	return regexp.MustCompile(`(?m)^#([a-z_]+ =|\[)`).ReplaceAllString(text, "$1")
}

func TestExampleAsIs(t *testing.T) {
	cfg, problems := Parse(exampleFile, readFile(t, exampleFile))
	if cfg == nil || len(problems) != 1 || !strings.Contains(problems[0].Text, "there is no tunnel") {
		t.Errorf("got %v, want only that there is no tunnel", problems)
	}
}

// TestExample checks that the example loads without the #, shows all keys, and
// shows no default that isn't one.
func TestExample(t *testing.T) {
	cfg, problems := Parse(exampleFile, []byte(exampleText(t)))
	if len(problems) > 0 {
		t.Fatalf("problems:\n%s", lines(problems))
	}
	want := defaults()
	want.File, want.positions, want.wrong = cfg.File, cfg.positions, cfg.wrong
	want.Log.File, want.PKI.Dir = DefaultPaths().Log, DefaultPaths().PKI
	pacs, clinicB := defaultTunnel(), defaultTunnel()
	pacs.Name, pacs.Mode = "pacs", ModeServer
	pacs.Listen, pacs.Target = ":2762", []string{"127.0.0.1:104"}
	clinicB.Name, clinicB.Mode = "to-clinic-b", ModeClient
	clinicB.Listen, clinicB.Target = "127.0.0.1:11112", []string{"pacs.clinic-b.example:2762"}
	want.Tunnels = []Tunnel{pacs, clinicB}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got  %+v\nwant %+v", cfg, want)
	}

	text := string(readFile(t, exampleFile))
	for _, p := range places {
		for _, key := range p.keys {
			if p.of == reflect.TypeFor[ACME]() || key == "acme" {
				// This key would ask a CA, so its # isn't removed.
				if !strings.Contains(text, " "+key+" = ") {
					t.Errorf("%s isn't in the example", key)
				}
				continue
			}
			if !regexp.MustCompile(`(?m)^#(` + key + ` = |\[+(pki\.)?` + key + `\])`).MatchString(text) {
				t.Errorf("%s isn't in the example", key)
			}
		}
	}
}
