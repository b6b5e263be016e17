//! How far a log reaches.

use super::site::Site;
use super::tail::{Last, last_row};
use crate::Result;
use crate::backend::Read;
use crate::head::LogMeta;

/// How far a log reaches, read strongly; `None` when it was removed. One request, seldom more.
pub(crate) async fn extent(site: &Site) -> Result<Option<LogMeta>> {
    let last = match last_row(&site.operation, site.id, &site.state).await? {
        Last::Entries(span, last_append) => Some((span, last_append)),
        // Without transactions, somebody is about to remove it, and has not yet.
        Last::Seal(at) if site.operation.store.capabilities.transactions.is_none() => {
            let mut site = site.clone();
            site.how = Read::STRONG.without_body();
            site.row_at(at).await?.map(|(span, item)| (span, item.created))
        }
        Last::Seal(_) | Last::None => None,
    };
    let first = site.state.first;
    Ok(last.map(|(span, last_append)| {
        let end = span.end();
        LogMeta {
            entries: end.next.saturating_sub(first.next),
            first: first.next,
            next: end.next,
            bytes: end.bytes.saturating_sub(first.bytes),
            last_append,
        }
    }))
}
