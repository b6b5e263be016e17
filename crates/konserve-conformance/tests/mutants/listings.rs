//! Mutants that list other things, or in an order that changes.

use std::collections::BTreeMap;

use futures::future::{self, FutureExt};
use futures::stream::{self, StreamExt, TryStreamExt};
use konserve_core::backend::{Address, Backend, Listing, ListingPart, Occupant, Partition, Read, Space};
use konserve_core::{Error, ErrorKind, Result, Rev};

use crate::engine::{Listed, Right, Wrong};
use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [contents(), pages(), positions(), parts()]
        .into_iter()
        .flatten()
        .collect()
}

fn contents() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "listings.of-nothing-fail",
            "list.nothing",
            "the folder of a space is made by its first write, and one that is not there cannot be read",
            || {
                Streams(|right, space, how| {
                    let everything = Listing {
                        tombstones: true,
                        after: None,
                        ..how.clone()
                    };
                    let first = right.list(space, everything).into_future();
                    let listed = right.list(space, how);
                    let after = first.map(|(first, _)| match first {
                        Some(_) => listed,
                        None => stream::iter([Err(Error::new(ErrorKind::NotFound, "no such folder"))]).boxed(),
                    });
                    after.flatten_stream().boxed()
                })
            },
        ),
        Mutant::new(
            "listings.of-all-spaces",
            "list.one-space",
            "a scan of the whole table, without a filter",
            || {
                Streams(|right, _, how| {
                    let spaces = Space::ALL.map(|space| right.list(space, how.clone()));
                    stream::iter(spaces).flatten().boxed()
                })
            },
        ),
        Mutant::new(
            "listings.one-row-of-each-partition",
            "list.all-pages-of-one-partition",
            "the engine lists partitions, not rows",
            || {
                Streams(|right, space, how| {
                    right
                        .list(space, how)
                        .scan(None::<Partition>, |last, one| {
                            let partition = one.as_ref().ok().map(|(at, _)| at.partition.clone());
                            let is_first = *last != partition;
                            *last = partition;
                            future::ready(Some(is_first.then_some(one)))
                        })
                        .filter_map(future::ready)
                        .boxed()
                })
            },
        ),
        Mutant::new(
            "listings.tombstones-always",
            "list.tombstones-on-request",
            "a scan does not know which rows are tombstones",
            || {
                Streams(|right, space, how| {
                    right.list(
                        space,
                        Listing {
                            tombstones: true,
                            ..how
                        },
                    )
                })
            },
        ),
        Mutant::new(
            "listings.tombstones-never",
            "list.tombstones-on-request",
            "the index from which listings are answered has items only",
            || {
                Streams(|right, space, how| {
                    right.list(
                        space,
                        Listing {
                            tombstones: false,
                            ..how
                        },
                    )
                })
            },
        ),
        Mutant::new(
            "listings.tombstones-alone-when-asked-for",
            "list.tombstones-on-request",
            "the flag for tombstones is taken for a filter",
            || {
                Streams(|right, space, how| {
                    let alone = how.tombstones;
                    let wanted = move |one: &Result<(Address, Occupant)>| {
                        future::ready(!alone || one.as_ref().is_ok_and(|(_, occupant)| occupant.item().is_none()))
                    };
                    right.list(space, how).filter(wanted).boxed()
                })
            },
        ),
        Mutant::new(
            "listings.with-the-body-always",
            "list.strong-and-without-body",
            "the flag for the body is ignored",
            || {
                Streams(|right, space, mut how| {
                    how.how.body = true;
                    right.list(space, how)
                })
            },
        ),
        Mutant::new(
            "listings.of-the-first-handle-lag",
            "list.strong-and-without-body",
            "strong listings are answered by an index that follows the table by and by",
            || Streams(|right, space, how| right.list(space, how).skip(1).boxed()),
        ),
    ]
}

fn pages() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "listings.first-page-only",
            "list.all-pages",
            "a scan answers with a page and a key to go on from, with which nobody asks again",
            || Streams(|right, space, how| right.list(space, how).take(64).boxed()),
        ),
        Mutant::new(
            "listings.last-of-a-page-lost",
            "list.all-pages",
            "one more than a page is fetched to know whether there is more, and is not delivered",
            || {
                Streams(|right, space, how| {
                    let numbered = right.list(space, how).enumerate();
                    let kept = numbered.filter(|(index, _)| future::ready(index % 65 != 64));
                    kept.map(|(_, one)| one).boxed()
                })
            },
        ),
        Mutant::new(
            "listings.page-boundary-twice",
            "list.all-pages",
            "the next page begins at the last key of the one before, instead of behind it",
            || {
                Streams(|right, space, how| {
                    let numbered = right.list(space, how).enumerate();
                    let twice = numbered.flat_map(|(index, one)| {
                        let again = one.as_ref().ok().filter(|_| index % 64 == 63).cloned().map(Ok);
                        stream::iter([one]).chain(stream::iter(again))
                    });
                    twice.boxed()
                })
            },
        ),
        Mutant::new(
            "listings.end-at-a-page-without-items",
            "list.many-tombstones",
            "a page that is empty after tombstones were taken out is taken for the end",
            || EndsAtGap,
        ),
        Mutant::new(
            "listings.pages-by-offset",
            "list.while-delivered-is-purged",
            "`OFFSET … LIMIT …`: what is purged meanwhile moves the rest over the boundary of a page",
            || Offsets { tombstones: true },
        ),
        Mutant::new(
            "listings.pages-by-offset-of-items",
            "list.while-delivered-is-removed",
            "`OFFSET … LIMIT …` behind a filter that takes out tombstones",
            || Offsets { tombstones: false },
        ),
        Mutant::new(
            "listings.newest-last",
            "list.while-others-are-written",
            "pages are ordered by the time of the last write: what is rewritten comes again, for ever",
            || NewestLast,
        ),
        Mutant::new(
            "listings.fail-on-what-is-gone",
            "list.while-undelivered-is-purged",
            "the names are listed first, and a file that is gone when it is opened is an error",
            || FailsOnGone,
        ),
    ]
}

