"""Measures error rates of the whole product and of its models, each with n and bounds."""
