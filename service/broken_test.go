package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/ownpki"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
	"tlstunnel/tunnel"
)

// wholeTunnels are complete, so that a value added to one of them is the only mistake.
var wholeTunnels = map[string]string{
	config.ModeServer: "name = 'a'\nmode = 'server'\nlisten = '127.0.0.1:1'\ntarget = '127.0.0.1:9'\n",
	config.ModeClient: "name = 'a'\nmode = 'client'\nlisten = '127.0.0.1:1'\ntarget = 'pacs.example:9'\n",
}

// brokenValues maps keys to mistakes of the right type. Beside them stand the other keys that
// they need: without the mistake, the tunnel would be less strict.
var brokenValues = map[string][]string{
	"name":                   {`''`, `'a b'`},
	"mode":                   {`''`, `'Server'`},
	"listen":                 {`''`, `':x'`, `'127.0.0.1'`},
	"target":                 {`''`, `[]`, `'127.0.0.1'`, `['127.0.0.1:9', 'x']`},
	"cert":                   {`"a\u0000b"`},
	"key":                    {"\"a\\u0000b\"\ncert = 'a.crt'", `'a.key'`},
	"key_password_file":      {"\"a\\u0000b\"\ncert = 'a.crt'\nkey = 'a.key'"},
	"acme":                   {`{}`, `{ domains = [''] }`, `{ domains = 'a.example', directory = 'http://ca.example/' }`, `{ domain = 'a.example' }`, `{ domains = 'a.example', directory_ca = "a\u0000b" }`},
	"client_auth":            {`''`, `'Require'`, `'required'`},
	"client_ca":              {"\"a\\u0000b\"\nclient_auth = 'require'", "['own', \"a\\u0000b\"]\nclient_auth = 'require'", `'ca.crt'`},
	"allow":                  {"'nobody'\nclient_auth = 'require'", "['cn:a', 'dns:*x']\nclient_auth = 'require'", "''\nclient_auth = 'require'", `'cn:a'`},
	"server_name":            {`'a b'`},
	"ca":                     {`"a\u0000b"`, `['own', "a\u0000b"]`},
	"pins":                   {`'sha256:00'`, `['x']`, `''`},
	"crl":                    {"\"a\\u0000b\"\nclient_auth = 'require'\nca = 'own'", `'a.crl'`},
	"close_notify":           {`''`, `'Require'`, `'demand'`},
	"crl_expired":            {`''`, `'ignore'`},
	"profile":                {`''`, `'Modern'`, `'moddern'`},
	"alpn":                   {`['']`, `'` + strings.Repeat("x", 256) + `'`},
	"allow_from":             {`'10.0.0.0'8`, `'10.0.0.1/8'`, `['10.0.0.0/33']`, `''`},
	"deny_from":              {`'10.0.0.1/8'`, `['x']`, `''`},
	"max_connections":        {`-1`, `'5'`, `99999999999`},
	"max_connections_per_ip": {`-1`, `'5'`, `99999999999`},
	"handshake_timeout":      {`'0s'`, `'2h'`, `'10'`, `'-1s'`, `10`},
	"connect_timeout":        {`'0s'`, `'2h'`, `'10'`},
	"idle_timeout":           {`'10'`, `'-1s'`, `10`},
	"keepalive":              {`'1ms'`, `'10h'`, `'10'`},
	"half_close_timeout":     {`'0s'`, `'10'`},
}

