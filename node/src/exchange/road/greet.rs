//! Incarnations (9.10): each side tells its own, signed, before the first batch and whenever one of them changed.
//!
//! A new incarnation on either side makes the sender queue again what is unexpired; dedup at the receiver hides what it
//! already has. Whoever tells an incarnation below the one known is shown its own signed word (`incarnation`). The same word
//! names which kinds and rules its node understands (9.3).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::domain::ids::{AuthorityId, Incarnation};
use crate::domain::incarnation::{self, Told};
use crate::domain::numbering::has_lost_its_place;
use crate::domain::reason::Reason;
use crate::domain::record::StreamClass;
use crate::domain::stream::{GreetAnswer, Greeting, Hello, StreamId, Understands};
use crate::exchange::context::{Error, active, key_of, speaks_for};
use crate::pass::PassKind;
use crate::storage::ops::{Put, Renumber, Requeue, Write, WriteOp};
use crate::storage::rows::{InStreamKey, OutStream, PartnerIncarnation};
use crate::wire::peer;

use super::Road;
use super::incarnation::told_to;

/// Our authority and the partner.
type Pair = (AuthorityId, AuthorityId);

/// What a partner's last hello told.
#[derive(Clone)]
pub(super) struct KnownPartner {
    incarnation: Incarnation,
    /// `None`: what is stored of it does not say.
    understands: Option<Arc<Understands>>,
}

/// One lock per pair: its two streams greet once, not twice. The value is what the partner last told.
#[derive(Default)]
pub(super) struct Greetings(Mutex<HashMap<Pair, Arc<tokio::sync::Mutex<Option<KnownPartner>>>>>);

impl Greetings {
    fn of(&self, ours: &AuthorityId, theirs: &AuthorityId) -> Arc<tokio::sync::Mutex<Option<KnownPartner>>> {
        let mut pairs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pairs.entry((ours.clone(), theirs.clone())).or_default().clone()
    }
}

/// What came of a partner's word.
enum HelloOutcome {
    Taken,
    /// It lies below the one known: the partner's own signed `Hello` that told that one.
    Below(Bytes),
}

/// The streams to a partner, control first.
fn both(ours: &AuthorityId, partner: &AuthorityId) -> [StreamId; 2] {
    let to = |class| StreamId { origin: ours.clone(), recipient: partner.clone(), class };
    [StreamClass::Control, StreamClass::Content].map(to)
}

impl Road {
    /// Answers a partner's greeting. `caller` is the authority of the connection.
    ///
    /// # Errors
    /// Refused unless the hello is told to this recipient, and signed by a member that the connection may speak for;
    /// `INCARNATION_CHANGED` for one too far above the known one.
    pub async fn greet(&self, caller: &AuthorityId, greeting: Greeting) -> Result<GreetAnswer, Error> {
        let Greeting { hello: signed, recipient, held } = &greeting;
        let (now, view) = (self.now(), self.view());
        if !self.context.keys().serves(recipient) {
            return Err(Reason::WrongRecipient.into());
        }
        let hello = peer::open_hello(signed.clone(), &view.federation, &key_of(&view, now))?;
        speaks_for(&view, caller, &hello.authority)?;
        _ = self.links.heard_clock(&hello.authority, hello.time, now);
        active(&view, &hello.authority, now).map_err(|reason| Error::about(&hello.authority, reason))?;
        told_to(&hello, recipient)?;
        self.believe_own(recipient, &hello.authority, held).await?;
        let held = match self.learn(recipient, &hello, signed).await? {
            HelloOutcome::Taken => Bytes::new(),
            HelloOutcome::Below(held) => held,
        };
        Ok(GreetAnswer {
            hello: self.sign_hello(recipient, &hello.authority)?,
            next_content: self.next_expected(recipient, &hello, StreamClass::Content).await?,
            next_control: self.next_expected(recipient, &hello, StreamClass::Control).await?,
            held,
        })
    }

    /// The incarnation that the origin last told to the recipient; `None`: never greeted.
    pub(super) async fn incarnation_of(
        &self,
        recipient: &AuthorityId,
        origin: &AuthorityId,
    ) -> Result<Option<Incarnation>, Error> {
        let pair = self.greetings.of(recipient, origin);
        let mut known = pair.lock().await;
        Ok(self.load(&mut known, recipient, origin).await?.map(|known| known.incarnation))
    }

    /// What a partner's node takes and can apply, as it last told; `None`: it has not.
    pub(super) async fn told_by(
        &self,
        ours: &AuthorityId,
        partner: &AuthorityId,
    ) -> Result<Option<Arc<Understands>>, Error> {
        let pair = self.greetings.of(ours, partner);
        let mut known = pair.lock().await;
        Ok(self.load(&mut known, ours, partner).await?.and_then(|known| known.understands))
    }

