use fault::Label;
use testkit::{Fault, UpstreamServer};
use upstream::{ChainError, Outcome};

use crate::scene::{INFO, LIST, Options, Scene, get, request};

/// What one upstream of a chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Answer,
    Say404,
    Say410,
    Fail,
    Refuse,
}

use Does::{Answer, Fail, Refuse, Say404, Say410};

fn let_it(upstream: &mut UpstreamServer, does: Does) {
    upstream.heal();
    upstream.start();
    match does {
        Answer => {}
        Say404 => upstream.fail("*", Fault::status(404)),
        Say410 => upstream.fail("*", Fault::status(410)),
        Fail => upstream.fail("*", Fault::status(500)),
        Refuse => upstream.stop(),
    }
}

/// What follows from what two upstreams do.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    AnswerOf(usize),
    Absent { gone: bool },
    Trouble(Vec<Label>),
}

use Verdict::{Absent, AnswerOf, Trouble};

struct Pair {
    scenes: [Scene; 2],
}

impl Pair {
    fn new() -> Self {
        Self {
            scenes: [Scene::new(), Scene::new()],
        }
    }

    fn list(&self, separator: char, end: &str) -> String {
        let [first, second] = &self.scenes;
        format!(
            "{}{separator}{}{end}",
            first.upstream.url(),
            second.upstream.url()
        )
    }

