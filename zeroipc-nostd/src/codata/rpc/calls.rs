//! The places of a service, and how one goes from party to party: see the [module](super).

use super::super::text::{FailureText, Record, TEXT_BYTES};
use super::state::{after, generation, Answer, State};
use super::{Layout, ANSWER, CLIENT, CLOSED, GENERATION, REQUESTS, SPACE};
use crate::element::Element;
use crate::error::{CallError, NextError, ReplyError};
use crate::party::{Membership, PartyId, UNKNOWN_PARTY};
use crate::region::Region;
use crate::sync::{rest_after_a_look, Atomic, Slots, Span, Words};
use crate::wait::{EventCount, Notifier};
use core::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

#[derive(Debug)]
pub(super) struct Calls<'a, Req, Resp> {
    states: Words<'a, u32>,
    generations: Words<'a, u32>,
    clients: Words<'a, u32>,
    answers: Words<'a, u32>,
    requests: Slots<'a, Req>,
    responses: Slots<'a, Resp>,
    texts: Slots<'a, Record>,
    capacity: usize,
    closed: Atomic<'a, u32>,
    /// Servers without work sleep on it.
    pub(super) work: EventCount<'a>,
    /// Clients without a place sleep on it.
    pub(super) space: EventCount<'a>,
    pub(super) notifier: Notifier<'a>,
    membership: Membership<'a>,
    /// This party's number.
    me: u32,
}

impl<Req, Resp> Clone for Calls<'_, Req, Resp> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<Req, Resp> Copy for Calls<'_, Req, Resp> {}

/// A place with a request of this party: from the request to the end of its client's interest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    place: usize,
    state: Atomic<'a, u32>,
    /// Its client sleeps on it.
    pub(super) answer: EventCount<'a>,
    generation: u32,
}

/// A place with a request that this party has taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taken<'a> {
    pub(super) place: usize,
    state: Atomic<'a, u32>,
    answer: EventCount<'a>,
    generation: u32,
}

/// Why there is no place for a request.
pub(super) enum NoPlace {
    Full,
    Closed,
    Corrupt,
}

impl<Req, Resp> Calls<'_, Req, Resp> {
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }
}

impl<'a, Req: Element, Resp: Element> Calls<'a, Req, Resp> {
    /// Those in `span`; `None` if the layout does not fit into it.
    pub(super) fn at(span: Span<'a>, layout: &Layout, region: &Region<'a>) -> Option<Self> {
        let capacity = usize::try_from(layout.capacity).ok()?;
        let stride = usize::try_from(layout.stride).ok()?;
        let words = |offset| span.words(layout.calls + offset, stride, capacity);
        debug_assert!(layout.text + TEXT_BYTES <= layout.stride);
        let membership = region.membership();
        Some(Calls {
            states: words(0)?,
            generations: words(GENERATION)?,
            clients: words(CLIENT)?,
            answers: words(ANSWER)?,
            requests: span.slots(layout.calls + layout.request, stride, capacity)?,
            responses: span.slots(layout.calls + layout.response, stride, capacity)?,
            texts: span.slots(layout.calls + layout.text, stride, capacity)?,
            capacity,
            closed: span.word(CLOSED)?,
            work: EventCount::new(span.word(REQUESTS)?),
            space: EventCount::new(span.word(SPACE)?),
            notifier: region.notifier(),
            membership,
            me: membership.number(),
        })
    }

    /// Where a new client or server begins to look: parties, and the handles of one party, begin at different places.
    pub(super) fn first(&self) -> usize {
        let party = self.membership.me.map_or(0, |me| me.number() as usize);
        party.wrapping_add(crate::sync::scattered()) % self.capacity.max(1)
    }

    fn state(&self, place: usize) -> State {
        self.states.get(place).map_or(State::Nonsense, |state| State::of(state.load(Acquire)))
    }

    pub(super) fn is_in_use(&self, place: usize) -> bool {
        self.state(place) != State::Free
    }

