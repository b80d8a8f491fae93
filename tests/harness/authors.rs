//! Authorities that sign statements of the register: members without a node, and the cities' own keys.

use anyhow::{Context, ensure};
use bytes::Bytes;
use havenlink::clock::SystemClock;
use havenlink::demo::city::City;
use havenlink::domain::ids::{AuthorityId, FederationId};
use havenlink::transport::NodeIdentity;
use havenlink::wire::keys::SigningKey;
use havenlink::wire::signed;
use havenlink_proto::directory::v1::directory_service_client::DirectoryServiceClient;
use havenlink_proto::directory::v1::{
    Admit, Approval, AuthorityEntry, Name, Outcome, ParticipantKind, Pin as PinMessage, Proposal, ProposeRequest,
    ProposeResponse, Statement, proposal, statement,
};
use havenlink_proto::record::v1::Signed;
use prost::Message;
use tonic::transport::Channel;

/// Who signs, and for which federation.
pub struct Author {
    pub id: String,
    federation: FederationId,
    key: SigningKey,
}

impl Author {
    /// An authority with a fresh key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(id: impl Into<String>, federation: FederationId) -> anyhow::Result<Self> {
        let pkcs8 = SigningKey::generate().map_err(|_| anyhow::anyhow!("no randomness"))?;
        let key = SigningKey::from_pkcs8(&pkcs8).context("a key just made")?;
        Ok(Self { id: id.into(), federation, key })
    }

    /// A city, with the key in its data directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn of(city: &City, federation: FederationId) -> anyhow::Result<Self> {
        let path = city.dir.join("data").join("authority.key");
        let pkcs8 = std::fs::read(&path).with_context(|| path.display().to_string())?;
        let key = SigningKey::from_pkcs8(&pkcs8).with_context(|| format!("no key in {}", path.display()))?;
        Ok(Self { id: city.id().to_owned(), federation, key })
    }

    /// A statement about a version of something.
    pub fn statement(&self, subject: &str, subject_version: u64, body: statement::Body) -> Signed {
        let statement = Statement {
            federation_id: Bytes::copy_from_slice(self.federation.as_bytes()),
            rules_version: 1,
            author: self.id.clone(),
            subject: subject.to_owned(),
            subject_version,
            time_ms: SystemClock::shared().now().0,
            nonce: Bytes::copy_from_slice(uuid::Uuid::new_v4().as_bytes()),
            body: Some(body),
        };
        signed::sign(&self.federation, &statement, &[&self.key])
    }

    /// Its first entry, with the pin of this node, and an endpoint where nobody listens.
    ///
    /// # Errors
    /// When its id is none, or the node's key does not sign.
    pub fn entry(&self, node: &NodeIdentity) -> anyhow::Result<AuthorityEntry> {
        let authority = AuthorityId::parse(&self.id).context("an authority's id")?;
        let pinned = node.pinned(&self.federation, &authority)?;
        let pin = PinMessage {
            spki_sha256: Bytes::copy_from_slice(pinned.pin.as_bytes()),
            valid_until_ms: 0,
            spki: pinned.proof.spki,
            proof: pinned.proof.signature,
        };
        Ok(AuthorityEntry {
            authority: self.id.clone(),
            kind: ParticipantKind::LocalAuthority.into(),
            names: vec![Name { language: "en".into(), name: format!("Authority {}", self.id) }],
            authority_key: Bytes::copy_from_slice(&self.key.public().0),
            // Reserved by IANA: nobody listens there.
            endpoints: vec!["127.0.0.1:4".into()],
            pins: vec![pin],
            services: vec![1],
            ..Default::default()
        })
    }
}

/// A statement on its way.
pub fn request(signed: &Signed) -> ProposeRequest {
    ProposeRequest { signed: Bytes::from(signed.encode_to_vec()) }
}

/// Admits an authority with its entry: the first steward proposes, the others approve until there are enough.
///
/// # Errors
/// When the register does not accept it.
pub async fn admit(
    register: &mut DirectoryServiceClient<Channel>,
    stewards: &[Author],
    author: &Author,
    entry: &AuthorityEntry,
) -> anyhow::Result<ProposeResponse> {
    let (first, others) = stewards.split_first().context("a steward")?;
    let signed = author.statement(&author.id, 0, statement::Body::Entry(entry.clone()));
    let admit = Admit { application: Some(signed), invited_by: first.id.clone(), ..Default::default() };
    let act = Proposal { act: Some(proposal::Act::Admit(admit)) };
    let proposed = first.statement(&author.id, 0, statement::Body::Proposal(act));
    let mut answer = register.propose(request(&proposed)).await?.into_inner();
    let proposal_id = answer.statement_id.clone();
    for other in others {
        if answer.outcome() != Outcome::Pending {
            break;
        }
        let approval = Approval { proposal_id: proposal_id.clone() };
        let approved = other.statement(&author.id, 0, statement::Body::Approval(approval));
        answer = register.propose(request(&approved)).await?.into_inner();
    }
    ensure!(
        answer.outcome() == Outcome::Accepted,
        "{} was not admitted: {}",
        author.id,
        answer.outcome().as_str_name()
    );
    Ok(answer)
}