fn positions() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "listings.position-included",
            "list.behind-an-address",
            "`>=` where `>` was meant",
            || {
                Streams(|right, space, how| {
                    let at = how
                        .after
                        .clone()
                        .map(|at| Ok((at, Occupant::Tombstone(Rev::from_bytes([1; 16])))));
                    stream::iter(at).chain(right.list(space, how)).boxed()
                })
            },
        ),
        Mutant::new(
            "listings.position-ignored",
            "list.behind-an-address",
            "the cursor of the engine is not the address, and so it always begins at the beginning",
            || Streams(|right, space, how| right.list(space, Listing { after: None, ..how })),
        ),
        Mutant::new(
            "listings.behind-what-is-gone-nothing",
            "list.behind-what-is-gone",
            "the position is looked up, and where it is no longer found nothing is behind it",
            || NeedsPosition,
        ),
        Mutant::new(
            "listings.position-skips-one",
            "list.behind-an-address",
            "the position is counted from the wrong end of a page",
            || {
                Streams(|right, space, how| {
                    let skipped = usize::from(how.after.is_some());
                    right.list(space, how).skip(skipped).boxed()
                })
            },
        ),
        Mutant::new(
            "listings.order-of-a-map-with-a-random-seed",
            "list.same-order-each-time",
            "a hash map of each handle, with a seed of each handle",
            || OrderOfTheHandle,
        ),
        Mutant::new(
            "listings.position-of-another-order",
            "list.behind-an-address",
            "addresses are compared as text to find what is behind, and listed as the engine likes",
            || {
                Streams(|right, space, how| {
                    let after = how.after.clone();
                    let behind = move |one: &Result<(Address, Occupant)>| {
                        let is_behind = one
                            .as_ref()
                            .is_ok_and(|(at, _)| after.as_ref().is_none_or(|after| at > after));
                        future::ready(is_behind)
                    };
                    right.list(space, Listing { after: None, ..how }).filter(behind).boxed()
                })
            },
        ),
    ]
}

fn parts() -> Vec<Mutant> {
    vec![
        Mutant::new(
            "listings.parts-that-overlap",
            "list.in-parts",
            "the number of the part is not passed on, and each of them reads everything",
            || {
                Streams(|right, space, how| {
                    let part = ListingPart::whole();
                    right.list(space, Listing { part, ..how })
                })
            },
        ),
        Mutant::new(
            "listings.a-part-forgotten",
            "list.in-parts",
            "parts are counted from one, and asked for from zero to one less than there are",
            || {
                Parts(|right, space, how| {
                    let mut parts = right.parts(space, how);
                    parts.pop();
                    parts
                })
            },
        ),
        Mutant::new(
            "listings.no-parts",
            "list.in-parts",
            "an empty space has no parts, says the engine, and nobody tells it when it is no longer empty",
            || Parts(|_, _, _| Vec::new()),
        ),
        Mutant::new(
            "listings.parts-with-other-tombstones",
            "list.in-parts",
            "parts are read from an index that has items only",
            || {
                Streams(|right, space, how| {
                    let tombstones = how.tombstones && how.part.is_whole();
                    right.list(space, Listing { tombstones, ..how })
                })
            },
        ),
        Mutant::new(
            "listings.position-in-a-part-ignored",
            "list.parts-behind-an-address",
            "the first page of a part takes its start from the part, and not from the caller",
            || {
                Streams(|right, space, how| {
                    let after = how.after.clone().filter(|_| how.part.is_whole());
                    right.list(space, Listing { after, ..how })
                })
            },
        ),
        Mutant::new(
            "listings.parts-of-one-handle",
            "list.parts-are-known-ever-after",
            "a part is a cursor that lives in the connection which opened it",
            || {
                Streams(|right, space, how| match right.number {
                    0 => right.list(space, how),
                    _ if how.part.is_whole() => right.list(space, how),
                    _ => stream::iter([Err(how.part.unknown())]).boxed(),
                })
            },
        ),
        Mutant::new(
            "listings.any-part",
            "list.unknown-part",
            "the name of a part is not looked at where it is none that is known",
            || {
                Streams(|right, space, how| {
                    let known = right.parts(space, &how).contains(&how.part);
                    let part = if known { how.part.clone() } else { ListingPart::whole() };
                    right.list(space, Listing { part, ..how })
                })
            },
        ),
    ]
}

