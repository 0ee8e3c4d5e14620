//! Builds every task from the config, starts them in order and stops them in reverse.
