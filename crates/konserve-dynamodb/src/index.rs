//! The listing index: made with the table or added to it, and used once everything is in it.
//!
//! It is sparse, since only documents have its partition key, and small, since it does not have their bodies. DynamoDB fills it by and
//! by, and answers no question about it before that is done.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, CreateGlobalSecondaryIndexAction, GlobalSecondaryIndex,
    GlobalSecondaryIndexDescription, GlobalSecondaryIndexUpdate, IndexStatus, KeySchemaElement, KeyType, Projection,
    ProjectionType, ProvisionedThroughput, ReturnConsumedCapacity, ScalarAttributeType, TableDescription,
};
use konserve_core::{Error, ErrorKind, Outcome, Result, backend};

use crate::config::{Billing, DynamoConfig};
use crate::connection::Connection;
use crate::layout;

/// The name of the index.
pub(crate) const NAME: &str = "konserve-listing";

const KEYS: [(&str, KeyType); 2] = [("l", KeyType::Hash), ("pk", KeyType::Range)];

/// What a listing needs beside the keys, which every index has.
const PROJECTED: [&str; 5] = ["r", "m", "c", "p", "x"];

/// A table that is created with its index, where one is wanted.
pub(crate) fn with_index(create: CreateTableFluentBuilder, config: &DynamoConfig) -> Result<CreateTableFluentBuilder> {
    if !config.listing_index {
        return Ok(create);
    }
    let throughput = match config.billing {
        Billing::Provisioned { read, write } => Some(throughput(read.get().into(), write.get().into())?),
        _ => None,
    };
    let index = GlobalSecondaryIndex::builder()
        .index_name(NAME)
        .set_key_schema(Some(key_schema()?))
        .projection(projection())
        .set_provisioned_throughput(throughput)
        .build()
        .map_err(incomplete)?;
    Ok(create
        .attribute_definitions(attribute("l")?)
        .global_secondary_indexes(index))
}

/// How long a listing waits for the answer whether the index is complete.
const LOOK: std::time::Duration = std::time::Duration::from_secs(2);

impl Connection {
    /// Uses the index if it is wanted and complete, and adds one that is wanted and missing if the configuration allows it.
    pub(crate) async fn open_index(&self, config: &DynamoConfig) -> Result<()> {
        if !self.parts.index_is_due() {
            return Ok(());
        }
        if config.managed_table {
            return self.try_index().await;
        }
        let Some(table) = self.describe().await? else {
            return Ok(());
        };
        match find(&table) {
            Some(index) => self.take_index(index),
            None if config.create_table => self.add_index(&table).await,
            None => Ok(()),
        }
    }

    /// Looks again, some time after an index was not complete. It is as good as not complete when that cannot be found out.
    pub(crate) async fn recheck_index(&self) {
        if !self.parts.index_is_due() {
            return;
        }
        let look = async {
            if self.managed_table {
                return self.try_index().await;
            }
            let table = self.describe().await?;
            let index = table.as_ref().and_then(find);
            index.map_or(Ok(()), |index| self.take_index(index))
        };
        // A listing waits for it.
        let checked = backend::until(tokio::time::Instant::now() + LOOK, look).await;
        if let Err(error) = checked {
            let table = self.layout.table();
            tracing::warn!(
                table,
                kind = error.kind().as_str(),
                "whether the listing index is complete is not known"
            );
        }
    }

    fn take_index(&self, index: &GlobalSecondaryIndexDescription) -> Result<()> {
        check(self.layout.table(), index)?;
        if index.index_status() == Some(&IndexStatus::Active) && index.backfilling() != Some(true) {
            self.parts.index_is_complete();
        }
        Ok(())
    }

