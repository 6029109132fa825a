package tunnel

import (
	"log/slog"
	"testing"
)

// A side that has left accepts no answer to a KeyUpdate. What it had sent still arrives,
// under each of its keys, and its stream ends as that side ended it.
func TestKeyUpdatesOfASideThatLeaves(t *testing.T) {
	const updates, each = 20, 500 // few enough that their system sends them at once
	for _, mode := range []string{"server", "client"} {
		by := byPeer
		if mode == "client" {
			by = byTarget
		}
		begin := func(t *testing.T) (p *path, raw *rawTLS, plain *end, records [][]byte) {
			leakCheck(t)
			p = newPath(t, mode, nil)
			raw, plain = p.openRaw(t)
			data := noise()
			for i := range updates {
				records = append(records, raw.record(t, dataRecord, data[i*each:(i+1)*each]), raw.keyUpdate(t))
			}
			return p, raw, plain, records
		}
		t.Run(mode+"/close_notify", func(t *testing.T) {
			p, raw, plain, records := begin(t)
			check(t, raw.sendRecords(append(records, raw.record(t, alertRecord, []byte{1, 0}))...))
			raw.tcp.Close()
			check(t, receiveAll(plain, updates*each), plain.CloseWrite())
			p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", by, "end of stream")
		})
		t.Run(mode+"/reset", func(t *testing.T) {
			p, raw, plain, records := begin(t)
			part := raw.record(t, dataRecord, noise()[:each])[:each/2]
			check(t, raw.sendRecords(append(records, part)...))
			raw.reset()
			if err := receiveEnd(plain); err == nil {
				t.Error("half a transfer looks complete")
			}
			p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", by, "the "+by+" reset the connection")
		})
	}
}
