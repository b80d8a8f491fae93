//! An inviter with several endpoints, of which the first does not answer.

use super::*;
use crate::app::commands;
use crate::app::token::Token;
use crate::demo::acts::request_id;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_applicant_tries_each_endpoint_of_its_inviter() {
    let root = tempfile::tempdir().unwrap();
    let (dead, port) = (free_port(), free_port());
    let both = [format!("listen=127.0.0.1:{port}"), format!("endpoints=127.0.0.1:{dead},127.0.0.1:{port}")];
    let inviting = config(root.path(), &both);
    let member = started(&inviting).await;
    let request =
        admin::CreateInvitationRequest { request_id: request_id(), intended_for: "de-kehl".into(), expires_in_ms: 0 };
    let mut members = MemberServiceClient::new(door(&inviting, "operator").await);
    let token = members.create_invitation(request).await.unwrap().into_inner().token;
    let applying = config(&root.path().join("kehl"), &["authority=de-kehl".to_owned(), "names=de=Kehl".to_owned()]);
    let join = move || commands::join(&applying, &Token::read(&token)?, false, None, || Ok(()));
    let joined = tokio::task::spawn_blocking(move || std::thread::spawn(join).join().unwrap()).await.unwrap();
    joined.unwrap();
    member.stop().await;
}
