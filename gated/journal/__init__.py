"""The journal: what happened here, in order, so that nobody can change it unseen."""
