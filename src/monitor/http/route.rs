//! Routes and the table of them: each address with its kind, the methods that it answers, the role that
//! each method requires, and its handlers.
//!
//! The router, the access check (default deny), the OpenAPI document and the navigation of the pages are
//! made from that table, so an address cannot be served without a role or described without being served.

use std::collections::HashMap;
use std::sync::OnceLock;

use axum::Router;
use axum::http::Method;
use axum::routing::MethodRouter;
use serde_json::Value;

use crate::monitor::access::Role;
use crate::monitor::api::Entry;
use crate::monitor::http::asking::App;

/// One address with its handlers.
pub struct Route {
    row: Row,
    handlers: MethodRouter<App>,
}

/// The description of one address in the table.
pub struct Row {
    /// The address; names in braces.
    pub path: &'static str,
    /// Kind of the answers.
    pub kind: Kind,
    /// The methods that are answered, each with the role that it requires.
    pub methods: Methods,
}

/// Kind of a route.
pub enum Kind {
    /// An operation of the API, with its entry in the OpenAPI document.
    Operation(Box<Entry>),
    /// A page for people.
    Page(Place),
    /// A file for programs: the look of the pages, tiles of the ledger's tree.
    File,
}

/// Place of a page in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A link with this name.
    Linked(&'static str),
    /// Below the page at this address, which is linked.
    Below(&'static str),
    /// Outside the navigation: header and footer of every page lead there.
    Outside,
}

/// The role that a request requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// None: open to anyone.
    Nothing,
    /// This role or a higher one.
    Role(Role),
}

impl Needs {
    /// A reader of the monitor.
    pub const VIEWER: Self = Self::Role(Role::Viewer);
    /// A submitter of calls.
    pub const OPERATOR: Self = Self::Role(Role::Operator);

    /// The role; `None` for a route that is open to anyone.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Self::Nothing => None,
            Self::Role(role) => Some(role),
        }
    }
}

/// One method of an address, with the role that it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The method.
    pub method: Method,
    /// The role.
    pub needs: Needs,
}

impl Route {
    /// An address that one method answers.
    pub(in crate::monitor) fn new(
        path: &'static str,
        kind: Kind,
        rule: Rule,
        handlers: MethodRouter<App>,
    ) -> Self {
        Self { row: Row { path, kind, methods: Methods(vec![rule]) }, handlers }
    }

    /// A page for viewers.
    pub(in crate::monitor) fn page(
        path: &'static str,
        place: Place,
        handlers: MethodRouter<App>,
    ) -> Self {
        let rule = Rule { method: Method::GET, needs: Needs::VIEWER };
        Self::new(path, Kind::Page(place), rule, handlers)
    }

    /// An address that a form of a page is sent to.
    pub(in crate::monitor) fn form(
        path: &'static str,
        needs: Needs,
        handlers: MethodRouter<App>,
    ) -> Self {
        Self::new(path, Kind::Page(Place::Outside), Rule { method: Method::POST, needs }, handlers)
    }

    /// A file for those with a role.
    pub(in crate::monitor) fn file(
        path: &'static str,
        needs: Needs,
        handlers: MethodRouter<App>,
    ) -> Self {
        Self::new(path, Kind::File, Rule { method: Method::GET, needs }, handlers)
    }

    /// The same address, open to anyone.
    pub(in crate::monitor) fn open(mut self) -> Self {
        self.row.methods.0.iter_mut().for_each(|rule| rule.needs = Needs::Nothing);
        self
    }

    /// The same address, which also accepts POST.
    pub(in crate::monitor) fn and_post(
        mut self,
        needs: Needs,
        handlers: MethodRouter<App>,
    ) -> Self {
        self.row.methods.0.push(Rule { method: Method::POST, needs });
        self.handlers = self.handlers.merge(handlers);
        self
    }

    /// Its description.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.row
    }
}

impl Row {
    /// True if people ask it with a browser: they are led to the login, and errors are pages.
    #[must_use]
    pub fn is_for_people(&self) -> bool {
        matches!(self.kind, Kind::Page(_))
    }
}

/// The methods of one address.
#[derive(Debug, Clone)]
pub struct Methods(Vec<Rule>);

impl Methods {
    /// Every method with the role that it requires.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.0
    }

    /// The role that a method requires here; `None` for a method that is not answered. HEAD is answered
    /// wherever GET is.
    #[must_use]
    pub fn needs(&self, method: &Method) -> Option<Needs> {
        let asked = if method == Method::HEAD { &Method::GET } else { method };
        self.0.iter().find(|rule| rule.method == asked).map(|rule| rule.needs)
    }

    /// The methods that are answered here, as `Allow` lists them (RFC 9110, section 10.2.1).
    #[must_use]
    pub fn allowed(&self) -> String {
        let names = self.0.iter().flat_map(|rule| match rule.method {
            Method::GET => vec!["GET", "HEAD"],
            ref other => vec![other.as_str()],
        });
        names.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }
}

/// A link of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Address of the page.
    pub path: &'static str,
    /// Name of the page.
    pub name: &'static str,
}

/// All routes, without their handlers.
#[derive(Default)]
pub struct Table {
    rows: Vec<Row>,
    by_path: HashMap<&'static str, usize>,
    /// The OpenAPI document, once it was asked for.
    document: OnceLock<Value>,
}

impl Table {
    /// The row of an address, as the route writes it.
    pub fn of(&self, path: &str) -> Option<&Row> {
        self.rows.get(*self.by_path.get(path)?)
    }

    /// All rows, in the order of the table.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The methods that any address answers.
    pub fn allowed_anywhere() -> &'static str {
        "GET, HEAD, POST, OPTIONS"
    }

    /// The navigation, in the order of the table.
    pub fn links(&self) -> impl Iterator<Item = Link> {
        self.rows.iter().filter_map(|row| match row.kind {
            Kind::Page(Place::Linked(name)) => Some(Link { path: row.path, name }),
            _ => None,
        })
    }

    /// Address of the link of the navigation that a page belongs to.
    pub fn section(&self, path: &str) -> Option<&'static str> {
        let row = self.of(path)?;
        match row.kind {
            Kind::Page(Place::Linked(_)) => Some(row.path),
            Kind::Page(Place::Below(section)) => Some(section),
            _ => None,
        }
    }

    /// The OpenAPI document, made when it is first asked for.
    pub fn document(&self, make: impl FnOnce(&Self) -> Value) -> &Value {
        self.document.get_or_init(|| make(self))
    }
}

/// A router of these routes, and the table of them.
pub fn router(routes: Vec<Route>) -> (Router<App>, Table) {
    let mut table = Table::default();
    let mut router = Router::new();
    for Route { row, handlers } in routes {
        router = router.route(row.path, handlers);
        table.by_path.insert(row.path, table.rows.len());
        table.rows.push(row);
    }
    (router, table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_those_of_the_table_and_no_other() {
        let rule = |method, needs| Rule { method, needs };
        let table = [
            (vec![rule(Method::GET, Needs::VIEWER)], "GET, HEAD, OPTIONS"),
            (vec![rule(Method::POST, Needs::OPERATOR)], "POST, OPTIONS"),
            (
                vec![rule(Method::GET, Needs::Nothing), rule(Method::POST, Needs::VIEWER)],
                "GET, HEAD, POST, OPTIONS",
            ),
        ];
        for (given, allowed) in table {
            let methods = Methods(given.clone());
            assert_eq!(methods.allowed(), allowed);
            let needed =
                |method| given.iter().find(|rule| rule.method == method).map(|rule| rule.needs);
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
