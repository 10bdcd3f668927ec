//! `direct` as the last upstream: what the servers do not have comes from its repository, as `go` would make it.

use testkit::{Fault, Go, http};

use crate::scene::Scene;

/// What `go mod download -json` says, without what belongs to this machine.
fn downloaded(go: &Go, query: &str) -> String {
    let output = go.run(go.home(), &["mod", "download", "-json", query]);
    let cache = go.module_cache().display().to_string();
    let lines = output.stdout.lines();
    lines
        .filter(|line| !line.contains("\"Info\":") && !line.contains("\"Reuse\""))
        .collect::<Vec<_>>()
        .join("\n")
        .replace(&cache, "CACHE")
}

/// Every version of these repositories is compared.
fn publish(scene: &Scene) -> Vec<&'static str> {
    let forge = &scene.forge;
    forge.page(
        "go.vanity.test/mod",
        "go.vanity.test/mod git https://git.public.test/mod",
    );
    forge.page(
        "go.vanity.test/mod/sub",
        "go.vanity.test/mod git https://git.public.test/mod",
    );
    forge.page(
        "go.vanity.test/mod/v2",
        "go.vanity.test/mod git https://git.public.test/mod",
    );
    forge.page(
        "go.vanity.test/old",
        "go.vanity.test/old git https://git.public.test/old",
    );
    forge.page(
        "go.vanity.test/part",
        "go.vanity.test/part git https://git.public.test/mono inner/part",
    );
    let module = forge.repository("git.public.test/mod");
    module.module("", "go.vanity.test/mod", "mod");
    module.write("LICENSE", "free\n").write(
        ".gitattributes",
        "secret.txt export-ignore\nversion.txt export-subst\n*.crlf text eol=crlf\n",
    );
    module
        .write("secret.txt", "x")
        .write("version.txt", "$Format:%H$\n")
        .write("a.crlf", "one\ntwo\n");
    module
        .write("vendor/x/x.go", "package x\n")
        .write("testdata/Ä.txt", "ä\n");
    module.commit();
    module.tag("v1.0.0");
    module
        .module("sub/", "go.vanity.test/mod/sub", "sub")
        .commit();
    module
        .tag("sub/v0.1.0")
        .tag("v1.1.0-rc.1")
        .tag("v1.1.0-RC.2");
    module
        .write("go.mod", "module go.vanity.test/mod/v2\n\ngo 1.21\n")
        .commit();
    module.tag("v2.0.0");
    module.write("more.txt", "more\n").commit();
    let old = forge.repository("git.public.test/old");
    old.write("old.go", "package old\n").commit();
    old.tag("v1.0.0").tag("v3.0.0");
    let mono = forge.repository("git.public.test/mono");
    mono.module("inner/part/", "go.vanity.test/part", "part")
        .write("LICENSE", "mono\n")
        .commit();
    mono.tag("inner/part/v1.2.3").tag("v1.0.0");
    vec![
        "go.vanity.test/mod@v1.0.0",
        "go.vanity.test/mod@v1.1.0-rc.1",
        // Escaped on its way: v1.1.0-!r!c.2.
        "go.vanity.test/mod@v1.1.0-RC.2",
        "go.vanity.test/mod/v2@v2.0.0",
        "go.vanity.test/mod/v2@main",
        "go.vanity.test/mod/sub@v0.1.0",
        "go.vanity.test/mod/sub@latest",
        "go.vanity.test/old@v1.0.0",
        "go.vanity.test/old@v3.0.0+incompatible",
        "go.vanity.test/part@v1.2.3",
        "go.vanity.test/mod@v1.9.9",
        "go.vanity.test/mod@v2.0.0",
        "go.vanity.test/none@v1.0.0",
    ]
}

/// The parts that must be equal: version, hashes, and whether there is an answer at all.
fn essence(report: &str) -> Vec<String> {
    let keep = ["\"Version\"", "\"Sum\"", "\"GoModSum\""];
    let mut lines: Vec<String> = report
        .lines()
        .filter(|line| keep.iter().any(|key| line.contains(key)))
        .map(|line| line.trim().trim_end_matches(',').to_owned())
        .collect();
    lines.push(format!("error: {}", report.contains("\"Error\"")));
    lines
}

#[test]
fn vanity_modules_are_what_go_makes_of_them() {
    let scene = Scene::new();
    let queries = publish(&scene);
    let modkeep = scene.command("").start();
    let through = Scene::go_through(&modkeep);
    let direct = scene.go_direct();
    let mut answered = 0;
    for query in &queries {
        let expected = downloaded(&direct, query);
        let found = downloaded(&through, query);
        let (expected, found) = (essence(&expected), essence(&found));
        assert_eq!(found, expected, "{query}");
        answered += usize::from(found.iter().any(|line| line.contains("\"Sum\"")));
    }
    assert_eq!(
        answered,
        queries.len() - 3,
        "all but the last three are there"
    );
    for (module, query) in [
        ("go.vanity.test/mod", "-versions"),
        ("go.vanity.test/mod/sub", "-versions"),
        ("go.vanity.test/old", "-versions"),
        ("go.vanity.test/part", "-versions"),
    ] {
        let list = |go: &Go| {
            go.run(go.home(), &["list", "-m", query, module])
                .expect_success()
        };
        assert_eq!(list(&through), list(&direct), "{module}");
    }
    let info = http::get(&format!(
        "{}/go.vanity.test/mod/@v/v1.0.0.info",
        modkeep.url()
    ))
    .unwrap();
    for part in [
        "\"VCS\":\"git\"",
        "\"URL\":\"https://git.public.test/mod\"",
        "\"Ref\":\"refs/tags/v1.0.0\"",
    ] {
        assert!(info.text().contains(part), "{}", info.text());
    }
}