    /// What the recipient of a stream takes; it is asked if it never told.
    pub(super) async fn understood_by(&self, id: &StreamId) -> Result<Arc<Understands>, Error> {
        if let Some(told) = self.told_by(&id.origin, &id.recipient).await? {
            return Ok(told);
        }
        self.greet_out(&id.origin, &id.recipient).await?;
        let told = self.told_by(&id.origin, &id.recipient).await?;
        told.ok_or_else(|| Error::about(&id.recipient, Reason::IncarnationChanged))
    }

    /// Greets the recipient of a stream unless both incarnations of the stream are the present ones. `again`: the
    /// partner said that one of them changed.
    pub(super) async fn greeted(&self, stream: OutStream, again: bool) -> Result<OutStream, Error> {
        let ours = self.store().incarnation();
        let current = |s: &OutStream| s.origin_incarnation == ours && s.recipient_incarnation != Incarnation(0);
        if current(&stream) && !again {
            return Ok(stream);
        }
        let (answer, partner) = self.greet_out(&stream.origin, &stream.recipient).await?;
        let id = StreamId { origin: stream.origin.clone(), recipient: stream.recipient.clone(), class: stream.class };
        let Some(greeted) = self.out_stream(&id).await? else { return Ok(stream) };
        let expected = match stream.class {
            StreamClass::Content => answer.next_content,
            StreamClass::Control => answer.next_control,
        };
        if !has_lost_its_place(&stream.numbers(), &greeted.numbers(), again, expected) {
            return Ok(greeted);
        }
        havenlink_runtime::repeated!(warn by id.recipient.as_str(); recipient = %id.recipient, next = expected, "a stream is numbered again: one side has lost its place");
        let op = Requeue {
            origin: id.origin.clone(),
            recipient: id.recipient.clone(),
            origin_incarnation: ours,
            recipient_incarnation: partner,
            renumber: Some(Renumber { class: id.class, first: expected }),
            at_once: false,
            now: self.context.best_time(),
        };
        self.requeue(op).await?;
        Ok(self.out_stream(&id).await?.unwrap_or(greeted))
    }

    /// Tells a partner our incarnation and learns its own.
    pub(super) async fn greet_out(
        &self,
        ours: &AuthorityId,
        partner: &AuthorityId,
    ) -> Result<(GreetAnswer, Incarnation), Error> {
        let view = self.view();
        let host = view.host_of(partner).ok_or_else(|| Error::about(partner, Reason::MemberUnknown))?.clone();
        let mut answer = self.ask(&host, ours, partner).await?;
        if self.believe_own(ours, partner, &answer.held).await? {
            answer = self.ask(&host, ours, partner).await?;
        }
        let hello = peer::open_hello(answer.hello.clone(), &view.federation, &key_of(&view, self.now()))?;
        if hello.authority != *partner {
            return Err(Error::about(partner, Reason::WrongRecipient));
        }
        told_to(&hello, ours)?;
        _ = self.links.heard_clock(partner, hello.time, self.now());
        match self.learn(ours, &hello, &answer.hello).await? {
            // It was shown its own word with the question, and keeps to less.
            HelloOutcome::Below(_) => Err(Error::about(partner, Reason::IncarnationChanged)),
            HelloOutcome::Taken if answer.held.is_empty() => Ok((answer, hello.incarnation)),
            // It did not take ours, and showed nothing that we believe.
            HelloOutcome::Taken => Err(Error::about(partner, Reason::IncarnationChanged)),
        }
    }

    async fn ask(&self, host: &AuthorityId, ours: &AuthorityId, partner: &AuthorityId) -> Result<GreetAnswer, Error> {
        let hello = self.sign_hello(ours, partner)?;
        let held = self.shown_to(ours, partner).await?.unwrap_or_default();
        let greeting = Greeting { hello, recipient: partner.clone(), held };
        match self.context.keys().serves(partner) {
            true => self.greet(host, greeting).await,
            false => Ok(self.link.greet(host.clone(), greeting).await?),
        }
    }

    /// Greets a partner for once, and notes whether it answers. `Some`: it did not.
    pub(in crate::exchange) async fn greet_partner(&self, id: StreamId) -> Option<AuthorityId> {
        let result = self.greet_out(&id.origin, &id.recipient).await;
        match result {
            Ok(_) => {
                self.links.answered(&id.recipient, self.context.clocks());
                None
            }
            Err(error) => {
                if let Error::Link(link) = &error {
                    self.links.failed(&id.recipient, link, self.context.clocks());
                }
                Some(id.recipient)
            }
        }
    }

    pub(super) async fn out_stream(&self, id: &StreamId) -> Result<Option<OutStream>, Error> {
        Ok(self.store().out_stream(id.origin.clone(), id.recipient.clone(), id.class).await?)
    }

