// The operations of perf/micro in Go, under the same names. A line of JSON for each: ns, or bytes.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const many = 1_000_000

func yield(n int) {
	for i := 0; i < n; i++ {
		runtime.Gosched()
	}
}

func yield1000(n int) {
	var all sync.WaitGroup
	all.Add(1000)
	for i := 0; i < 1000; i++ {
		go func() { yield(n / 1000); all.Done() }()
	}
	all.Wait()
}

func spawnJoin(n int) {
	for i := 0; i < n; i++ {
		var one sync.WaitGroup
		one.Add(1)
		go one.Done()
		one.Wait()
	}
}

func spawnMany(n int) {
	for ; n > 0; n -= many {
		var all sync.WaitGroup
		all.Add(many)
		for i := 0; i < many; i++ {
			go all.Done()
		}
		all.Wait()
	}
}

func pingPong(n int) {
	ping, pong := make(chan int, 1), make(chan int, 1)
	go func() {
		for i := range ping {
			pong <- i
		}
	}()
	for i := 0; i < n; i++ {
		ping <- i
		<-pong
	}
	close(ping)
}

func channel(n int) {
	items := make(chan int, 128)
	go func() {
		for i := 0; i < n; i++ {
			items <- i
		}
		close(items)
	}()
	for range items {
	}
}

func mutex(n int) {
	var m sync.Mutex
	for i := 0; i < n; i++ {
		m.Lock()
		m.Unlock()
	}
}

func timer(n int) {
	for i := 0; i < n; i++ {
		time.AfterFunc(time.Hour, func() {}).Stop()
	}
}

// The idiom for a deadline around a call.
func timerContext(n int) {
	for i := 0; i < n; i++ {
		_, cancel := context.WithTimeout(context.Background(), time.Hour)
		cancel()
	}
}

func residentBytes() float64 {
	var size, pages float64
	text, _ := os.ReadFile("/proc/self/statm")
	fmt.Sscan(string(text), &size, &pages)
	return pages * float64(os.Getpagesize())
}

func parked() float64 {
	const tasks = 100_000
	gate := make(chan struct{})
	var waiting atomic.Int64
	var ended sync.WaitGroup
	ended.Add(tasks)
	before := residentBytes()
	for i := 0; i < tasks; i++ {
		go func() { waiting.Add(1); <-gate; ended.Done() }()
	}
	for waiting.Load() < tasks {
		runtime.Gosched()
	}
	bytes := (residentBytes() - before) / tasks
	close(gate)
	ended.Wait()
	return bytes
}

// Repeats more and more often until it takes long enough.
func measure(seconds float64, n int, run func(int)) float64 {
	for ; ; n *= 2 {
		start := time.Now()
		run(n)
		if took := time.Since(start).Seconds(); took >= seconds {
			return took * 1e9 / float64(n)
		}
	}
}

func main() {
	cores := flag.Int("cores", 1, "threads")
	seconds := flag.Float64("seconds", 0.2, "least duration of a measurement")
	only := flag.String("only", "", "operations, separated by commas; all but parked")
	flag.Parse()
	runtime.GOMAXPROCS(*cores)
	chosen := func(name string) bool {
		return *only == "" || strings.Contains(","+*only+",", ","+name+",")
	}
	if *only != "" && chosen("parked") { // first, while no memory has been used
		fmt.Printf(`{"operation": "parked", "bytes": %.1f}`+"\n", parked())
	}
	for _, operation := range []struct {
		name  string
		least int
		run   func(int)
	}{
		{"yield", 1000, yield},
		{"yield_1000", many, yield1000},
		{"spawn_join", 1000, spawnJoin},
		{"spawn_many", many, spawnMany},
		{"ping_pong", 1000, pingPong},
		{"channel", 1000, channel},
		{"mutex", 1000, mutex},
		{"timer", 1000, timer},
		{"timer_context", 1000, timerContext},
	} {
		if chosen(operation.name) {
			fmt.Printf(`{"operation": "%s", "ns": %.2f}`+"\n", operation.name,
				measure(*seconds, operation.least, operation.run))
		}
	}
}
