"""Knows what glibc must be told so that a process which handles large payloads gives their memory back."""

import ctypes

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3

#: Blocks from this size on get pages of their own, which go back to the system when they are freed.
_OWN_PAGES_FROM = 128 * 1024

#: So much more is asked for when the heap grows, and so much may lie free at its top before it is given back. A fixed
#: threshold makes glibc take 128 KiB for both, and the heap of what comes and goes with every batch would grow and
#: shrink with it, a page fault for each 4 KiB.
_GROWS_BY = 8 * 1024 * 1024
_KEPT_FREE = 16 * 1024 * 1024


def give_freed_payloads_back() -> None:
    """Keep the threshold where it starts. glibc raises it to the largest block ever freed, so that later payloads come
    from the heap, where the small things that outlive them keep it from shrinking: 31 MB of messages held were 400 MB
    resident. Other allocators have no such option and need none.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_FROM)
        mallopt(_M_TOP_PAD, _GROWS_BY)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_FREE)
