//! The stage: git servers, the proxy that leads to them, an upstream with public modules, and a `modkeep`.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testkit::{Go, Modkeep, ModkeepCommand, Module, Tree, UpstreamServer};

use crate::forge::Forge;
use crate::tunnel::Tunnel;

pub(crate) struct Scene {
    pub(crate) forge: Forge,
    pub(crate) tunnel: Tunnel,
    _tree: Tree,
    pub(crate) upstream: UpstreamServer,
    folder: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        Self::with(Forge::start)
    }

    /// Whose git server shakes hands with those only that have a certificate of its authority.
    pub(crate) fn for_known_clients() -> Self {
        Self::with(Forge::start_for_known_clients)
    }

    fn with(forge: impl FnOnce(&Path) -> Forge) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let forge = forge(folder.path());
        let tunnel = Tunnel::to(forge.address);
        let tree = Tree::temporary();
        let public = "package public\n\nconst Name = \"example.com/public\"\n";
        tree.add(&Module::new("example.com/public", "v1.0.0").file("public.go", public));
        let upstream = UpstreamServer::serve(tree.root());
        Self {
            forge,
            tunnel,
            _tree: tree,
            upstream,
            folder,
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A `modkeep` with this configuration file, whose way to all servers but the upstream is the tunnel.
    pub(crate) fn command(&self, config: &str) -> ModkeepCommand {
        let file = self.file("modkeep.toml");
        std::fs::write(&file, config).unwrap();
        ModkeepCommand::new(env!("CARGO_BIN_EXE_modkeep"))
            .data(self.file("data"))
            .upstream(&format!("{},direct", self.upstream.url()))
            .sumdb("off")
            .config(file)
            .env("GOENV", "off")
            .env("HTTPS_PROXY", &self.tunnel.url)
            .env("HTTP_PROXY", &self.tunnel.url)
            .env("SSL_CERT_FILE", &self.forge.authority)
    }

    /// A `go` that knows this `modkeep` and nobody else.
    pub(crate) fn go_through(modkeep: &Modkeep) -> Go {
        Go::find()
            .proxy(modkeep.url())
            .env("HTTPS_PROXY", "http://127.0.0.1:9")
            .env("HTTP_PROXY", "http://127.0.0.1:9")
    }

    /// A `go` that goes to the repositories itself.
    pub(crate) fn go_direct(&self) -> Go {
        Go::find()
            .proxy("direct")
            .env("HTTPS_PROXY", &self.tunnel.url)
            .env("SSL_CERT_FILE", &self.forge.authority)
            .env("GIT_SSL_CAINFO", &self.forge.authority)
    }
}