    fn sign_hello(&self, authority: &AuthorityId, partner: &AuthorityId) -> Result<Bytes, Error> {
        let key = self.context.keys().of(authority).ok_or(Reason::WrongOrigin)?;
        let hello = Hello {
            federation: self.view().federation,
            authority: authority.clone(),
            incarnation: self.store().incarnation(),
            time: self.now(),
            recipient: partner.clone(),
            register: self.view().position(),
            understands: self.context.understands().clone(),
        };
        Ok(peer::sign_hello(&hello, &key))
    }

    /// Stores a partner's word if it says something new, and queues again what is unexpired.
    async fn learn(&self, ours: &AuthorityId, hello: &Hello, signed: &Bytes) -> Result<HelloOutcome, Error> {
        let pair = self.greetings.of(ours, &hello.authority);
        let mut known = pair.lock().await;
        let before = self.load(&mut known, ours, &hello.authority).await?;
        let stored = before.as_ref().map(|known| known.incarnation);
        let held = match stored {
            Some(stored) if stored != hello.incarnation => self.shown_to(ours, &hello.authority).await?,
            _ => None,
        };
        // The first is free, and so is the one after a word under a key that was withdrawn since.
        match incarnation::told(held.as_ref().and(stored), hello.incarnation) {
            Told::Taken => {}
            Told::Below => return Ok(HelloOutcome::Below(held.unwrap_or_default())),
            Told::TooFar => return Err(Error::about(&hello.authority, Reason::IncarnationChanged)),
        }
        let said_before = before.and_then(|known| known.understands).is_some_and(|before| *before == hello.understands);
        if stored != Some(hello.incarnation) || !said_before {
            let (ours, theirs) = (ours.clone(), hello.authority.clone());
            let told = PartnerIncarnation { incarnation: hello.incarnation, hello: signed.clone() };
            let put = Put::PartnerIncarnation { ours, theirs, told };
            self.store().write(Write::put(put).into()).await?;
        }
        self.begin_again(ours, hello).await?;
        let understands = Some(Arc::new(hello.understands.clone()));
        *known = Some(KnownPartner { incarnation: hello.incarnation, understands });
        if !said_before {
            // What waits for a kind may go now.
            self.context.wakeups().wake(PassKind::Deferred);
        }
        // A sign of life of one that was silent, or something new. Otherwise a sender that greets before each try would wake itself,
        // and both sides each other, without any pause.
        let silent = self.links.state(&hello.authority).is_none_or(|state| state.failed.is_some());
        if silent || !said_before || stored != Some(hello.incarnation) {
            both(ours, &hello.authority).iter().for_each(|id| self.context.wakeups().retry_stream(id));
        }
        Ok(HelloOutcome::Taken)
    }

    /// Outgoing streams that belong to other incarnations start again from number 1. What is past its time by a clock that is
    /// ahead is not given up for that.
    async fn begin_again(&self, ours: &AuthorityId, hello: &Hello) -> Result<(), Error> {
        let own = self.store().incarnation();
        let (mut stale, mut lost) = (false, false);
        let streams = both(ours, &hello.authority);
        for id in &streams {
            let Some(stream) = self.out_stream(id).await? else { continue };
            if stream.origin_incarnation != own || stream.recipient_incarnation != hello.incarnation {
                stale = true;
                lost |= !stream.numbers().is_unseen(own);
            }
        }
        if !stale {
            return Ok(());
        }
        let op = Requeue {
            origin: ours.clone(),
            recipient: hello.authority.clone(),
            origin_incarnation: own,
            recipient_incarnation: hello.incarnation,
            renumber: None,
            at_once: false,
            now: self.context.best_time(),
        };
        match lost {
            true => self.requeue(op).await?,
            // The first greeting: numbers that nobody has seen stay as they are.
            false => self.store().write(WriteOp::Requeue(op)).await.map(drop)?,
        }
        self.outgoing.note_requeued();
        streams.iter().for_each(|id| self.context.wakeups().wake_stream(id));
        Ok(())
    }

    async fn load(
        &self,
        known: &mut Option<KnownPartner>,
        ours: &AuthorityId,
        theirs: &AuthorityId,
    ) -> Result<Option<KnownPartner>, Error> {
        if known.is_none() {
            let told = self.store().partner_incarnation(ours.clone(), theirs.clone()).await?;
            *known = told.map(|told| KnownPartner {
                incarnation: told.incarnation,
                // One of before kinds were named, or none at all, says nothing: it is asked.
                understands: peer::reload_hello(told.hello).ok().filter(|said| !said.kinds.is_empty()).map(Arc::new),
            });
        }
        Ok(known.clone())
    }

    async fn next_expected(&self, recipient: &AuthorityId, hello: &Hello, class: StreamClass) -> Result<u64, Error> {
        let key = InStreamKey {
            origin: hello.authority.clone(),
            recipient: recipient.clone(),
            class,
            origin_incarnation: hello.incarnation,
            recipient_incarnation: self.store().incarnation(),
        };
        Ok(self.store().in_stream(key).await?.map_or(1, |stream| stream.next))
    }
}
