//! The authority's own software over mutual TLS: a stock TLS client that trusts the node's local CA (9.6).

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::*;
use crate::domain::audit::Actor;
use crate::domain::ids::AuthorityId;
use crate::transport::certificate::Generated;

fn client(name: &str) -> Generated {
    NodeIdentity::generate(&AuthorityId::parse(name).unwrap(), SystemClock::shared().now(), Millis::days(1)).unwrap()
}

/// A channel that verifies name and chain as any library does, and shows this key.
fn dial(address: SocketAddr, name: &str, ca: &[u8], client: &Generated) -> Channel {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca).unwrap()).unwrap();
    let key = PrivatePkcs8KeyDer::from(client.key.to_vec());
    let mut tls = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![CertificateDer::from(client.certificate.der.clone())], key.into())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let (connector, name) = (TlsConnector::from(Arc::new(tls)), ServerName::try_from(name.to_owned()).unwrap());
    let dial = tower::service_fn(move |_: tonic::transport::Uri| {
        let (connector, name) = (connector.clone(), name.clone());
        async move {
            let socket = TcpStream::connect(address).await?;
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, socket).await?))
        }
    });
    Endpoint::from_static("http://localhost").connect_with_connector_lazy(dial)
}

/// Whose node answers; `None`: none does.
async fn answers(channel: Channel) -> Option<String> {
    let status = NodeServiceClient::new(channel).get_status(admin::GetStatusRequest {}).await;
    status.ok().map(|status| status.into_inner().authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_remote_client_has_the_role_of_its_key_and_strangers_have_none() {
    transport::install_provider();
    let root = tempfile::tempdir().unwrap();
    let (known, stranger) = (client("fr-client"), client("fr-stranger"));
    let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let clients = format!("local.clients={}=operator", known.certificate.pin.to_hex());
    let config = config(root.path(), &[format!("local.listen={address}"), clients]);
    let member = started(&config).await;
    let ca = std::fs::read(config.run_dir.join("local-ca.crt")).unwrap();

    let ours = dial(address, "127.0.0.1", &ca, &known);
    assert_eq!(answers(ours.clone()).await.as_deref(), Some("fr-strasbourg"));
    let content = RecordServiceClient::new(ours).list_records(ListRecordsRequest::default()).await.unwrap_err();
    assert_eq!(reason(&content), "METHOD_NOT_OPEN");
    assert_eq!(answers(dial(address, "127.0.0.1", &ca, &stranger)).await, None);
    member.stop().await;
}

/// The node's own certificate, the authority's key, a restart: clients keep the CA that they were given.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_trust_the_local_ca_whatever_becomes_of_the_nodes_keys() {
    transport::install_provider();
    let (root, known) = (tempfile::tempdir().unwrap(), client("fr-client"));
    let address: SocketAddr = format!("127.0.0.1:{}", free_port()).parse().unwrap();
    let clients = format!("local.clients={}=operator", known.certificate.pin.to_hex());
    let more = [format!("local.listen={address}"), clients, "local.names=desk.strasbourg.example".to_owned()];
    let config = config(root.path(), &more);
    let member = started(&config).await;
    let ca = std::fs::read(config.run_dir.join("local-ca.crt")).unwrap();
    let dialled = async |name: &str, ca: &[u8]| answers(dial(address, name, ca, &known)).await.is_some();
    for name in ["127.0.0.1", "localhost", "desk.strasbourg.example"] {
        assert!(dialled(name, &ca).await, "{name}");
    }
    assert!(!dialled("another.example", &ca).await, "it does not have this name");
    let elsewhere = tempfile::tempdir().unwrap();
    let other = transport::local_ca::LocalCa::open(elsewhere.path(), &config.authority, SystemClock::shared().now());
    assert!(!dialled("127.0.0.1", other.unwrap().pem().as_bytes()).await, "another CA of the same name");

    let before = member.renewal().identity.pin();
    member.renewal().renew(Actor::NODE, Duration::ZERO).await.unwrap();
    assert_ne!(member.renewal().identity.pin(), before);
    let rotate = admin::RotateKeyRequest { request_id: "r1".into(), compromised: false };
    MemberServiceClient::new(door(&config, "operator").await).rotate_key(rotate).await.unwrap();
    assert!(dialled("127.0.0.1", &ca).await, "renewed and rotated");
    member.stop().await;
    let member = started(&config).await;
    assert!(dialled("127.0.0.1", &ca).await, "restarted");
    assert_eq!(std::fs::read(config.run_dir.join("local-ca.crt")).unwrap(), ca);
    member.stop().await;
}
