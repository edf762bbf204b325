"""What the end-to-end tests of monitoring share."""
