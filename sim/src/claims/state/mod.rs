//! What must be true of every broker after every step.

pub mod s01;
pub mod s02;
pub mod s08;
pub mod s09;
pub mod s10;
pub mod s11;
pub mod s14;
