use std::fs;

use fault::Label;
use testkit::{Module, Tree};
use upstream::ChainError;

use crate::scene::{
    INFO, LIST, MOD, Options, ZIP, absence, assert_says, drain, failure, get, request, zip_failure,
};

fn tree() -> Tree {
    let tree = Tree::temporary();
    tree.add(&Module::big("example.com/m", "v1.0.0", 700_000));
    tree
}

fn url(tree: &Tree) -> String {
    format!("file://{}", tree.root().display())
}

#[tokio::test]
async fn a_folder_answers_as_a_server_does() {
    let tree = tree();
    let chain = Options::new(&url(&tree)).chain();
    for path in [LIST, INFO, MOD] {
        let reply = get(&chain, path).await.unwrap();
        assert_eq!(reply.body, fs::read(tree.file(path)).unwrap());
        assert_eq!(reply.source, url(&tree));
    }
    let reply = chain.fetch_zip(&request(ZIP)).await.unwrap();
    let whole = fs::read(tree.file(ZIP)).unwrap();
    assert_eq!(reply.len, Some(whole.len() as u64));
    assert_eq!(drain(reply).await.unwrap(), whole);
}

#[tokio::test]
async fn what_is_not_in_the_folder_does_not_exist() {
    let tree = tree();
    let chain = Options::new(&url(&tree)).chain();
    let long = format!("example.com/{}/@v/list", "x".repeat(300));
    for path in ["example.com/n/@v/list", "example.com/m/@v/list/x", &long] {
        let absence = absence(&chain, path).await;
        assert!(!absence.gone);
        assert!(absence.reason.contains(path), "{}", absence.reason);
    }
    let error = chain
        .fetch_zip(&request("example.com/m/@v/v2.0.0.zip"))
        .await
        .unwrap_err();
    assert!(matches!(error, ChainError::Absent(_)));
    // A folder that is not there at all.
    let gone = Options::new("file:///nonexistent/modkeep").chain();
    absence(&gone, LIST).await;
}

#[tokio::test]
async fn files_are_judged_like_answers() {
    let tree = tree();
    let chain = Options::new(&url(&tree)).chain();
    fs::write(tree.file(INFO), "<html>").unwrap();
    assert_says(&failure(&chain, INFO).await, Label::GoproxyHtml, "web page");
    fs::write(tree.file(INFO), vec![b' '; (4 << 20) + 1]).unwrap();
    assert_says(&failure(&chain, INFO).await, Label::GoproxyCorrupt, "4 MiB");
    fs::write(tree.file(ZIP), "torn").unwrap();
    assert_says(&zip_failure(&chain).await, Label::GoproxyCorrupt, "zip");
    // Something that is there and is no file is trouble, not absence.
    fs::remove_file(tree.file(MOD)).unwrap();
    fs::create_dir(tree.file(MOD)).unwrap();
    assert_says(&failure(&chain, MOD).await, Label::DiskCacheCorrupt, MOD);
}

#[tokio::test]
async fn a_folder_can_be_followed_by_a_server() {
    let tree = tree();
    let scene = crate::scene::Scene::new();
    scene.tree.add(&Module::new("example.com/other", "v1.0.0"));
    let chain = Options::new(&format!("{},{}", url(&tree), scene.upstream.url())).chain();
    get(&chain, LIST).await.unwrap();
    assert_eq!(scene.upstream.count("*"), 0);
    get(&chain, "example.com/other/@v/list").await.unwrap();
    assert_eq!(scene.upstream.count("*"), 1);
}
