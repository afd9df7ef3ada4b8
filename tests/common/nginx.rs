//! Debian's nginx as a proxy in front of an endpoint.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Stdio};

use super::{outside, until};

/// A running nginx. It ends when its value goes.
pub struct Nginx {
    child: Child,
    /// Its address.
    pub address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// Starts one with these `location` blocks and nothing but defaults around them; `None` where no
    /// nginx is installed.
    pub fn start(locations: &str) -> Option<Self> {
        let mut command = outside("nginx")?;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let address = free_address();
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {path}/{kind};"))
            .join(" ");
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log {path}/error.log;\n\
             events {{}}\n\
             http {{ access_log off; {temporary}\n server {{ listen {address};\n{locations}\n}} }}\n"
        );
        let config = folder.path().join("nginx.conf");
        std::fs::write(&config, text).unwrap();
        command.args(["-p", &path, "-e", &format!("{path}/error.log"), "-c"]).arg(&config);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        until("nginx listens", || {
            if let Some(status) = child.try_wait().unwrap() {
                let log = std::fs::read_to_string(folder.path().join("error.log"));
                panic!("nginx ended with {status}: {}", log.unwrap_or_default());
            }
            TcpStream::connect(address).ok()
        });
        Some(Self { child, address, _folder: folder })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that nobody listens on now.
pub fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
