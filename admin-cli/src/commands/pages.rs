//! Lists come in pages: fetched one after the other, shown as one answer, never more rows than were asked for.
//!
//! A node ends a page when it is full of rows or of bytes, whichever comes first. Only a page without a token is the last:
//! a short or an empty one says nothing.

use clap::Args;

/// Every row: what one is looked for in, and a report, leave nothing out.
pub const ALL: Limit = Limit { limit: 0, all: true, page_token: None };

/// The most rows that a page has.
pub const PAGE: usize = 200;

/// How much of a list is fetched; by default, for calls of our own, all.
#[derive(Clone, Debug, Default, Args)]
pub struct Limit {
    /// Rows at most; what is left out is said
    #[arg(long, default_value_t = 200, value_name = "N")]
    limit: usize,
    /// Every row
    #[arg(long, conflicts_with = "limit")]
    all: bool,
    /// Goes on where an earlier list ended
    #[arg(long, value_name = "TOKEN")]
    pub page_token: Option<String>,
}

impl Limit {
    /// The most rows that are shown; none: all.
    pub fn most(&self) -> Option<usize> {
        Some(self.limit).filter(|limit| !self.all && *limit > 0)
    }

    /// The size of the next page, with so many rows there; none when there are enough.
    pub fn next_size(&self, rows: usize) -> Option<i32> {
        let wanted = self.most().map_or(PAGE, |most| most.saturating_sub(rows).min(PAGE));
        i32::try_from(wanted).ok().filter(|size| *size > 0)
    }
}

/// How a list that was cut goes on. After a page that had more rows than were asked for, only as a whole.
pub fn goes_on(page_token: &str, fell_off: bool) -> String {
    let from_here = if fell_off || page_token.is_empty() {
        String::new()
    } else {
        format!(", --page-token {page_token} goes on from here")
    };
    format!("there is more: --all shows all{from_here}")
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
        use $crate::commands::pages::{cut, goes_on};
        let limit: &$crate::commands::Limit = $limit;
        let mut request = $request;
        request.page_size = limit.next_size(0).unwrap_or_default();
        request.page_token = limit.page_token.clone().unwrap_or_default();
        let mut answer = $crate::session::call!($session, $client, $method, request.clone())?;
        while !answer.next_page_token.is_empty()
            && let Some(size) = limit.next_size(0 $(+ answer.$field.len())+)
        {
            request.page_size = size;
            request.page_token = std::mem::take(&mut answer.next_page_token);
            let more = $crate::session::call!($session, $client, $method, request.clone())?;
            $(answer.$field.extend(more.$field);)+
            $(answer.$whole.extend(more.$whole);)*
            answer.next_page_token = more.next_page_token;
        }
        let mut left = limit.most().unwrap_or(usize::MAX);
        let mut fell_off = false;
        $(fell_off |= cut(&mut answer.$field, &mut left);)+
        if fell_off || !answer.next_page_token.is_empty() {
            $session.left_out(&goes_on(&answer.next_page_token, fell_off));
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
        let sizes = |limit: &Limit, rows: [usize; 3]| rows.map(|rows| limit.next_size(rows));
        let many = Limit { limit: 250, ..Limit::default() };
        assert_eq!(sizes(&ALL, [0, 200, 9_999]), [Some(200); 3]);
        assert_eq!(sizes(&Limit::default(), [0, 200, 9_999]), [Some(200); 3], "0 is all as well");
        assert_eq!(sizes(&many, [0, 200, 250]), [Some(200), Some(50), None]);
        assert_eq!(many.next_size(251), None);
        let (mut own, mut partners, mut left) = (vec![1, 2], vec![3, 4, 5], 4);
        assert!(!cut(&mut own, &mut left) && cut(&mut partners, &mut left));
        assert_eq!((own, partners, left), (vec![1, 2], vec![3, 4], 0));
    }
}
