//! A value that nothing prints: the domain's, and the proof that it has no trait by which it could be.

pub use havenlink_domain::sensitive::Sensitive;

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
        use havenlink_domain::person::{CaseKey, CaseReference, IndexKey};

        assert_has_not!(CaseReference: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_has_not!(CaseKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_has_not!(IndexKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_has_not!(Sensitive<String>: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_has_not!(havenlink_wire::keys::SigningKey: std::fmt::Debug, std::fmt::Display, serde::Serialize);
        assert_eq!(Sensitive::new("x".to_owned()).expose(), "x");
    }
}
