"""Checks of a gate for its installer: findings, each with the next step, and the handover page."""
