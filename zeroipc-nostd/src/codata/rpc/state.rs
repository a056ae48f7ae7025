//! The state of a place for a call, in one word.
//!
//! | high 2 bits | low 30 bits | the place |
//! |---|---|---|
//! | 0 | 0 | is free |
//! | 0 | generation x 8 + 1 | holds a request that no server has taken |
//! | 0 | generation x 8 + 2 | holds the answer: a response |
//! | 0 | generation x 8 + 3 | holds the answer: a failure, with a text |
//! | 0 | generation x 8 + 4 | holds the answer: nobody will give one |
//! | 1 | the client's [`PartyId`](crate::PartyId) | is claimed by a client, who writes its request |
//! | 2 | the server's | is taken by a server, who has the request in hand |
//! | 3 | the server's | as 2, and nobody waits for the answer |
//!
//! A party without a number has 2^30 - 1.

use crate::party::PARTY_BITS;

const PHASE_BITS: u32 = 3;
const MASK: u32 = (1 << PARTY_BITS) - 1;
const GENERATIONS: u32 = 1 << (PARTY_BITS - PHASE_BITS);

/// How a server answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    Value,
    Failed,
    Broken,
}

/// What a state word says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Free,
    Claimed {
        client: u32,
    },
    Requested {
        generation: u32,
    },
    Taken {
        server: u32,
    },
    Abandoned {
        server: u32,
    },
    Answered {
        generation: u32,
        answer: Answer,
    },
    /// No correct party writes this.
    Nonsense,
}

impl State {
    #[inline(always)]
    pub(super) const fn of(word: u32) -> Self {
        let low = word & MASK;
        let generation = low >> PHASE_BITS;
        match (word >> PARTY_BITS, low & ((1 << PHASE_BITS) - 1)) {
            (0, 0) if low == 0 => State::Free,
            (0, 1) => State::Requested { generation },
            (0, 2) => State::Answered { generation, answer: Answer::Value },
            (0, 3) => State::Answered { generation, answer: Answer::Failed },
            (0, 4) => State::Answered { generation, answer: Answer::Broken },
            (1, _) if low != 0 => State::Claimed { client: low },
            (2, _) if low != 0 => State::Taken { server: low },
            (3, _) if low != 0 => State::Abandoned { server: low },
            _ => State::Nonsense,
        }
    }

    #[inline(always)]
    pub(super) const fn word(self) -> u32 {
        match self {
            State::Free => 0,
            State::Claimed { client } => 1 << PARTY_BITS | client,
            State::Requested { generation } => generation << PHASE_BITS | 1,
            State::Taken { server } => 2 << PARTY_BITS | server,
            State::Abandoned { server } => 3 << PARTY_BITS | server,
            State::Answered { generation, answer } => {
                let phase = match answer {
                    Answer::Value => 2,
                    Answer::Failed => 3,
                    Answer::Broken => 4,
                };
                generation << PHASE_BITS | phase
            }
            State::Nonsense => 7,
        }
    }
}

/// The generation after `generation`, whatever a peer wrote there.
pub(super) const fn after(generation: u32) -> u32 {
    generation.wrapping_add(1) % GENERATIONS
}

/// As much of what a peer wrote as is a generation.
pub(super) const fn generation(word: u32) -> u32 {
    word % GENERATIONS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::party::UNKNOWN_PARTY;

    #[test]
    fn words_say_what_they_mean() {
        let mut states = vec![State::Free];
        for party in [1, UNKNOWN_PARTY] {
            states.push(State::Claimed { client: party });
            states.push(State::Taken { server: party });
            states.push(State::Abandoned { server: party });
        }
        for generation in [0, 1, GENERATIONS - 1] {
            states.push(State::Requested { generation });
            for answer in [Answer::Value, Answer::Failed, Answer::Broken] {
                states.push(State::Answered { generation, answer });
            }
        }
        for state in &states {
            assert_eq!(State::of(state.word()), *state);
        }
        let mut words: Vec<_> = states.iter().map(|state| state.word()).collect();
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), states.len());
        for word in [5, 6, 7, 8, 1 << 30, 2 << 30, 3 << 30] {
            assert_eq!(State::of(word), State::Nonsense);
        }
        assert_eq!(State::of(State::Nonsense.word()), State::Nonsense);
        assert_eq!(State::Free.word(), 0, "fresh memory is a free place");
    }

    #[test]
    fn generations_wrap() {
        assert_eq!(after(0), 1);
        assert_eq!(after(GENERATIONS - 1), 0);
        assert!(after(u32::MAX) < GENERATIONS && generation(u32::MAX) < GENERATIONS);
    }
}
