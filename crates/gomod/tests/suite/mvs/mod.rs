//! Minimal version selection over generated module graphs: against a naive reference that says what the words of the
//! specification say, and against the real `go`.

mod against_go;
mod naive;
mod properties;
mod universe;

use gomod::modfile::{ModFile, WorkFile};
use gomod::mvs::{Cause, Limits, Loader, MainModules, Member, Outcome, Scope, Source};

use universe::Universe;

/// Walks a universe, feeding files in the order that `pick` says, by an index below the number of open ones.
fn walk(universe: &Universe, scope: Scope, mut pick: impl FnMut(usize) -> usize) -> Outcome {
    let mut loader = Loader::new(mains(universe), scope, Limits::default());
    let mut open: Vec<Source> = loader.take_wanted();
    while !loader.is_done() {
        let source = open.swap_remove(pick(open.len()));
        match text_of(universe, &source) {
            Some(text) => loader.feed_text(&source, text.as_bytes()),
            None => loader.feed(&source, Err(Cause::Unavailable("not there".to_owned()))),
        }
        open.extend(loader.take_wanted());
    }
    assert!(open.is_empty() && loader.outstanding() == 0);
    loader.finish()
}

fn text_of<'a>(universe: &'a Universe, source: &Source) -> Option<&'a str> {
    let text = match source {
        Source::Module(module) => universe.modules.get(&(
            module.path().as_str().to_owned(),
            module.version().as_str().to_owned(),
        )),
        Source::Directory(directory) => {
            universe.directories.get(directory.trim_start_matches("./"))
        }
    };
    text.map(String::as_str)
}

fn mains(universe: &Universe) -> MainModules {
    let file = |text: &str| {
        ModFile::parse("go.mod", text.as_bytes()).expect("a generated go.mod is sound")
    };
    match &universe.work {
        None => MainModules::single(&file(&universe.members[0].1)),
        Some(work) => {
            let work =
                WorkFile::parse("go.work", work.as_bytes()).expect("a generated go.work is sound");
            let files: Vec<(String, ModFile)> = universe
                .members
                .iter()
                .map(|(directory, text)| (format!("./{directory}"), file(text)))
                .collect();
            let members: Vec<Member<'_>> = files
                .iter()
                .map(|(directory, file)| Member { directory, file })
                .collect();
            MainModules::workspace(&work, &members)
        }
    }
    .expect("generated main modules agree")
}
