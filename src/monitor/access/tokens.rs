//! Tokens of people and programs. A token is 32 random bytes that are shown once; the file keeps its
//! SHA-256. That is enough: what cannot be guessed needs no slow hash, and a slow one would let a
//! stranger take up a processor. A file that someone reads gives no token away.
//!
//! It must never keep or print a token, or tell by its time how near a guess came.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};

use crate::codec::Digest;
use crate::codec::yaml::{self, Located};
use crate::diagnostic::Diagnostic;
use crate::disk::open_followed;
use crate::event::time;
use crate::limits::{MAX_ACCESS_FILE_BYTES, MAX_TOKENS};
use crate::monitor::access::caller::{Caller, How, Role};

/// Prefix of every token, so that a leaked one is recognised.
pub const PREFIX: &str = "ledgerline_";
/// Random bytes of a token, and of a session's.
const RANDOM_BYTES: usize = 32;
/// The first lines of a new file.
const HEADING: &str = "# Tokens for Ledgerline's endpoint, created by `ledgerline token`. Only the SHA-256 of each \
    is stored.\n# To revoke one, remove its line; a running service notices within seconds.\n";

/// A token as its file has it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TokenForm {
    /// The caller: the name under which the ledger records its calls.
    name: Located<String>,
    /// Its role.
    role: Role,
    /// SHA-256 of the token, in hexadecimal digits.
    sha256: Located<String>,
    /// Creation time.
    #[serde(default)]
    #[allow(dead_code)] // for people
    created: Option<String>,
    /// Expiry (RFC 3339); never, if absent.
    #[serde(default)]
    expires: Option<Located<String>>,
}

#[derive(Debug)]
struct Token {
    caller: Caller,
    digest: Digest,
    expires_ms: Option<i64>,
}

/// The tokens of a file.
#[derive(Debug, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadToken {
    /// It is nobody's.
    Unknown,
    /// It was somebody's.
    Expired,
}

/// Why a token cannot be added to a file.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name cannot stand in a ledger.
    #[error("`{0}` cannot be the name of a caller: use letters, digits and -_.@:|/+=#~, up to 255")]
    Name(String),
    /// The file is not one of tokens.
    #[error("{0}")]
    Form(Diagnostic),
    /// It holds as many as it may.
    #[error("{path} has {MAX_TOKENS} tokens, the limit; remove unused ones")]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// No time can be told.
    #[error("its expiry is beyond the calendar")]
    Time,
    /// The system gives no randomness.
    #[error("cannot get random bytes from the system: {0}")]
    NoRandomness(String),
    /// It cannot be read or written.
    #[error("{doing} the file of tokens {path}")]
    Io {
        /// Reading or writing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        #[source]
        error: std::io::Error,
    },
}

/// Random text of `RANDOM_BYTES` bytes that can stand in a header.
pub fn random_text() -> Result<String, TokenError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|error| TokenError::NoRandomness(error.to_string()))?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

impl Tokens {
    /// Reads the text of a file.
    pub fn parse(path: &Path, text: &str) -> Result<Self, Diagnostic> {
        let lists = yaml::parse::<Option<Vec<TokenForm>>>(path, text)?;
        let forms: Vec<_> = lists.into_iter().flatten().flatten().collect();
        if let Some(form) = forms.get(MAX_TOKENS) {
            let message = format!("more than {MAX_TOKENS} tokens");
            return Err(Diagnostic::error(path, form.name.place, message));
        }
        let tokens = forms.iter().map(|form| Token::check(path, form)).collect::<Result<_, _>>()?;
        Ok(Self { tokens })
    }

    /// The caller of a token. All are compared, in constant time.
    pub fn find(&self, token: &str, now_ms: i64) -> Result<(Caller, Digest), BadToken> {
        let digest = Digest::of(token.as_bytes());
        let mut found = u64::MAX;
        for (at, token) in (0_u64..).zip(&self.tokens) {
            found.conditional_assign(&at, token.digest.0.ct_eq(&digest.0));
        }
        let found = usize::try_from(found).ok().and_then(|at| self.tokens.get(at));
        let token = found.ok_or(BadToken::Unknown)?;
        token.caller_at(now_ms).map(|caller| (caller, digest))
    }

    /// The caller of the token with this digest.
    #[must_use]
    pub fn of_digest(&self, digest: &Digest, now_ms: i64) -> Option<Caller> {
        // The last of several lines for one token, as in `find`.
        let token = self.tokens.iter().rfind(|token| token.digest == *digest)?;
        token.caller_at(now_ms).ok()
    }
}

