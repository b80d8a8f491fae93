//! Closed lists: enums whose numbers are those of the wire, where an unknown number fails closed.

/// What every closed list can do, for code that is generic over lists.
pub trait Closed: Copy + Sized + 'static {
    /// Its name in the contract.
    const NAME: &'static str;

    /// All values in the order of their numbers.
    const VALUES: &'static [Self];

    /// The value with this number; `None` for 0 and every number that is not listed.
    fn from_number(number: i32) -> Option<Self>;

    /// Its number in the contract.
    fn number(self) -> i32;

    /// The name without the enum's prefix.
    fn label(self) -> &'static str;
}

/// Defines an enum with the wire's numbers and names, and nothing that could accept an unknown one.
macro_rules! closed_enum {
    ($(#[$meta:meta])* $vis:vis enum $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal => $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(i32)]
        $vis enum $name { $($(#[$vmeta])* $variant = $code),+ }

        impl $name {
            /// All values in the order of their numbers.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// Its number in the contract.
            pub const fn code(self) -> i32 { self as i32 }

            /// The value with this number; `None` for 0 and every number that is not listed.
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some($name::$variant),)+ _ => None }
            }

            /// The name without the enum's prefix, as people and programs read it.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }

            /// The value with this name, exactly as `name` gives it.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some($name::$variant),)+ _ => None }
            }
        }

        impl $crate::closed::Closed for $name {
            const NAME: &'static str = stringify!($name);
            const VALUES: &'static [Self] = Self::ALL;
            fn from_number(number: i32) -> Option<Self> { Self::from_code(number) }
            fn number(self) -> i32 { self.code() }
            fn label(self) -> &'static str { self.name() }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.write_str(self.name()) }
        }
    };
}

pub(crate) use closed_enum;

/// A closed list as the contract has it: its name there, and the names of its numbers.
#[cfg(any(test, feature = "samples"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub name: &'static str,
    pub values: std::collections::BTreeMap<i32, &'static str>,
}

/// What the contract must say of a closed list.
#[cfg(any(test, feature = "samples"))]
pub fn list<T: Closed>() -> List {
    List { name: T::NAME, values: T::VALUES.iter().map(|value| (value.number(), value.label())).collect() }
}
