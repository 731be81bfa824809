// Answers "hello" with net/http, as its users write it: a handler, and the server that does the
// rest. GOMAXPROCS is the number of cores; Go does not pin.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
)

// A counter of each connection would be cheaper, but handlers do not know theirs.
var requests, connections atomic.Uint64

func hello(answer http.ResponseWriter, request *http.Request) {
	requests.Add(1)
	if request.URL.Path != "/" {
		http.NotFound(answer, request)
		return
	}
	answer.Header().Set("Content-Type", "text/plain")
	io.WriteString(answer, "hello\n")
}

func main() {
	port := flag.Int("port", 0, "0 takes a free one")
	cores := flag.Int("cores", 1, "threads that run goroutines")
	flag.Parse()
	runtime.GOMAXPROCS(*cores)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: *port})
	if err != nil {
		fmt.Fprintf(os.Stderr, "http_go: %v\n  now: take another --port; 0 takes a free one\n", err)
		os.Exit(1)
	}
	count := func(ctx context.Context, _ net.Conn) context.Context {
		connections.Add(1)
		return ctx
	}
	server := http.Server{Handler: http.HandlerFunc(hello), ConnContext: count}
	go server.Serve(listener)
	fmt.Printf("listening on %v (go, %d cores)\n", listener.Addr(), *cores)

	<-stop
	fmt.Printf(`{"requests":%d,"connections":%d}`+"\n", requests.Load(), connections.Load())
}
