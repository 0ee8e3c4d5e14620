//! The file: defaults, validation, errors with line numbers.
