// Fork-join on Tokio: a spawned task for each node but the last of its parent's, which the parent
// awaits itself before it awaits the others through their handles. Arguments and figures as in
// perf/forkjoin.

use std::{env, fs, future::Future, pin::Pin, time::Instant};
use tokio::spawn;

type Answer = Pin<Box<dyn Future<Output = i64> + Send>>;

fn fib(n: u64) -> Answer {
    Box::pin(async move {
        if n < 2 {
            return n as i64;
        }
        let other = spawn(fib(n - 1));
        fib(n - 2).await + other.await.unwrap()
    })
}

fn skynet(first: u64, leaves: u64) -> Answer {
    Box::pin(async move {
        if leaves == 1 {
            return first as i64;
        }
        let part = leaves / 10;
        let parts = [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|i| spawn(skynet(first + i * part, part)));
        let mut sum = skynet(first + 9 * part, part).await;
        for part in parts {
            sum += part.await.unwrap();
        }
        sum
    })
}

fn nqueens(all: u32, taken: u32, left: u32, right: u32) -> Answer {
    Box::pin(async move {
        if taken == all {
            return 1;
        }
        let mut open = all & !(taken | left | right);
        if open == 0 {
            return 0;
        }
        let next = |queen| nqueens(all, taken | queen, (left | queen) << 1, (right | queen) >> 1);
        let mut rows = Vec::with_capacity(open.count_ones() as usize - 1);
        while open & (open - 1) != 0 {
            rows.push(spawn(next(open & open.wrapping_neg())));
            open &= open - 1;
        }
        let mut ways = next(open).await;
        for row in rows {
            ways += row.await.unwrap();
        }
        ways
    })
}

const TILE: usize = 64; // matmul_tile

extern "C" {
    fn matmul_fill(a: *mut f32, b: *mut f32, c: *mut f32, n: usize);
    fn matmul_leaf(a: *const f32, b: *const f32, c: *mut f32);
    fn matmul_sum(a: *const f32, b: *const f32, c: *const f32, n: usize) -> i64;
}

#[derive(Clone, Copy)]
struct Operands(*mut f32, *mut f32, *mut f32);
unsafe impl Send for Operands {} // parts that run at once write to distinct quadrants of c

impl Operands {
    /// Of the k-th product that is added to quadrant i of c.
    fn part(self, i: usize, k: usize, quadrant: usize) -> Operands {
        let (row, column) = (i / 2 * 2, i % 2);
        unsafe {
            Operands(
                self.0.add((row + k) * quadrant),
                self.1.add((k * 2 + column) * quadrant),
                self.2.add(i * quadrant),
            )
        }
    }

    fn leaf(self) {
        unsafe { matmul_leaf(self.0, self.1, self.2) }
    }
}

fn matmul(of: Operands, n: usize) -> Answer {
    Box::pin(async move {
        if n == TILE {
            of.leaf();
            return 0;
        }
        let half = n / 2;
        for k in 0..2 {
            let products = [0, 1, 2].map(|i| spawn(matmul(of.part(i, k, half * half), half)));
            matmul(of.part(3, k, half * half), half).await;
            for product in products {
                product.await.unwrap();
            }
        }
        0
    })
}

/// CPU time and the largest resident size, from /proc: the standard library has no getrusage.
fn usage() -> (f64, u64) {
    let mut nanoseconds = 0;
    for thread in fs::read_dir("/proc/self/task").unwrap() {
        let text = fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        nanoseconds += text.split(' ').next().unwrap().parse::<u64>().unwrap();
    }
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    (nanoseconds as f64 * 1e-9, peak.split_whitespace().nth(1).unwrap().parse().unwrap())
}

fn main() {
    let words: Vec<String> = env::args().collect();
    if words.len() != 5 || words[3] != "--cores" {
        eprintln!("usage: forkjoin_tokio PROBLEM N --cores N, as perf/forkjoin");
        std::process::exit(2);
    }
    let (name, n, cores) = (&words[1], words[2].parse::<u64>().unwrap(), words[4].parse().unwrap());
    let mut builder = if cores == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let machine = builder.worker_threads(cores).build().unwrap();
    let mut matrices = [vec![], vec![], vec![]];
    if name == "matmul" {
        matrices = [(); 3].map(|_| vec![0f32; (n * n) as usize]);
    }
    let [a, b, c] = &mut matrices;
    let operands = Operands(a.as_mut_ptr(), b.as_mut_ptr(), c.as_mut_ptr());
    if name == "matmul" {
        unsafe { matmul_fill(operands.0, operands.1, operands.2, n as usize) };
    }
    let ((before, _), start) = (usage(), Instant::now());
    let root = match name.as_str() {
        "fib" => fib(n),
        "skynet" => skynet(0, n),
        "nqueens" => nqueens((1 << n) - 1, 0, 0, 0),
        "matmul" => matmul(operands, n as usize),
        _ => panic!("no such problem: {name}"),
    };
    let mut result = machine.block_on(async { spawn(root).await.unwrap() });
    let (wall, (after, peak)) = (start.elapsed().as_secs_f64(), usage());
    if name == "matmul" {
        result = unsafe { matmul_sum(operands.0, operands.1, operands.2, n as usize) };
    }
    println!(
        "{{\"benchmark\": \"{name} {n}\", \"cores\": {cores}, \"wall_s\": {wall:.6}, \
         \"cpu_s\": {:.6}, \"result\": {result}, \"max_rss_kib\": {peak}}}",
        after - before
    );
}
