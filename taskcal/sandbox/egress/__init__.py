"""Network access of a sandbox to listed hosts."""
