//! Values that are not there yet: who wants one waits for whoever makes it.

mod future;
mod lazy;
mod outcome;
mod stream;
mod text;

pub use future::{Future, FutureState, Promise};
pub use lazy::{Evaluation, Lazy, LazyState};
pub use stream::{Publisher, Stream, StreamOptions, Subscriber};
pub use text::FailureText;

// What a view says of each.
pub(crate) use future::fill as future_fill;
pub(crate) use lazy::fill as lazy_fill;
pub(crate) use stream::fill as stream_fill;

// And follows.
pub(crate) use stream::StreamObserver;
