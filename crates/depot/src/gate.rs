//! [`Gate`]: how many fetches are under way at a time, whose turn is next, and when it is too much.
//!
//! What is stored never comes here: hits go before all misses. Among the misses those that somebody waits for go before
//! what is fetched ahead, and each client has its turn, whoever asked for a thousand files among them. When more wait
//! than is bearable, those who ask for more than their share are told to come again, and nobody else is.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use crate::DepotError;

/// On whose behalf something is fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Party {
    /// A client waits for it.
    Client(IpAddr),
    /// This server needs it.
    #[default]
    Own,
    /// Somebody may ask for it; goes last.
    Ahead,
}

/// What is bearable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Fetches under way at a time. One party has no more than three quarters of them.
    pub fetches: usize,
    /// Of these, the most that nobody waits for.
    pub ahead: usize,
    /// Fetches that wait for their turn.
    pub waiting: usize,
    /// How long one waits.
    pub patience: Duration,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            fetches: 256,
            ahead: 24,
            waiting: 4_096,
            patience: Duration::from_secs(30),
        }
    }
}

impl Admission {
    /// The most that one party has under way at a time.
    fn of_one(&self, party: Party) -> usize {
        match party {
            Party::Ahead => self.ahead,
            Party::Client(_) | Party::Own => self.fetches - self.fetches / 4,
        }
    }
}

/// The least and most that those who come too much are told to wait.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// Keeps the number of fetches bearable.
#[derive(Debug)]
pub(crate) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    admission: Admission,
    in_use: HashMap<Party, usize>,
    total_in_use: usize,
    tickets: HashMap<u64, Waiting>,
    last_ticket: u64,
    /// Tickets that wait, by who waits for them.
    queues: HashMap<Party, VecDeque<u64>>,
    /// Those who wait; who had a turn goes to the end.
    turns: VecDeque<Party>,
    /// How many entries the queues have, without those for what is fetched ahead.
    waiting: usize,
    /// How long a fetch takes, as an average in which the last ones weigh most.
    takes: Duration,
    refused: u64,
}

#[derive(Debug)]
struct Waiting {
    parties: Vec<Party>,
    answer: oneshot::Sender<Result<Party, DepotError>>,
}

/// A place in the queue, or a turn. Who drops it gives it up.
#[derive(Debug)]
pub(crate) struct Ticket {
    gate: Arc<Gate>,
    number: u64,
    answer: Option<oneshot::Receiver<Result<Party, DepotError>>>,
}

/// The right to fetch, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    gate: Arc<Gate>,
    party: Party,
    since: Instant,
}

impl Gate {
    pub(crate) fn new(admission: Admission) -> Self {
        Self {
            state: Mutex::new(State {
                admission,
                in_use: HashMap::new(),
                total_in_use: 0,
                tickets: HashMap::new(),
                last_ticket: 0,
                queues: HashMap::new(),
                turns: VecDeque::new(),
                waiting: 0,
                takes: Duration::ZERO,
                refused: 0,
            }),
        }
    }

    /// Keeps to other limits from now on.
    pub(crate) fn reconfigure(&self, admission: Admission) {
        let mut state = self.lock();
        state.admission = admission;
        state.admit();
    }

    /// Takes a place in the queue.
    pub(crate) fn ticket(self: &Arc<Self>, party: Party) -> Ticket {
        let (sender, answer) = oneshot::channel();
        let mut state = self.lock();
        state.last_ticket += 1;
        let number = state.last_ticket;
        let waiting = Waiting {
            parties: Vec::new(),
            answer: sender,
        };
        state.tickets.insert(number, waiting);
        state.queue(number, party);
        state.admit();
        Ticket {
            gate: self.clone(),
            number,
            answer: Some(answer),
        }
    }

    /// Somebody else waits for the same: whoever has the first turn brings it forward.
    pub(crate) fn join(&self, number: u64, party: Party) {
        let mut state = self.lock();
        let is_new = state
            .tickets
            .get(&number)
            .is_some_and(|waiting| !waiting.parties.contains(&party));
        // Who joins costs nothing, so that nobody is refused for it.
        if is_new && state.waiting < state.admission.waiting {
            state.queue(number, party);
            state.admit();
        }
    }

    /// Whether something could be fetched ahead at once.
    pub(crate) fn has_room_ahead(&self) -> bool {
        let state = self.lock();
        state.waiting == 0 && state.may_have_one(Party::Ahead)
    }

    /// Fetches that wait for their turn, and those refused since the start.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let state = self.lock();
        (state.tickets.len(), state.refused)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Puts a ticket into a queue, or somebody out.
    fn queue(&mut self, number: u64, party: Party) {
        if party != Party::Ahead && self.waiting >= self.admission.waiting {
            let longest = self.longest_queue();
            let own = self.queues.get(&party).map_or(0, VecDeque::len);
            let last = longest
                .filter(|(_, len)| *len > own + 1)
                .and_then(|(longest, _)| Some((longest, *self.queues.get(&longest)?.back()?)));
            match last {
                Some((longest, last)) => self.put_out(last, longest),
                None => return self.refuse(number),
            }
        }
        let Some(waiting) = self.tickets.get_mut(&number) else {
            return;
        };
        waiting.parties.push(party);
        let queue = self.queues.entry(party).or_default();
        if queue.is_empty() {
            self.turns.push_back(party);
        }
        queue.push_back(number);
        self.waiting += usize::from(party != Party::Ahead);
    }

