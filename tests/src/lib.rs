//! Tests of the whole house: tidy rules, real clients, golden bytes.
