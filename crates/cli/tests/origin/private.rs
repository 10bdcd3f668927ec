//! Private modules: from their own repositories, with their own credentials, and their names go to nobody else.

use testkit::{Modkeep, ModkeepCommand, http};

use crate::scene::Scene;
use crate::sshd::Sshd;
use crate::tunnel::Tunnel;

const SECRET: &str = "s3cret";

/// Origins over https with a password and over ssh with pinned keys.
fn config(scene: &Scene, sshd: &Sshd, host_key: &str) -> String {
    format!(
        "[[origin]]\npattern = \"git.corp.test/*/*\"\nremote = \"https://{{host}}/{{path}}\"\ncredentials = \"env:CORP_LOGIN\"\n\n\
         [[origin]]\npattern = \"ssh.corp.test/*\"\nremote = \"ssh://{}@127.0.0.1:{}{}/ssh.corp.test/{{path}}\"\n\
         key-file = \"{}\"\nhost-key = \"{}\"\n",
        sshd.user,
        sshd.port,
        scene.forge.root.display(),
        sshd.key_file().display(),
        sshd.fingerprint(host_key),
    )
}

/// A stage with one private module behind https, and one behind ssh.
fn stage() -> (Scene, Sshd) {
    let scene = Scene::new();
    let sshd = Sshd::start(&scene.file(""));
    publish(&scene);
    (scene, sshd)
}

/// A `modkeep` with this configuration, whose login for https is `robot` with a password.
fn command(scene: &Scene, config: &str, password: &str) -> ModkeepCommand {
    scene
        .command(config)
        .env("CORP_LOGIN", format!("robot:{password}"))
}

fn publish(scene: &Scene) {
    let library = scene.forge.repository("git.corp.test/team/lib");
    library.module("", "git.corp.test/team/lib", "lib").commit();
    library.tag("v1.0.0");
    let tool = scene.forge.repository("ssh.corp.test/tool");
    tool.module("", "ssh.corp.test/tool", "tool").commit();
    tool.tag("v0.3.0");
}

fn status(modkeep: &Modkeep, path: &str) -> (u16, String) {
    let reply = http::get(&format!("{}{path}", modkeep.url())).unwrap();
    (reply.status, reply.text())
}

#[test]
fn a_project_of_private_and_public_modules_builds_and_no_private_name_leaves() {
    let (scene, sshd) = stage();
    let modkeep = command(&scene, &config(&scene, &sshd, "host"), SECRET)
        .env("MODKEEP_LOG_LEVEL", "trace")
        .start();
    let go = Scene::go_through(&modkeep);
    let write = |name: &str, text: &str| std::fs::write(go.home().join(name), text).unwrap();
    write(
        "go.mod",
        "module example.com/main\n\ngo 1.21\n\nrequire (\n\tgit.corp.test/team/lib v1.0.0\n\tssh.corp.test/tool v0.3.0\n\texample.com/public v1.0.0\n)\n",
    );
    write(
        "main.go",
        "package main\n\nimport (\n\t\"example.com/public\"\n\t\"git.corp.test/team/lib\"\n\t\"ssh.corp.test/tool\"\n)\n\nfunc main() { println(lib.Name, tool.Name, public.Name) }\n",
    );
    go.run(go.home(), &["mod", "tidy"]).expect_success();
    go.run(go.home(), &["build", "-o", "app", "."])
        .expect_success();
    let ran = std::process::Command::new(go.home().join("app"))
        .output()
        .unwrap();
    assert_eq!(
        String::from_utf8_lossy(&ran.stderr),
        "git.corp.test/team/lib ssh.corp.test/tool example.com/public\n"
    );

    // Whoever could have heard a name: the proxy, the servers behind it, the upstream.
    assert_eq!(scene.tunnel.hosts(), ["git.corp.test:443"]);
    for request in scene.forge.requests.lock().unwrap().iter() {
        assert!(request.starts_with("git.corp.test /team/lib"), "{request}");
    }
    for request in scene.upstream.requests() {
        assert!(!request.path.contains("corp.test"), "{}", request.path);
    }
    for path in ["/metrics", "/readyz"] {
        let (_, told) = status(&modkeep, path);
        assert!(
            !told.contains(SECRET) && !told.contains("corp.test"),
            "{told}"
        );
    }
    let exit = modkeep.terminate();
    assert!(!(exit.stdout + &exit.stderr).contains(SECRET));
    let info = scene.file("data/tree/git.corp.test/team/lib/@v/v1.0.0.info");
    let info = std::fs::read_to_string(info).unwrap();
    assert!(
        info.contains("\"URL\":\"https://git.corp.test/team/lib\""),
        "{info}"
    );
    assert!(!info.contains("robot"), "{info}");
}

