//! The register for members and the operator: read, list, propose, follow, take a snapshot, gossip.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use havenlink_proto::directory::v1 as proto;
use havenlink_proto::directory::v1::directory_service_server::DirectoryService;
use tonic::{Request, Response, Status};

use super::access::Certificate;
use super::layers::{self, Charge, Now};
use super::{errors, page};
use crate::directory::Directory;
use crate::domain::directory::Position;
use crate::domain::ids::{AuthorityId, Digest};
use crate::domain::reason::Reason;
use crate::telemetry::journal::{Entry, Event};
use crate::wire::{self, fields, member, statement};

pub struct Register {
    pub directory: Directory,
    pub now: Now,
    pub reading: ReadingNow,
}

/// Members that are reading a snapshot: each has one stream at a time, whatever a snapshot weighs.
#[derive(Clone, Default)]
pub struct ReadingNow(Arc<Mutex<HashSet<AuthorityId>>>);

/// A member's turn; over when it is dropped.
struct Turn {
    reading: ReadingNow,
    member: AuthorityId,
}

impl ReadingNow {
    fn turn(&self, member: AuthorityId) -> Option<Turn> {
        let new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(member.clone());
        new.then(|| Turn { reading: self.clone(), member })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.reading.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.member);
    }
}

/// What an exchange costs its sender beyond the call when it brought a signature that does not hold: no honest node passes
/// on what it has not verified.
const FORGED: usize = 20;

type Answer<T> = Result<Response<T>, Status>;
type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

const LIST: &str = "directory";

/// At the peer door what is not there looks like what is not shown.
fn unknown<T>(request: &Request<T>) -> Status {
    match layers::peer(request) {
        Ok(_) => errors::peer_not_found(),
        Err(_) => errors::refuse(Reason::MemberUnknown),
    }
}

#[tonic::async_trait]
impl DirectoryService for Register {
    async fn get(&self, request: Request<proto::GetRequest>) -> Answer<proto::GetResponse> {
        let asked = request.get_ref();
        let id = fields::authority("authority", &asked.authority).map_err(|e| errors::field(&e))?;
        let view = match asked.consistency() {
            proto::Consistency::Linearizable => {
                self.directory.linearizable().await.map_err(|e| errors::directory(&e))?
            }
            proto::Consistency::Local | proto::Consistency::Unspecified => self.directory.view(),
        };
        let member = member::to_proto(&view, &id, (self.now)()).ok_or_else(|| unknown(&request))?;
        let head = fields::bytes_of(view.head.as_bytes());
        Ok(Response::new(proto::GetResponse { member: Some(member), number: view.number, head }))
    }

    async fn list(&self, request: Request<proto::ListRequest>) -> Answer<proto::ListResponse> {
        let asked = request.into_inner();
        let (size, after) = (page::size(asked.page_size)?, page::cursor(LIST, &asked.page_token)?);
        let after = after.and_then(|bytes| String::from_utf8(bytes).ok());
        let (view, now) = (self.directory.view(), (self.now)());
        let ids = view.members.keys().filter(|id| after.as_deref().is_none_or(|after| id.as_str() > after));
        let mut members = Vec::new();
        let (mut bytes, mut next_page_token) = (0, String::new());
        for id in ids {
            let Some(shown) = member::to_proto(&view, id, now) else { continue };
            bytes += prost::Message::encoded_len(&shown);
            // Entries differ in size: a page ends with its rows or its bytes, whichever comes first.
            let is_full = members.len() == size || bytes > crate::domain::limits::CALL_BYTES * 3 / 4;
            if is_full && let Some(last) = members.last().and_then(|m: &proto::Member| m.entry.as_ref()) {
                next_page_token = page::token(LIST, last.authority.as_bytes());
                break;
            }
            members.push(shown);
        }
        let head = fields::bytes_of(view.head.as_bytes());
        Ok(Response::new(proto::ListResponse { members, next_page_token, number: view.number, head }))
    }

