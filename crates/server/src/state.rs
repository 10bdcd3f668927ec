use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use depot::Depot;
use prefetch::Prefetch;
use traces::Tracer;

use crate::access::Access;
use crate::doctor::Doctor;
use crate::intake::Intake;
use crate::metrics::Metrics;
use crate::operator::OperatorToken;
use crate::own_log::OwnLog;

/// What everything that answers requests shares.
pub(crate) struct State {
    pub(crate) depot: Depot,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) own_log: Option<OwnLog>,
    pub(crate) doctor: Doctor,
    pub(crate) operator_token: Option<OperatorToken>,
    pub(crate) prefetch: OnceLock<Prefetch>,
    pub(crate) tracer: OnceLock<Tracer>,
    pub(crate) access: ArcSwap<Access>,
    pub(crate) intake: Intake,
    draining: AtomicBool,
}

impl State {
    pub(crate) fn new(
        depot: Depot,
        metrics: Arc<Metrics>,
        own_log: Option<OwnLog>,
        operator_token: Option<OperatorToken>,
    ) -> Self {
        Self {
            depot,
            metrics,
            own_log,
            doctor: Doctor::default(),
            operator_token,
            prefetch: OnceLock::new(),
            tracer: OnceLock::new(),
            access: ArcSwap::default(),
            intake: Intake::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// Whether no more requests should be sent here.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}
