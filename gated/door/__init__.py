"""The latch process: it owns every GPIO line, drives the locks, and watches the leaves of the doors."""
