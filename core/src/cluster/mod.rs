//! The cluster's facts, the image they fold into, and the controller that decides them.

pub mod additions;
pub mod controller;
pub mod facts;
pub mod image;
pub mod names;
pub mod topics;
