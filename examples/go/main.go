// A catalogue in memory that answers searches: much live data, and garbage for every answer. Standard library only.
//
//	go build -o catalogue . && ./catalogue -listen 127.0.0.1:8080 -items 400000
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"runtime/metrics"
	"sort"
	"strconv"
	"strings"
)

type item struct {
	name  string
	tags  []*string
	about string // one of a few hundred texts of 2 kB
	price float64
}

var stock map[int]*item

func fill(items int) {
	texts := make([]string, 300)
	for n := range texts {
		texts[n] = strings.Repeat(fmt.Sprintf("about %d. ", n), 200)
	}
	stock = make(map[int]*item, items)
	for n := 0; n < items; n++ {
		kept := &item{name: "item " + strconv.Itoa(n), about: texts[n%len(texts)], price: float64(n%997) / 7}
		for tag := 0; tag < 4; tag++ {
			text := fmt.Sprintf("tag-%d-%d", n%101, tag)
			kept.tags = append(kept.tags, &text)
		}
		stock[n] = kept
	}
}

// search copies what it looks at, as programs do: about a megabyte of short-lived bytes an answer.
func search(answer http.ResponseWriter, request *http.Request) {
	start, _ := strconv.Atoi(request.URL.Query().Get("from"))
	found := make([]*item, 0, 64)
	for n := 0; n < 500; n++ {
		kept := stock[(start*31+n*97)%len(stock)]
		found = append(found, &item{kept.name, kept.tags, strings.ToUpper(kept.about), kept.price})
	}
	sort.Slice(found, func(a, b int) bool { return found[a].price < found[b].price })
	for _, each := range found[:20] {
		fmt.Fprintf(answer, "%s %.2f %s %s\n", each.name, each.price, *each.tags[0], each.about[:60])
	}
}

// Names as client_golang gives them.
var shown = map[string]string{
	"go_gc_gogc_percent":                        "/gc/gogc:percent",
	"go_gc_gomemlimit_bytes":                    "/gc/gomemlimit:bytes",
	"go_sched_gomaxprocs_threads":               "/sched/gomaxprocs:threads",
	"go_gc_cycles_total_gc_cycles_total":        "/gc/cycles/total:gc-cycles",
	"go_gc_heap_live_bytes":                     "/gc/heap/live:bytes",
	"go_memory_classes_total_bytes":             "/memory/classes/total:bytes",
	"go_cpu_classes_gc_total_cpu_seconds_total": "/cpu/classes/gc/total:cpu-seconds",
	"go_cpu_classes_user_cpu_seconds_total":     "/cpu/classes/user:cpu-seconds",
	"go_cpu_classes_idle_cpu_seconds_total":     "/cpu/classes/idle:cpu-seconds",
	"go_cpu_classes_total_cpu_seconds_total":    "/cpu/classes/total:cpu-seconds",
}

func tell(answer http.ResponseWriter, _ *http.Request) {
	for name, source := range shown {
		sample := []metrics.Sample{{Name: source}}
		metrics.Read(sample)
		switch sample[0].Value.Kind() {
		case metrics.KindUint64:
			fmt.Fprintf(answer, "%s %d\n", name, sample[0].Value.Uint64())
		case metrics.KindFloat64:
			fmt.Fprintf(answer, "%s %g\n", name, sample[0].Value.Float64())
		}
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address")
	items := flag.Int("items", 400000, "live items in memory")
	flag.Parse()
	fill(*items)
	http.HandleFunc("/search", search)
	http.HandleFunc("/metrics", tell)
	http.HandleFunc("/healthz", func(answer http.ResponseWriter, _ *http.Request) { fmt.Fprintln(answer, "ok") })
	log.Fatal(http.ListenAndServe(*listen, nil))
}
