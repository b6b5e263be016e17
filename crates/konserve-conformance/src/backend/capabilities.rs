//! Trials of what the engine declares, and of the refusal of what it does not.

use std::sync::Arc;

use futures::StreamExt;
use konserve_core::ErrorKind;
use konserve_core::backend::{Listing, Mutation, Partition, Read, RowQuery, Space, When};

use crate::arena::{Arena, item};
use crate::failure::{Verdict, check, refused, same};
use crate::trial::{Capability, Trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::new("capabilities.as-expected", &["B-CAP-1"], as_expected).needs_nothing(),
        Trial::new("capabilities.no-less-than-the-least", &["B-CAP-2"], not_too_little).needs_nothing(),
        Trial::new("capabilities.without-strong-reads", &["B-CAP-3"], without_strong_reads)
            .without(Capability::StrongReads),
        Trial::new(
            "capabilities.without-transactions",
            &["B-CAP-4", "B-ERROR-1"],
            without_transactions,
        )
        .without(Capability::Transactions)
        .needs(Capability::StrongReads),
    ]
}

async fn as_expected(arena: Arc<Arena>) -> Verdict {
    let another = arena.namespace.another().await?;
    same!(arena.backend.capabilities(), arena.capabilities, "the capabilities");
    same!(another.capabilities(), arena.capabilities, "those of another handle");
    arena.put(&arena.at("a"), &item(arena.rev())).await?;
    same!(
        arena.backend.capabilities(),
        arena.capabilities,
        "the capabilities after a write"
    );
    let namespace = &arena.namespace;
    let harness = [
        (Capability::Clock, namespace.clock().is_some()),
        (Capability::Faults, namespace.faults().is_some()),
    ];
    for (capability, is_there) in harness {
        same!(
            is_there,
            arena.declares(capability),
            "whether the namespace has {capability}, which is what the harness says"
        );
    }
    Ok(())
}

async fn not_too_little(arena: Arc<Arena>) -> Verdict {
    let capabilities = arena.backend.capabilities();
    if let Some(limit) = capabilities.item_limit {
        check!(limit >= 4096, "an item limit of {limit} bytes is too low");
    }
    let longest = capabilities.longest_partition;
    check!(longest >= 256, "a longest partition text of {longest} bytes is too low");
    if let Some(limits) = capabilities.transactions {
        check!(
            limits.items >= 4 && limits.bytes >= 4096,
            "transactions of too little: {limits:?}"
        );
    }
    Ok(())
}

async fn without_strong_reads(arena: Arc<Arena>) -> Verdict {
    let at = arena.at("a");
    arena.put(&at, &item(arena.rev())).await?;
    let backend = &arena.backend;
    refused(ErrorKind::Unsupported, "read", backend.read(&at, Read::STRONG).await)?;
    let many = backend.read_many(std::slice::from_ref(&at), Read::STRONG).await;
    refused(ErrorKind::Unsupported, "read_many", many)?;
    let query = RowQuery::all(Space::Document, Partition::new("a"), Read::STRONG);
    let rows = backend.rows(query).collect::<Vec<_>>().await;
    check!(rows.len() == 1, "a refused read of rows ends after the error: {rows:?}");
    for row in rows {
        refused(ErrorKind::Unsupported, "rows", row)?;
    }
    let listed = backend
        .list(Space::Document, Listing::all(Read::STRONG))
        .collect::<Vec<_>>()
        .await;
    check!(listed.len() == 1, "a refused listing ends after the error: {listed:?}");
    for one in listed {
        refused(ErrorKind::Unsupported, "list", one)?;
    }
    Ok(())
}

async fn without_transactions(arena: Arc<Arena>) -> Verdict {
    let (old, vacant, gone) = (arena.at("old"), arena.at("vacant"), arena.at("gone"));
    let (before, removed) = (item(arena.rev()), item(arena.rev()));
    arena.put(&old, &before).await?;
    arena.put(&gone, &removed).await?;
    let write = Mutation::Write {
        at: old.clone(),
        item: item(arena.rev()),
        when: When::Newer,
    };
    let all = vec![
        write.clone(),
        Mutation::Write {
            at: vacant.clone(),
            item: item(arena.rev()),
            when: When::Absent,
        },
        Mutation::Remove {
            at: gone.clone(),
            rev: arena.rev(),
            when: When::Exists,
        },
    ];
    let error = refused(ErrorKind::Unsupported, "a commit", arena.backend.commit(all).await)?;
    check!(!error.is_retryable(), "trying again cannot help: {error:?}");
    let one = arena.backend.commit(vec![write]).await;
    refused(ErrorKind::Unsupported, "a commit of one", one)?;
    same!(arena.get(&old).await?, Some(before), "what was to be replaced");
    same!(arena.get(&vacant).await?, None, "what was to be created");
    same!(arena.get(&gone).await?, Some(removed), "what was to be removed");
    Ok(())
}
