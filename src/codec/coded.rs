//! Enums whose variants have stable names, and numbers where ledgers hold them, from one list.

/// Defines an enum by a list of its variants, each with its stable name:
///
/// ```text
/// coded! {
///     /// The stages of the pipeline.
///     #[derive(Debug, Clone, Copy, PartialEq, Eq)]
///     pub enum Stage {
///         /// Waiting for records.
///         Poll => "poll",
///     }
/// }
/// ```
///
/// It gives `ALL` (the variants in the order of the list), `name`, `from_name` and `Display`. With a type
/// of numbers, `pub enum Cause: u16 { Empty = 1 => "empty", … }`, also `code` and `from_code`. With
/// `#[serde]` in front, the names are those that serde reads and writes, too. A number or a name that is
/// given twice does not compile.
macro_rules! coded {
    (
        #[serde]
        $(#[$meta:meta])*
        $visible:vis enum $name:ident $(: $number:ident)? {
            $($(#[$about:meta])* $variant:ident $(= $code:literal)? => $text:literal,)+
        }
    ) => {
        $crate::codec::coded! {
            $(#[$meta])*
            $visible enum $name $(: $number)? {
                $($(#[$about])* #[serde(rename = $text)] $variant $(= $code)? => $text,)+
            }
        }
    };
    (
        $(#[$meta:meta])*
        $visible:vis enum $name:ident: $number:ident {
            $($(#[$about:meta])* $variant:ident = $code:literal => $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[repr($number)]
        $visible enum $name {
            $($(#[$about])* $variant = $code,)+
        }

        impl $name {
            /// The number that ledgers hold. It is never reused.
            #[must_use]
            pub const fn code(self) -> $number {
                self as $number
            }

            /// The variant with this number.
            #[must_use]
            pub const fn from_code(code: $number) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        $crate::codec::coded! { @names $name { $($variant => $text,)+ } }
    };
    (
        $(#[$meta:meta])*
        $visible:vis enum $name:ident {
            $($(#[$about:meta])* $variant:ident => $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        $visible enum $name {
            $($(#[$about])* $variant,)+
        }

        $crate::codec::coded! { @names $name { $($variant => $text,)+ } }
    };
    (@names $name:ident { $($variant:ident => $text:literal,)+ }) => {
        impl $name {
            /// Every variant, in the order of the list.
            pub const ALL: [Self; [$($text),+].len()] = [$(Self::$variant),+];

            /// The stable name, for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The variant with this name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($text => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

pub(crate) use coded;

#[cfg(test)]
mod tests {
    coded! {
        /// Numbered.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Numbered: u16 {
            /// The first.
            First = 1 => "first",
            /// One with a gap in front.
            Last = 20 => "lastOne",
        }
    }

    coded! {
        #[serde]
        /// Named alone.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        enum Named {
            /// One.
            One => "an odd name",
        }
    }

    #[test]
    fn names_numbers_and_serde_come_from_the_list() {
        assert_eq!(Numbered::ALL, [Numbered::First, Numbered::Last]);
        for (code, expected) in [(0, None), (1, Some(Numbered::First)), (2, None)] {
            assert_eq!(Numbered::from_code(code), expected, "{code}");
        }
        for one in Numbered::ALL {
            assert_eq!(Numbered::from_code(one.code()), Some(one));
            assert_eq!(Numbered::from_name(&one.to_string()), Some(one));
        }
        assert_eq!((Numbered::Last.code(), Numbered::Last.name()), (20, "lastOne"));
        assert_eq!(Numbered::from_name("Last"), None);
        assert_eq!(serde_json::to_string(&Named::One).unwrap(), "\"an odd name\"");
        assert_eq!(serde_json::from_str::<Named>("\"an odd name\"").unwrap(), Named::One);
        assert_eq!(Named::from_name("one"), None);
        assert_eq!(Named::ALL, [Named::One]);
    }
}
