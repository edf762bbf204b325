"""Monitoring: what its parts are, their configurations, dashboards and alerts. Pure: settings in, texts out."""
