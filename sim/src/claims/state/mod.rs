//! What must be true of every broker after every step.

pub mod m01;
pub mod m02;
pub mod m03;
pub mod m04;
pub mod m05;
pub mod m06;
pub mod p03;
pub mod p05;
pub mod p07;
pub mod p08;
pub mod s01;
pub mod s02;
pub mod s03;
pub mod s04;
pub mod s05;
pub mod s06;
pub mod s07;
pub mod s08;
pub mod s09;
pub mod s10;
pub mod s11;
pub mod s14;
pub mod s15;
pub mod s19;
pub mod s21;
pub mod s23;
