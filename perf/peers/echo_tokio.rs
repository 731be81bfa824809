// An echo on Tokio, in the two ways that its users know to be fast. Both have a task for each
// connection, with a buffer that is allocated once, and TCP_NODELAY.
//   - current_thread: a runtime for each core, on a pinned thread, with a listener of its own
//     (SO_REUSEPORT). Nothing is shared, and connections stay where they were accepted.
//   - multi_thread: one runtime with a worker for each core. Tasks move between the workers; Tokio
//     does not pin them. The accepting loop is a task as well: what block_on() runs itself is no
//     task of the workers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use std::{env, io, mem, process, ptr, thread};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
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
                compute(u32::from_le_bytes(self.head));
            }
        }
        let taken = data.len().min(self.size - self.at);
        self.at = (self.at + taken) % self.size;
        taken
    }
}

/// As in perf/floor/compute.h.
fn compute(us: u32) {
    let mut x = 1u64;
    for _ in 0..u64::from(us) * 700 {
        x = (x ^ (x >> 32)).wrapping_mul(0x9e3779b97f4a7c15);
    }
    unsafe { ptr::read_volatile(&x) };
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

/// Not yet listening, which takes a runtime.
fn bind(port: u16) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(([127, 0, 0, 1], port).into())?;
    Ok(socket)
}

fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    unsafe {
        libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit);
        limit.rlim_cur = limit.rlim_max;
        libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
    }
}

/// To one of the CPUs that this process may use.
fn pin(core: usize) {
    unsafe {
        let mut set: libc::cpu_set_t = mem::zeroed();
        libc::sched_getaffinity(0, mem::size_of_val(&set), &mut set);
        let cpus: Vec<_> =
            (0..libc::CPU_SETSIZE as usize).filter(|&cpu| libc::CPU_ISSET(cpu, &set)).collect();
        libc::CPU_ZERO(&mut set);
        libc::CPU_SET(cpus[core % cpus.len()], &mut set);
        libc::sched_setaffinity(0, mem::size_of_val(&set), &set);
    }
}

#[derive(Clone, Copy)]
struct Options {
    port: u16,
    cores: usize,
    framed: usize,
    multi_thread: bool,
}

fn options() -> Options {
    let mut options = Options { port: 0, cores: 1, framed: 0, multi_thread: false };
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        match (word.as_str(), words.next()) {
            ("--port", Some(value)) => options.port = value.parse().unwrap(),
            ("--cores", Some(value)) => options.cores = value.parse().unwrap(),
            ("--framed", Some(value)) => options.framed = value.parse().unwrap(),
            ("--flavor", Some(value)) => options.multi_thread = value == "multi_thread",
            _ => {
                eprintln!(
                    "usage: echo_tokio [--port N] [--cores N] [--framed BYTES] \
                     [--flavor current_thread|multi_thread]"
                );
                process::exit(2);
            }
        }
    }
    options
}

async fn serve(socket: TcpSocket, options: Options, all_listen: Arc<Barrier>) {
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let listener = socket.listen(4096).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(accept_all(listener, options.framed));
    if all_listen.wait().is_leader() {
        println!("listening on {address} (tokio, {} cores)", options.cores);
    }
    terminate.recv().await;
}

/// The runtime ends with its tasks, which add what they counted.
fn run(core: usize, socket: TcpSocket, options: Options, all_listen: Arc<Barrier>) {
    let mut builder = if options.multi_thread {
        Builder::new_multi_thread()
    } else {
        pin(core);
        Builder::new_current_thread()
    };
    let runtime = builder.worker_threads(options.cores).enable_all().build().unwrap();
    runtime.block_on(serve(socket, options, all_listen));
}

fn main() {
    let options = options();
    raise_descriptor_limit();
    let runtimes = if options.multi_thread { 1 } else { options.cores };
    let all_listen = Arc::new(Barrier::new(runtimes));
    let mut port = options.port;
    let mut threads = Vec::new();
    for core in 0..runtimes {
        let socket = bind(port).unwrap();
        port = socket.local_addr().unwrap().port();
        let all_listen = all_listen.clone();
        threads.push(thread::spawn(move || run(core, socket, options, all_listen)));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let (requests, connections) = (REQUESTS.load(Relaxed), CONNECTIONS.load(Relaxed));
    println!("{{\"requests\":{requests},\"connections\":{connections}}}");
}
