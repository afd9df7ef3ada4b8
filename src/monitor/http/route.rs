//! Routes: each address with the methods that it answers, the role that each of them needs, and what
//! handles it. The router, the answers about methods and the description of the API are made of these.

use std::collections::HashMap;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;

use crate::monitor::access::Role;
use crate::monitor::http::asking::App;

/// One address.
pub struct Route {
    /// The address; names in braces.
    path: &'static str,
    /// Methods, with the role that each needs.
    methods: Vec<(Method, Needs)>,
    handlers: MethodRouter<App>,
}

/// The role that a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None: anyone may ask.
    Nothing,
    /// This role or a higher one.
    Role(Role),
}

impl Needs {
    /// Someone who may look.
    pub const VIEWER: Self = Self::Role(Role::Viewer);
    /// Someone who may submit.
    pub const OPERATOR: Self = Self::Role(Role::Operator);

    /// The role; `None` where anyone may ask.
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Nothing => None,
            Self::Role(role) => Some(role),
        }
    }
}

impl Route {
    /// An address that one method answers.
    pub fn new(
        path: &'static str,
        (method, needs): (Method, Needs),
        handlers: MethodRouter<App>,
    ) -> Self {
        Self { path, methods: vec![(method, needs)], handlers }
    }

    /// An address to look at.
    pub fn get(path: &'static str, handlers: MethodRouter<App>) -> Self {
        Self::new(path, (Method::GET, Needs::VIEWER), handlers)
    }

    /// An address that anyone may look at.
    pub fn open(path: &'static str, handlers: MethodRouter<App>) -> Self {
        Self::new(path, (Method::GET, Needs::Nothing), handlers)
    }

    /// The same address, which also takes what is posted.
    pub fn and_post(mut self, needs: Needs, handlers: MethodRouter<App>) -> Self {
        self.methods.push((Method::POST, needs));
        self.handlers = self.handlers.merge(handlers);
        self
    }
}

/// The methods of one address.
#[derive(Debug, Clone)]
pub struct Methods(Vec<(Method, Needs)>);

impl Methods {
    /// The role that a method needs here; `None` where it is not answered. HEAD is answered wherever
    /// GET is.
    pub fn needs(&self, method: &Method) -> Option<Needs> {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|(known, _)| known == asked).map(|(_, needs)| *needs)
    }

    /// The methods that are answered here, as `Allow` lists them (RFC 9110, section 10.2.1).
    pub fn allowed(&self) -> String {
        let names = self.0.iter().flat_map(|(method, _)| match *method {
            Method::GET => vec!["GET", "HEAD"],
            ref other => vec![other.as_str()],
        });
        names.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }
}

/// The methods of every address, by the address as its route names it.
#[derive(Debug, Clone, Default)]
pub struct Table(HashMap<&'static str, Methods>);

impl Table {
    /// The methods of a route's address.
    pub fn of(&self, path: &str) -> Option<&Methods> {
        self.0.get(path)
    }

    /// The methods that any address answers.
    pub fn allowed_anywhere() -> &'static str {
        "GET, HEAD, POST, OPTIONS"
    }
}

/// A router of these routes, and the table of their methods.
pub fn router(routes: Vec<Route>) -> (Router<App>, Table) {
    let mut table = Table::default();
    let mut router = Router::new();
    for Route { path, methods, handlers } in routes {
        router = router.route(path, handlers);
        table.0.insert(path, Methods(methods));
    }
    (router, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_of_the_table_and_no_other() {
        let table = [
            (vec![(Method::GET, Needs::VIEWER)], "GET, HEAD, OPTIONS"),
            (vec![(Method::POST, Needs::OPERATOR)], "POST, OPTIONS"),
            (
                vec![(Method::GET, Needs::Nothing), (Method::POST, Needs::VIEWER)],
                "GET, HEAD, POST, OPTIONS",
            ),
        ];
        for (given, allowed) in table {
            let methods = Methods(given.clone());
            assert_eq!(methods.allowed(), allowed);
            let needed = |method| given.iter().find(|one| one.0 == method).map(|one| one.1);
            assert_eq!(methods.needs(&Method::GET), needed(Method::GET));
            assert_eq!(methods.needs(&Method::HEAD), needed(Method::GET));
            assert_eq!(methods.needs(&Method::POST), needed(Method::POST));
            for other in [Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE] {
                assert_eq!(methods.needs(&other), None, "{other}");
            }
        }
        assert_eq!(Needs::Nothing.role(), None);
        assert_eq!(Needs::OPERATOR.role(), Some(Role::Operator));
    }
}