    fn longest_queue(&self) -> Option<(Party, usize)> {
        self.queues
            .iter()
            .filter(|(party, _)| **party != Party::Ahead)
            .map(|(party, queue)| (*party, queue.len()))
            .max_by_key(|(_, len)| *len)
    }

    /// One who waits for it waits no more. If nobody else does, it is refused.
    fn put_out(&mut self, number: u64, party: Party) {
        self.leave(number, party);
        if let Some(waiting) = self.tickets.get_mut(&number) {
            waiting.parties.retain(|other| *other != party);
            if waiting.parties.is_empty() {
                self.refuse(number);
            }
        }
    }

    fn refuse(&mut self, number: u64) {
        let busy = self.busy();
        if let Some(waiting) = self.take(number) {
            self.refused += 1;
            let _nobody_waits = waiting.answer.send(Err(busy));
        }
    }

    fn busy(&self) -> DepotError {
        let rounds = self.waiting.div_ceil(self.admission.fetches.max(1));
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        DepotError::Busy {
            waiting: self.waiting,
            retry_after: self.takes.saturating_mul(rounds).clamp(RETRY.0, RETRY.1),
        }
    }

    /// Takes a ticket out of every queue.
    fn take(&mut self, number: u64) -> Option<Waiting> {
        let waiting = self.tickets.remove(&number)?;
        for party in &waiting.parties {
            self.leave(number, *party);
        }
        Some(waiting)
    }

    fn leave(&mut self, number: u64, party: Party) {
        let Some(queue) = self.queues.get_mut(&party) else {
            return;
        };
        let before = queue.len();
        if queue.front() == Some(&number) {
            queue.pop_front();
        } else {
            queue.retain(|other| *other != number);
        }
        if party != Party::Ahead {
            self.waiting -= before - queue.len();
        }
        if queue.is_empty() {
            self.queues.remove(&party);
            self.turns.retain(|turn| *turn != party);
        }
    }

    fn may_have_one(&self, party: Party) -> bool {
        let has = self.in_use.get(&party).copied().unwrap_or_default();
        self.total_in_use < self.admission.fetches && has < self.admission.of_one(party)
    }

    /// Lets in whoever may come in: of those who wait the one with the least under way, in turns.
    fn admit(&mut self) {
        while let Some(party) = self.next_party() {
            self.turns.retain(|turn| *turn != party);
            self.turns.push_back(party);
            let number = self.queues.get(&party).and_then(|queue| queue.front());
            let Some(waiting) = number.copied().and_then(|number| self.take(number)) else {
                continue;
            };
            // Nobody is to fetch for those who have left.
            if waiting.answer.send(Ok(party)).is_ok() {
                *self.in_use.entry(party).or_default() += 1;
                self.total_in_use += 1;
            }
        }
    }

    fn next_party(&self) -> Option<Party> {
        let may_come = |party: &&Party| self.may_have_one(**party);
        self.turns
            .iter()
            .filter(|party| **party != Party::Ahead)
            .filter(may_come)
            .min_by_key(|party| self.in_use.get(party).copied().unwrap_or_default())
            .or_else(|| {
                let ahead = self.turns.iter().find(|party| **party == Party::Ahead);
                ahead.filter(may_come).filter(|_| self.waiting == 0)
            })
            .copied()
    }

    fn give_back(&mut self, party: Party) {
        self.total_in_use = self.total_in_use.saturating_sub(1);
        if let Some(in_use) = self.in_use.get_mut(&party) {
            *in_use = in_use.saturating_sub(1);
            if *in_use == 0 {
                self.in_use.remove(&party);
            }
        }
        self.admit();
    }
}

