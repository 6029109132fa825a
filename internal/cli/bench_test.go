package cli

import (
	"strings"
	"testing"

	"tlstunnel/internal/bench"
)

func TestShowBench(t *testing.T) {
	report := &bench.Report{
		Version: "1.2.3", OS: "linux", Arch: "arm64", Cores: 4, TLS: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", KeyExchange: "X25519MLKEM768",
		Figures: []bench.Figure{
			{Measure: bench.Memory, Load: "idle", Value: 18.04, Unit: "KiB"},
			{Measure: bench.Throughput, Load: "plain TCP, no tunnel", Value: 1445.2, Unit: "MB/s"},
			{Measure: bench.Throughput, Load: "to the peer", Value: 722.6, Unit: "MB/s"},
			{Measure: bench.Throughput, Load: "by post", Value: 0.001, Unit: "MB/s"},
		},
	}
	const want = `tlstunnel 1.2.3 on linux/arm64, 4 cores; TLS 1.3, TLS_AES_128_GCM_SHA256, X25519MLKEM768

memory of an idle connection, KiB
  idle                  ######################################## 18.04

throughput, MB/s
  plain TCP, no tunnel  ######################################## 1445
  to the peer           ####################                     722.6
  by post               #                                        0.001
`
	var got strings.Builder
	if err := showBench(&got, report); err != nil || got.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got.String(), want)
	}
}
