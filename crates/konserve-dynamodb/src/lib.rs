//! konserve-dynamodb
