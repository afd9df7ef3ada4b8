//! Addresses of pages. Which role a request needs, the table of routes says.

/// True if a request is of someone with a browser, who can be led to the page for logging in.
#[must_use]
pub fn is_page(path: &str) -> bool {
    let others = ["/api/", "/tile/"];
    let is_other = others.iter().any(|other| path.starts_with(other));
    let files = ["/metrics", "/checkpoint", "/live.js", "/healthz", "/readyz"];
    !is_other && !files.contains(&path)
}