/// Tokens of a file that have this name; none where it cannot be read.
#[must_use]
pub fn count_named(path: &Path, name: &str) -> usize {
    let tokens = read(path).map(|tokens| tokens.tokens).unwrap_or_default();
    tokens.iter().filter(|token| token.caller.name() == name).count()
}

impl Token {
    fn check(path: &Path, form: &TokenForm) -> Result<Self, Diagnostic> {
        let Located { value: name, place } = &form.name;
        let caller = Caller::known(name, form.role, How::Token).ok_or_else(|| {
            Diagnostic::error(path, *place, TokenError::Name(name.clone()).to_string())
        })?;
        let digest = Digest::from_hex(&form.sha256.value).ok_or_else(|| {
            let message = "`sha256` is not a SHA-256 in 64 hexadecimal digits";
            Diagnostic::error(path, form.sha256.place, message)
                .help("`ledgerline token` creates the line")
        })?;
        let expires = form.expires.as_ref().map(|expires| {
            let diagnostic =
                |error: time::TimeError| Diagnostic::error(path, expires.place, error.to_string());
            time::parse(&expires.value).map_err(diagnostic)
        });
        Ok(Self { caller, digest, expires_ms: expires.transpose()? })
    }

    fn caller_at(&self, now_ms: i64) -> Result<Caller, BadToken> {
        match self.expires_ms {
            Some(end) if end <= now_ms => Err(BadToken::Expired),
            _ => Ok(self.caller.clone()),
        }
    }
}

/// Reads a file of tokens; refuses one that others than its owner can write: whoever writes it says
/// who may do what.
pub fn read(path: &Path) -> Result<Tokens, Diagnostic> {
    let diagnostic =
        |message: String| Diagnostic::error(path, crate::diagnostic::Place::START, message);
    let mode = open_followed(path).and_then(|file| file.metadata());
    let mode = mode.map(|metadata| metadata.permissions().mode() & 0o7777);
    let mode = mode.map_err(|error| {
        let help = "`ledgerline token NAME --role viewer --file FILE` creates a token and its file";
        diagnostic(format!("the file cannot be read: {error}")).help(help)
    })?;
    if mode & 0o022 != 0 {
        let message = format!("has mode {mode:04o}, so other users can add tokens");
        return Err(diagnostic(message).help(format!("run `chmod 600 {}`", path.display())));
    }
    Tokens::parse(path, &yaml::read(path)?)
}

/// Makes a token and adds it to a file, which is made where it is not there. Gives the token, which
/// is nowhere else.
///
/// # Errors
///
/// A name that cannot stand in a ledger, a file that is none of tokens or full, or cannot be written.
pub fn add(
    path: &Path,
    (name, role): (&str, Role),
    now_ms: i64,
    expires_ms: Option<i64>,
) -> Result<String, TokenError> {
    let io = |doing| move |error| TokenError::Io { doing, path: path.to_owned(), error };
    if Caller::known(name, role, How::Token).is_none() {
        return Err(TokenError::Name(name.to_owned()));
    }
    let held = match path.exists() {
        true => read(path).map_err(TokenError::Form)?.tokens.len(),
        false => 0,
    };
    if held >= MAX_TOKENS {
        return Err(TokenError::Full { path: path.to_owned() });
    }
    let token = format!("{PREFIX}{}", random_text()?);
    let line = line((name, role), &token, now_ms, expires_ms)?;
    let mut open = OpenOptions::new();
    let mut file = open.append(true).create(true).mode(0o600).open(path).map_err(io("opening"))?;
    let start = start_of_line(path, &file).map_err(io("reading"))?;
    file.write_all(format!("{start}{line}").as_bytes()).map_err(io("writing"))?;
    file.sync_all().map_err(io("writing"))?;
    Ok(token)
}

fn line(
    (name, role): (&str, Role),
    token: &str,
    now_ms: i64,
    expires_ms: Option<i64>,
) -> Result<String, TokenError> {
    let time = |ms| time::format(ms).ok_or(TokenError::Time);
    // A string in double quotes means the same in JSON and in YAML.
    let name = serde_json::Value::from(name);
    let (digest, created) = (Digest::of(token.as_bytes()), time(now_ms)?);
    let expires = expires_ms.map(|ms| Ok(format!(", expires: \"{}\"", time(ms)?))).transpose()?;
    let expires = expires.unwrap_or_default();
    Ok(format!(
        "- {{ name: {name}, role: {role}, sha256: \"{digest}\", created: \"{created}\"{expires} }}\n"
    ))
}

/// The separator needed before a new line at the end of a file.
fn start_of_line(path: &Path, file: &File) -> std::io::Result<&'static str> {
    if file.metadata()?.len() == 0 {
        return Ok(HEADING);
    }
    let text = std::fs::read(path)?;
    Ok(if text.ends_with(b"\n") { "" } else { "\n" })
}

