//! Receiving by iteration.

use super::Channel;
use crate::element::Element;

/// The values of a [`Channel`], waiting for each, until it is closed and drained. From [`Channel::iter`].
///
/// Ends also where [`Channel::recv`] would give another error.
#[derive(Debug, Clone)]
#[must_use = "an iterator receives nothing unless it is used"]
pub struct ChannelIter<'a, T> {
    channel: Channel<'a, T>,
}

/// The values that can be received from a [`Channel`] without waiting. From [`Channel::try_iter`].
#[derive(Debug, Clone)]
#[must_use = "an iterator receives nothing unless it is used"]
pub struct ChannelTryIter<'a, T> {
    channel: Channel<'a, T>,
}

impl<'a, T: Element> Channel<'a, T> {
    /// Receives value after value, waiting for each, until the channel is closed and drained.
    ///
    /// Needs a region with a notifier; without one it ends at once.
    pub fn iter(&self) -> ChannelIter<'a, T> {
        ChannelIter { channel: *self }
    }

    /// Receives what can be received without waiting.
    pub fn try_iter(&self) -> ChannelTryIter<'a, T> {
        ChannelTryIter { channel: *self }
    }
}

impl<T: Element> Iterator for ChannelIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.channel.recv().ok()
    }
}

impl<T: Element> Iterator for ChannelTryIter<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.channel.try_recv().ok()
    }
}

impl<'a, T: Element> IntoIterator for Channel<'a, T> {
    type Item = T;
    type IntoIter = ChannelIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a, T: Element> IntoIterator for &Channel<'a, T> {
    type Item = T;
    type IntoIter = ChannelIter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
