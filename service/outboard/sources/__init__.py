"""One package per event source; each opens lanes and feeds them."""
