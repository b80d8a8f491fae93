//! Groups of figures with little between them: what may be one number, written apart.

use std::ops::Range;

use super::fold::Folded;
use super::tokens::Token;

/// Most characters between two groups of one number.
const GAP: usize = 6;

/// What stands between two groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    /// The first mark that is no blank; a blank if there is none.
    pub mark: char,
    /// As numbers are usually written: one to three blanks and the marks of phone numbers.
    pub usual: bool,
    pub blanks: bool,
    pub line: bool,
}

/// Tokens of figures, and the gaps between them.
pub(super) struct Run {
    pub groups: Vec<usize>,
    pub gaps: Vec<Gap>,
}

/// The runs of a text between what is explained otherwise.
pub(super) fn runs(text: &[Folded], tokens: &[Token], explained: &[bool]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, _) in tokens.iter().enumerate().filter(|(i, t)| t.is_number() && !explained[*i]) {
        let gap = runs.last().and_then(|run| run.groups.last()).and_then(|last| {
            let between = tokens[*last].at.end..tokens[i].at.start;
            let crossed = (*last + 1..i).any(|j| explained[j]);
            if crossed { None } else { gap(&text[between]) }
        });
        match (gap, runs.last_mut()) {
            (Some(gap), Some(run)) => {
                run.gaps.push(gap);
                run.groups.push(i);
            }
            _ => runs.push(Run { groups: vec![i], gaps: Vec::new() }),
        }
    }
    runs
}

fn gap(between: &[Folded]) -> Option<Gap> {
    // A number that is called from abroad begins anew; so does one in brackets, behind a comma.
    if between.is_empty() || between.len() > GAP || between.iter().any(|f| f.c == '+') {
        return None;
    }
    let known = |f: &Folded| {
        matches!(
            f.c,
            ' ' | '-' | '.' | '/' | '(' | ')' | '_' | '*' | '|' | '~' | ',' | ':' | ';' | '\'' | '"' | '#' | '=' | '\\'
        )
    };
    if !between.iter().all(known) {
        return None;
    }
    Some(Gap {
        mark: between.iter().map(|f| f.c).find(|c| *c != ' ').unwrap_or(' '),
        usual: between.len() <= 3 && between.iter().all(|f| matches!(f.c, ' ' | '-' | '.' | '/' | '(' | ')' | '_')),
        blanks: between.iter().any(|f| f.c == ' '),
        line: between.iter().any(|f| f.letter == '\n'),
    })
}

impl Run {
    /// The groups of a part, as they are read.
    pub fn part<'a>(&'a self, tokens: &'a [Token], range: Range<usize>) -> Part<'a> {
        let gaps = &self.gaps[range.start..range.end.max(range.start + 1) - 1];
        Part { tokens, groups: &self.groups[range], gaps }
    }
}

/// Some groups of a run, one after the other.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    pub tokens: &'a [Token],
    pub groups: &'a [usize],
    pub gaps: &'a [Gap],
}

impl Part<'_> {
    pub fn digits(&self) -> String {
        self.groups.iter().map(|g| self.tokens[*g].text.as_str()).collect()
    }

    pub fn shape(&self) -> Vec<u8> {
        let sizes: Vec<u8> =
            self.groups.iter().map(|g| u8::try_from(self.tokens[*g].text.len()).unwrap_or(u8::MAX)).collect();
        // Figure by figure is one number, spelled out.
        if sizes.len() > 4 && sizes.iter().all(|n| *n == 1) {
            vec![u8::try_from(sizes.len()).unwrap_or(u8::MAX)]
        } else {
            sizes
        }
    }

    /// The first of its tokens, and the one after its last.
    pub fn tokens(&self) -> Range<usize> {
        match (self.groups.first(), self.groups.last()) {
            (Some(first), Some(last)) => *first..last + 1,
            _ => 0..0,
        }
    }

    pub fn first(&self) -> &str {
        self.groups.first().map_or("", |g| self.tokens[*g].text.as_str())
    }

    /// Groups of three behind one of one to three that does not begin with 0: `1 200 000`.
    pub fn is_thousands(&self) -> bool {
        let shape = self.shape();
        let marks = |g: &Gap| g.usual && matches!(g.mark, ' ' | '.') || matches!(g.mark, ',' | '\'') && !g.blanks;
        shape.len() > 1
            && shape[0] <= 3
            && shape[1..].iter().all(|n| *n == 3)
            && !self.first().starts_with('0')
            && self.gaps.iter().all(|g| marks(g) && g.mark == self.gaps[0].mark)
    }
}
