//! Child processes: shim, spawn thread, kill ladder, recorded children. Knows no JSON.
