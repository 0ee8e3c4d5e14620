//! What a person must know: grouped by cause, begun, reminded, ended; shown by log, status and mail.
