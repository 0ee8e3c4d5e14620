//! Log layers, traffic log, redaction.
