//! `modkeep doctor --fix`: shows what would be changed, asks, changes it, tries again.

use std::io::BufRead as _;

use ::doctor::diagnose::{Diagnosis, word};
use ::doctor::mend::{Ended, Proposal};
use tokio::signal::unix::{SignalKind, signal};

use super::Run;
use crate::commands::CannotDo;
use crate::output;

/// Offers the safe fixes one after the other, until one has helped.
pub(super) async fn offer(run: &Run<'_>, before: Diagnosis) -> Result<Diagnosis, CannotDo> {
    let say = |key| output::note(word(run.lang, "mend", key));
    let proposals = Proposal::of(
        &before,
        run.environment,
        &run.ground.directory,
        run.shell,
        run.lang,
    );
    if proposals.is_empty() {
        say("nothing");
    }
    for proposal in proposals {
        output::note(proposal.to_text(run.lang));
        if !run.arguments.yes {
            say("question");
            if !is_agreed() {
                say("declined");
                continue;
            }
        }
        let stop = interrupted()?;
        let ended = Box::pin(proposal.carry_out(&before, run.diagnose(), stop))
            .await
            .map_err(|error| CannotDo::new(error.to_string()))?;
        output::note(ended.sentence(run.lang));
        match ended {
            Ended::Helped(after) => {
                run.show(&after)?;
                return Ok(*after);
            }
            Ended::DidNotHelp(_) => {}
            Ended::Interrupted => return Err(CannotDo::new(ended.sentence(run.lang))),
        }
    }
    Ok(before)
}

/// Anything but a yes is a no, and so is nobody who answers.
pub(in crate::commands) fn is_agreed() -> bool {
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    read.is_ok() && matches!(answer.trim().to_lowercase().as_str(), "y" | "yes" | "是")
}

/// Ends when somebody wants the program to end.
pub(super) fn interrupted() -> Result<impl Future<Output = ()>, CannotDo> {
    let listen = |kind| signal(kind).map_err(|error| CannotDo::new(error.to_string()));
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}
