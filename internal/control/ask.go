package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// maxAnswer is the largest answer that a client reads.
const maxAnswer = 64 << 20

// ErrNotRunning means that no service with that config answers.
var ErrNotRunning = errors.New("the service isn't running")

// Ask sends request, as JSON, to the service that runs the config file, and decodes its
// answer into reply. The error wraps [ErrNotRunning] if no service answers.
func Ask(ctx context.Context, configFile, method, path string, request, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://tlstunnel"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dial(ctx, configFile)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	var failed *url.Error // it has an address that means nothing to a user
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if err != nil {
		return explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %q: is it another version?", resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(reply)
}
