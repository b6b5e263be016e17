//! What is read from every answer, whatever was asked.

use aws_sdk_dynamodb::operation::RequestId;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::create_table::CreateTableOutput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::delete_table::DeleteTableOutput;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::transact_get_items::TransactGetItemsOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::operation::update_table::UpdateTableOutput;
use aws_sdk_dynamodb::operation::update_time_to_live::UpdateTimeToLiveOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;

/// An answer of DynamoDB.
pub(crate) trait Answer: RequestId {
    /// The capacity that it took, by table.
    fn consumed(&self) -> &[ConsumedCapacity];

    /// The capacity units that it took.
    fn capacity(&self) -> f64 {
        self.consumed()
            .iter()
            .filter_map(ConsumedCapacity::capacity_units)
            .sum()
    }
}

macro_rules! answers {
    ($($output:ty: |$answer:ident| $consumed:expr),* $(,)?) => {
        $(impl Answer for $output {
            fn consumed(&self) -> &[ConsumedCapacity] {
                let $answer = self;
                $consumed
            }
        })*
    };
}

answers! {
    GetItemOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    PutItemOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    UpdateItemOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    DeleteItemOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    QueryOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    ScanOutput: |answer| answer.consumed_capacity().map_or(&[], std::slice::from_ref),
    BatchGetItemOutput: |answer| answer.consumed_capacity(),
    BatchWriteItemOutput: |answer| answer.consumed_capacity(),
    TransactGetItemsOutput: |answer| answer.consumed_capacity(),
    TransactWriteItemsOutput: |answer| answer.consumed_capacity(),
    CreateTableOutput: |_answer| &[],
    DeleteTableOutput: |_answer| &[],
    DescribeTableOutput: |_answer| &[],
    UpdateTimeToLiveOutput: |_answer| &[],
    UpdateTableOutput: |_answer| &[],
}
