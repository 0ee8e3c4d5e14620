//! What a plugin may call: sg.*, state.*, log, alert.
