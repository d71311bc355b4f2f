"""What the user wrote: mappings with AWS's names, the blocks beside them, and every problem with them as a sentence."""