const _: () = assert!(MAX_ACCESS_FILE_BYTES <= crate::limits::MAX_DEFINITION_BYTES as u64);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;
    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn a_token_is_shown_once_and_found_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.yaml");
        let ada = add(&path, ("ada", Role::Operator), NOW_MS, None).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.trim_end()).unwrap();
        let bob = add(&path, ("auth0|b\u{f6}b", Role::Viewer), NOW_MS, Some(NOW_MS + HOUR_MS));
        let bob = bob.unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(ada.starts_with(PREFIX) && ada.len() == PREFIX.len() + 43 && ada != bob);
        assert!(!text.contains(&ada[PREFIX.len()..]) && !text.contains(&bob[PREFIX.len()..]));
        let tokens = read(&path).unwrap();
        let (caller, digest) = tokens.find(&ada, NOW_MS + 99 * HOUR_MS).unwrap();
        assert_eq!((caller.name(), caller.role()), ("ada", Role::Operator));
        assert_eq!(tokens.of_digest(&digest, NOW_MS), Some(caller));
        let (caller, digest) = tokens.find(&bob, NOW_MS).unwrap();
        assert_eq!((caller.name(), caller.role()), ("auth0|b\u{f6}b", Role::Viewer));
        assert_eq!(tokens.find(&bob, NOW_MS + HOUR_MS), Err(BadToken::Expired));
        assert_eq!(tokens.of_digest(&digest, NOW_MS + HOUR_MS), None);
        let altered = format!("{}x", &ada[..ada.len() - 1]);
        for unknown in ["", "ada", PREFIX, &ada[1..], &ada.to_uppercase(), &altered] {
            assert_eq!(tokens.find(unknown, NOW_MS), Err(BadToken::Unknown), "{unknown}");
        }
    }

    #[test]
    fn a_token_with_two_lines_has_one_role() {
        let digest = Digest::of(b"token");
        let line = |role| format!("- {{ name: {role}, role: {role}, sha256: \"{digest}\" }}\n");
        for roles in [["viewer", "admin"], ["admin", "viewer"]] {
            let text = roles.map(line).concat();
            let tokens = Tokens::parse(Path::new("tokens.yaml"), &text).unwrap();
            let (caller, digest) = tokens.find("token", NOW_MS).unwrap();
            assert_eq!(caller.role().name(), roles[1]);
            assert_eq!(tokens.of_digest(&digest, NOW_MS), Some(caller), "the same after a login");
        }
    }

    #[test]
    fn a_bad_file_is_refused_with_its_place() {
        let hash = "\"0000000000000000000000000000000000000000000000000000000000000000\"";
        let path = Path::new("tokens.yaml");
        for (text, expected) in [
            ("x: 1".to_owned(), "tokens.yaml:1:1: error"),
            (format!("- {{ name: a, role: root, sha256: {hash} }}"), "`root`"),
            (
                format!("- {{ name: a b, role: viewer, sha256: {hash} }}"),
                "1:11: error: `a b` cannot",
            ),
            ("- { name: a, role: viewer, sha256: abc }".to_owned(), "1:36: error: `sha256`"),
            ("- { name: a, role: viewer }".to_owned(), "missing field `sha256`"),
            (format!("- {{ name: a, role: viewer, token: x, sha256: {hash} }}"), "`token`"),
            (format!("- {{ name: a, role: viewer, sha256: {hash}, expires: soon }}"), "soon"),
        ] {
            let diagnostic = Tokens::parse(path, &text).unwrap_err().to_string();
            assert!(diagnostic.contains(expected), "{text}: {diagnostic}");
        }
        for text in ["", "# nobody\n", "[]"] {
            assert_eq!(Tokens::parse(path, text).unwrap().tokens.len(), 0, "{text}");
        }
        let line = format!("- {{ name: a, role: viewer, sha256: {hash} }}\n");
        assert!(Tokens::parse(path, &line.repeat(MAX_TOKENS)).is_ok());
        let diagnostic = Tokens::parse(path, &line.repeat(MAX_TOKENS + 1)).unwrap_err().to_string();
        assert!(diagnostic.contains("more than"), "{diagnostic}");
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokens.yaml");
        add(&path, ("ada", Role::Viewer), NOW_MS, None).unwrap();
        for (mode, is_taken) in [(0o600, true), (0o644, true), (0o620, false), (0o602, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read(&path).is_ok(), is_taken, "{mode:o}");
        }
        assert!(add(&path, ("a b", Role::Viewer), NOW_MS, None).is_err());
    }
}