// TestBrokenValue goes over every key. Whatever is wrong with a key's value, the tunnel gets
// no settings, and the service doesn't start.
func TestBrokenValue(t *testing.T) {
	store, _, err := pki.Ensure(t.Context(), pki.Settings{Dir: filepath.Join(t.TempDir(), "pki"), KeyType: "ecdsa-p256", CAValidity: time.Hour, CertValidity: time.Hour}, time.Now())
	check(t, err)
	for key := range tomlKeys(reflect.TypeFor[config.Tunnel]()) {
		for mode, whole := range wholeTunnels {
			for _, value := range append(brokenValues[key], `1.5`, `[1.5]`, `{ x = 1 }`) {
				text := ""
				for _, line := range strings.SplitAfter(whole, "\n") {
					if name, _, _ := strings.Cut(line, " ="); name != key {
						text += line
					}
				}
				wantBroken(t, store, mode, "[[tunnel]]\n"+text+key+" = "+value+"\n")
			}
		}
		if brokenValues[key] == nil {
			t.Errorf("brokenValues has none for %s", key)
		}
	}
	// Keys that hold for all tunnels.
	whole := "\n[[tunnel]]\n" + wholeTunnels[config.ModeServer]
	for key := range tomlKeys(reflect.TypeFor[config.Config]()) {
		if key != "tunnel" {
			wantBroken(t, store, config.ModeServer, key+" = 1.5"+whole)
		}
	}
	for table, of := range map[string]reflect.Type{"log": reflect.TypeFor[config.Log](), "pki": reflect.TypeFor[config.PKI](), "pki.subject": reflect.TypeFor[config.Subject]()} {
		for key := range tomlKeys(of) {
			wantBroken(t, store, config.ModeServer, "["+table+"]\n"+key+" = 1.5"+whole)
		}
	}
	for key := range tomlKeys(reflect.TypeFor[config.ACME]()) {
		for _, domains := range []string{"", "domains = 'a.example', "} {
			if key != "domains" || domains == "" {
				wantBroken(t, store, config.ModeServer, whole+"acme = { "+domains+key+" = 1.5 }\n")
			}
		}
	}
	wantBroken(t, store, config.ModeServer, "unknown = 1"+whole)
}

func tomlKeys(of reflect.Type) map[string]bool {
	keys := map[string]bool{}
	for i := range of.NumField() {
		if key := of.Field(i).Tag.Get("toml"); key != "" {
			keys[key] = true
		}
	}
	return keys
}

func wantBroken(t *testing.T, store *pki.Store, mode, text string) {
	t.Helper()
	cfg, problems := config.Parse("config.toml", []byte(text))
	if cfg == nil {
		return // it isn't TOML, so there is nothing to translate
	}
	what := fmt.Sprintf("mode %s, config\n%s", mode, text)
	if problems.Err() == nil || cfg.Err() == nil {
		t.Errorf("there is no mistake in %s", what)
		return
	}
	all, _ := compile.Tunnels(cfg, store, time.Now())
	for i := range all {
		if !reflect.DeepEqual(all[i].Settings, tunnel.Settings{}) {
			t.Errorf("there are settings for %s", what)
		}
		log := slog.New(slog.DiscardHandler)
		if p := prepare(cfg, i, store, nil, log, time.Now()); len(p.Problems) == 0 {
			t.Errorf("it would run: %s", what)
		}
	}
	if _, _, err := ownpki.Make(t.Context(), cfg); err == nil {
		t.Errorf("a PKI is made for %s", what)
	}
	if _, err := Start(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatalf("it starts with %s", what)
	}
}

// TestBrokenFile: if a file can't be read, there are no settings without what the file has.
func TestBrokenFile(t *testing.T) {
	dir := t.TempDir()
	store, _, err := pki.Ensure(t.Context(), pki.Settings{Dir: filepath.Join(dir, "pki"), KeyType: "ecdsa-p256", CAValidity: time.Hour, CertValidity: time.Hour}, time.Now())
	check(t, err)
	damaged := filepath.Join(dir, "damaged")
	check(t, os.WriteFile(damaged, []byte("neither PEM nor base64!"), 0o600))
	for mode, keys := range map[string][]string{
		config.ModeServer: {"cert = 'X'\nkey = 'X'", "client_ca = ['own', 'X']\nclient_auth = 'require'", "crl = 'X'\nclient_auth = 'require'",
			"acme = { domains = 'a.example', directory_ca = 'X' }", "acme = { domains = 'a.example', eab_kid = 'x', eab_key_file = 'X' }"},
		config.ModeClient: {"cert = 'X'\nkey = 'X'", "ca = ['own', 'X']", "ca = 'own'\ncrl = 'X'"},
	} {
		for _, key := range keys {
			for _, file := range []string{damaged, filepath.Join(dir, "missing")} {
				text := "[[tunnel]]\n" + wholeTunnels[mode] + strings.ReplaceAll(key, "X", file)
				cfg, problems := config.Parse(filepath.Join(dir, "config.toml"), []byte(text))
				check(t, problems.Err())
				all, problems := compile.Tunnels(cfg, store, time.Now())
				if problems.Err() == nil || !reflect.DeepEqual(all[0].Settings, tunnel.Settings{}) {
					t.Errorf("%s: got %v and settings %+v", text, problems, all[0].Settings)
				}
			}
		}
	}
}
