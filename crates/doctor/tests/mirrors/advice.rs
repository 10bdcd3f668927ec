//! The line that is recommended, and what goes with it.

use doctor::mirrors::{Advice, Availability, Blocked, Comparison, Kind, Layout};
use fault::{Lang, forbidden_remedies};
use goenv::Shell;
use testkit::Fault;

use crate::scene::Scene;

fn kinds(remarks: &[doctor::mirrors::Remark]) -> Vec<Kind> {
    remarks.iter().map(|remark| remark.kind).collect()
}

fn command(advice: &Advice) -> String {
    advice.fix.as_ref().unwrap().command(Shell::Posix)
}

fn two_mirrors() -> (Scene, String, String) {
    let mut scene = Scene::new();
    let a = scene.mirror("a").url.clone();
    let slow = scene.mirror("b");
    slow.server.set_delay(std::time::Duration::from_millis(500));
    let b = slow.url.clone();
    (scene, a, b)
}

/// Texts of a run, in both languages and widths.
fn texts(comparison: &Comparison, advice: &Advice) -> Vec<String> {
    let mut texts = Vec::new();
    for lang in Lang::ALL {
        for width in [40, 72, 140] {
            let layout = Layout {
                lang,
                shell: Shell::Posix,
                width,
            };
            let text =
                comparison.to_text(advice, &layout, |_| Some(Availability { checks: 8, ok: 7 }));
            let wide = |line: &str| {
                line.chars()
                    .map(|c| if c >= '\u{1100}' { 2 } else { 1 })
                    .sum::<usize>()
            };
            for line in text.lines() {
                let is_command = line.contains("go env") || line.contains("export ");
                assert!(
                    wide(line) <= width || line.contains("://") || is_command,
                    "{width}: {line}"
                );
                assert!(!line.contains('\u{1b}'));
            }
            texts.push(text);
        }
        texts.push(format!(
            "{:#}",
            comparison.to_json(advice, lang, Shell::Posix)
        ));
    }
    texts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bar_between_mirrors_and_a_comma_before_direct() {
    let (scene, a, b) = two_mirrors();
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    assert_eq!(
        advice.value.as_deref(),
        Some(format!("{a}|{b},direct").as_str())
    );
    assert_eq!(
        command(&advice),
        format!("go env -w 'GOPROXY={a}|{b},direct'")
    );
    assert_eq!(
        advice.fix.as_ref().unwrap().undo(Shell::Posix).unwrap(),
        "go env -w GOPROXY=direct"
    );
    assert_eq!(
        kinds(&advice.reasons),
        [Kind::BarMirrors, Kind::CommaDirect, Kind::WithDirect]
    );
    for text in texts(&comparison, &advice) {
        assert!(forbidden_remedies(&text).is_empty(), "{text}");
        assert!(text.contains(&format!("GOPROXY={a}|{b},direct")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_document_has_what_programs_need() {
    let (scene, a, _) = two_mirrors();
    let comparison = scene.compare().await;
    let document = comparison.to_json(&scene.advice(&comparison), Lang::En, Shell::Posix);
    assert_eq!(document["schema"], 1);
    let best = &document["mirrors"][0];
    assert_eq!(
        (
            best["url"].as_str(),
            best["rank"].as_u64(),
            best["up"].as_bool()
        ),
        (Some(a.as_str()), Some(1), Some(true))
    );
    assert_eq!(best["sumdb"], "relayed");
    assert_eq!(best["latency"]["n"], 5);
    assert!(best["latency"]["p50_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(best["freshness"][0]["newest"], "v1.2.0");
    assert_eq!(
        document["recommendation"]["reasons"][0]["kind"],
        "bar-mirrors"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_of_ones_own_stay_in_front_with_a_comma() {
    let (mut scene, a, b) = two_mirrors();
    let own = format!(
        "{}/x",
        a.replace("a.mirrors.test", "goproxy.corp.mirrors.internal")
    );
    scene.goproxy(&format!("{own}|https://goproxy.qiniu.com,direct"));
    scene.set("GOPRIVATE", "git.corp.example.com");
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    assert_eq!(advice.value, Some(format!("{own},{a}|{b},direct")));
    assert!(kinds(&advice.reasons).contains(&Kind::CommaOwn));
    assert!(kinds(&advice.reasons).contains(&Kind::PrivateKept));
    assert!(kinds(&advice.warnings).contains(&Kind::BarBehindOwn));
    assert!(!kinds(&advice.warnings).contains(&Kind::NamesMayLeave));
    assert_eq!(
        advice.fix.as_ref().unwrap().changes.len(),
        1,
        "nothing but GOPROXY is touched"
    );
    scene.variables.remove("GOPRIVATE");
    let comparison = scene.compare().await;
    assert!(kinds(&scene.advice(&comparison).warnings).contains(&Kind::NamesMayLeave));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_only_own_servers_are_named_nothing_is_recommended() {
    let (mut scene, a, _) = two_mirrors();
    let own = a.replace("a.mirrors.test", "goproxy.corp.mirrors.internal");
    for chain in [own.clone(), format!("{own},direct")] {
        scene.goproxy(&chain);
        scene.goproxy_only = true;
        let comparison = scene.compare().await;
        let advice = scene.advice(&comparison);
        assert_eq!(
            (advice.blocked, advice.value.as_ref()),
            (Some(Blocked::OwnOnly), None),
            "{chain}"
        );
        assert!(advice.fix.is_none());
        texts(&comparison, &advice);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_the_list_is_the_users_choice() {
    let (scene, a, b) = two_mirrors();
    for (chain, tail, warning) in [
        (a.clone(), "", Some(Kind::NoDirect)),
        (format!("{a},off"), ",off", None),
        (format!("{a}|direct"), ",direct", None),
        ("off".to_owned(), ",direct", Some(Kind::WasOff)),
    ] {
        scene.goproxy(&chain);
        let comparison = scene.compare().await;
        let advice = scene.advice(&comparison);
        assert_eq!(advice.value, Some(format!("{a}|{b}{tail}")), "{chain}");
        let warnings = kinds(&advice.warnings);
        assert!(
            warning.is_none_or(|warning| warnings.contains(&warning)),
            "{chain}: {warnings:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_mirror_with_a_flaw_gets_a_bar_before_direct() {
    let mut scene = Scene::new();
    let a = scene.mirror("a");
    a.server.fail_once("*v1.0.0.info", Fault::status(502));
    let a = a.url.clone();
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    assert_eq!(advice.value, Some(format!("{a}|direct")));
    assert_eq!(
        kinds(&advice.reasons),
        [Kind::NoSecond, Kind::BarDirect, Kind::WithDirect]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_so_already_is_left_alone() {
    let (scene, a, b) = two_mirrors();
    scene.goproxy(&format!("{a}/|{b},direct"));
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    assert_eq!(advice.blocked, Some(Blocked::AlreadySo));
    assert!(advice.fix.is_none());
    assert!(!comparison.has_findings());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_that_wins_and_a_database_that_is_off_are_told() {
    let (mut scene, a, b) = two_mirrors();
    scene.set("GOPROXY", "direct");
    scene.set("GOSUMDB", "off");
    scene.set("PATH", "/nowhere");
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    let warnings = kinds(&advice.warnings);
    for warning in [Kind::EnvironmentWins, Kind::SumdbOff, Kind::DirectNeedsGit] {
        assert!(warnings.contains(&warning), "{warnings:?}");
    }
    let shell = advice.shell.as_ref().unwrap().command(Shell::Posix);
    assert_eq!(shell, format!("export GOPROXY='{a}|{b},direct'"));
    for text in texts(&comparison, &advice) {
        assert!(forbidden_remedies(&text).is_empty(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_never_shown() {
    let (scene, a, _) = two_mirrors();
    let own = a.replace("http://a.mirrors.test", "http://me:hunter2@a.mirrors.test");
    scene.goproxy(&format!("{own},https://goproxy.qiniu.com,direct"));
    let comparison = scene.compare().await;
    let advice = scene.advice(&comparison);
    assert!(kinds(&advice.warnings).contains(&Kind::HasPassword));
    for text in texts(&comparison, &advice) {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(!format!("{comparison:?}").contains("hunter2"));
}
