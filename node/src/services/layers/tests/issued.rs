//! What an issued certificate opens at the peer door.

use super::*;

/// The same connection throughout: what it may do is asked for each request, of the view as it is then (9.6).
#[tokio::test]
async fn an_issued_certificate_opens_what_its_rows_say_until_its_pin_is_listed_or_its_key_withdrawn() {
    let key = PublicKey([7; 44]);
    let kehl = AuthorityId::parse("de-kehl").unwrap();
    let guard = guard(Arc::new(|_, _| Ok(())));
    let change = |edit: &dyn Fn(&mut Member)| {
        let mut view = DirectoryView::clone(&guard.view.load());
        let mut member = Member::clone(&view.members[&kehl]);
        edit(&mut member);
        view.pins = member.entry.pins.iter().map(|p| (p.pin, kehl.clone())).collect();
        view.members.insert(kehl.clone(), Arc::new(member));
        guard.view.store(Arc::new(view));
    };
    let vouched = Vouched { authority: kehl.clone(), keys: vec![PublicKey([6; 44]), key] };
    let connection = Some(Connection::Peer { pin: STRANGER, vouched: Some(vouched) });
    let ask = async |path: &str| answer(guard.clone(), path, connection.clone(), Body::empty()).await;
    let peer_rows = || access::table().filter(|row| access::opens_at(row, Listener::Peer));

    let follow = "/havenlink.directory.v1.DirectoryService/Follow";
    assert_eq!(reason(&ask(follow).await), "PEER_UNKNOWN", "its key is none of Kehl's");
    change(&|member| member.entry.authority_key = key);
    for row in peer_rows() {
        let status = ask(row.path).await;
        match row.certificate {
            Certificate::Issued => assert_eq!(status.code(), Code::Ok, "{}", row.path),
            Certificate::Pinned => assert_eq!(reason(&status), "CERTIFICATE_NOT_PINNED", "{}", row.path),
        }
    }
    change(&|member| {
        member.entry.pins.push(PinnedKey { pin: STRANGER, valid_until: UnixMs::NEVER, proof: Default::default() })
    });
    for row in peer_rows() {
        assert_eq!(ask(row.path).await.code(), Code::Ok, "{}: its pin is listed now", row.path);
    }
    change(&|member| member.entry.pins.retain(|p| p.pin != STRANGER));
    let deliver = "/havenlink.peer.v1.ExchangeService/Deliver";
    assert_eq!(reason(&ask(deliver).await), "CERTIFICATE_NOT_PINNED", "dropped again");
    let withdrawn = crate::domain::authority::KeyRecord { key, replaced_at: None, compromised: true };
    change(&|member| member.keys = vec![withdrawn]);
    assert_eq!(reason(&ask(follow).await), "PEER_UNKNOWN");
    change(&|member| {
        member.keys.clear();
        member.removed_at = Some(NOW);
    });
    assert_eq!(reason(&ask(follow).await), "PEER_UNKNOWN", "removed");
}
