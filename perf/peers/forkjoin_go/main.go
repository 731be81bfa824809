// Fork-join in Go: a goroutine for each node but the last of its parent's, which the parent runs
// itself before it awaits the others through a channel or a WaitGroup. Arguments and figures as in
// perf/forkjoin.
package main

// #include "../../forkjoin/matmul.h"
import "C"

import (
	"fmt"
	"math/bits"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

func fib(n int) int64 {
	if n < 2 {
		return int64(n)
	}
	var a int64
	var other sync.WaitGroup
	other.Add(1)
	go func() { a = fib(n - 1); other.Done() }()
	b := fib(n - 2)
	other.Wait()
	return a + b
}

func skynet(sums chan<- int64, first, leaves int) {
	if leaves == 1 {
		sums <- int64(first)
		return
	}
	parts := make(chan int64, 10)
	for i := 0; i < 9; i++ {
		go skynet(parts, first+i*(leaves/10), leaves/10)
	}
	skynet(parts, first+9*(leaves/10), leaves/10)
	var sum int64
	for i := 0; i < 10; i++ {
		sum += <-parts
	}
	sums <- sum
}

func nqueens(sums chan<- int64, all, taken, left, right uint32) {
	if taken == all {
		sums <- 1
		return
	}
	open := all &^ (taken | left | right)
	if open == 0 {
		sums <- 0
		return
	}
	rows := bits.OnesCount32(open)
	ways := make(chan int64, rows)
	for ; open&(open-1) != 0; open &= open - 1 {
		queen := open & -open
		go nqueens(ways, all, taken|queen, (left|queen)<<1, (right|queen)>>1)
	}
	nqueens(ways, all, taken|open, (left|open)<<1, (right|open)>>1)
	var sum int64
	for i := 0; i < rows; i++ {
		sum += <-ways
	}
	sums <- sum
}

func matmul(a, b, c []C.float, n int) {
	if n == C.matmul_tile {
		C.matmul_leaf(&a[0], &b[0], &c[0])
		return
	}
	half := n / 2
	quadrant := half * half
	for k := 0; k < 2; k++ {
		var products sync.WaitGroup
		products.Add(4)
		product := func(i int) {
			matmul(a[(i/2*2+k)*quadrant:], b[(k*2+i%2)*quadrant:], c[i*quadrant:], half)
			products.Done()
		}
		for i := 0; i < 3; i++ {
			go product(i)
		}
		product(3)
		products.Wait()
	}
}

func solve(name string, n int, a, b, c []C.float) (result int64) {
	answer := make(chan int64, 1)
	switch name {
	case "fib":
		return fib(n)
	case "skynet":
		skynet(answer, 0, n)
	case "nqueens":
		nqueens(answer, 1<<n-1, 0, 0, 0)
	case "matmul":
		matmul(a, b, c, n)
		return 0
	default:
		panic("no such problem: " + name)
	}
	return <-answer
}

func cpuSeconds() float64 {
	var used syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return float64(used.Utime.Nano()+used.Stime.Nano()) * 1e-9
}

// Not of Getrusage: its maximum includes the time before exec.
func maxRSSKiB() (kib int) {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	fmt.Sscan(line, &kib)
	return kib
}

func main() {
	if len(os.Args) != 5 || os.Args[3] != "--cores" {
		fmt.Fprintln(os.Stderr, "usage: forkjoin_go PROBLEM N --cores N, as perf/forkjoin")
		os.Exit(2)
	}
	name := os.Args[1]
	n, _ := strconv.Atoi(os.Args[2])
	cores, _ := strconv.Atoi(os.Args[4])
	runtime.GOMAXPROCS(cores)
	var a, b, c []C.float
	if name == "matmul" {
		a, b, c = make([]C.float, n*n), make([]C.float, n*n), make([]C.float, n*n)
		C.matmul_fill(&a[0], &b[0], &c[0], C.size_t(n))
	}
	cpu, start := cpuSeconds(), time.Now()
	result := solve(name, n, a, b, c)
	wall := time.Since(start).Seconds()
	cpu = cpuSeconds() - cpu
	rss := maxRSSKiB()
	if name == "matmul" {
		result = int64(C.matmul_sum(&a[0], &b[0], &c[0], C.size_t(n)))
	}
	fmt.Printf(`{"benchmark": "%s %d", "cores": %d, "wall_s": %.6f, "cpu_s": %.6f, `+
		`"result": %d, "max_rss_kib": %d}`+"\n",
		name, n, cores, wall, cpu, result, rss)
}
