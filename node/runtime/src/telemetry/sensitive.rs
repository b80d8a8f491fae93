//! A value that nothing prints.

use zeroize::Zeroize;

/// Holds a value that must not reach a log, an error or a file: it has no Debug, Display or Serialize, and is
/// overwritten when dropped.
pub struct Sensitive<T: Zeroize>(T);

impl<T: Zeroize> Sensitive<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> Drop for Sensitive<T> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compiles only while the type has none of the traits: two candidates would be ambiguous.
    macro_rules! assert_has_not {
        ($type:ty: $($bound:path),+) => {$({
            trait Ambiguous<A> { fn here() {} }
            impl<T: ?Sized> Ambiguous<()> for T {}
            #[allow(dead_code)]
            struct Has;
            impl<T: ?Sized + $bound> Ambiguous<Has> for T {}
            <$type as Ambiguous<_>>::here();
        })+};
    }

    #[test]
    fn nothing_can_print_it() {
        assert_has_not!(Sensitive<String>: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_has_not!(havenlink_wire::keys::SigningKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_eq!(Sensitive::new("x".to_owned()).expose(), "x");
    }
}
