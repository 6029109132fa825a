// Package control is the control channel between the commands and the running service:
// HTTP with JSON over a unix socket or a named pipe, for users who may administer the
// service. Each config file has a channel of its own, so that several instances can run.
// The package defines no requests and answers: the service does.
//
//	server := control.Serve(configFile, handler, time.Second, nil)
//	defer server.Close()
//
//	err := control.Ask(ctx, configFile, http.MethodGet, "/status", nil, &status)
package control

import (
	"crypto/sha256"
	"fmt"

	"tlstunnel/internal/config"
)

// instance returns the part of a channel's name that differs for each config. It is empty for
// the config of the installed service.
func instance(configFile string) string {
	if configFile == config.SystemConfig() {
		return ""
	}
	sum := sha256.Sum256([]byte(configFile))
	return fmt.Sprintf("-%x", sum[:4])
}