#[test]
fn repositories_are_asked_only_for_what_the_servers_do_not_have() {
    let scene = Scene::new();
    publish(&scene);
    let modkeep = scene.command("").start();
    let get = |path: &str| http::get(&format!("{}{path}", modkeep.url())).unwrap();
    assert_eq!(get("/example.com/public/@v/v1.0.0.mod").status, 200);
    assert!(scene.tunnel.hosts().is_empty());
    // After trouble, too; but then "not there" is nobody's to say.
    scene.upstream.fail("*", Fault::status(500));
    assert_eq!(get("/go.vanity.test/mod/@v/v1.0.0.mod").status, 200);
    assert_eq!(get("/go.vanity.test/mod/@v/v1.9.9.info").status, 502);
    scene.upstream.heal();
    assert_eq!(get("/go.vanity.test/mod/@v/v1.9.8.info").status, 404);
}

#[test]
fn pages_and_repositories_are_reached_as_the_auto_configuration_file_says() {
    let scene = Scene::new();
    publish(&scene);
    let tunnel = scene.tunnel.url.trim_start_matches("http://");
    let script = format!(
        "function FindProxyForURL(url, host) {{ return host == 'unknown.test' ? 'DIRECT' : 'PROXY {tunnel}' }}"
    );
    let file = scene.file("corp.pac");
    std::fs::write(&file, script).unwrap();
    let config = format!("[outbound]\npac = \"{}\"\n", file.display());
    let nowhere = "http://127.0.0.1:9";
    let modkeep = scene
        .command(&config)
        .env("HTTPS_PROXY", nowhere)
        .env("HTTP_PROXY", nowhere)
        .start();
    for path in ["@v/list", "@v/v1.0.0.zip"] {
        let url = format!("{}/go.vanity.test/mod/{path}", modkeep.url());
        let reply = http::get(&url).unwrap();
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
    }
    assert_eq!(
        scene.tunnel.hosts(),
        ["git.public.test:443", "go.vanity.test:443"]
    );
}

#[test]
fn a_rule_of_govcs_is_a_denial() {
    let scene = Scene::new();
    publish(&scene);
    let modkeep = scene.command("govcs = \"go.vanity.test:hg\"\n").start();
    let reply = http::get(&format!("{}/go.vanity.test/mod/@v/list", modkeep.url())).unwrap();
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert!(
        reply.text().contains("GOVCS disallows using git"),
        "{}",
        reply.text()
    );
}

#[test]
fn without_git_it_is_said_what_to_do() {
    let scene = Scene::new();
    publish(&scene);
    let empty = scene.file("empty");
    std::fs::create_dir_all(&empty).unwrap();
    let modkeep = scene.command("").env("PATH", &empty).start();
    let reply = http::get(&format!("{}/go.vanity.test/mod/@v/list", modkeep.url())).unwrap();
    assert_eq!(reply.status, 503, "{}", reply.text());
    for part in ["vcs-git-missing", "install git"] {
        assert!(reply.text().contains(part), "{}", reply.text());
    }
    assert_eq!(
        http::get(&format!(
            "{}/example.com/public/@v/v1.0.0.mod",
            modkeep.url()
        ))
        .unwrap()
        .status,
        200
    );
}

#[test]
fn names_that_lead_inside_lead_nowhere() {
    let scene = Scene::new();
    // Without a proxy names are resolved here; `localhost.localdomain` and the like may or may not be known.
    let modkeep = scene
        .command("")
        .env("NO_PROXY", "*")
        .env("HTTPS_PROXY", "")
        .start();
    for module in ["127.0.0.1/x", "169.254.169.254/x", "10.0.0.1/x"] {
        let reply = http::get(&format!("{}/{module}/@v/list", modkeep.url())).unwrap();
        assert_eq!(reply.status, 502, "{module}: {}", reply.text());
        assert!(
            reply.text().contains("refused"),
            "{module}: {}",
            reply.text()
        );
    }
    assert!(scene.forge.requests.lock().unwrap().is_empty());
}

#[test]
fn what_is_made_from_a_repository_is_recorded_with_its_commit() {
    let scene = Scene::new();
    let forge = &scene.forge;
    forge.page(
        "go.vanity.test/lib",
        "go.vanity.test/lib git https://git.public.test/lib",
    );
    let library = forge.repository("git.public.test/lib");
    let commit = library.module("", "go.vanity.test/lib", "lib").commit();
    library.tag("v1.0.0");
    library.write("later.go", "package lib\n").commit();
    let modkeep = scene.command("").start();
    let get = |path: &str| http::get(&format!("{}{path}", modkeep.url())).unwrap();
    for kind in ["zip", "mod", "info"] {
        assert_eq!(
            get(&format!("/go.vanity.test/lib/@v/v1.0.0.{kind}")).status,
            200
        );
    }
    let began = std::time::Instant::now();
    loop {
        let told = get("/api/v1/modules/go.vanity.test/lib/versions/v1.0.0").text();
        let told: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
        let files = told["files"].as_array().cloned().unwrap_or_default();
        if files.len() == 3 {
            for file in files {
                let source = &file["source"];
                assert_eq!(source["kind"], "repository", "{file:#}");
                assert_eq!(source["url"], "https://git.public.test/lib");
                assert_eq!(source["revision"], commit);
                assert!(file["url"].is_null());
            }
            assert_eq!(told["zip"]["verification"]["state"], "first-sight");
            return;
        }
        assert!(began.elapsed().as_secs() < 60, "{told:#}");
    }
}
