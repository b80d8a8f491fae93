//! A federation comes to stand.

use havenlink_tests::federation::Federation;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_members_of_whom_three_are_stewards_and_two_agree() {
    let mut federation = Federation::found(5, 3, "").await.unwrap();
    federation.agree(1, 4).await.unwrap();
    for city in &mut federation.cities {
        city.until("it knows three stewards", |status| status.stewards.len() == 3).await.unwrap();
    }
}
