use std::time::{Duration, Instant};

use upstream::Order;

use crate::scene::{INFO, MOD, Options, Scene, ZIP, drain, get, request};

#[tokio::test]
async fn who_answers_faster_is_asked_first_if_that_is_the_order() {
    let (slow, fast) = (Scene::new(), Scene::new());
    // Not so slow that it would come last in any order.
    slow.upstream.set_delay(Duration::from_millis(200));
    let mut options = Options::new(&format!("{},{}", slow.upstream.url(), fast.upstream.url()));
    options.order = Order::Fastest;
    options.probe_interval = Duration::from_millis(50);
    let chain = options.chain();
    get(&chain, INFO).await.unwrap();
    // Probes ask for what was asked for, and find out how fast the other is.
    let began = Instant::now();
    let mut in_a_row = 0;
    while in_a_row < 5 {
        assert!(began.elapsed() < Duration::from_secs(20));
        slow.upstream.forget();
        let reply = get(&chain, MOD).await.unwrap();
        let is_first = reply.source == fast.upstream.url() && slow.upstream.count(MOD) == 0;
        in_a_row = if is_first { in_a_row + 1 } else { 0 };
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_comes_of_bodies_is_counted_whether_it_is_of_use_or_not() {
    let scene = Scene::new();
    let mut options = Options::new(&scene.upstream.url());
    options.probe_interval = Duration::from_hours(1);
    let chain = options.chain();
    get(&chain, MOD).await.unwrap();
    let small = scene.source(MOD).len() as u64;
    assert_eq!(options.observed.received(), small);
    let whole = drain(chain.fetch_zip(&request(ZIP)).await.unwrap());
    let zip = whole.await.unwrap().len() as u64;
    assert_eq!(options.observed.received(), small + zip);
    // Nobody reads on.
    drop(chain.fetch_zip(&request(ZIP)).await.unwrap());
    let received = options.observed.received();
    assert!(
        received > small + zip && received <= small + 2 * zip,
        "{received}"
    );
}
