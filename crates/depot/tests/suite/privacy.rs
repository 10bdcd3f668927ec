use std::fs;

use depot::{Context, Depot, DepotError, FetchMode};
use goenv::private::Patterns;
use store::{AnswerKey, FileKey, FileKind};
use testkit::Module;

use crate::scene::{MOD, Scene, file, get_file, get_small, module, settled};

fn scene() -> Scene {
    let mut scene = Scene::new();
    scene.settings.private = Patterns::parse("corp.example,*/m/internal");
    scene
}

async fn ask_all(depot: &Depot, path: &str) -> Vec<DepotError> {
    let mut errors = Vec::new();
    for kind in FileKind::ALL {
        let key = FileKey {
            module: module(path),
            ..file(kind)
        };
        errors.push(get_file(depot, &key).await.unwrap_err());
    }
    for key in [
        AnswerKey::List(module(path)),
        AnswerKey::Latest(module(path)),
        AnswerKey::Query(module(path), gomod::Revision::new("main").unwrap()),
    ] {
        let answer = depot
            .answer(&key, FetchMode::Allowed, &Context::default())
            .await;
        errors.push(answer.unwrap_err());
    }
    errors
}

#[tokio::test]
async fn no_private_name_reaches_an_upstream() {
    let scene = scene();
    let depot = scene.depot();
    for path in [
        "corp.example",
        "corp.example/team/secret",
        "example.com/m/internal/x",
    ] {
        for error in ask_all(&depot, path).await {
            assert!(matches!(error, DepotError::DirectOff { .. }), "{error}");
            assert!(!error.is_absence());
            assert!(error.to_string().contains(path), "{error}");
        }
    }
    assert_eq!(scene.upstream.connections(), 0);
    get_small(&depot, FileKind::Mod).await.unwrap();
    assert_eq!(scene.upstream.count(MOD), 1, "others are asked for as ever");
}

#[tokio::test]
async fn what_is_stored_of_a_private_module_is_served() {
    let scene = scene();
    let secret = Module::new("corp.example/secret", "v1.0.0");
    let folder = scene.data().join("tree/corp.example/secret/@v");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("v1.0.0.mod"), secret.go_mod_text()).unwrap();
    fs::write(folder.join("v1.0.0.info"), secret.info()).unwrap();
    let depot = scene.depot();
    for kind in [FileKind::Mod, FileKind::Info] {
        let key = FileKey {
            module: module("corp.example/secret"),
            ..file(kind)
        };
        get_file(&depot, &key).await.unwrap();
    }
    let key = AnswerKey::List(module("corp.example/secret"));
    let list = depot
        .answer(&key, FetchMode::Allowed, &Context::default())
        .await
        .unwrap();
    assert_eq!(list.body, "v1.0.0\n");
    settled(&depot).await;
    assert_eq!(scene.upstream.connections(), 0);
}
