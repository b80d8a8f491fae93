//! The doctor: each of its checks finds the thing that is broken here on a real node, names what helps, and is content
//! once that was done. Exit codes are those of monitoring plug-ins: 0 ok, 1 warning, 2 critical, 3 unknown.

mod itself;
mod register;
mod sealed;

use std::time::Duration;

use havenlink::demo::city::City;
use havenlink_tests::tools::havenctl;
use havenlink_tests::wait::eventually;

const PATIENCE: Duration = Duration::from_secs(60);

/// One line of what the doctor said.
#[derive(Clone, Debug)]
pub struct Found {
    name: String,
    result: String,
    pub finding: String,
    pub remedy: String,
}

/// Asks the doctor; its exit code must fit the worst line.
async fn ask(city: &City) -> Vec<Found> {
    let ran = havenctl(city, &["doctor", "-o", "json"]).await.unwrap();
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let text = |check: &serde_json::Value, field: &str| check[field].as_str().unwrap_or_default().to_owned();
    let found: Vec<Found> = json["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| Found {
            name: text(c, "name"),
            result: text(c, "result"),
            finding: text(c, "finding"),
            remedy: text(c, "remedy"),
        })
        .collect();
    assert_eq!(found.len(), 27, "every check has its line: {found:?}");
    let any = |result: &str| found.iter().any(|f| f.result == result);
    let expected = match () {
        () if any("CRITICAL") => 2,
        () if any("UNKNOWN") => 3,
        () => i32::from(any("WARNING")),
    };
    assert_eq!(ran.code, expected, "{found:?}");
    found
}

/// Waits until a check says so, and gives its line. Whoever is not content says what is wrong and what helps.
pub async fn says(city: &City, name: &str, result: &str) -> Found {
    let what = format!("{} finds {name} {result}", city.id());
    let found = eventually(&what, PATIENCE, || async {
        let found = ask(city).await;
        let line = found.iter().find(|f| f.name == name).unwrap_or_else(|| panic!("no check {name}: {found:?}"));
        (line.result == result).then(|| line.clone())
    })
    .await;
    assert!(found.finding.len() > 10 && (result == "OK") == found.remedy.is_empty(), "{found:?}");
    found
}

/// Waits until nothing is wrong at all, and the tool ends with 0.
async fn content(city: &City) {
    eventually(&format!("{} is content", city.id()), PATIENCE, || async {
        ask(city).await.iter().all(|f| f.result == "OK").then_some(())
    })
    .await;
}
