// An echo on Tokio, in the way that its users know to be fast: the runtime of several threads, with
// a worker for each core, a task for each connection with a buffer that is allocated once, and
// TCP_NODELAY. Tasks move between the workers; Tokio does not pin them. The accepting loop is a
// task as well: what block_on() runs itself is no task of the workers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use std::{env, io, process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::signal::unix::{signal, SignalKind};

const BUFFER_BYTES: usize = 16384;

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static CONNECTIONS: AtomicU64 = AtomicU64::new(0);

/// Counts for one connection; its end adds to the sum, so that workers share no counter meanwhile.
struct Count(u64);

impl Drop for Count {
    fn drop(&mut self) {
        REQUESTS.fetch_add(self.0, Relaxed);
        CONNECTIONS.fetch_add(1, Relaxed);
    }
}

/// Where the stream of a connection is in messages of `size` bytes; 0: there are none.
struct Frame {
    size: usize,
    at: usize,
    head: [u8; 4],
}

impl Frame {
    /// Takes the bytes of one message at most, and computes once its head is complete.
    fn take_message(&mut self, data: &[u8]) -> usize {
        if self.size == 0 {
            return data.len();
        }
        if self.at < self.head.len() {
            let n = data.len().min(self.head.len() - self.at);
            self.head[self.at..self.at + n].copy_from_slice(&data[..n]);
            if self.at + n == self.head.len() {
                compute(Duration::from_micros(u32::from_le_bytes(self.head).into()));
            }
        }
        let taken = data.len().min(self.size - self.at);
        self.at = (self.at + taken) % self.size;
        taken
    }
}

fn compute(duration: Duration) {
    if duration.is_zero() {
        return;
    }
    let start = Instant::now();
    while start.elapsed() < duration {}
}

async fn echo(mut stream: TcpStream, framed: usize) -> io::Result<()> {
    let mut count = Count(0);
    let mut frame = Frame { size: framed, at: 0, head: [0; 4] };
    let mut buffer = vec![0; BUFFER_BYTES];
    stream.set_nodelay(true)?;
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        count.0 += 1;
        let mut sent = 0;
        while sent < n {
            let end = sent + frame.take_message(&buffer[sent..n]);
            stream.write_all(&buffer[sent..end]).await?;
            sent = end;
        }
    }
}

async fn accept_all(listener: TcpListener, framed: usize) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(echo(stream, framed));
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await, // out of descriptors
        }
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    socket.listen(4096)
}

fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

struct Options {
    port: u16,
    cores: usize,
    framed: usize,
}

fn options() -> Options {
    let mut options = Options { port: 0, cores: 1, framed: 0 };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--port", Some(value)) => options.port = value.parse().unwrap(),
            ("--cores", Some(value)) => options.cores = value.parse().unwrap(),
            ("--framed", Some(value)) => options.framed = value.parse().unwrap(),
            _ => {
                eprintln!("usage: echo_tokio [--port N] [--cores N] [--framed BYTES]");
                process::exit(2);
            }
        }
    }
    options
}

fn main() {
    let options = options();
    raise_descriptor_limit();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.cores)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let listener = listen(options.port).unwrap();
        let address = listener.local_addr().unwrap();
        let mut terminate = signal(SignalKind::terminate()).unwrap();
        tokio::spawn(accept_all(listener, options.framed));
        println!("listening on {address} (tokio, {} cores)", options.cores);
        terminate.recv().await;
    });
    drop(runtime); // with the tasks, which add what they counted
    let (requests, connections) = (REQUESTS.load(Relaxed), CONNECTIONS.load(Relaxed));
    println!("{{\"requests\":{requests},\"connections\":{connections}}}");
}
