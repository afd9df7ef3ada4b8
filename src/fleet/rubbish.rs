//! Bad input, as devices send it when something is wrong with them.

use crate::fleet::Message;
use crate::fleet::random::Random;

/// A kind of rubbish. The module's table says how each ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rubbish {
    /// A string that is no JSON.
    NotJson,
    /// JSON cut in the middle.
    Cut,
    /// `NaN` for a number.
    NotANumber,
    /// A name twice in one object.
    DuplicateKey,
    /// Bytes that are not UTF-8.
    NotUtf8,
    /// No value.
    Tombstone,
    /// A key that names no device.
    BadKey,
    /// A string for a number.
    WrongType,
    /// No id, or no reading where a machine sends no id.
    MissingField,
    /// A latitude that is none; an ordinary record of devices that send no location.
    BadLocation,
    /// An event without a matching mapping.
    SelfTest,
}

impl Rubbish {
    /// Every kind.
    pub const ALL: [Self; 11] = [
        Self::NotJson,
        Self::Cut,
        Self::NotANumber,
        Self::DuplicateKey,
        Self::NotUtf8,
        Self::Tombstone,
        Self::BadKey,
        Self::WrongType,
        Self::MissingField,
        Self::BadLocation,
        Self::SelfTest,
    ];

    pub(super) fn any(random: &mut Random) -> Self {
        random.pick(&Self::ALL, Self::NotJson)
    }

    /// Spoils what has been written, where the device did not do so itself.
    pub(super) fn spoil(self, message: &mut Message) {
        match (self, &mut message.value) {
            (Self::NotJson, Some(value)) => {
                value.clear();
                value.extend_from_slice(b"temp=21.5;door=closed");
            }
            (Self::Cut, Some(value)) => value.truncate(value.len() / 2),
            (Self::NotUtf8, Some(value)) => {
                value.clear();
                value.extend_from_slice(b"\xfe\xed temperature \xb0C");
            }
            (Self::Tombstone, value) => *value = None,
            (Self::BadKey, _) => {
                message.key.clear();
                message.key.push(b'?');
            }
            (
                Self::NotJson
                | Self::Cut
                | Self::NotUtf8
                | Self::NotANumber
                | Self::DuplicateKey
                | Self::WrongType
                | Self::MissingField
                | Self::BadLocation
                | Self::SelfTest,
                _,
            ) => {}
        }
    }
}
