package control

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestLastAnswer: a request that has arrived when the channel is closed gets its answer.
func TestLastAnswer(t *testing.T) {
	t.Setenv("RUNTIME_DIRECTORY", testkit.ShortTempDir(t))
	file := filepath.Join(t.TempDir(), "config.toml")
	asked, closing := make(chan struct{}), make(chan struct{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-closing
		_, _ = w.Write([]byte(`"the last"`))
	})
	s := Serve(file, handler, time.Second, func(err error) { t.Error(err) })
	answered := make(chan error, 1)
	var got string
	go func() { answered <- Ask(t.Context(), file, http.MethodGet, "/", nil, &got) }()
	<-asked
	s.http.RegisterOnShutdown(func() { close(closing) })
	s.Close()
	if err := <-answered; err != nil || got != "the last" {
		t.Errorf("got %q, %v", got, err)
	}
}
