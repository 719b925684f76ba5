//! The client against a scripted cluster.

mod connections;
mod consuming;
mod groups;
mod producing;
mod storm;
