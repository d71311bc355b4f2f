"""What functions are sent: records as the bytes of AWS's event JSON, one module per source; no I/O and no clock."""
