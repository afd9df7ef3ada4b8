//! The walk through a document: the engine's calls, one after another, within bounds.

use std::cell::RefCell;

use crate::codec::json::Value;
use jsonpath_rust::parser::model::{JpQuery, Segment as EngineSegment, Selector as EngineSelector};
use jsonpath_rust::query::js_path_process;

use super::filter::Filter;
use super::steps::push_name;
use super::{Node, Root, SelectError, Work};
use crate::limits::{MAX_JSON_DEPTH, MAX_PATH_NODES};
use crate::pattern::Matcher;

/// The cost of one node besides its location and content.
pub(super) const NODE_WORK: usize = 32;
/// Maximum depth of a document: a body and the event document around it.
const MAX_DEPTH: usize = MAX_JSON_DEPTH + 8;

/// Part of a query.
#[derive(Debug)]
pub(super) enum Segment {
    /// Segments of one plain selector each, with at most one descendant segment among them: one
    /// call of the engine, whose cost is known before.
    Run(JpQuery),
    /// A segment with several selectors, or with a filter.
    Choice {
        /// True if it also looks at all descendants.
        descendants: bool,
        /// Its selectors, in their order.
        selectors: Vec<Selector>,
    },
}

/// One selector of a [`Segment::Choice`].
#[derive(Debug)]
pub(super) enum Selector {
    /// A name, index, wildcard or slice: one call of the engine.
    Plain(JpQuery),
    /// Children for which the filter holds.
    Filter(Filter),
}

/// One evaluation.
pub(super) struct Walk<'w, 'a> {
    pub root: Root<'w, 'a>,
    work: &'w Work,
    /// The last regular expression that came from a document.
    pub pattern: RefCell<Option<(String, Option<Matcher>)>>,
}

impl<'w, 'a> Walk<'w, 'a> {
    pub fn new(root: Root<'w, 'a>, work: &'w Work) -> Self {
        Self { root, work, pattern: RefCell::new(None) }
    }

    /// Takes work from what is left.
    pub fn spend(&self, work: usize) -> Result<(), SelectError> {
        self.work.spend(work)
    }

    /// Everything that the segments select, beginning at a node.
    pub fn segments(
        &self,
        segments: &[Segment],
        start: Node<'a>,
    ) -> Result<Vec<Node<'a>>, SelectError> {
        let mut nodes = vec![start];
        for segment in segments {
            let mut next = Vec::new();
            for node in &nodes {
                self.segment(segment, node, &mut next)?;
            }
            nodes = next;
        }
        Ok(nodes)
    }

    fn segment(
        &self,
        segment: &Segment,
        node: &Node<'a>,
        found: &mut Vec<Node<'a>>,
    ) -> Result<(), SelectError> {
        match segment {
            Segment::Run(query) => self.call(query, node, found),
            Segment::Choice { descendants: false, selectors } => {
                self.choose(selectors, node, found)
            }
            Segment::Choice { descendants: true, selectors } => {
                self.choose_below(selectors, node, found, 0)
            }
        }
    }

    /// One call of the engine.
    fn call(
        &self,
        query: &JpQuery,
        node: &Node<'a>,
        found: &mut Vec<Node<'a>>,
    ) -> Result<(), SelectError> {
        self.foresee(&query.segments, node.value, node.location.len(), 0)?;
        // The engine fails only where a query gives a computed value, which no segment does.
        let selected = js_path_process(query, node.value).unwrap_or_default();
        if found.len() + selected.len() > MAX_PATH_NODES {
            return Err(SelectError::TooManyNodes);
        }
        found.extend(selected.into_iter().map(|selected| {
            let below = selected.path.strip_prefix('$').unwrap_or_default();
            Node { value: selected.val, location: format!("{}{below}", node.location) }
        }));
        Ok(())
    }

    /// Pays for what the engine will do: it builds the location of each node that it looks at.
    fn foresee(
        &self,
        segments: &[EngineSegment],
        value: &Value,
        length: usize,
        depth: usize,
    ) -> Result<(), SelectError> {
        let Some((segment, rest)) = segments.split_first() else { return Ok(()) };
        let selector = match segment {
            EngineSegment::Selector(selector) => selector,
            EngineSegment::Descendant(_) => {
                return self.foresee_all(segments, value, length, depth);
            }
            EngineSegment::Selectors(_) => return Ok(()),
        };
        self.spend(NODE_WORK + length)?;
        match (selector, value) {
            (EngineSelector::Name(name), Value::Object(members)) => match members.get(name) {
                Some(value) => self.foresee(rest, value, length + name.len(), depth + 1),
                None => Ok(()),
            },
            (EngineSelector::Wildcard, Value::Object(members)) => {
                members.iter().try_for_each(|(name, value)| {
                    self.spend(NODE_WORK + length + name.len())?;
                    self.foresee(rest, value, length + name.len(), depth + 1)
                })
            }
            (_, Value::Array(elements)) => elements.iter().try_for_each(|value| {
                self.spend(NODE_WORK + length)?;
                self.foresee(rest, value, length, depth + 1)
            }),
            _ => Ok(()),
        }
    }

    /// The same for everything below a value.
    fn foresee_all(
        &self,
        segments: &[EngineSegment],
        value: &Value,
        length: usize,
        depth: usize,
    ) -> Result<(), SelectError> {
        if depth > MAX_DEPTH {
            return Err(SelectError::TooMuchWork);
        }
        self.spend((NODE_WORK + length) * (segments.len() + 1))?;
        match value {
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.foresee_all(segments, value, length + name.len(), depth + 1)
            }),
            Value::Array(elements) => elements
                .iter()
                .try_for_each(|value| self.foresee_all(segments, value, length, depth + 1)),
            _ => Ok(()),
        }
    }

    fn choose(
        &self,
        selectors: &[Selector],
        node: &Node<'a>,
        found: &mut Vec<Node<'a>>,
    ) -> Result<(), SelectError> {
        for selector in selectors {
            match selector {
                Selector::Plain(query) => self.call(query, node, found)?,
                Selector::Filter(filter) => self.each_child(node, |child| {
                    if filter.holds(self, child.value)? {
                        if found.len() == MAX_PATH_NODES {
                            return Err(SelectError::TooManyNodes);
                        }
                        found.push(child);
                    }
                    Ok(())
                })?,
            }
        }
        Ok(())
    }

    /// A node and all its descendants, each before its own descendants (RFC 9535, section 2.5.2.2).
    fn choose_below(
        &self,
        selectors: &[Selector],
        node: &Node<'a>,
        found: &mut Vec<Node<'a>>,
        depth: usize,
    ) -> Result<(), SelectError> {
        if depth > MAX_DEPTH {
            return Err(SelectError::TooMuchWork);
        }
        self.choose(selectors, node, found)?;
        self.each_child(node, |child| self.choose_below(selectors, &child, found, depth + 1))
    }

    fn each_child(
        &self,
        node: &Node<'a>,
        mut visit: impl FnMut(Node<'a>) -> Result<(), SelectError>,
    ) -> Result<(), SelectError> {
        match node.value {
            Value::Array(elements) => elements.iter().enumerate().try_for_each(|(index, value)| {
                self.spend(NODE_WORK + node.location.len())?;
                visit(Node { value, location: format!("{}[{index}]", node.location) })
            }),
            Value::Object(members) => members.iter().try_for_each(|(name, value)| {
                self.spend(NODE_WORK + node.location.len() + name.len())?;
                let mut location = node.location.clone();
                push_name(&mut location, name);
                visit(Node { value, location })
            }),
            _ => Ok(()),
        }
    }
}
