// The operations of perf/micro on Tokio, under the same names; on one core on its runtime of one
// thread. A line of JSON for each: ns, or bytes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use std::{env, fs, process};
use tokio::sync::{mpsc, Mutex, Notify};
use tokio::task::yield_now;
use tokio::{spawn, time};

const MANY: usize = 1_000_000;
const HOUR: Duration = Duration::from_secs(3600);

async fn r#yield(n: usize) {
    for _ in 0..n {
        yield_now().await;
    }
}

async fn yield_1000(n: usize) {
    let tasks: Vec<_> = (0..1000).map(|_| spawn(r#yield(n / 1000))).collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn spawn_join(n: usize) {
    for i in 0..n {
        spawn(async move { i }).await.unwrap();
    }
}

async fn spawn_many(n: usize) {
    for _ in 0..n / MANY {
        let tasks: Vec<_> = (0..MANY).map(|i| spawn(async move { i })).collect();
        for task in tasks {
            task.await.unwrap();
        }
    }
}

async fn ping_pong(n: usize) {
    let (ping, mut pinged) = mpsc::channel(1);
    let (pong, mut ponged) = mpsc::channel(1);
    spawn(async move {
        while let Some(i) = pinged.recv().await {
            pong.send(i).await.unwrap();
        }
    });
    for i in 0..n {
        ping.send(i).await.unwrap();
        ponged.recv().await.unwrap();
    }
}

async fn channel(n: usize) {
    let (items, mut taken) = mpsc::channel(128);
    spawn(async move {
        for i in 0..n {
            items.send(i).await.unwrap();
        }
    });
    while taken.recv().await.is_some() {}
}

async fn mutex(n: usize) {
    let m = Mutex::new(0usize);
    for _ in 0..n {
        *m.lock().await += 1;
    }
}

/// Polls a timer once.
struct Armed<'a>(Pin<&'a mut time::Sleep>);

impl Future for Armed<'_> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        assert!(self.0.as_mut().poll(context).is_pending());
        Poll::Ready(())
    }
}

/// A timer is armed when it is first polled, and cancelled when it is dropped.
async fn timer(n: usize) {
    for _ in 0..n {
        let sleep = time::sleep(HOUR);
        tokio::pin!(sleep);
        Armed(sleep).await;
    }
}

/// The idiom for a deadline; what it is around must wait once, else no timer is armed.
async fn timer_timeout(n: usize) {
    for _ in 0..n {
        time::timeout(HOUR, yield_now()).await.unwrap();
    }
}

fn resident_bytes() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
}

async fn parked() -> f64 {
    const TASKS: usize = 100_000;
    let crowd = Arc::new((Notify::new(), AtomicUsize::new(0)));
    let before = resident_bytes();
    for _ in 0..TASKS {
        let crowd = crowd.clone();
        spawn(async move {
            crowd.1.fetch_add(1, Relaxed);
            crowd.0.notified().await;
            crowd.1.fetch_sub(1, Relaxed);
        });
    }
    while crowd.1.load(Relaxed) < TASKS {
        yield_now().await;
    }
    let bytes = (resident_bytes() - before) / TASKS as f64;
    while crowd.1.load(Relaxed) > 0 {
        crowd.0.notify_waiters();
        yield_now().await;
    }
    bytes
}

struct Options {
    cores: usize,
    seconds: f64,
    only: String,
}

fn options() -> Options {
    let mut options = Options { cores: 1, seconds: 0.2, only: String::new() };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--cores", Some(value)) => options.cores = value.parse().unwrap(),
            ("--seconds", Some(value)) => options.seconds = value.parse().unwrap(),
            ("--only", Some(value)) => options.only = value,
            _ => {
                eprintln!("usage: tasks_tokio [--cores N] [--seconds S] [--only NAME,…]");
                process::exit(2);
            }
        }
    }
    options
}

impl Options {
    fn chosen(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.split(',').any(|word| word == name)
    }

    /// Repeats more and more often until it takes long enough.
    async fn measure<Fut: Future<Output = ()>>(
        &self,
        name: &str,
        least: usize,
        run: fn(usize) -> Fut,
    ) {
        if !self.chosen(name) {
            return;
        }
        let mut n = least;
        loop {
            let start = Instant::now();
            run(n).await;
            let took = start.elapsed().as_secs_f64();
            if took >= self.seconds {
                let ns = took * 1e9 / n as f64;
                println!("{{\"operation\": \"{name}\", \"ns\": {ns:.2}}}");
                return;
            }
            n *= 2;
        }
    }
}

async fn all(options: Options) {
    if !options.only.is_empty() && options.chosen("parked") {
        // first, while no memory has been used
        println!("{{\"operation\": \"parked\", \"bytes\": {:.1}}}", parked().await);
    }
    options.measure("yield", 1000, r#yield).await;
    options.measure("yield_1000", MANY, yield_1000).await;
    options.measure("spawn_join", 1000, spawn_join).await;
    options.measure("spawn_many", MANY, spawn_many).await;
    options.measure("ping_pong", 1000, ping_pong).await;
    options.measure("channel", 1000, channel).await;
    options.measure("mutex", 1000, mutex).await;
    options.measure("timer", 1000, timer).await;
    options.measure("timer_timeout", 1000, timer_timeout).await;
}

fn main() {
    let options = options();
    let mut builder = if options.cores == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    let machine = builder.worker_threads(options.cores).enable_time().build().unwrap();
    machine.block_on(async { spawn(all(options)).await.unwrap() });
}
