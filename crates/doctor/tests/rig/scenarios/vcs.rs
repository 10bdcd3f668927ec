//! Repositories.

use super::{Build, PLENTY, Scenario, git_over_http, scenario, ssh_says};
use fault::Label;
use futures_util::FutureExt as _;

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario!("no git", VcsGitMissing, PLENTY, |scene| {
            ssh_says(scene, "");
            scene.set("PATH", "/nonexistent");
        }),
        scenario!(
            "git wants a password",
            AuthHttpsNoCredential,
            PLENTY,
            |scene| {
                git_over_http(scene, b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\nContent-Length: 0\r\n\r\n").await;
            }
        ),
        scenario!("ssh: key refused", AuthSshPublickey, PLENTY, |scene| {
            ssh_says(scene, "git@git.rig.test: Permission denied (publickey).");
        }),
        scenario!("ssh: host key unknown", AuthSshHostkey, PLENTY, |scene| {
            ssh_says(scene, "Host key verification failed.");
        }),
        scenario!("ssh: port filtered", VcsSshBlocked, PLENTY, |scene| {
            ssh_says(
                scene,
                "ssh: connect to host git.rig.test port 22: Connection timed out",
            );
        }),
        scenario!(
            "ssh: no such repository",
            AuthRepoNotFound,
            PLENTY,
            |scene| {
                ssh_says(scene, "ERROR: Repository not found.");
            }
        ),
        scenario!(
            "the import path has no page",
            ModImportHostGone,
            PLENTY,
            |scene| {
                "gone.rig.test/m".clone_into(&mut scene.module);
                scene.set("GOPROXY", "direct");
                scene.set("GONOSUMDB", "gone.rig.test");
            }
        ),
    ]
}
