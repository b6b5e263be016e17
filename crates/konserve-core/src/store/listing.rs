//! Listings of a whole space, read in the parts that the engine names, side by side.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::stream::{BoxStream, SelectAll};
use futures::{Stream, StreamExt};

use crate::backend::{Address, Backend, Listing, ListingPart, Occupant, Partition, Space};
use crate::{Error, ErrorKind, Result, Value};

type Listed = BoxStream<'static, Result<(Address, Occupant)>>;

/// Everything in a space, in no order.
pub(crate) fn everything(
    backend: &Arc<dyn Backend>,
    space: Space,
    how: &Listing,
) -> impl Stream<Item = Result<(Address, Occupant)>> + Send + Unpin + use<> {
    let parts = backend.parts(space, how).into_iter();
    let lists: SelectAll<Listed> = parts
        .map(|part| backend.list(space, Listing { part, ..how.clone() }))
        .collect();
    let mut failed = false;
    // What else there is after an error is not everything.
    lists.take_while(move |listed| {
        let goes_on = !failed;
        failed |= listed.is_err();
        std::future::ready(goes_on)
    })
}

/// Where something was listed.
pub(crate) struct Place {
    pub(crate) at: Address,
    part: usize,
}

/// A listing of one item for each partition, whose position can be told: each part has an order of its own, and is behind the last
/// of it that was delivered.
///
/// The parts take turns, so that none of them runs ahead of the others by more than what the engine has ready.
pub(crate) struct Parts {
    parts: Vec<Part>,
    /// Which part is asked first.
    turn: usize,
    begun: bool,
}

struct Part {
    name: ListingPart,
    /// Behind the last that was delivered.
    after: Option<Partition>,
    /// `None` when all of it was read.
    list: Option<Listed>,
}

impl Parts {
    /// From the beginning.
    pub(crate) fn all(backend: &Arc<dyn Backend>, space: Space, how: Listing) -> Self {
        let names = backend.parts(space, &how);
        let places = names.into_iter().map(|name| (name, After::Beginning)).collect();
        Self::at(backend, space, &how, places)
    }

    /// From a position on.
    ///
    /// # Errors
    ///
    /// `invalid_input` for what is no position.
    pub(crate) fn resume(backend: &Arc<dyn Backend>, space: Space, how: Listing, position: &str) -> Result<Self> {
        let places = parse(position).ok_or_else(|| {
            let message = "what the listing is to go on from is no position of one";
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        let mut parts = Self::at(backend, space, &how, places);
        parts.begun = true;
        Ok(parts)
    }

    fn at(backend: &Arc<dyn Backend>, space: Space, how: &Listing, places: Vec<(ListingPart, After)>) -> Self {
        let part = |(name, after): (ListingPart, After)| {
            let after = match after {
                After::Beginning => None,
                After::Partition(partition) => Some(partition),
                After::End => return Part::over(name),
            };
            let list = backend.list(
                space,
                Listing {
                    part: name.clone(),
                    after: after.clone().map(|partition| Address::new(space, partition, 0)),
                    ..how.clone()
                },
            );
            Part {
                name,
                after,
                list: Some(list),
            }
        };
        Self {
            parts: places.into_iter().map(part).collect(),
            turn: 0,
            begun: false,
        }
    }

    pub(crate) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<(Place, Occupant)>>> {
        let count = self.parts.len();
        let mut is_over = true;
        for part in (0..count).map(|offset| (self.turn + offset) % count) {
            let Some(list) = &mut self.parts[part].list else {
                continue;
            };
            match list.poll_next_unpin(context) {
                Poll::Pending => is_over = false,
                Poll::Ready(None) => self.parts[part].list = None,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(Some(Ok((at, occupant)))) => {
                    self.turn = (part + 1) % count;
                    return Poll::Ready(Some(Ok((Place { at, part }, occupant))));
                }
            }
        }
        match is_over {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }

    /// The position moves behind this.
    pub(crate) fn delivered(&mut self, place: Place) {
        self.begun = true;
        self.parts[place.part].after = Some(place.at.partition);
    }

    /// The position as text; `None` before anything was delivered.
    ///
    /// A list in EDN of a pair for each part: its name, and the partition that it is behind, or null at its beginning, or true at its
    /// end.
    pub(crate) fn position(&self) -> Option<String> {
        let pair = |part: &Part| {
            let after = match (&part.after, &part.list) {
                (_, None) => Value::Bool(true),
                (Some(partition), _) => Value::from(partition.as_str()),
                (None, _) => Value::Null,
            };
            Value::List(vec![Value::from(part.name.as_str()), after])
        };
        self.begun
            .then(|| Value::List(self.parts.iter().map(pair).collect()).to_string())
    }
}

impl Part {
    fn over(name: ListingPart) -> Self {
        Self {
            name,
            after: None,
            list: None,
        }
    }
}

/// Where a part goes on.
enum After {
    Beginning,
    Partition(Partition),
    End,
}

fn parse(position: &str) -> Option<Vec<(ListingPart, After)>> {
    let Ok(Value::List(pairs)) = position.parse::<Value>() else {
        return None;
    };
    let pair = |pair| match pair {
        Value::List(pair) => match <[Value; 2]>::try_from(pair).ok()? {
            [Value::Text(name), after] => Some((
                ListingPart::new(name.as_str()),
                match after {
                    Value::Null => After::Beginning,
                    Value::Text(partition) => After::Partition(Partition::new(partition.as_str())),
                    Value::Bool(true) => After::End,
                    _ => return None,
                },
            )),
            _ => None,
        },
        _ => None,
    };
    let pairs: Vec<_> = pairs.into_iter().map(pair).collect::<Option<_>>()?;
    (!pairs.is_empty()).then_some(pairs)
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Parts").field(&self.position()).finish()
    }
}
