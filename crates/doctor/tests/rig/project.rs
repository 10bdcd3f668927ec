//! Projects: which of their modules fail, where their files are wrong, what of the module cache is damaged.

use std::path::PathBuf;
use std::time::Duration;

use doctor::diagnose::{Health, State};
use fault::{Label, Lang};
use goenv::Shell;
use testkit::{Fault, Module};

use crate::scene::{MODULE, Scene, VERSION};
use crate::servers::closed;

const LIMIT: Duration = Duration::from_secs(40);

impl Scene {
    /// A project in the home directory.
    fn project(&self, requires: &[&str]) {
        let mut text = "module example.org/own\n\ngo 1.21\n\n".to_owned();
        for require in requires {
            text.push_str("require ");
            text.push_str(&require.replace('@', " "));
            text.push('\n');
        }
        self.write("go.mod", &text);
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_module_that_fails_is_named_with_its_own_cause() {
    let scene = Scene::well().await;
    scene.add(&Module::new("example.com/slow", "v1.0.0"));
    scene.add(&Module::new("example.com/broken", "v0.3.0"));
    scene
        .upstream
        .fail("/example.com/broken/*", Fault::status(502));
    scene.project(&[
        "example.com/sample@v1.2.3",
        "example.com/slow@v1.0.0",
        "example.com/broken@v0.3.0",
        "example.com/gone@v1.0.0",
    ]);
    let diagnosis = scene.diagnose_project(LIMIT).await;
    assert_eq!(diagnosis.verdict.health, Health::Broken);
    let states: Vec<(String, &str, Option<Label>)> = diagnosis
        .requirements
        .iter()
        .map(|one| {
            let label = one.failure().map(|failure| failure.label);
            (one.module.to_string(), one.state.as_str(), label)
        })
        .collect();
    let expected = [
        (
            "example.com/broken@v0.3.0",
            "failed",
            Some(Label::Goproxy5xx),
        ),
        ("example.com/gone@v1.0.0", "failed", Some(Label::Goproxy404)),
        ("example.com/sample@v1.2.3", "answered", None),
        ("example.com/slow@v1.0.0", "answered", None),
    ];
    let expected = expected.map(|(module, state, label)| (module.to_owned(), state, label));
    assert_eq!(states, expected);
    let labels: Vec<Label> = diagnosis
        .verdict
        .causes
        .iter()
        .map(doctor::diagnose::Cause::label)
        .collect();
    assert!(
        labels.contains(&Label::Goproxy5xx) && labels.contains(&Label::Goproxy404),
        "{labels:?}"
    );
    assert_eq!(diagnosis.module.as_str(), "example.com/broken");
    let json = diagnosis.to_json(Lang::En, Shell::Posix);
    assert_eq!(json["requirements"][1]["label"], "goproxy-404");
    assert!(json["requirements"][2]["ms"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_whose_modules_can_all_be_had_is_healthy() {
    let scene = Scene::well().await;
    scene.add(&Module::new("example.com/other", "v1.0.0"));
    scene.project(&["example.com/sample@v1.2.3", "example.com/replaced@v0.9.0"]);
    let mut text = std::fs::read_to_string(scene.home.path().join("go.mod")).unwrap();
    text.push_str("replace example.com/replaced => example.com/other v1.0.0\n");
    scene.write("go.mod", &text);
    // The database of the scene knows one module.
    let diagnosis = scene.diagnose_project(LIMIT).await;
    let states: Vec<&State> = diagnosis
        .requirements
        .iter()
        .map(|one| &one.state)
        .collect();
    assert!(
        states
            .iter()
            .all(|state| matches!(state, State::Answered(_))),
        "{states:?}"
    );
    assert_eq!(
        diagnosis.requirements[0].module.path().as_str(),
        "example.com/other"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_cache_has_is_not_asked_for() {
    let scene = Scene::well().await;
    let below = format!("go/pkg/mod/cache/download/{MODULE}/@v/{VERSION}");
    let module = Module::new(MODULE, VERSION);
    scene.write(&format!("{below}.mod"), module.go_mod_text());
    let zip = scene.write(&format!("{below}.zip"), "");
    std::fs::write(zip, module.zip()).unwrap();
    scene.project(&["example.com/sample@v1.2.3"]);
    let diagnosis = scene.diagnose_project(LIMIT).await;
    assert_eq!(diagnosis.requirements[0].state, State::Cached);
    assert_eq!(diagnosis.verdict.health, Health::Healthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_server_is_not_asked_for_every_module() {
    let mut scene = Scene::well().await;
    let dead = closed();
    scene.set("GOPROXY", &format!("http://{dead}"));
    let requires: Vec<String> = (0..200)
        .map(|n| format!("example.com/m{n}@v1.0.0"))
        .collect();
    let requires: Vec<&str> = requires.iter().map(String::as_str).collect();
    scene.project(&requires);
    let diagnosis = scene.diagnose_project(LIMIT).await;
    assert_eq!(diagnosis.requirements.len(), 200);
    assert!(
        diagnosis
            .requirements
            .iter()
            .all(|one| one.failure().is_some())
    );
    assert_eq!(diagnosis.verdict.causes[0].label(), Label::TcpRefused);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_in_go_mod_is_named_by_its_line() {
    let scene = Scene::well().await;
    let file = scene.write(
        "go.mod",
        "module example.org/own\n\nrequire example.com/sample\n",
    );
    let diagnosis = scene.diagnose_project(LIMIT).await;
    assert_eq!(diagnosis.verdict.health, Health::Broken);
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::ProjGomodSyntax);
    let place = format!("{}:3", file.display());
    assert!(cause.failure.evidence.contains(&place), "{cause:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_in_the_cache_is_named_with_the_command_that_repairs_it() {
    let scene = Scene::well().await;
    let below = format!("go/pkg/mod/cache/download/{MODULE}/@v/{VERSION}");
    let module = Module::new(MODULE, VERSION);
    scene.write(&format!("{below}.mod"), module.go_mod_text());
    scene.write(&format!("{below}.zip"), "PK, but no more");
    scene.project(&["example.com/sample@v1.2.3"]);
    let diagnosis = scene.diagnose_project(LIMIT).await;
    let cause = &diagnosis.verdict.causes[0];
    assert_eq!(cause.label(), Label::DiskCacheCorrupt);
    let remedies = diagnosis.remedies(cause, Shell::Posix, Lang::En);
    assert_eq!(
        remedies[0].command.as_deref(),
        Some("modkeep doctor --repair-cache example.com/sample@v1.2.3")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vendored_project_asks_for_nothing() {
    let scene = Scene::well().await;
    scene.project(&["example.com/gone@v1.0.0"]);
    scene.write(
        "vendor/modules.txt",
        "# example.com/gone v1.0.0\n## explicit\n",
    );
    let diagnosis = scene.diagnose_project(LIMIT).await;
    assert!(diagnosis.requirements.is_empty());
}
