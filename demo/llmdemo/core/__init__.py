"""What every role shares: settings, logs, metrics, servers, clients, misbehaviour. Knows no role."""
