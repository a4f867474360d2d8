// A service that needs what it was said to need: so many bytes of live heap, and much garbage for every answer.
//
//	go build -o busy busy.go && ./busy -listen 127.0.0.1:8080 -live 100000000
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"runtime/metrics"
)

const (
	piece  = 16 << 10 // bytes
	answer = 8 << 20  // bytes of short-lived objects an answer
)

var kept [][]byte

func work(out http.ResponseWriter, _ *http.Request) {
	seen := make([][]byte, 0, answer/piece)
	for n := 0; n < answer/piece; n++ {
		made := make([]byte, piece)
		for at := 0; at < piece; at += 4096 {
			made[at] = byte(n)
		}
		seen = append(seen, made)
	}
	fmt.Fprintln(out, len(seen))
}

// Names as client_golang gives them.
var shown = map[string]string{
	"go_gc_gogc_percent":            "/gc/gogc:percent",
	"go_gc_gomemlimit_bytes":        "/gc/gomemlimit:bytes",
	"go_sched_gomaxprocs_threads":   "/sched/gomaxprocs:threads",
	"go_memory_classes_total_bytes": "/memory/classes/total:bytes",
	"go_gc_heap_live_bytes":         "/gc/heap/live:bytes",
}

func tell(out http.ResponseWriter, _ *http.Request) {
	for name, source := range shown {
		sample := []metrics.Sample{{Name: source}}
		metrics.Read(sample)
		fmt.Fprintf(out, "%s %d\n", name, sample[0].Value.Uint64())
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address")
	live := flag.Int("live", 100<<20, "bytes that live")
	flag.Parse()
	for had := 0; had < *live; had += piece {
		made := make([]byte, piece)
		for at := 0; at < piece; at += 4096 {
			made[at] = 1
		}
		kept = append(kept, made)
	}
	http.HandleFunc("/work", work)
	http.HandleFunc("/metrics", tell)
	http.HandleFunc("/healthz", func(out http.ResponseWriter, _ *http.Request) { fmt.Fprintln(out, "ok") })
	log.Fatal(http.ListenAndServe(*listen, nil))
}
