//! Writers on a store in DynamoDB while requests fail in every way: what each of them saw fits one order.

mod processes;
mod seeds;
