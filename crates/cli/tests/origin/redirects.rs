//! Pages and repositories that are somewhere else now: found where they went, and never where nobody may be sent.

use testkit::http;

use crate::scene::Scene;

fn publish(scene: &Scene, repository: &str, module: &str) {
    let library = scene.forge.repository(repository);
    library.module("", module, "lib").commit();
    library.tag("v1.0.0");
    library.write("later.go", "package lib\n").commit();
}

#[test]
fn what_was_renamed_is_found_where_it_went_as_go_finds_it() {
    let scene = Scene::new();
    let forge = &scene.forge;
    publish(&scene, "git.public.test/new", "go.vanity.test/lib");
    publish(&scene, "git.public.test/first", "go.vanity.test/first");
    forge.page(
        "go.vanity.test/first",
        "go.vanity.test/first git https://git.public.test/first",
    );
    // The page is elsewhere, and so is the repository that it names.
    forge.page(
        "go.vanity.test/pages/lib",
        "go.vanity.test/lib git https://git.public.test/old",
    );
    for (from, to) in [
        ("go.vanity.test/lib", "https://go.vanity.test/pages/lib"),
        ("git.public.test/old", "https://git.public.test/new"),
    ] {
        forge.move_away(from, to);
    }
    let modkeep = scene.command("").start();
    let (through, direct) = (Scene::go_through(&modkeep), scene.go_direct());
    // By then the server is known by another repository.
    for query in ["first@v1.0.0", "lib@v1.0.0", "lib@main"] {
        let query = format!("go.vanity.test/{query}");
        let sum = |go: &testkit::Go| {
            let output = go.run(go.home(), &["mod", "download", "-json", &query]);
            let told: serde_json::Value = serde_json::from_str(&output.stdout).unwrap();
            assert!(told["Error"].is_null(), "{told:#}{}", modkeep.stderr());
            (told["Version"].clone(), told["Sum"].clone())
        };
        assert_eq!(sum(&through), sum(&direct), "{query}");
    }
}

#[test]
fn where_nobody_may_be_sent_nobody_goes_and_that_is_no_absence() {
    let scene = Scene::new();
    let forge = &scene.forge;
    for (name, to) in [
        ("circle", "https://go.vanity.test/circle"),
        ("plain", "http://go.vanity.test/elsewhere"),
        ("inside", "https://10.0.0.1/elsewhere"),
        ("metadata", "https://169.254.169.254/latest"),
    ] {
        // Once it is the page that leads there, once the repository.
        forge.move_away(&format!("go.vanity.test/{name}"), to);
        let module = format!("go.vanity.test/repository-{name}");
        let address = format!("https://git.public.test/{name}");
        forge.page(&module, &format!("{module} git {address}"));
        let to = to.replace("go.vanity.test", "git.public.test");
        forge.move_away(&format!("git.public.test/{name}"), &to);
    }
    let modkeep = scene.command("").start();
    for name in ["circle", "plain", "inside", "metadata"] {
        for module in [name.to_owned(), format!("repository-{name}")] {
            let url = format!("{}/go.vanity.test/{module}/@v/list", modkeep.url());
            let reply = http::get(&url).unwrap();
            let said = reply.text();
            assert!((500..600).contains(&reply.status), "{module}: {said}");
        }
    }
    // And where git finds its way itself.
    let url = format!("{}/git.public.test/inside.git/@v/list", modkeep.url());
    forge.move_away("git.public.test/inside.git", "https://10.0.0.1/x");
    let reply = http::get(&url).unwrap();
    assert_ne!(reply.status, 200, "{}", reply.text());
    assert_eq!(
        scene.tunnel.hosts(),
        ["git.public.test:443", "go.vanity.test:443"]
    );
}
