//! The admin API: what the CLI asks a running daemon.
