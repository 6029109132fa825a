package config

// Paths says where files are if neither a flag nor the config names them.
type Paths struct {
	Config string `json:"config"` // the config file
	PKI    string `json:"pki"`    // the folder of our own CA and certificates
	Log    string `json:"log"`    // the log file
}
