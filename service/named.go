package service

import (
	"fmt"

	"tlstunnel/internal/config"
)

// namedFile is a file that a tunnel's key in the config names.
type namedFile struct {
	tunnel int
	key    string
	path   string
}

// namedFiles lists the files that cfg names, but for those of the PKI and the log.
func namedFiles(cfg *config.Config) (files []namedFile) {
	for i, t := range cfg.Tunnels {
		add := func(key, path string) {
			if path != "" && path != config.Own {
				files = append(files, namedFile{i, key, path})
			}
		}
		addAll := func(key string, paths []string) {
			for j, path := range paths {
				add(fmt.Sprintf("%s[%d]", key, j), path)
			}
		}
		add("acme.directory_ca", t.ACME.DirectoryCA)
		add("acme.eab_key_file", t.ACME.EABKeyFile)
		add("cert", t.Cert)
		add("key", t.Key)
		add("key_password_file", t.KeyPasswordFile)
		addAll("ca", t.CA)
		addAll("client_ca", t.ClientCA)
		addAll("crl", t.CRL)
	}
	return files
}