    /// Acquire: pairs with [`Calls::close`].
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Acquire) != 0
    }

    pub(super) fn close(&self) {
        // A read-modify-write, as the eventcounts need it. Release: what was done before is visible to who sees it.
        self.closed.swap(1, AcqRel);
        self.work.notify_all(self.notifier);
        self.space.notify_all(self.notifier);
        for place in 0..self.capacity {
            if let Some(answer) = self.answers.get(place) {
                EventCount::new(answer).notify_all(self.notifier);
            }
        }
    }

    /// Steps 1 and 2: a place for `request`, the one at `near` if it is free.
    #[inline]
    pub(super) fn ask(&self, near: usize, request: &Req) -> Result<Asked<'a>, NoPlace> {
        if self.is_closed() {
            return Err(NoPlace::Closed);
        }
        if let Some(asked) = self.ask_at(near, request) {
            return Ok(asked);
        }
        (near + 1..self.capacity)
            .chain(0..near)
            .find_map(|place| self.ask_at(place, request))
            .ok_or_else(|| self.no_place())
    }

    #[cold]
    fn no_place(&self) -> NoPlace {
        if (0..self.capacity).any(|place| self.state(place) == State::Nonsense) {
            NoPlace::Corrupt
        } else {
            NoPlace::Full
        }
    }

    /// Steps 1 and 2 at `place`, if it is free.
    #[inline(always)]
    fn ask_at(&self, place: usize, request: &Req) -> Option<Asked<'a>> {
        let state = self.states.get(place)?;
        let (free, claimed) = (State::Free.word(), State::Claimed { client: self.me }.word());
        // Looked at first, so that a taken place costs no write. Acquire: who used it before has finished with it.
        if state.load(Relaxed) != free
            || state.compare_exchange(free, claimed, Acquire, Relaxed).is_err()
        {
            return None;
        }
        self.clients.get(place)?.store(self.me, Relaxed);
        let word = self.generations.get(place)?;
        let generation = after(word.load(Relaxed));
        word.store(generation, Relaxed);
        self.requests.write(place, request);
        let answer = EventCount::new(self.answers.get(place)?);
        // Release: the request, and the two words, are there for whoever takes it. If it fails a peer wrote nonsense, or said that
        // we are dead: then whoever waits for an answer finds that out.
        let _ = state.compare_exchange(
            claimed,
            State::Requested { generation }.word(),
            AcqRel,
            Relaxed,
        );
        self.work.notify(self.notifier);
        Some(Asked { place, state, answer, generation })
    }

    /// Step 3: a request, from the place at `first` on.
    #[inline]
    pub(super) fn take(&self, first: usize) -> Result<Taken<'a>, NextError> {
        let found = (first..self.capacity).chain(0..first).find_map(|place| self.take_at(place));
        found.ok_or_else(|| {
            if self.is_closed() {
                return NextError::Closed;
            }
            rest_after_a_look();
            NextError::Empty
        })
    }

    #[inline(always)]
    fn take_at(&self, place: usize) -> Option<Taken<'a>> {
        let state = self.states.get(place)?;
        let word = state.load(Relaxed);
        let State::Requested { generation } = State::of(word) else { return None };
        let taken = State::Taken { server: self.me }.word();
        // Acquire: pairs with the release in `ask_at`.
        state.compare_exchange(word, taken, Acquire, Relaxed).ok()?;
        let answer = EventCount::new(self.answers.get(place)?);
        Some(Taken { place, state, answer, generation })
    }

    /// The request that was taken.
    #[inline(always)]
    pub(super) fn request(&self, taken: &Taken<'a>) -> Req {
        // There is one for every place; zeros stand for the case that cannot be.
        self.requests.read(taken.place).unwrap_or_else(Req::new_zeroed)
    }

    /// Who made the request that was taken, if that party has a number.
    pub(super) fn client(&self, taken: &Taken<'a>) -> Option<PartyId> {
        PartyId::new(self.clients.get(taken.place)?.load(Relaxed))
            .filter(|client| client.number() != UNKNOWN_PARTY)
    }

    /// Whether nobody waits for the answer any more.
    pub(super) fn is_abandoned(&self, taken: &Taken<'a>) -> bool {
        State::of(taken.state.load(Relaxed)) != State::Taken { server: self.me }
    }

    #[inline(always)]
    pub(super) fn respond(&self, taken: &Taken<'a>, response: &Resp) -> Result<(), ReplyError> {
        self.responses.write(taken.place, response);
        self.answer(taken, Answer::Value)
    }

    pub(super) fn fail(&self, taken: &Taken<'a>, text: &FailureText) -> Result<(), ReplyError> {
        self.texts.write(taken.place, text.record());
        self.answer(taken, Answer::Failed)
    }

    /// The end of step 4.
    #[inline(always)]
    pub(super) fn answer(&self, taken: &Taken<'a>, answer: Answer) -> Result<(), ReplyError> {
        let from = State::Taken { server: self.me }.word();
        let to = State::Answered { generation: taken.generation, answer }.word();
        // Release: the answer is there for the client.
        match taken.state.compare_exchange(from, to, AcqRel, Acquire) {
            Ok(_) => {
                taken.answer.notify_all(self.notifier);
                Ok(())
            }
            Err(now) => self.let_go(taken, now),
        }
    }

    #[cold]
    fn let_go(&self, taken: &Taken<'a>, now: u32) -> Result<(), ReplyError> {
        match State::of(now) {
            State::Abandoned { server } if server == self.me => {
                self.free(taken.state, now);
                Err(ReplyError::Cancelled)
            }
            State::Nonsense => Err(ReplyError::Corrupt),
            // Another said that we are dead, and the place has gone on.
            _ => Err(ReplyError::Broken),
        }
    }

    /// Frees a place that is in the state `from`; false if it is not any more.
    #[inline(always)]
    fn free(&self, state: Atomic<'a, u32>, from: u32) -> bool {
        // Release: we have finished with what is in it.
        let freed = state.compare_exchange(from, State::Free.word(), AcqRel, Relaxed).is_ok();
        if freed {
            self.space.notify(self.notifier);
        }
        freed
    }

    /// Step 5, without freeing the place: what the answer is, if it is there.
    #[inline(always)]
    pub(super) fn answer_to(&self, asked: &Asked<'a>) -> Result<Resp, CallError> {
        // Acquire: pairs with the release in `answer`.
        match State::of(asked.state.load(Acquire)) {
            State::Answered { generation, answer } if generation == asked.generation => {
                match answer {
                    Answer::Value => self.responses.read(asked.place).ok_or(CallError::Corrupt),
                    Answer::Failed => {
                        let record = self.texts.read(asked.place).ok_or(CallError::Corrupt)?;
                        let text = FailureText::from_record(record).ok_or(CallError::Corrupt)?;
                        Err(CallError::Failed(text))
                    }
                    Answer::Broken => Err(CallError::Broken),
                }
            }
            State::Taken { .. } => Err(CallError::Pending),
            State::Requested { generation } if generation == asked.generation => {
                if self.is_closed() {
                    return self.withdraw(asked);
                }
                Err(CallError::Pending)
            }
            State::Claimed { client } if client == self.me => Err(CallError::Closed),
            // The place is not ours: a peer wrote nonsense, or said that we are dead.
            _ => Err(CallError::Corrupt),
        }
    }

    /// The service was closed, and no server has taken the request: nobody may ever.
    #[cold]
    fn withdraw(&self, asked: &Asked<'a>) -> Result<Resp, CallError> {
        let requested = State::Requested { generation: asked.generation }.word();
        // It stays ours until it is let go of, so that asking again gives the same answer.
        let claimed = State::Claimed { client: self.me }.word();
        match asked.state.compare_exchange(requested, claimed, Relaxed, Relaxed) {
            Ok(_) => Err(CallError::Closed),
            // A server came first, and answers.
            Err(_) => Err(CallError::Pending),
        }
    }

    /// Breaks the call if the server that has it is known to be dead; false if there is no answer then either. May be a system
    /// call.
    #[cold]
    pub(super) fn break_if_dead(&self, asked: &Asked<'a>) -> bool {
        let word = asked.state.load(Acquire);
        match State::of(word) {
            State::Taken { server } if self.membership.is_dead(server) => {
                self.break_call(asked.state, word, asked.generation, asked.answer);
                true
            }
            _ => false,
        }
    }

    /// Does what a dead server should have done.
    fn break_call(
        &self,
        state: Atomic<'a, u32>,
        taken: u32,
        generation: u32,
        answer: EventCount<'a>,
    ) {
        let broken = State::Answered { generation, answer: Answer::Broken }.word();
        // If it fails, another came first.
        if state.compare_exchange(taken, broken, AcqRel, Relaxed).is_ok() {
            answer.notify_all(self.notifier);
        }
    }

    /// Step 6, or the end of step 5: the client lets go; returns which place it was.
    #[inline]
    pub(super) fn forget(&self, asked: &Asked<'a>) -> usize {
        let mut word = asked.state.load(Relaxed);
        // A request is taken, and answered: no more than that happens while its client looks.
        for _ in 0..4 {
            let done = match State::of(word) {
                State::Answered { generation, .. } | State::Requested { generation }
                    if generation == asked.generation =>
                {
                    self.free(asked.state, word)
                }
                State::Claimed { client } if client == self.me => self.free(asked.state, word),
                State::Taken { server } => {
                    let abandoned = State::Abandoned { server }.word();
                    asked.state.compare_exchange(word, abandoned, Relaxed, Relaxed).is_ok()
                }
                _ => true,
            };
            if done {
                break;
            }
            word = asked.state.load(Relaxed);
        }
        asked.place
    }

    /// Step 7.
    #[cold]
    pub(super) fn reclaim(&self) -> usize {
        let mut count = 0;
        // Most places of a dead party are found together, and asking may be dear.
        let mut last = (UNKNOWN_PARTY, false);
        let mut is_dead = |party: u32| {
            if last.0 != party {
                last = (party, self.membership.is_dead(party));
            }
            last.1
        };
        for place in 0..self.capacity {
            // A place may change hands once on the way: a call that breaks here may be a dead client's.
            for _ in 0..2 {
                let Some(state) = self.states.get(place) else { continue };
                // Acquire: the client's number is that of the request which is seen here, or a later one's.
                let word = state.load(Acquire);
                let owner = match State::of(word) {
                    State::Claimed { client } => client,
                    State::Requested { .. } | State::Answered { .. } => {
                        self.clients.get(place).map_or(UNKNOWN_PARTY, |client| client.load(Relaxed))
                    }
                    State::Abandoned { server } => server,
                    State::Taken { server } if is_dead(server) => {
                        self.break_taken(place, state, word);
                        continue;
                    }
                    State::Free | State::Taken { .. } | State::Nonsense => break,
                };
                if is_dead(owner) && self.free(state, word) {
                    count += 1;
                }
                break;
            }
        }
        count
    }

    fn break_taken(&self, place: usize, state: Atomic<'a, u32>, taken: u32) {
        let (Some(word), Some(answer)) = (self.generations.get(place), self.answers.get(place))
        else {
            return;
        };
        // It does not change while the place is taken.
        self.break_call(state, taken, generation(word.load(Relaxed)), EventCount::new(answer));
    }
}

/// Whether an operation that looks for the `spins`-th time should ask who is dead.
pub(super) fn time_to_ask(looks_left: &mut u32) -> bool {
    let ask = *looks_left == 0;
    *looks_left = looks_left.saturating_sub(1);
    ask
}
