"""Garbage collection as the user asks for it: the workspace, and discovery files of the dead."""

from __future__ import annotations

from workbench.serving import discovery
from workbench.store import Store
from workbench.store.gc import collect
from workbench.store.leftovers import remove, size_of


def tidy(store: Store, *, dry_run: bool = False, accept_loss: bool = False) -> dict[str, int]:
    """Removes what nothing needs and what processes that have ended left behind.

    Args:
        store: The workspace.
        dry_run: Only tells what would go.
        accept_loss: Notes what is lost for good in the audit log, forgets it and goes on.

    Returns:
        "files", "bytes", "artifacts", "leftovers", "leftover_bytes", "lost"; see
        `store.gc.collect`.
    """
    stale = discovery.stale()
    sizes = [size_of(path) for path in stale]
    if not dry_run:
        for path in stale:
            remove(path)
    running = [info.id for info in discovery.running(home=store.home.root)]
    freed = collect(store, dry_run=dry_run, endpoints=running, accept_loss=accept_loss)
    freed["leftovers"] += len(stale)
    freed["leftover_bytes"] += sum(sizes)
    return freed