    async fn propose(&self, request: Request<proto::ProposeRequest>) -> Answer<proto::ProposeResponse> {
        let (member, proof) = (layers::peer(&request).ok(), layers::proof(&request));
        let asked = request.into_inner();
        if asked.signed.is_empty() {
            return Err(errors::field(&wire::Error::missing("signed")));
        }
        // A member asks a steward. One that is none would pass it on under its own name, and each such node would add its
        // budget to the member's. Whoever takes it for a steward has another view than it, and asks the next one.
        if proof == Some(Certificate::Issued) && statement::own_entry(&asked.signed) != member {
            return Err(errors::refuse(Reason::CertificateNotPinned));
        }
        if member.is_some() && !self.directory.view().is_steward(self.directory.authority()) {
            return Err(errors::refuse(Reason::NodeStarting));
        }
        let applied = self.directory.propose(asked.signed).await.map_err(|e| errors::directory(&e))?;
        Ok(Response::new(statement::applied_to_proto(&applied)))
    }

    type FollowStream = Events<proto::FollowResponse>;

    async fn follow(&self, request: Request<proto::FollowRequest>) -> Answer<Self::FollowStream> {
        let asked = request.into_inner();
        let from = Position { founding: asked.founding, number: asked.number };
        let head = fields::id("head", &asked.head, Digest::from_slice).map_err(|e| errors::field(&e))?;
        let events = self.directory.follow(from, head).map_err(|e| match e.reason() {
            // The head that a caller brings nobody has signed, and it could be any: no fault of ours, and no alarm.
            Reason::HeadMismatch => errors::refuse(Reason::HeadMismatch),
            _ => errors::directory(&e),
        })?;
        Ok(Response::new(Box::pin(events.map(|e| e.map_err(|e| errors::directory(&e))))))
    }

    type SnapshotStream = Events<proto::SnapshotResponse>;

    async fn snapshot(&self, request: Request<proto::SnapshotRequest>) -> Answer<Self::SnapshotStream> {
        let busy = || {
            let retry_after = Some(Duration::from_secs(1));
            errors::status(Reason::BudgetExhausted, errors::RefusalDetails { retry_after, ..Default::default() })
        };
        let turn = layers::peer(&request).ok().map(|member| self.reading.turn(member).ok_or_else(busy)).transpose()?;
        let messages = self.directory.snapshot_messages().await.map_err(|e| errors::directory(&e))?;
        let kept = move |message| {
            let _until_read = &turn;
            Ok(message)
        };
        Ok(Response::new(Box::pin(futures_util::stream::iter(messages).map(kept))))
    }

