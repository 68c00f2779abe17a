"""JAX's cache of compiled programs, where several processes share one."""

from pathlib import Path

from mlproject.system.files import written_whole


def write_whole_entries() -> None:
    """Make entries of the cache appear at once, as ``JAX_COMPILATION_CACHE_DIR`` is shared.

    JAX 0.10 writes them in place: who reads one meanwhile gets a part of it, warns and compiles,
    and a process that is killed as it writes leaves a part for ever.
    """
    from jax._src import compilation_cache, lru_cache

    class WholeEntries(lru_cache.LRUCache):
        def put(self, key: str, value: bytes) -> None:
            if self.eviction_enabled or "://" in str(self.path):  # has a lock; no local folder
                super().put(key, value)
            elif not (path := Path(str(self.path)) / f"{key}-cache").exists():
                with written_whole(path) as file:
                    file.write(value)

    compilation_cache.LRUCache = WholeEntries  # type: ignore[misc]
