//! A word that stands in what the honest city shares, and nowhere else; and a line that only an attacker writes.

use std::net::SocketAddr;

use havenlink::demo::acts::request_id;
use havenlink::demo::city::City;
use havenlink::demo::sample;
use havenlink_proto::local::v1::PublishRecordRequest;
use havenlink_proto::record::v1::{Purpose, Tlp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The word.
const CANARY: &str = "Kanarienvogel";
/// What an attacker would like a log to tell: the text of an error of its.
pub const FORGED: &str = "2026-11-28T00:00:00.000Z INFO  journal the node runs event=NODE_RUNS authority=xx-forged";
/// A terminal does what stands behind it.
const ESCAPE: char = '\u{1b}';

/// An honest alert to an authority.
pub fn alert_to(to: &str) -> PublishRecordRequest {
    let mut alert = sample::advert_alert();
    alert.summary.iter_mut().for_each(|summary| summary.text.insert_str(0, &format!("{CANARY}: ")));
    PublishRecordRequest {
        request_id: request_id(),
        sharing: Some(sample::sharing(&[to], Purpose::Prevention, Tlp::Green)),
        content: Some(alert.into()),
        ..Default::default()
    }
}

/// Where a node tells what it must not: in its log, with its journal, or in its metrics.
///
/// # Errors
/// When metrics cannot be read.
pub async fn sung(cities: &[City], http: &[SocketAddr]) -> anyhow::Result<Vec<String>> {
    let mut faults = Vec::new();
    for city in cities {
        let log = String::from_utf8_lossy(&std::fs::read(city.dir.join("node.log"))?).into_owned();
        if log.contains(CANARY) {
            faults.push(format!("what was shared stands in the log of {}", city.id()));
        }
        if log.contains(ESCAPE) || log.lines().any(|line| line.starts_with(FORGED)) {
            faults.push(format!("the log of {} has a line that an attacker wrote", city.id()));
        }
    }
    for address in http {
        let metrics = get(*address, "/metrics").await?;
        anyhow::ensure!(metrics.contains("havenlink_calls_total"), "no metrics at {address}: {metrics}");
        if metrics.contains(CANARY) || metrics.contains(ESCAPE) {
            faults.push(format!("what was shared stands in the metrics at {address}"));
        }
    }
    Ok(faults)
}

/// What the loopback HTTP of a node answers.
///
/// # Errors
/// When it does not.
pub async fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await?;
    Ok(answer)
}
