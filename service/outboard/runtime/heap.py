"""Knows what glibc must be told so that a process which handles large payloads gives their memory back."""

import ctypes

_M_MMAP_THRESHOLD = -3

#: Blocks from this size on get pages of their own, which go back to the system when they are freed.
_OWN_PAGES_FROM = 128 * 1024


def give_freed_payloads_back() -> None:
    """Keep the threshold where it starts. glibc raises it to the largest block ever freed, so that later payloads come
    from the heap, where the small things that outlive them keep it from shrinking: 31 MB of messages held were 400 MB
    resident. Other allocators have no such option and need none.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _OWN_PAGES_FROM)
