"""Where positions are kept, for the sources that do not keep them themselves."""
