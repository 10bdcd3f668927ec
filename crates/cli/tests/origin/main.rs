//! Modules straight from their repositories: the real program, the real `go`, real git servers on this machine.
//!
//! * `forge`: repositories, and a web server that has them over https: with and without a password, and vanity pages.
//! * `tunnel`: the proxies that lead there, and write down every host that anybody asks for.
//! * `sshd`: repositories over ssh.
//! * `private`, `public`, `configuration`, `hooks`, `stand_in`, `ways`, `redirects`: what is shown.
#![expect(
    clippy::unwrap_used,
    reason = "a set-up that does not work fails the test"
)]

mod configuration;
mod forge;
mod hooks;
mod private;
mod public;
mod redirects;
mod scene;
mod sshd;
mod stand_in;
mod tunnel;
mod ways;
