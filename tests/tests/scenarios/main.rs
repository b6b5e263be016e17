//! What programs rely on, the same on memory and on DynamoDB: each scenario runs on both.

mod bad_input;
mod concurrency;
mod damage;
mod overtaken;
mod retired;
mod size;