impl Ticket {
    /// What others join it by.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Waits for the turn.
    ///
    /// # Errors
    /// [`DepotError::Busy`] when there is too much to do.
    pub(crate) async fn turn(mut self) -> Result<Turn, DepotError> {
        let patience = self.gate.lock().admission.patience;
        let Some(answer) = self.answer.as_mut() else {
            return Err(DepotError::Lost);
        };
        let answered = tokio::time::timeout(patience, answer).await;
        let answered = if let Ok(answered) = answered {
            answered
        } else {
            // Not before it is decided: the turn may come at this moment.
            self.gate.lock().refuse(self.number);
            let Some(answer) = self.answer.as_mut() else {
                return Err(DepotError::Lost);
            };
            answer.await
        };
        self.answer = None;
        let party = answered.unwrap_or(Err(DepotError::Lost))?;
        Ok(Turn {
            gate: self.gate.clone(),
            party,
            since: Instant::now(),
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Some(mut answer) = self.answer.take() else {
            return;
        };
        let mut state = self.gate.lock();
        state.take(self.number);
        if let Ok(Ok(party)) = answer.try_recv() {
            state.give_back(party);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let took = self.since.elapsed();
        let mut state = self.gate.lock();
        state.takes = (state.takes * 7 + took) / 8;
        state.give_back(self.party);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u8) -> Party {
        Party::Client(IpAddr::from([10, 0, 0, number]))
    }

    fn gate(fetches: usize, ahead: usize, waiting: usize) -> Arc<Gate> {
        Arc::new(Gate::new(Admission {
            fetches,
            ahead,
            waiting,
            patience: Duration::from_secs(30),
        }))
    }

    /// The turn, if it has come.
    fn come(ticket: &mut Option<Ticket>) -> Option<Result<Turn, DepotError>> {
        let mut waiting = std::pin::pin!(ticket.take()?.turn());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match waiting.as_mut().poll(&mut context) {
            std::task::Poll::Ready(turn) => Some(turn),
            std::task::Poll::Pending => None,
        }
    }

    fn turn(gate: &Arc<Gate>, party: Party) -> Turn {
        come(&mut Some(gate.ticket(party))).unwrap().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn each_client_has_its_turn_however_many_files_one_of_them_asks_for() {
        let gate = gate(4, 0, 1_000);
        let held: Vec<Turn> = (0..3).map(|_| turn(&gate, client(1))).collect();
        let mut held: VecDeque<Turn> = held.into();
        held.push_back(turn(&gate, client(9)));
        let (order, mut told) = tokio::sync::mpsc::unbounded_channel();
        let wait = |party: Party| {
            let (ticket, order) = (gate.ticket(party), order.clone());
            tokio::spawn(async move {
                let turn = ticket.turn().await.unwrap();
                order.send((party, turn)).unwrap();
            })
        };
        for _ in 0..100 {
            wait(client(1));
        }
        wait(client(2));
        wait(client(3));
        wait(client(2));
        held.pop_front();
        let mut came = Vec::new();
        let mut turns = Vec::new();
        while came.len() < 4 {
            let (party, turn) = told.recv().await.unwrap();
            came.push(party);
            turns.push(turn);
            held.pop_front();
        }
        // The greedy one has nothing under way any more when its turn comes.
        assert_eq!(came, [client(2), client(3), client(1), client(2)]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_client_leaves_room_for_others_and_what_is_fetched_ahead_goes_last() {
        let gate = gate(8, 2, 1_000);
        let six: Vec<Turn> = (0..6).map(|_| turn(&gate, client(1))).collect();
        let mut seventh = gate.ticket(client(1));
        assert!(!gate.has_room_ahead(), "somebody waits");
        let ahead = gate.ticket(Party::Ahead);
        let other = turn(&gate, client(2));
        assert_eq!(gate.counts(), (2, 0));
        drop(six);
        let answer = seventh.answer.as_mut().unwrap();
        assert_eq!(answer.try_recv().unwrap().unwrap(), client(1));
        drop(other);
        let first = ahead.turn().await.unwrap();
        let second = turn(&gate, Party::Ahead);
        assert!(!gate.has_room_ahead(), "no more than configured");
        drop((first, second));
        assert!(gate.has_room_ahead());
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_for_more_than_the_queue_bears_is_told_to_come_again_and_others_are_not() {
        let gate = gate(1, 0, 4);
        let _held = turn(&gate, Party::Own);
        let greedy: Vec<Ticket> = (0..4).map(|_| gate.ticket(client(1))).collect();
        let too_much = gate.ticket(client(1)).turn().await.unwrap_err();
        assert!(
            matches!(too_much, DepotError::Busy { waiting: 4, retry_after } if retry_after == RETRY.0)
        );
        // Whoever has less than the greedy one takes the place of its last.
        let modest = gate.ticket(client(2));
        assert_eq!(gate.counts(), (4, 2));
        let mut greedy = greedy.into_iter().rev();
        let last = greedy.next().unwrap().turn().await;
        assert!(matches!(last, Err(DepotError::Busy { .. })));
        drop((modest, greedy));
        assert_eq!(gate.counts().0, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever_and_who_leaves_keeps_no_place() {
        let gate = gate(1, 1, 10);
        let held = turn(&gate, Party::Own);
        assert!(matches!(
            gate.ticket(client(1)).turn().await,
            Err(DepotError::Busy { .. })
        ));
        let left = gate.ticket(client(1));
        let stays = gate.ticket(client(1));
        drop(left);
        assert_eq!(gate.counts().0, 1);
        drop(held);
        // A turn that was given and not taken is given on.
        let next = gate.ticket(client(2));
        drop(stays);
        let _turn = next.turn().await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_to_be_fetched_ahead_comes_when_a_client_wants_it() {
        let gate = gate(2, 1, 10);
        let held = [turn(&gate, client(1)), turn(&gate, client(2))];
        let busy = gate.ticket(client(1));
        let ahead = gate.ticket(Party::Ahead);
        gate.join(ahead.number(), client(3));
        drop(held);
        let turn = ahead.turn().await.unwrap();
        assert_eq!(turn.party, client(3));
        drop(busy);
    }
}
