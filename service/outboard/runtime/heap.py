"""Knows what Python and glibc must be told so that a process which handles many records and large payloads is quick
and gives its memory back.
"""

import ctypes
import gc

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


#: New objects after which Python looks for cycles among them; records come by the thousand and are in none.
_COLLECTED_EVERY = 10_000


def start_collecting() -> None:
    """From now on. What is there is there to stay, some hundred thousand objects of the libraries, and is passed over:
    looking through it again and again would take a tenth of the start, and milliseconds at a time later.
    """
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, 10, 10)
    gc.enable()
