//! GOPROXY servers that stand in for repositories: go-import tags whose system is `mod`.

use testkit::{Go, Module, Tree, http};

use crate::scene::Scene;

/// A scene where a server has `go.vanity.test/hosted`, and pages say so.
fn hosted(proxy: &str) -> Scene {
    let scene = Scene::new();
    let tree = Tree::at(scene.forge.root.join("go.vanity.test/proxy"));
    for version in ["v1.0.0", "v1.1.0"] {
        let code = "package hosted\n\nconst Name = \"go.vanity.test/hosted\"\n";
        tree.add(&Module::new("go.vanity.test/hosted", version).file("hosted.go", code));
    }
    let import = format!("go.vanity.test/hosted mod {proxy}");
    scene.forge.page("go.vanity.test/hosted", &import);
    scene
}

fn listed(go: &Go) -> String {
    let arguments = ["list", "-m", "-versions", "go.vanity.test/hosted@latest"];
    let output = go.run(go.home(), &arguments);
    assert!(output.success, "{}", output.stderr);
    output.stdout
}

fn hash(go: &Go, version: &str) -> (String, String) {
    let wanted = format!("go.vanity.test/hosted@{version}");
    let output = go.run(go.home(), &["mod", "download", "-json", &wanted]);
    assert!(output.success, "{}{}", output.stdout, output.stderr);
    let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
    let text = |key: &str| told[key].as_str().unwrap().to_owned();
    (text("Sum"), text("GoModSum"))
}

#[test]
fn what_a_stand_in_has_is_what_go_gets_from_it() {
    let scene = hosted("https://go.vanity.test/proxy");
    let modkeep = scene.command("").start();
    let through = Scene::go_through(&modkeep).sumdb("off");
    let direct = scene.go_direct().sumdb("off");
    assert_eq!(listed(&through), listed(&direct));
    for version in ["v1.0.0", "v1.1.0"] {
        assert_eq!(hash(&through, version), hash(&direct, version), "{version}");
    }
    let requests = scene.forge.requests.lock().unwrap().clone();
    let zip = "go.vanity.test /proxy/go.vanity.test/hosted/@v/v1.0.0.zip";
    assert!(
        requests.iter().any(|request| request == zip),
        "{requests:#?}"
    );
    let url = format!("{}/go.vanity.test/hosted/@v/v1.9.0.info", modkeep.url());
    assert_eq!(http::get(&url).unwrap().status, 404);
}

#[test]
fn the_name_of_a_private_module_goes_to_its_stand_in_only() {
    let scene = hosted("https://go.vanity.test/proxy");
    let modkeep = scene.command("private = \"go.vanity.test\"\n").start();
    let url = format!("{}/go.vanity.test/hosted/@v/v1.0.0.mod", modkeep.url());
    let reply = http::get(&url).unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    let asked = scene.upstream.requests();
    let told = asked.iter().find(|request| request.path.contains("vanity"));
    assert!(told.is_none(), "{told:?}");
}

#[test]
fn a_stand_in_is_refused_without_encryption_and_inside() {
    for (proxy, status, reason) in [
        (
            "http://go.vanity.test/proxy",
            404,
            "proxy address without https",
        ),
        ("https://127.0.0.1:1/proxy", 502, "refused"),
    ] {
        let scene = hosted(proxy);
        // No proxy is in the way: addresses are judged here.
        let modkeep = scene.command("").env("NO_PROXY", "127.0.0.1").start();
        let url = format!("{}/go.vanity.test/hosted/@v/v1.0.0.mod", modkeep.url());
        let reply = http::get(&url).unwrap();
        assert_eq!(reply.status, status, "{proxy}: {}", reply.text());
        assert!(reply.text().contains(reason), "{proxy}: {}", reply.text());
        let asked = scene.forge.requests.lock().unwrap();
        assert!(
            !asked.iter().any(|request| request.contains("/@v/")),
            "{asked:#?}"
        );
    }
}
