// An echo in Go, in the way that its users know to be fast: a goroutine for each connection, with a
// buffer that is allocated once, and Read and Write on the connection itself. (io.Copy would splice
// through a pipe, which takes more system calls for small messages.) TCP_NODELAY and the highest
// limit of descriptors are Go's defaults. GOMAXPROCS is the number of cores; Go does not pin.
package main

import (
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

var framed = flag.Int("framed", 0, "messages of so many bytes, which begin with the microseconds "+
	"to compute (4 bytes, little-endian)")

type connection struct {
	*net.TCPConn
	requests atomic.Uint64 // only its goroutine writes
	at       int           // bytes of this message that were taken
	head     [4]byte
	buffer   [16384]byte
}

// The connections that are open, and the figures of those that have ended.
type server struct {
	sync.Mutex
	open                  map[*connection]struct{}
	requests, connections uint64
}

func (s *server) serve(c *connection) {
	defer func() {
		c.Close()
		s.Lock()
		delete(s.open, c)
		s.requests += c.requests.Load()
		s.Unlock()
	}()
	for {
		n, err := c.Read(c.buffer[:])
		if err != nil {
			return
		}
		c.requests.Add(1)
		for sent := 0; sent < n; {
			next := c.takeMessage(c.buffer[sent:n])
			if _, err := c.Write(c.buffer[sent : sent+next]); err != nil {
				return
			}
			sent += next
		}
	}
}

// Takes the bytes of one message at most, and computes once its head is complete. Without --framed
// it takes all.
func (c *connection) takeMessage(data []byte) int {
	if *framed == 0 {
		return len(data)
	}
	if c.at < len(c.head) {
		n := copy(c.head[c.at:], data)
		if c.at+n == len(c.head) {
			compute(binary.LittleEndian.Uint32(c.head[:]))
		}
	}
	taken := *framed - c.at
	if taken > len(data) {
		taken = len(data)
	}
	c.at = (c.at + taken) % *framed
	return taken
}

// As in perf/floor/compute.h.
func compute(us uint32) {
	x := uint64(1)
	for steps := uint64(us) * 700; steps > 0; steps-- {
		x = (x ^ x>>32) * 0x9e3779b97f4a7c15
	}
	runtime.KeepAlive(x)
}

func (s *server) acceptAll(listener *net.TCPListener) {
	for {
		socket, err := listener.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := &connection{TCPConn: socket}
		s.Lock()
		s.open[c] = struct{}{}
		s.connections++
		s.Unlock()
		go s.serve(c)
	}
}

func main() {
	port := flag.Int("port", 0, "0 takes a free one")
	cores := flag.Int("cores", 1, "threads that run goroutines")
	flag.Parse()
	if *framed != 0 && *framed < 4 {
		fmt.Fprintln(os.Stderr, "echo_go: --framed takes 4 or more")
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*cores)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	listener, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: *port})
	if err != nil {
		fmt.Fprintf(os.Stderr, "echo_go: %v\n  now: take another --port; 0 takes a free one\n", err)
		os.Exit(1)
	}
	s := server{open: map[*connection]struct{}{}}
	go s.acceptAll(listener)
	fmt.Printf("listening on %v (go, %d cores)\n", listener.Addr(), *cores)

	<-stop
	s.Lock()
	for c := range s.open {
		s.requests += c.requests.Load()
	}
	fmt.Printf(`{"requests":%d,"connections":%d}`+"\n", s.requests, s.connections)
}
