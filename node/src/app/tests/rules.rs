//! Rules that members' nodes do not know are proposed to nobody unasked (9.3).

use std::sync::Arc;

use havenlink_proto::admin::v1::member_service_server::MemberService;
use havenlink_proto::directory::v1::Policy;
use tonic::{Request, Status};

use super::register_acts::{admitted, governance};
use super::*;
use crate::directory::state::KNOWN_RULES;
use crate::domain::audit::{Actor, ActorRole};
use crate::domain::register::Decided;
use crate::services::actor::Codes;
use crate::services::admin::member::{KeyRotation, Members};
use crate::services::layers::{self, Caller};

struct NoRotation;

#[tonic::async_trait]
impl KeyRotation for NoRotation {
    async fn rotate(&self, _: bool, _: Actor) -> Result<Decided, Status> {
        panic!("nobody rotates here")
    }
}

/// The operator's door of a version that knows these rules.
fn knowing(member: &RunningMember, known_rules: u32) -> Members {
    Members {
        governance: governance(member),
        inviter: member.renewal().inviter.clone(),
        rotation: Arc::new(NoRotation),
        road: member.exchange().road.clone(),
        codes: Codes::new([1; 32]),
        now: Arc::new(|| SystemClock::shared().now()),
        known_rules,
        configured: Default::default(),
    }
}

async fn proposed(members: &Members, rules_version: u32, leave_behind: bool) -> Status {
    let policy = Policy { rules_version, ..Policy::default() };
    let mut request =
        Request::new(admin::ProposePolicyRequest { request_id: "r".into(), policy: Some(policy), leave_behind });
    request.extensions_mut().insert(Caller::Local { role: ActorRole::Operator, actor: layers::Actor::Uid(1) });
    members.propose_policy(request).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_rules_are_not_proposed_while_a_member_lacks_them_unless_it_is_left_behind() {
    let root = tempfile::tempdir().unwrap();
    let config = config(root.path(), &[]);
    let member = started(&config).await;
    let kehl = admitted(&member).await;
    // A version that knows one rule more than this one.
    let (next, newer) = (KNOWN_RULES + 1, knowing(&member, KNOWN_RULES + 1));
    let lacking = proposed(&newer, next, false).await;
    assert_eq!(reason(&lacking), "MEMBERS_LACK_RULES");
    let told = lacking.get_details_bad_request().unwrap();
    let told = &told.field_violations[0];
    assert_eq!(told.field, "policy.rules_version");
    assert!(told.description.contains(&format!("{kehl} has not said what it knows")), "{told:?}");
    // Past that question; what the register's own code cannot apply is refused behind it.
    assert_eq!(reason(&proposed(&newer, next, true).await), "RULES_TOO_OLD");
    assert_eq!(
        reason(&proposed(&knowing(&member, KNOWN_RULES), next, false).await),
        "RULES_TOO_OLD",
        "nobody is asked"
    );
    member.stop().await;
}
