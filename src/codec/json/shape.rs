//! Shapes of objects that were read before.
//!
//! A device sends the same names in the same order again and again. For each object that was read
//! [`Shapes`] keeps the bytes that stood between its values. Where just these bytes stand in the same
//! places of another object, its names are the same: they need not be read, compared and sorted once
//! more.

use std::rc::Rc;

use super::{Map, Text, Value, eight};

/// Shapes kept for each thread. A power of two.
const MAX_SHAPES: usize = 64;
/// Members of the largest object whose shape is kept.
const MAX_SHAPE_MEMBERS: usize = 64;
/// Bytes between the values of the largest object whose shape is kept.
const MAX_SHAPE_BYTES: usize = 2_048;
/// Objects that must have been read for each shape that is kept: where no two objects are alike,
/// what keeping them takes stays a small part.
const OBJECTS_FOR_A_SHAPE: usize = 16;

/// The names of an object and what stood around them.
#[derive(Debug)]
pub(super) struct Shape {
    /// The bytes before each value, from the end of the previous value or the start of the object.
    between: Vec<u8>,
    /// The values as they came.
    values: Vec<Expected>,
    /// The names in order.
    names: Box<[Text]>,
}

/// The position at which a value is expected.
#[derive(Debug)]
struct Expected {
    /// End of what stands before it, in `between`.
    end: usize,
    /// Its place in the order of names.
    place: usize,
}

impl Shape {
    /// An object of this shape, still without its values.
    pub fn nulls(&self) -> Map {
        Map::of_nulls(&self.names)
    }

    /// The bytes before each value, and the value's index in the order of names.
    pub fn values(&self) -> impl Iterator<Item = (&[u8], usize)> {
        let mut begin = 0;
        self.values.iter().map(move |value| {
            let before = &self.between[begin..value.end];
            begin = value.end;
            (before, value.place)
        })
    }

    /// The first members as they came, out of an object of this shape.
    pub fn first(&self, number: usize, mut object: Map) -> Vec<(Text, Value)> {
        let mut member =
            |place: usize| (self.names[place].clone(), std::mem::take(object.value_at(place)));
        self.values[..number].iter().map(|value| member(value.place)).collect()
    }

    /// The sketch of an object whose first values match this shape.
    pub fn begun(&self, number: usize) -> Sketch {
        let ends: Vec<usize> = self.values[..number].iter().map(|value| value.end).collect();
        let bytes = ends.last().copied().unwrap_or_default();
        Sketch { between: self.between[..bytes].to_vec(), ends }
    }
}

/// The bytes between the values of an object that is being read.
#[derive(Debug, Default)]
pub(super) struct Sketch {
    between: Vec<u8>,
    ends: Vec<usize>,
}

impl Sketch {
    /// Adds what stands before the next value.
    pub fn add(&mut self, before: &[u8]) {
        if self.ends.len() < MAX_SHAPE_MEMBERS && self.between.len() <= MAX_SHAPE_BYTES {
            self.between.extend_from_slice(before);
        }
        self.ends.push(self.between.len());
    }

    /// The shape of an object whose names came in this order.
    fn finish(self, names: &[Text], object: &Map) -> Option<Shape> {
        let is_small = (1..=MAX_SHAPE_MEMBERS).contains(&self.ends.len())
            && self.between.len() <= MAX_SHAPE_BYTES;
        if !is_small {
            return None;
        }
        let sorted = object.as_slice();
        let place = |name| sorted.binary_search_by(|(member, _)| member.cmp(name)).ok();
        let values = self.ends.into_iter().zip(names);
        Some(Shape {
            between: self.between,
            values: values
                .map(|(end, name)| Some(Expected { end, place: place(name)? }))
                .collect::<Option<_>>()?,
            names: object.keys().cloned().collect(),
        })
    }
}

/// The slot in which the shape of an object is cached, chosen by its first bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot(usize);

impl Slot {
    /// The slot of the object that bytes begin with; `None` for the last few bytes of a string.
    ///
    /// Up to eight bytes count, but none behind the end of the first name: there the values begin.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
        let word = u64::from_le_bytes(*bytes.first_chunk()?);
        // One that is none only makes other slots of it.
        let marks = eight::equal(word, b'"');
        let behind_first = marks & marks.wrapping_sub(1);
        let second = behind_first & behind_first.wrapping_neg();
        let name = word & (second << 1).wrapping_sub(1);
        let slot = name.wrapping_mul(SPREAD) >> (u64::BITS - MAX_SHAPES.ilog2());
        usize::try_from(slot).ok().map(Self)
    }
}

