package config

// A File is a file or a folder that a key of the config names.
type File struct {
	Tunnel  int    // its index in [Config.Tunnels]; -1: the key is in no tunnel
	Key     string // as [Config.Problem] takes it: "log.file", "cert", "crl[1]"
	Path    string // absolute, unless the value has an error
	Folder  bool   // a folder whose files belong to the program
	Secret  bool   // it holds a private key or a password
	Written bool   // the program writes it; it only reads all others
}

// Files returns all files that keys of the config name, those of the tunnels first. It leaves
// out words that aren't files, such as [Own] and [Console].
func (c *Config) Files() (files []File) {
	c.eachFile(addTo(&files))
	return files
}

// FilesOf returns the files that the keys of the tunnel with that index name.
func (c *Config) FilesOf(tunnel int) (files []File) {
	c.Tunnels[tunnel].eachFile(tunnel, addTo(&files))
	return files
}

func addTo(files *[]File) func(f File, path *string) {
	return func(f File, path *string) {
		f.Path = *path
		*files = append(*files, f)
	}
}

// eachFile calls visit for each value that names a file. It must know all of them: validation,
// watch, check and access warnings rely on it.
func (c *Config) eachFile(visit func(f File, path *string)) {
	for i := range c.Tunnels {
		c.Tunnels[i].eachFile(i, visit)
	}
	visit(File{Tunnel: -1, Key: "pki.dir", Folder: true, Secret: true, Written: true}, &c.PKI.Dir)
	if c.Log.File != Console {
		visit(File{Tunnel: -1, Key: "log.file", Written: true}, &c.Log.File)
	}
}

func (t *Tunnel) eachFile(index int, visit func(f File, path *string)) {
	one := func(key string, secret bool, path *string) {
		if *path != "" && *path != Own {
			visit(File{Tunnel: index, Key: key, Secret: secret}, path)
		}
	}
	list := func(key string, paths []string) {
		for i := range paths {
			one(element(key, i), false, &paths[i])
		}
	}
	one("acme.directory_ca", false, &t.ACME.DirectoryCA)
	one("acme.eab_key_file", true, &t.ACME.EABKeyFile)
	one("cert", t.Key == "", &t.Cert) // without a key, cert is a PKCS#12 file that has both
	one("key", true, &t.Key)
	one("key_password_file", true, &t.KeyPasswordFile)
	list("client_ca", t.ClientCA)
	list("ca", t.CA)
	list("crl", t.CRL)
}
