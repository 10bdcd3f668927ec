//! Fixes that are carried out: kept when the request that failed goes better, taken back else.

use std::path::PathBuf;
use std::time::Duration;

use doctor::diagnose::{Diagnosis, Health};
use doctor::mend::{Ended, Proposal};
use fault::{Label, Lang};
use goenv::{Environment, Shell};
use testkit::Fault;

use crate::scene::Scene;
use crate::servers::closed;

const LIMIT: Duration = Duration::from_secs(30);

impl Scene {
    /// Moves GOPROXY from the environment to the file of `go env -w`, spelled by `spell`.
    fn in_file(&mut self, spell: impl FnOnce(&str) -> String) -> PathBuf {
        let chain = self.variables.remove("GOPROXY").unwrap();
        let file = self.home.path().join("env");
        std::fs::write(&file, format!("GOFLAGS=-v\nGOPROXY={}\n", spell(&chain))).unwrap();
        self.set("GOENV", file.to_str().unwrap());
        file
    }

    fn proposals(&self, diagnosis: &Diagnosis) -> Vec<Proposal> {
        let environment = Environment::from_pairs(self.variables.clone());
        let directory = self.home.path();
        Proposal::of(diagnosis, &environment, directory, Shell::Posix, Lang::En)
    }
}

fn read(file: &PathBuf) -> String {
    std::fs::read_to_string(file).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fix_that_helps_is_kept() {
    let mut scene = Scene::well().await;
    let file = scene.in_file(|chain| format!("\"{chain}\""));
    let before = scene.diagnose(LIMIT).await;
    assert_eq!(before.verdict.causes[0].label(), Label::CfgGoproxySyntax);
    let proposal = scene.proposals(&before).into_iter().next().unwrap();
    let shown = proposal.to_text(Lang::En);
    assert!(shown.contains("- GOPROXY=\"https://"), "{shown}");
    assert!(shown.contains("+ GOPROXY=https://"), "{shown}");
    let ended = proposal
        .carry_out(&before, scene.diagnose(LIMIT), std::future::pending())
        .await
        .unwrap();
    let Ended::Helped(after) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(after.verdict.health, Health::Healthy);
    assert!(!read(&file).contains('"'), "{}", read(&file));
    assert!(read(&file).starts_with("GOFLAGS=-v\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_is_mended_out_of_its_own_servers() {
    let mut scene = Scene::well().await;
    let dead = closed();
    let file = scene.in_file(|chain| format!("http://{dead},{chain}"));
    let before = scene.diagnose(LIMIT).await;
    assert_eq!(before.verdict.health, Health::Broken);
    let proposal = scene.proposals(&before).into_iter().next().unwrap();
    let ended = proposal
        .carry_out(&before, scene.diagnose(LIMIT), std::future::pending())
        .await
        .unwrap();
    assert!(matches!(ended, Ended::Helped(_)), "{ended:?}");
    assert!(
        read(&file).contains(&format!("GOPROXY=http://{dead}|https://")),
        "{}",
        read(&file)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fix_that_does_not_help_is_taken_back() {
    let mut scene = Scene::well().await;
    let dead = closed();
    let file = scene.in_file(|chain| format!("http://{dead},{chain}"));
    let text = read(&file);
    let before = scene.diagnose(LIMIT).await;
    let proposal = scene.proposals(&before).into_iter().next().unwrap();
    // The other server fails by then.
    scene.upstream.fail("*", Fault::status(500));
    let ended = proposal
        .carry_out(&before, scene.diagnose(LIMIT), std::future::pending())
        .await
        .unwrap();
    assert!(matches!(ended, Ended::DidNotHelp(_)), "{ended:?}");
    assert_eq!(read(&file), text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_interrupts_a_fix_finds_everything_as_it_was() {
    let mut scene = Scene::well().await;
    let file = scene.in_file(|chain| format!("\"{chain}\""));
    let text = read(&file);
    let before = scene.diagnose(LIMIT).await;
    let changed = || read(&file) != text;
    for is_dropped in [false, true] {
        let proposal = scene.proposals(&before).into_iter().next().unwrap();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let again = async {
            assert!(changed(), "it is tried with the change in place");
            started.send(()).unwrap();
            std::future::pending().await
        };
        if is_dropped {
            let fixing = proposal.carry_out(&before, again, std::future::pending());
            tokio::select! {
                ended = fixing => panic!("{ended:?}"),
                () = async { has_started.await.unwrap() } => {}
            }
        } else {
            let stop = async { has_started.await.unwrap() };
            let ended = proposal.carry_out(&before, again, stop).await.unwrap();
            assert!(matches!(ended, Ended::Interrupted), "{ended:?}");
        }
        assert_eq!(read(&file), text);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_safe_is_not_proposed() {
    // A company's server is not exchanged for a public one.
    let mut scene = Scene::well().await;
    scene.in_file(str::to_owned);
    scene.upstream.fail("*", Fault::status(503));
    let diagnosis = scene.diagnose(LIMIT).await;
    assert!(scene.proposals(&diagnosis).is_empty());
    // Only a person can change the environment of a shell.
    let mut scene = Scene::well().await;
    let quoted = format!("\"{}\"", scene.get("GOPROXY"));
    scene.set("GOPROXY", &quoted);
    let diagnosis = scene.diagnose(LIMIT).await;
    assert_eq!(diagnosis.verdict.health, Health::Broken);
    assert!(scene.proposals(&diagnosis).is_empty());
}
