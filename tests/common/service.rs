//! The program as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::{Deployment, PROGRAM, until};

/// Status code and body of a page; `None` where nobody answers.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(30))).ok()?;
    // An answer to HTTP/1.0 does not come in chunks.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let code = head.split(' ').nth(1)?.parse().ok()?;
    Some((code, serde_json::from_str(body).unwrap_or_else(|_| body.into())))
}

/// A child process that is killed when its value goes.
pub struct Service {
    child: Child,
    log: Arc<Mutex<String>>,
    reading: Option<JoinHandle<()>>,
}

/// The end of a child process.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// Everything it wrote to standard error.
    pub log: String,
}

impl Service {
    /// Starts `ledgerline run`.
    pub fn start(deployment: &Deployment) -> Self {
        Self::spawn(Self::command(deployment))
    }

    /// The command that [`Service::start`] starts.
    pub fn command(deployment: &Deployment) -> Command {
        let mut command = Command::new(PROGRAM);
        command.args(["--log-format", "json", "run", "--config"]).arg(&deployment.config);
        command
    }

    /// Starts a command.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = Arc::<Mutex<String>>::default();
        let (lines, for_thread) = (BufReader::new(child.stderr.take().unwrap()), log.clone());
        let reading = std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let mut log = for_thread.lock().unwrap();
                log.push_str(&line);
                log.push('\n');
            }
        });
        Self { child, log, reading: Some(reading) }
    }

    /// Everything it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Looks until there is something; fails at once where the process has ended.
    pub fn until<T>(&mut self, what: &str, mut look: impl FnMut(&Self) -> Option<T>) -> T {
        until(what, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{what}: the program has ended with {status}:\n{}", self.log());
            }
            look(self)
        })
    }

    /// True if the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for a log line with this message.
    pub fn until_logged(&mut self, message: &str) {
        self.until(message, |service| service.log().contains(message).then_some(()));
    }

    /// Waits until the endpoint stands.
    pub fn until_running(&mut self) {
        self.until("running", Self::endpoint);
    }

    /// The endpoint's address, once it is told.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        let log = self.log();
        let running = log.lines().find_map(|line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "running").then_some(line)
        })?;
        running["endpoint"].as_str()?.strip_prefix("http://")?.parse().ok()
    }

    /// Status code and body of a page; `None` where the endpoint does not answer.
    pub fn get(&self, path: &str) -> Option<(u16, Value)> {
        get(self.endpoint()?, path)
    }

    /// `/api/v1/status`.
    pub fn status(&self) -> Option<Value> {
        self.get("/api/v1/status").filter(|(code, _)| *code == 200).map(|(_, status)| status)
    }

    /// Waits until a status holds; gives it.
    pub fn until_status(&mut self, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        self.until(what, |service| service.status().filter(&holds))
    }

    /// Waits until so many records of each of so many partitions are durable and taken into the
    /// state.
    pub fn until_durable(&mut self, partitions: usize, count: u64) -> Value {
        let what = format!("{count} durable records of each of {partitions} partitions");
        self.until_status(&what, |status| {
            let found = status["partitions"].as_array().unwrap();
            let is_durable = |partition: &&Value| partition["durable"].as_u64() == Some(count);
            // The parts of a status are not of one moment: the state's counts may be older.
            found.iter().filter(is_durable).count() == partitions
                && status["records"]["read"].as_u64() == Some(count * partitions as u64)
        })
    }

    /// Number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let pid = self.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap();
        assert!(sent.success(), "kill -{name} {pid}");
    }

    /// Kills it: no handler runs, nothing is flushed.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Ends it in order, which must succeed.
    pub fn end(self) -> Ended {
        self.signal("TERM");
        let ended = self.wait();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        ended
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let child = &mut self.child;
        let log = self.log.clone();
        let mut ended = None;
        let status = until("the program's end", || {
            ended = child.try_wait().unwrap();
            ended
        });
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        let log = log.lock().unwrap().clone();
        Ended { code: status.code(), log }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
