//! What a push announced: answers from before it are not believed any more.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use gomod::ModulePath;
use jiff::Timestamp;

use crate::Depot;

/// How many announcements are remembered. When there are more, the older half is forgotten: what it was about ages as
/// usual.
const MOST: usize = 10_000;

/// A repository has something new.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Push {
    /// Addresses of the repository, in any form that git takes.
    pub repositories: Vec<String>,
    /// Module paths, for modules that are elsewhere than the address says. Everything below them counts, too.
    pub modules: Vec<String>,
}

/// When something below a path was announced, by the path in lower case: some hosts do not tell cases apart.
#[derive(Debug, Default)]
pub(crate) struct Pushes {
    announced: Mutex<HashMap<String, Timestamp>>,
}

impl Pushes {
    /// When something new of a module was announced last.
    pub(crate) fn last(&self, module: &ModulePath) -> Option<Timestamp> {
        let announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if announced.is_empty() {
            return None;
        }
        let path = module.as_str().to_lowercase();
        let ends = path.match_indices('/').map(|(at, _)| at);
        ends.chain([path.len()])
            .filter_map(|end| announced.get(&path[..end]).copied())
            .max()
    }

    fn note(&self, paths: &BTreeSet<String>) {
        let now = Timestamp::now();
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for path in paths {
            announced.insert(path.to_lowercase(), now);
        }
        if announced.len() > MOST {
            let mut times: Vec<_> = announced.values().copied().collect();
            times.sort_unstable();
            let middle = times.get(times.len() / 2).copied().unwrap_or(now);
            announced.retain(|_, time| *time >= middle);
        }
    }
}

impl Depot {
    /// Lets no answer from before this moment count about the modules of a repository that has something new. They are
    /// asked for again when somebody wants them. Returns the paths below which that holds.
    pub fn pushed(&self, push: &Push) -> Vec<String> {
        let mut paths: BTreeSet<String> = push
            .modules
            .iter()
            .filter(|path| ModulePath::new(path).is_ok())
            .cloned()
            .collect();
        let vcs = self.shared.settings.load().repositories.clone();
        for url in &push.repositories {
            paths.extend(vcs::import_path(url));
            if let Some(vcs) = &vcs {
                paths.extend(vcs.pushed(url));
            }
        }
        self.shared.pushes.note(&paths);
        self.shared.negatives.clear();
        paths.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_below_a_path_is_meant_and_nothing_beside_it() {
        let pushes = Pushes::default();
        let last = |path: &str| pushes.last(&ModulePath::new(path).unwrap());
        assert_eq!(last("git.example/a/b"), None);
        pushes.note(&BTreeSet::from(["git.example/Team/Repo".to_owned()]));
        for (path, is_meant) in [
            ("git.example/team/repo", true),
            ("git.example/Team/Repo/v2", true),
            ("git.example/team/repo/sub/dir", true),
            ("git.example/team/repository", false),
            ("git.example/team", false),
        ] {
            assert_eq!(last(path).is_some(), is_meant, "{path}");
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let pushes = Pushes::default();
        for index in 0..=MOST {
            pushes.note(&BTreeSet::from([format!("git.example/{index}")]));
        }
        let newest = ModulePath::new(&format!("git.example/{MOST}")).unwrap();
        assert!(pushes.last(&newest).is_some());
        assert!(pushes.announced.lock().unwrap().len() <= MOST);
    }
}