/// Other parts are named.
struct Parts(fn(&Right, Space, &Listing) -> Vec<ListingPart>);
/// Something else is listed.
struct Streams(fn(&Right, Space, Listing) -> Listed);
struct EndsAtGap;
struct Offsets {
    tombstones: bool,
}
struct NewestLast;
struct FailsOnGone;
struct NeedsPosition;
struct OrderOfTheHandle;

/// How many come in one page.
const PAGE: usize = 8;

impl Wrong for Streams {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        self.0(right, space, how)
    }
}

impl Wrong for Parts {
    fn parts(&self, right: &Right, space: Space, how: &Listing) -> Vec<ListingPart> {
        self.0(right, space, how)
    }
}

impl Wrong for EndsAtGap {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let wanted = how.tombstones;
        let pages = right
            .list(
                space,
                Listing {
                    tombstones: true,
                    ..how
                },
            )
            .chunks(PAGE);
        let shown = pages.map(move |page| {
            let shown = move |one: &Result<(Address, Occupant)>| {
                wanted || one.as_ref().is_ok_and(|(_, occupant)| occupant.item().is_some())
            };
            page.into_iter().filter(shown).collect::<Vec<_>>()
        });
        let until_empty = shown.take_while(|page| future::ready(!page.is_empty()));
        until_empty.flat_map(stream::iter).boxed()
    }
}

impl Wrong for Offsets {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let (right, tombstones) = (right.clone(), self.tombstones);
        let pages = stream::unfold(0, move |offset| {
            let all = Listing {
                tombstones: tombstones || how.tombstones,
                ..how.clone()
            };
            let page = right.list(space, all).skip(offset).take(PAGE);
            async move {
                let page: Vec<_> = page.collect().await;
                (!page.is_empty()).then(|| (page, offset + PAGE))
            }
        });
        let wanted = how_wanted(tombstones);
        pages
            .flat_map(stream::iter)
            .filter(move |one| future::ready(wanted(one)))
            .boxed()
    }
}

/// Whether an occupant is delivered, where pages have tombstones that readers do not ask for.
fn how_wanted(tombstones: bool) -> impl Fn(&Result<(Address, Occupant)>) -> bool + Send + 'static {
    move |one| !tombstones || one.as_ref().is_ok_and(|(_, occupant)| occupant.item().is_some())
}

impl Wrong for NewestLast {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let right = right.clone();
        let pages = stream::unfold(None::<Rev>, move |after| {
            let everything = right.list(
                space,
                Listing {
                    after: None,
                    ..how.clone()
                },
            );
            async move {
                let everything: Vec<(Address, Occupant)> = everything.try_collect().await.ok()?;
                let by_revision = everything
                    .into_iter()
                    .map(|(at, occupant)| (occupant.rev(), (at, occupant)));
                let behind = by_revision.filter(|(rev, _)| Some(*rev) > after);
                let next: BTreeMap<_, _> = behind.collect();
                let page: Vec<_> = next.into_iter().take(PAGE).collect();
                let last = page.last().map(|(rev, _)| *rev)?;
                Some((page.into_iter().map(|(_, one)| Ok(one)).collect::<Vec<_>>(), Some(last)))
            }
        });
        // So that a listing that never ends does end.
        pages.flat_map(stream::iter).take(2_000).boxed()
    }
}

impl Wrong for FailsOnGone {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let names = right.list(space, how).map_ok(|(at, _)| at);
        let names = stream::once(names.try_collect::<Vec<_>>());
        let right = right.clone();
        names
            .map_ok(|names| stream::iter(names.into_iter().map(Ok)))
            .try_flatten()
            .and_then(move |at| {
                let right = right.clone();
                async move {
                    let gone = || Error::new(ErrorKind::Unavailable, "no such file");
                    let occupant = right.occupant(&at).await?.ok_or_else(gone)?;
                    Ok((at, occupant))
                }
            })
            .boxed()
    }
}

impl Wrong for NeedsPosition {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        let Some(after) = how.after.clone() else {
            return right.list(space, how);
        };
        let rest = right.list(space, how);
        let right = right.clone();
        stream::once(async move { right.read(&after, Read::STRONG).await })
            .flat_map(move |found| match found {
                Ok(Some(_)) => stream::empty().boxed(),
                _ => stream::iter([Err(Error::new(ErrorKind::NotFound, "no such position"))]).boxed(),
            })
            .chain(rest)
            .boxed()
    }
}

impl Wrong for OrderOfTheHandle {
    fn list(&self, right: &Right, space: Space, how: Listing) -> Listed {
        match (right.number, how.after.is_some()) {
            (0, _) | (_, true) => right.list(space, how),
            _ => right
                .list(space, how)
                .chunks(2)
                .flat_map(|pair| stream::iter(pair.into_iter().rev()))
                .boxed(),
        }
    }
}