/// The shapes of a thread.
#[derive(Debug)]
pub(super) struct Shapes {
    slots: [Option<Rc<Shape>>; MAX_SHAPES],
    /// Objects read that have not yet paid for a shape.
    objects: usize,
}

impl Shapes {
    /// None yet, with room for all.
    pub const fn new() -> Self {
        Self { slots: [const { None }; MAX_SHAPES], objects: MAX_SHAPES * OBJECTS_FOR_A_SHAPE }
    }

    /// The shape of the object that was last read in this slot.
    pub fn get(&mut self, slot: Slot) -> Option<Rc<Shape>> {
        self.objects = (self.objects + 1).min(MAX_SHAPES * OBJECTS_FOR_A_SHAPE);
        self.slots[slot.0].clone()
    }

    /// True if the shape of the next object will be kept.
    pub fn keeps(&mut self) -> bool {
        let paid = self.objects.checked_sub(OBJECTS_FOR_A_SHAPE);
        self.objects = paid.unwrap_or(self.objects);
        paid.is_some()
    }

    /// Keeps the shape of an object whose names came in this order.
    pub fn keep(&mut self, slot: Slot, sketch: Sketch, names: &[Text], object: &Map) {
        self.slots[slot.0] = sketch.finish(names, object).map(Rc::new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Meets an object of one member; whether its shape was known.
    fn meet(shapes: &mut Shapes, name: &str) -> bool {
        let begin = format!("{{\"{name}\":");
        let slot = Slot::of(format!("{begin}1234567}}").as_bytes()).unwrap();
        let known = shapes.get(slot);
        if let Some(shape) = &known
            && shape.values().next() == Some((begin.as_bytes(), 0))
        {
            return true;
        }
        if shapes.keeps() {
            let mut sketch = Sketch::default();
            sketch.add(begin.as_bytes());
            let object = Map::from_iter([(name, Value::Null)]);
            shapes.keep(slot, sketch, &[name.into()], &object);
        }
        false
    }

    #[test]
    fn a_shape_is_known_the_second_time() {
        let mut shapes = Shapes::new();
        for name in ["temperature", "t", "", "ä"] {
            assert!(!meet(&mut shapes, name), "{name}");
            assert!(meet(&mut shapes, name), "{name}");
        }
    }

    #[test]
    fn where_no_two_objects_are_alike_few_shapes_are_kept() {
        const OBJECTS: usize = 100_000;
        let mut shapes = Shapes::new();
        let kept = (0..OBJECTS).filter(|number| {
            let before = shapes.objects;
            assert!(!meet(&mut shapes, &format!("{number:x}")));
            shapes.objects < before
        });
        assert!(kept.count() <= OBJECTS / OBJECTS_FOR_A_SHAPE + MAX_SHAPES);
        // Once they are alike again, they become known.
        let known = (0..OBJECTS).filter(|_| meet(&mut shapes, "t"));
        assert!(known.count() >= OBJECTS - OBJECTS_FOR_A_SHAPE);
    }

    #[test]
    fn a_slot_is_the_first_names() {
        let slot = |text: &str| Slot::of(text.as_bytes()).unwrap().0;
        assert_eq!(slot("{\"a\":1.5}"), slot("{\"a\":\"b\"}"));
        assert_eq!(slot("{\"temperature\":1}"), slot("{\"temperature\":20.5}"));
        assert_ne!(slot("{\"a\":1.5}"), slot("{\"b\":1.5}"));
        assert!(Slot::of(b"{\"a\":1}").is_none());
    }

    #[test]
    fn what_is_large_has_no_shape() {
        let finish = |members: usize, before: usize| {
            let names: Vec<Text> =
                (0..members).map(|number| format!("{number:03}").into()).collect();
            let mut sketch = Sketch::default();
            names.iter().for_each(|_| sketch.add(&vec![b' '; before]));
            sketch.finish(&names, &Map::of_nulls(&names)).is_some()
        };
        assert!(finish(MAX_SHAPE_MEMBERS, MAX_SHAPE_BYTES / MAX_SHAPE_MEMBERS));
        assert!(finish(1, MAX_SHAPE_BYTES));
        assert!(!finish(1, MAX_SHAPE_BYTES + 1));
        assert!(!finish(MAX_SHAPE_MEMBERS + 1, 1));
        assert!(!finish(0, 0));
    }
}