    async fn gossip(&self, request: Request<proto::GossipRequest>) -> Answer<proto::GossipResponse> {
        let caller = layers::peer(&request)?;
        let quota = layers::quota(&request);
        let asked = request.into_inner();
        let call_back = asked.call_back;
        let mut answer = self.directory.gossip(&caller, asked).await;
        if let Some(quota) = quota
            && answer.refused.iter().any(|code| code == Reason::SignatureInvalid.code())
        {
            _ = (0..FORGED).take_while(|_| quota.take(Charge::RegisterCall).is_ok()).count();
            let reason = Some(Reason::SignatureInvalid);
            Entry { reason, ..Entry::about(Event::Refused, &caller) }.count(1);
        }
        if call_back && let Err(error) = self.directory.reach(&caller, false).await {
            answer.call_back_reason = error.reason().code().to_owned();
        }
        answer.time_ms = (self.now)().0;
        Ok(Response::new(answer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::Opening;
    use crate::directory::samples::{GENT, STRASBOURG, World, id, pin};
    use crate::domain::audit::ActorRole;
    use crate::services::layers::{Actor, Caller};

    #[tokio::test]
    async fn members_propose_at_stewards_and_at_nobody_else() {
        let world = World::three();
        let asked = async |node: &str, caller: Caller| {
            let dir = tempfile::tempdir().unwrap();
            let directory = Directory::open(Opening {
                data_dir: dir.path().to_owned(),
                authority: id(node),
                key: world.keys[&id(node)].clone(),
                clock: crate::clock::MovedClock::new(),
                genesis: Some(world.state.genesis_signed().clone()),
            });
            let directory = directory.unwrap();
            let register = Register {
                directory,
                now: Arc::new(|| crate::domain::time::UnixMs(0)),
                reading: ReadingNow::default(),
            };
            let mut request = Request::new(proto::ProposeRequest { signed: vec![1].into() });
            request.extensions_mut().insert(caller);
            let refused = register.propose(request).await.unwrap_err();
            tonic_types::StatusExt::get_details_error_info(&refused).map(|info| info.reason).unwrap()
        };
        let member = || Caller::Peer {
            authority: id(crate::directory::samples::KEHL),
            pin: pin("x"),
            proof: Certificate::Pinned,
        };
        assert_eq!(asked(GENT, member()).await, "NODE_STARTING", "it would pass it on under its own name");
        assert_eq!(asked(STRASBOURG, member()).await, "STATEMENT_MALFORMED", "a steward looks at it");
        let operator = Caller::Local { role: ActorRole::Operator, actor: Actor::Uid(1) };
        assert_eq!(asked(GENT, operator).await, "STATEMENT_MALFORMED", "its own operator may");
    }

    /// By an issued certificate a node brings its own new pin into the register, and does nothing else to it.
    #[tokio::test]
    async fn an_issued_certificate_changes_its_own_entry_and_nothing_else() {
        use crate::directory::samples::KEHL;
        use crate::directory::statements::Author;
        use crate::domain::time::UnixMs;
        let (world, dir) = (World::three(), tempfile::tempdir().unwrap());
        let steward = id(STRASBOURG);
        let directory = Directory::open(Opening {
            data_dir: dir.path().to_owned(),
            authority: steward.clone(),
            key: world.keys[&steward].clone(),
            clock: crate::clock::MovedClock::new(),
            genesis: Some(world.state.genesis_signed().clone()),
        });
        let register =
            Register { directory: directory.unwrap(), now: Arc::new(|| UnixMs(0)), reading: ReadingNow::default() };
        let (kehl, genesis) = (id(KEHL), register.directory.state());
        let key = &world.keys[&kehl];
        let author = Author { authority: &kehl, key, now: world.now, nonce: [3; 16] };
        let own = author.entry(&genesis, &world.state.member(&kehl).unwrap().entry);
        let rotation = author.key_rotation(&genesis, &crate::directory::samples::new_key(), false);
        let asked = async |signed: bytes::Bytes, who: &AuthorityId, proof| {
            let mut request = Request::new(proto::ProposeRequest { signed });
            request.extensions_mut().insert(Caller::Peer { authority: who.clone(), pin: pin("x"), proof });
            let answer = register.propose(request).await.map(drop).map_err(|status| {
                tonic_types::StatusExt::get_details_error_info(&status).map(|info| info.reason).unwrap_or_default()
            });
            answer.err().unwrap_or_default()
        };
        let refused = "CERTIFICATE_NOT_PINNED";
        assert_eq!(asked(rotation.clone(), &kehl, Certificate::Issued).await, refused);
        assert_eq!(asked(own.clone(), &id(GENT), Certificate::Issued).await, refused, "another's entry");
        assert_eq!(asked(vec![1].into(), &kehl, Certificate::Issued).await, refused);
        // These get as far as the register; nobody orders there.
        assert_ne!(asked(own, &kehl, Certificate::Issued).await, refused);
        assert_ne!(asked(rotation, &kehl, Certificate::Pinned).await, refused);
    }

    #[test]
    fn a_member_reads_one_snapshot_at_a_time() {
        let reading = ReadingNow::default();
        let [kehl, gent] = ["de-kehl", "be-gent"].map(|id| AuthorityId::parse(id).unwrap());
        let turn = reading.turn(kehl.clone()).unwrap();
        assert!(reading.turn(kehl.clone()).is_none());
        assert!(reading.turn(gent).is_some(), "each has its own");
        assert!(reading.turn(kehl.clone()).is_none(), "a refused one gives nothing back");
        drop(turn);
        assert!(reading.turn(kehl).is_some());
    }
}