#[test]
fn what_may_not_be_read_looks_like_what_is_not_there_and_the_log_knows_better() {
    let (scene, sshd) = stage();
    let modkeep = command(&scene, &config(&scene, &sshd, "host"), "wr0ng").start();
    let (there, mut said) = status(&modkeep, "/git.corp.test/team/lib/@v/v1.0.0.info");
    let (not_there, other) = status(&modkeep, "/git.corp.test/team/none/@v/v1.0.0.info");
    assert_eq!((there, not_there), (404, 404), "{said}{other}");
    said = said.replace("/lib@", "/none@");
    assert_eq!(said, other);
    let exit = modkeep.terminate();
    assert!(
        exit.stderr.contains("auth-token-rejected"),
        "{}",
        exit.stderr
    );
    assert!(!exit.stderr.contains("wr0ng"));
}

#[test]
fn an_absent_module_is_absent_with_the_right_password_too() {
    let (scene, sshd) = stage();
    let modkeep = command(&scene, &config(&scene, &sshd, "host"), SECRET).start();
    let (code, said) = status(&modkeep, "/git.corp.test/team/lib/@v/v9.0.0.info");
    assert_eq!(code, 404);
    assert!(
        said.contains("unknown revision v9.0.0") || said.contains("should be v0 or v1"),
        "{said}"
    );
    assert_eq!(status(&modkeep, "/git.corp.test/team/none/@v/list").0, 404);
    assert_eq!(scene.upstream.connections(), 0);
}

#[test]
fn a_server_with_another_key_is_refused_and_its_fingerprint_is_shown() {
    let (scene, sshd) = stage();
    let modkeep = command(&scene, &config(&scene, &sshd, "other"), SECRET).start();
    let (code, said) = status(&modkeep, "/ssh.corp.test/tool/@v/list");
    assert_eq!(code, 502, "{said}");
    assert!(said.contains("auth-ssh-hostkey"), "{said}");
    assert!(said.contains(&sshd.fingerprint("host")), "{said}");
}

#[test]
fn ssh_goes_through_the_proxy_of_its_origin() {
    let (scene, sshd) = stage();
    let tunnel = Tunnel::to(([127, 0, 0, 1], sshd.port).into());
    // Nobody listens there: only the proxy knows the way.
    let nowhere = format!("@git.hidden.test:{}/", 1);
    let direct = format!("@127.0.0.1:{}/", sshd.port);
    let config = config(&scene, &sshd, "host")
        .replace(&direct, &nowhere)
        .replace("key-file", &format!("proxy = \"{}\"\nkey-file", tunnel.url));
    assert!(config.contains(&nowhere), "{config}");
    let modkeep = command(&scene, &config, SECRET).start();
    for path in ["@v/list", "@v/v0.3.0.zip"] {
        let (code, said) = status(&modkeep, &format!("/ssh.corp.test/tool/{path}"));
        assert_eq!(code, 200, "{path}: {said}");
    }
    assert_eq!(tunnel.hosts(), ["git.hidden.test:1"]);
}

#[test]
fn a_known_hosts_file_without_the_key_is_an_error_that_shows_the_fingerprint() {
    let (scene, sshd) = stage();
    let known = scene.file("known_hosts");
    std::fs::write(&known, "").unwrap();
    let pinned = format!("host-key = \"{}\"", sshd.fingerprint("host"));
    let file = format!("known-hosts = \"{}\"", known.display());
    let config = config(&scene, &sshd, "host").replace(&pinned, &file);
    let modkeep = command(&scene, &config, SECRET).start();
    let (code, said) = status(&modkeep, "/ssh.corp.test/tool/@v/list");
    assert_eq!(code, 502, "{said}");
    assert!(said.contains(&sshd.fingerprint("host")), "{said}");
}

#[test]
fn tokens_of_a_command_are_fetched_anew_when_they_are_refused() {
    let scene = Scene::new();
    publish(&scene);
    let (program, count) = (scene.file("token"), scene.file("count"));
    let text = format!(
        "echo x >> '{0}'\necho username=robot\n\
         if [ $(wc -l < '{0}') = 1 ]; then echo password=old; else echo password={SECRET}; fi",
        count.display()
    );
    testkit::script(&program, &text);
    let config = format!(
        "[[origin]]\npattern = \"git.corp.test/*/*\"\nremote = \"https://{{host}}/{{path}}\"\ncredentials = \"command:{}\"\n",
        program.display()
    );
    let modkeep = scene.command(&config).start();
    for path in [
        "@v/list",
        "@latest",
        "@v/v1.0.0.mod",
        "@v/v1.0.0.zip",
        "@v/main.info",
    ] {
        let (code, said) = status(&modkeep, &format!("/git.corp.test/team/lib/{path}"));
        assert_eq!(code, 200, "{path}: {said}");
    }
    assert_eq!(std::fs::read_to_string(count).unwrap().lines().count(), 2);
}
