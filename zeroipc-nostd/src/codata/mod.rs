//! Values that are not there yet: who wants one waits for whoever makes it.

mod channel;
pub mod eventual;
mod future;
mod lazy;
mod outcome;
mod rpc;
mod select;
pub mod source;
mod stream;
mod text;

pub use channel::{Channel, ChannelIter, ChannelTryIter, RecvCase, SendCase};
pub use future::{Future, FutureState, Promise};
pub use lazy::{Evaluation, Lazy, LazyState};
pub use rpc::{Client, Pending, Request, Server, Service};
pub use select::{
    select, select_timeout, select_with, try_select, FutureCase, PopCase, PushCase, Selectable,
    WaitCase,
};
pub use stream::{Publisher, Stream, StreamOptions, Subscriber};
pub use text::FailureText;

// What a view says of each.
pub(crate) use channel::fill as channel_fill;
pub(crate) use future::fill as future_fill;
pub(crate) use lazy::fill as lazy_fill;
pub(crate) use rpc::fill as service_fill;
pub(crate) use stream::fill as stream_fill;

// How tasks wait at one.
pub(crate) use channel::Stay;

// And follows.
pub(crate) use channel::buffer as channel_buffer;
pub(crate) use stream::StreamObserver;