    /// Uses the index if it answers, in a table about which nothing may be asked: DynamoDB refuses questions about an index that it
    /// is still filling.
    async fn try_index(&self) -> Result<()> {
        let probe = self
            .client
            .query()
            .table_name(self.layout.table())
            .index_name(NAME)
            .key_condition_expression("l = :l")
            .expression_attribute_values(":l", AttributeValue::S(self.layout.prefix().to_owned()))
            .projection_expression(layout::WITHOUT_BODY)
            .limit(1)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.ask("Query", || probe.clone().send()).await {
            Ok(_) => {
                self.parts.index_is_complete();
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Asks for the index. DynamoDB fills it in the background.
    async fn add_index(&self, table: &TableDescription) -> Result<()> {
        let mode = table.billing_mode_summary().and_then(|summary| summary.billing_mode());
        let reserved = table.provisioned_throughput().and_then(|reserved| {
            let units = (reserved.read_capacity_units()?, reserved.write_capacity_units()?);
            (mode != Some(&BillingMode::PayPerRequest) && units > (0, 0)).then_some(units)
        });
        let create = CreateGlobalSecondaryIndexAction::builder()
            .index_name(NAME)
            .set_key_schema(Some(key_schema()?))
            .projection(projection())
            .set_provisioned_throughput(reserved.map(|(read, write)| throughput(read, write)).transpose()?)
            .build()
            .map_err(incomplete)?;
        let update = self
            .client
            .update_table()
            .table_name(self.layout.table())
            .attribute_definitions(attribute("l")?)
            .attribute_definitions(attribute("pk")?)
            .global_secondary_index_updates(GlobalSecondaryIndexUpdate::builder().create(create).build());
        let mut call = self.call("UpdateTable", true)?;
        loop {
            let error = match call.attempt(update.clone().send()).await {
                Ok(_) => return Ok(()),
                // Something is being done to the table, perhaps this very thing by somebody else. The next handle tries again.
                Err(SdkError::ServiceError(context)) if context.err().is_resource_in_use_exception() => return Ok(()),
                Err(SdkError::ServiceError(context)) if context.err().is_limit_exceeded_exception() => return Ok(()),
                Err(error) => call.failed(error),
            };
            match call.again_if_certain(error).await {
                // Whether it was done shows when the index is looked at again.
                Err(error) if error.outcome() == Outcome::Unknown => return Ok(()),
                answer => answer?,
            }
        }
    }
}

fn find(table: &TableDescription) -> Option<&GlobalSecondaryIndexDescription> {
    let mut indexes = table.global_secondary_indexes().iter();
    indexes.find(|index| index.index_name() == Some(NAME))
}

/// Says what was found and what is needed when an index of this name is another one.
fn check(table: &str, index: &GlobalSecondaryIndexDescription) -> Result<()> {
    let keys = index.key_schema().iter();
    let found: Vec<_> = keys.map(|key| (key.attribute_name(), key.key_type().clone())).collect();
    let projection = index.projection();
    let whole = projection.and_then(|projection| projection.projection_type()) == Some(&ProjectionType::All);
    let projected = projection.map(Projection::non_key_attributes).unwrap_or_default();
    let has = |name: &&str| whole || projected.iter().any(|projected| projected == name);
    if found == KEYS && PROJECTED.iter().all(has) {
        return Ok(());
    }
    let (needed, found) = (PROJECTED.join(", "), projected.join(", "));
    Err(Error::new(
        ErrorKind::Config,
        format!(
            "index {NAME} of table {table} must have the keys l and pk and the attributes {needed}, but has the attributes {found}"
        ),
    ))
}

fn key_schema() -> Result<Vec<KeySchemaElement>> {
    let keys = KEYS.into_iter();
    keys.map(|(name, role)| {
        let key = KeySchemaElement::builder().attribute_name(name).key_type(role);
        key.build().map_err(incomplete)
    })
    .collect()
}

fn attribute(name: &str) -> Result<AttributeDefinition> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(ScalarAttributeType::S)
        .build()
        .map_err(incomplete)
}

fn projection() -> Projection {
    Projection::builder()
        .projection_type(ProjectionType::Include)
        .set_non_key_attributes(Some(PROJECTED.map(str::to_owned).to_vec()))
        .build()
}

fn throughput(read: i64, write: i64) -> Result<ProvisionedThroughput> {
    ProvisionedThroughput::builder()
        .read_capacity_units(read)
        .write_capacity_units(write)
        .build()
        .map_err(incomplete)
}

fn incomplete(error: aws_sdk_dynamodb::error::BuildError) -> Error {
    Error::new(ErrorKind::Config, "incomplete settings of an index").with_source(error)
}
