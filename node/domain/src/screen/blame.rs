//! Words that speak of people as of offenders, or as of things: pointed at, never refused.
//!
//! Resolution 510 asks for help before reproach: who is exploited is not what was done to them. The words of authorities and
//! of the press are meant, with the words of the Council of Europe, the ILO and PICUM beside them.

use super::fold::fold;
use super::tokens::{one_of, tokens};

/// Words of a text that were better others, in characters from its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blame {
    pub start: usize,
    /// Exclusive.
    pub end: usize,
    /// What to say instead, in the language of the words.
    pub instead: &'static str,
}

/// The words as they are met, in order, without accents, `*` for any end; and what to say.
#[rustfmt::skip]
const BLAMES: &[(&[&str], &str)] = &[
    (&["illegal", "immigrant*"], "person without papers"), (&["illegal", "migrant*"], "person without papers"),
    (&["illegal", "alien*"], "person without papers"), (&["illegals"], "people without papers"),
    (&["illegal", "worker*"], "undeclared worker"), (&["illegal", "foreigner*"], "person without papers"),
    (&["prostitute*"], "person in prostitution"), (&["whore*"], "person in prostitution"), (&["hooker*"], "person in prostitution"),
    (&["child", "prostitut*"], "sexual exploitation of a child"), (&["child", "porn*"], "material of child sexual abuse"),
    (&["sex", "slave*"], "person who is sexually exploited"), (&["slave", "labourer*"], "person who is exploited"),
    (&["beggar*"], "person who begs"), (&["gypsy"], "Roma"), (&["gypsies"], "Roma"), (&["junkie*"], "person who uses drugs"),
    (&["criminal", "alien*"], "foreign national"), (&["bogus", "asylum*"], "person who asked for asylum"),
    (&["anchor", "baby"], "child"), (&["victims", "admitted"], "people said"), (&["willing", "victim*"], "person who is exploited"),
    (&["clandestin"], "personne sans papiers"), (&["clandestins"], "personnes sans papiers"), (&["immigre*", "illega*"], "personne sans papiers"), (&["migrant*", "illega*"], "personne sans papiers"),
    (&["etranger*", "illega*"], "personne sans papiers"), (&["prostituee*"], "personne en situation de prostitution"),
    (&["travail*", "clandestin*"], "travail non déclaré"), (&["putain*"], "personne en situation de prostitution"),
    (&["mendiant*"], "personne qui mendie"), (&["gitan*"], "Roms ou Gens du voyage"), (&["romanichel*"], "Roms"),
    (&["esclave*", "sexuel*"], "personne exploitée sexuellement"), (&["prostitution", "infantile"], "exploitation sexuelle d'enfants"),
    (&["toxico*"], "personne qui consomme des drogues"), (&["delinquant*"], "jeune, ou personne"),
    (&["illegale*", "einwander*"], "Menschen ohne Papiere"), (&["illegale*", "migrant*"], "Menschen ohne Papiere"), (&["illegale*", "auslander*"], "Menschen ohne Papiere"),
    (&["illegale*", "arbeit*"], "nicht angemeldete Arbeit"), (&["schwarzarbeiter*"], "nicht angemeldet Beschäftigte"),
    (&["prostituierte*"], "Menschen in der Prostitution"), (&["hure*"], "Menschen in der Prostitution"), (&["nutte*"], "Menschen in der Prostitution"),
    (&["zigeuner*"], "Sinti und Roma"), (&["bettler*"], "Menschen, die betteln"), (&["sexsklav*"], "sexuell ausgebeutete Menschen"),
    (&["kinderprostitut*"], "sexuelle Ausbeutung von Kindern"), (&["kinderporno*"], "Darstellung sexueller Gewalt gegen Kinder"),
    (&["asylant*"], "Asylsuchende"), (&["scheinasyl*"], "Asylsuchende"), (&["wirtschaftsfluchtling*"], "Schutzsuchende"), (&["junkie*"], "drogengebrauchende Menschen"),
    (&["straffallig*", "opfer*"], "ausgebeutete Menschen"),
];

/// Words that were better others, in order. They are pointed at: who writes decides.
pub fn blames(text: &str) -> Vec<Blame> {
    let folded = fold(text);
    let tokens = tokens(&folded);
    let mut found: Vec<Blame> = Vec::new();
    for i in 0..tokens.len() {
        let fits = |words: &&(&[&str], &str)| {
            words
                .0
                .iter()
                .enumerate()
                .all(|(n, word)| tokens.get(i + n).is_some_and(|t| t.is_word() && one_of(&t.text, &[word])))
        };
        // The longer expression says more.
        let Some((words, instead)) = BLAMES.iter().filter(fits).max_by_key(|(words, _)| words.len()) else { continue };
        let (first, last) = (&tokens[i].at, &tokens[i + words.len() - 1].at);
        let blame = Blame { start: folded[first.start].start, end: folded[last.end - 1].end, instead };
        if found.last().is_none_or(|last| last.end <= blame.start) {
            found.push(blame);
        }
    }
    found
}
