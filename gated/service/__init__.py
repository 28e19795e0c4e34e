"""The gate as a service: systemd, log lines, the time of day, metrics, and the parts that work now."""
