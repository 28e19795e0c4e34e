"""Access decisions: whether a person may pass this gate now. Used by the brain."""