    async fn verdict(&mut self, does: [Does; 2], options: &Options) -> Verdict {
        for (scene, does) in self.scenes.iter_mut().zip(does) {
            let_it(&mut scene.upstream, does);
            scene.upstream.forget();
        }
        match get(&options.chain(), INFO).await {
            Ok(reply) => AnswerOf(
                self.scenes
                    .iter()
                    .position(|scene| scene.upstream.url() == reply.source)
                    .unwrap(),
            ),
            Err(ChainError::Absent(absence)) => Absent { gone: absence.gone },
            Err(ChainError::Trouble(failures)) => {
                Trouble(failures.iter().map(|failure| failure.label).collect())
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

const BAD: Label = Label::Goproxy5xx;
const REFUSED: Label = Label::TcpRefused;

#[tokio::test]
async fn absent_is_what_everybody_says_who_could_know() {
    let mut pair = Pair::new();
    let table = [
        ([Answer, Answer], AnswerOf(0)),
        ([Answer, Refuse], AnswerOf(0)),
        ([Say404, Answer], AnswerOf(1)),
        ([Say410, Answer], AnswerOf(1)),
        ([Fail, Answer], AnswerOf(1)),
        ([Refuse, Answer], AnswerOf(1)),
        ([Say404, Say404], Absent { gone: false }),
        ([Say404, Say410], Absent { gone: false }),
        ([Say410, Say404], Absent { gone: true }),
        ([Say404, Fail], Trouble(vec![BAD])),
        ([Say410, Refuse], Trouble(vec![REFUSED])),
        ([Fail, Say404], Trouble(vec![BAD])),
        ([Refuse, Say410], Trouble(vec![REFUSED])),
        ([Fail, Refuse], Trouble(vec![BAD, REFUSED])),
    ];
    // In a chain of `go`, only the bar leads on after trouble. Here, everything does.
    for separator in [',', '|'] {
        let options = Options::new(&pair.list(separator, ""));
        for (does, expected) in &table {
            let verdict = pair.verdict(*does, &options).await;
            assert_eq!(&verdict, expected, "{does:?} with {separator}");
        }
    }
}

#[tokio::test]
async fn the_first_may_be_believed_although_the_second_was_not_asked() {
    let mut pair = Pair::new();
    let mut options = Options::new(&pair.list(',', ""));
    options.first_is_authoritative = true;
    let table = [
        ([Say404, Answer], Absent { gone: false }, 0),
        ([Say404, Fail], Absent { gone: false }, 0),
        ([Say410, Refuse], Absent { gone: true }, 0),
        ([Answer, Answer], AnswerOf(0), 0),
        // Nobody else is an authority.
        ([Fail, Say404], Trouble(vec![BAD]), 1),
        ([Refuse, Say404], Trouble(vec![REFUSED]), 1),
        ([Fail, Answer], AnswerOf(1), 1),
    ];
    for (does, expected, asked_second) in table {
        assert_eq!(pair.verdict(does, &options).await, expected, "{does:?}");
        assert_eq!(pair.scenes[1].upstream.count("*"), asked_second, "{does:?}");
    }
}

#[tokio::test]
async fn zips_are_judged_alike() {
    let mut pair = Pair::new();
    let chain = Options::new(&pair.list(',', "")).chain();
    let ask = async || match chain.fetch_zip(&request(crate::scene::ZIP)).await {
        Ok(_) => "answer",
        Err(ChainError::Absent(_)) => "absent",
        Err(ChainError::Trouble(_)) => "trouble",
        Err(_) => "other",
    };
    for (does, expected) in [
        ([Say404, Say404], "absent"),
        ([Say404, Fail], "trouble"),
        ([Fail, Say404], "trouble"),
        ([Fail, Answer], "answer"),
        ([Say410, Answer], "answer"),
    ] {
        for (scene, does) in pair.scenes.iter_mut().zip(does) {
            let_it(&mut scene.upstream, does);
        }
        assert_eq!(ask().await, expected, "{does:?}");
    }
}

#[tokio::test]
async fn the_end_of_a_chain_decides_when_no_server_is_left() {
    let mut scene = Scene::new();
    let url = scene.upstream.url();
    let ask = async |list: &str| get(&Options::new(list).chain(), LIST).await.unwrap_err();
    assert_eq!(ask("off").await, ChainError::Off);
    assert_eq!(ask("direct").await, ChainError::Direct(None));
    let_it(&mut scene.upstream, Say404);
    for end in ["", ",off", ",direct"] {
        let error = ask(&format!("{url}{end}")).await;
        assert!(!error.is_retryable());
        let said = before_direct(error, end);
        assert!(matches!(said, ChainError::Absent(_)), "{end}: {said:?}");
    }
    let_it(&mut scene.upstream, Fail);
    for end in ["", ",off", ",direct"] {
        let error = ask(&format!("{url}{end}")).await;
        assert!(error.is_retryable());
        let said = before_direct(error, end);
        assert!(matches!(said, ChainError::Trouble(_)), "{end}: {said:?}");
    }
}

/// What the servers said: an error of its own, unless `direct` comes next.
fn before_direct(error: ChainError, end: &str) -> ChainError {
    match error {
        ChainError::Direct(Some(said)) if end == ",direct" => *said,
        ChainError::Direct(_) => panic!("{end}: direct is not next"),
        error => {
            assert_ne!(end, ",direct");
            error
        }
    }
}

#[tokio::test]
async fn repositories_are_not_asked_where_the_first_server_is_believed() {
    let mut scene = Scene::new();
    let_it(&mut scene.upstream, Say404);
    let mut options = Options::new(&format!("{},direct", scene.upstream.url()));
    options.first_is_authoritative = true;
    let error = get(&options.chain(), LIST).await.unwrap_err();
    assert!(matches!(error, ChainError::Absent(_)), "{error:?}");
}

#[tokio::test]
async fn what_was_last_heard_of_each_upstream_is_known() {
    let mut pair = Pair::new();
    let options = Options::new(&pair.list(',', ""));
    let chain = options.chain();
    let [first, second] = pair.scenes.each_ref().map(|scene| scene.upstream.url());
    let labels = || -> Vec<Option<Label>> {
        chain
            .status()
            .iter()
            .map(|status| status.failure.as_ref().map(|failure| failure.label))
            .collect()
    };
    assert_eq!(labels(), [None, None]);
    let_it(&mut pair.scenes[0].upstream, Fail);
    let_it(&mut pair.scenes[1].upstream, Say404);
    get(&chain, INFO).await.unwrap_err();
    assert_eq!(labels(), [Some(BAD), None]);
    let_it(&mut pair.scenes[0].upstream, Answer);
    get(&chain, INFO).await.unwrap();
    assert_eq!(labels(), [None, None]);
    // What may pass by itself was tried three times, after everybody had been asked once.
    assert_eq!(
        options.observed.exchanges(),
        [
            (first.clone(), Outcome::Failed(BAD)),
            (second.clone(), Outcome::Absent),
            (first.clone(), Outcome::Failed(BAD)),
            (first.clone(), Outcome::Failed(BAD)),
            (first.clone(), Outcome::Answered),
        ]
    );
    let sources: Vec<String> = chain
        .status()
        .into_iter()
        .map(|status| status.source)
        .collect();
    assert_eq!(sources, [first, second]);
}
