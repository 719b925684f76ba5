//! The shell around the machine: tasks that carry bytes to it and back.
