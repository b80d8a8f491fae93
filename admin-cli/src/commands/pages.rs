//! Lists come in pages: fetched one after the other, shown as one answer, never more rows than were asked for.
//!
//! A node ends a page when it is full of rows or of bytes, whichever comes first. Only a page without a token is the last:
//! a short or an empty one says nothing.

use clap::Args;

/// Every row: what one is looked for in, and a report, leave nothing out.
pub const ALL: usize = 0;

/// The most rows that a page has.
pub const PAGE: usize = 200;

/// How much of a list is fetched; by default, for calls of our own, all.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct Limit {
    /// Rows at most; 0: all
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub limit: usize,
}

/// The size of the next page, with so many rows there; none when there are enough.
pub fn next_size(limit: usize, rows: usize) -> Option<i32> {
    let wanted = if limit == ALL { PAGE } else { limit.saturating_sub(rows).min(PAGE) };
    i32::try_from(wanted).ok().filter(|size| *size > 0)
}

/// Cuts the next field of a list, with so many rows left to show. Whether something fell off.
pub fn cut<T>(rows: &mut Vec<T>, left: &mut usize) -> bool {
    let falls_off = rows.len() > *left;
    rows.truncate(*left);
    *left -= rows.len();
    falls_off
}

/// Fetches pages of a list until there are enough rows, into one answer. The rows stand in these fields, in the order in
/// which they are shown; of the fields behind `and`, what all pages say is put together.
macro_rules! pages {
    ($session:expr, $client:ident, $method:ident, $request:expr, [$($field:ident),+], $limit:expr) => {
        $crate::commands::pages!($session, $client, $method, $request, [$($field),+] and [], $limit)
    };
    ($session:expr, $client:ident, $method:ident, $request:expr, [$($field:ident),+] and [$($whole:ident),*], $limit:expr) => {{
        use $crate::commands::pages::{cut, next_size};
        let limit: usize = $limit;
        let mut request = $request;
        request.page_size = next_size(limit, 0).unwrap_or_default();
        let mut answer = $crate::session::call!($session, $client, $method, request.clone())?;
        while !answer.next_page_token.is_empty()
            && let Some(size) = next_size(limit, 0 $(+ answer.$field.len())+)
        {
            request.page_size = size;
            request.page_token = std::mem::take(&mut answer.next_page_token);
            let more = $crate::session::call!($session, $client, $method, request.clone())?;
            $(answer.$field.extend(more.$field);)+
            $(answer.$whole.extend(more.$whole);)*
            answer.next_page_token = more.next_page_token;
        }
        let mut left = if limit == $crate::commands::pages::ALL { usize::MAX } else { limit };
        let mut more = !answer.next_page_token.is_empty();
        $(more |= cut(&mut answer.$field, &mut left);)+
        if more {
            $session.say("there is more: --limit 0 shows all");
        }
        Ok::<_, $crate::failure::Failure>(answer)
    }};
}
pub(crate) use pages;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_is_shown() {
        assert_eq!([next_size(0, 9_999), next_size(250, 0), next_size(250, 200)], [Some(200), Some(200), Some(50)]);
        assert_eq!([next_size(250, 250), next_size(250, 251)], [None, None]);
        let (mut own, mut partners, mut left) = (vec![1, 2], vec![3, 4, 5], 4);
        assert!(!cut(&mut own, &mut left) && cut(&mut partners, &mut left));
        assert_eq!((own, partners, left), (vec![1, 2], vec![3, 4], 0));
    }
}
