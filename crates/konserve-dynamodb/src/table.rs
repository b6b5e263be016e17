//! The table and the store in it: created, opened, looked for, deleted.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, OnDemandThroughput, ProvisionedThroughput,
    ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, ScalarAttributeType, TableDescription, TableStatus,
    Tag,
};
use bytes::Bytes;
use konserve_core::{Error, ErrorKind, Outcome, Result};

use crate::config::{Billing, DynamoConfig};
use crate::connection::Connection;
use crate::index::with_index;
use crate::layout;
use crate::purge::partly;
use crate::setup::Setup;

/// The version of the layout that this crate writes, and the highest that it reads.
const LAYOUT_VERSION: u32 = 1;

const KEYS: [(&str, KeyType, ScalarAttributeType); 2] = [
    ("pk", KeyType::Hash, ScalarAttributeType::S),
    ("sk", KeyType::Range, ScalarAttributeType::N),
];

impl Connection {
    /// Creates the store and says by what it is known; `already_exists` if there is one.
    pub(crate) async fn create_store(&self, setup: &Setup) -> Result<Option<String>> {
        let config = &setup.config;
        let exists = || {
            let name = config.namespace.as_deref().unwrap_or(&config.table);
            Error::new(ErrorKind::AlreadyExists, format!("there is a store {name}"))
        };
        if config.is_whole_table() {
            let mut wait = setup.wait();
            loop {
                match self.describe().await? {
                    Some(table) if table.table_status() == Some(&TableStatus::Deleting) => {
                        wait.pause(Some("DELETING")).await?;
                    }
                    Some(_) => return Err(exists()),
                    None if self.create_table(setup).await? => {
                        let table = Box::pin(self.usable(setup, Missing::Wait)).await.map_err(partly)?;
                        return Ok(identity(config, table, None));
                    }
                    None => wait.pause(None).await?,
                }
            }
        }
        let table = self.usable_unless_managed(setup).await?;
        match self.put_mark().await? {
            Some(mark) => Ok(identity(config, table, Some(mark))),
            None => Err(exists()),
        }
    }

    /// Opens the store and says by what it is known; creates it when it is missing and the configuration allows it.
    pub(crate) async fn open_store(&self, setup: &Setup) -> Result<Option<String>> {
        let config = &setup.config;
        let table = self.usable_unless_managed(setup).await?;
        if config.is_whole_table() {
            return Ok(identity(config, table, None));
        }
        if let Some(mark) = self.mark().await? {
            return Ok(identity(config, table, Some(mark)));
        }
        if !config.create_table {
            return Err(no_store(config));
        }
        let mark = match self.put_mark().await {
            Ok(Some(mark)) => Some(mark),
            // Somebody else was faster, which is as good.
            Ok(None) => self.mark().await?,
            // So is an answer that was lost.
            Err(error) if error.outcome() == Outcome::Unknown => Some(self.mark().await?.ok_or(error)?),
            Err(error) => return Err(error),
        };
        Ok(identity(config, table, mark))
    }

    /// Whether there is such a store.
    pub(crate) async fn store_exists(&self, config: &DynamoConfig) -> Result<bool> {
        if config.is_whole_table() {
            return self.is_present(config).await;
        }
        match self.mark().await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            mark => Ok(mark?.is_some()),
        }
    }

    /// Deletes the store; `not_found` if there is none.
    pub(crate) async fn delete_store(&self, setup: &Setup) -> Result<()> {
        let config = &setup.config;
        if !setup.in_time(self.store_exists(config)).await? {
            return Err(no_store(config));
        }
        if config.is_whole_table() {
            return setup.in_time(self.drop_table(setup)).await;
        }
        // This takes as long as there are items, whatever the time for tables is. What a handle that is still open writes behind
        // the scan is found by the next one.
        loop {
            let (mut start, mut found) = (None, false);
            loop {
                let (keys, next) = self.keys_of_store(start).await.map_err(partly)?;
                found |= !keys.is_empty();
                self.erase(keys).await?;
                start = next;
                if start.is_none() {
                    break;
                }
            }
            if !found {
                break;
            }
        }
        // Last, so that a deletion that was interrupted can be repeated.
        self.erase(vec![self.layout.mark()]).await
    }

    /// Whether the table is there, and not about to go.
    async fn is_present(&self, config: &DynamoConfig) -> Result<bool> {
        match self.describe().await? {
            Some(table) if table.table_status() != Some(&TableStatus::Deleting) => {
                check_keys(config, &table)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Waits until the table can be used, if it may be asked for, and says which one it is.
    async fn usable_unless_managed(&self, setup: &Setup) -> Result<Option<String>> {
        match setup.config.managed_table {
            true => Ok(None),
            false => Box::pin(self.usable(setup, Missing::by(&setup.config))).await,
        }
    }

    /// Waits until the table can be used, and says which one it is, if DynamoDB does.
    async fn usable(&self, setup: &Setup, missing: Missing) -> Result<Option<String>> {
        let config = &setup.config;
        let mut wait = setup.wait();
        let mut is_new = matches!(missing, Missing::Wait);
        loop {
            let described = self.describe().await?;
            let status = match &described {
                None => match missing {
                    Missing::Refuse => {
                        let message = format!("there is no table {}", config.table);
                        return Err(Error::new(ErrorKind::NotFound, message));
                    }
                    Missing::Wait => None,
                    Missing::Create => match self.create_table(setup).await {
                        Ok(true) => {
                            is_new = true;
                            continue;
                        }
                        // Another creator was faster, or the answer was lost: the next look tells.
                        Ok(false) => None,
                        Err(error) if error.outcome() == Outcome::Unknown => {
                            is_new = true;
                            None
                        }
                        Err(error) => return Err(error),
                    },
                },
                Some(table) => match state(config, table)? {
                    State::Usable => {
                        check_keys(config, table)?;
                        if is_new && config.ttl {
                            Box::pin(self.switch_time_to_live_on()).await;
                        }
                        return Ok(table.table_id.clone());
                    }
                    State::Changing(status) => {
                        // Whoever makes it may not live to finish it.
                        is_new |= *status == TableStatus::Creating && config.create_table;
                        Some(status.as_str())
                    }
                },
            };
            wait.pause(status).await?;
        }
    }

    async fn drop_table(&self, setup: &Setup) -> Result<()> {
        let mut wait = setup.wait();
        let mut asked = None;
        loop {
            let may_be_gone = asked.is_some();
            let perhaps = |error: Error| if may_be_gone { partly(error) } else { error };
            let Some(table) = self.describe().await.map_err(perhaps)? else {
                return Ok(());
            };
            // Somebody has already made a new one of this name.
            if asked.as_ref().is_some_and(|id| *id != table.table_id) {
                return Ok(());
            }
            if table.deletion_protection_enabled() == Some(true) {
                let message = format!("table {} is protected against deletion", setup.config.table);
                return Err(Error::new(ErrorKind::Denied, message));
            }
            let status = table.table_status();
            let is_changing = matches!(
                status,
                Some(TableStatus::Creating | TableStatus::Updating | TableStatus::Deleting)
            );
            // One that cannot be used can still be deleted.
            if !is_changing && asked.is_none() && self.delete_table().await? {
                asked = Some(table.table_id);
                continue;
            }
            wait.pause(status.map(TableStatus::as_str)).await.map_err(perhaps)?;
        }
    }

    pub(crate) async fn describe(&self) -> Result<Option<TableDescription>> {
        let mut call = self.call("DescribeTable", false)?;
        let describe = self.client.describe_table().table_name(self.layout.table());
        loop {
            match call.attempt(Box::pin(describe.clone().send())).await {
                Ok(output) => {
                    let bytes = output.table().and_then(TableDescription::table_size_bytes);
                    self.parts.saw_bytes(bytes.unwrap_or_default());
                    return Ok(output.table);
                }
                Err(SdkError::ServiceError(context)) if context.err().is_resource_not_found_exception() => {
                    return Ok(None);
                }
                Err(error) => call.again(call.failed(error)).await?,
            }
        }
    }

    /// Asks for the table; `false` when there is one.
    async fn create_table(&self, setup: &Setup) -> Result<bool> {
        let config = &setup.config;
        let incomplete = |error| Error::new(ErrorKind::Config, "incomplete settings of a table").with_source(error);
        let mut create = self
            .client
            .create_table()
            .table_name(self.layout.table())
            .set_deletion_protection_enabled(config.deletion_protection.then_some(true));
        for (name, role, scalar) in KEYS {
            let key = KeySchemaElement::builder().attribute_name(name).key_type(role).build();
            let attribute = AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(scalar)
                .build();
            create = create
                .key_schema(key.map_err(incomplete)?)
                .attribute_definitions(attribute.map_err(incomplete)?);
        }
        create = match config.billing {
            Billing::OnDemand => create.billing_mode(BillingMode::PayPerRequest),
            Billing::OnDemandUpTo { read, write } => {
                create.billing_mode(BillingMode::PayPerRequest).on_demand_throughput(
                    OnDemandThroughput::builder()
                        .set_max_read_request_units(read.map(|units| i64::from(units.get())))
                        .set_max_write_request_units(write.map(|units| i64::from(units.get())))
                        .build(),
                )
            }
            Billing::Provisioned { read, write } => {
                create.billing_mode(BillingMode::Provisioned).provisioned_throughput(
                    ProvisionedThroughput::builder()
                        .read_capacity_units(i64::from(read.get()))
                        .write_capacity_units(i64::from(write.get()))
                        .build()
                        .map_err(incomplete)?,
                )
            }
        };
        for (key, value) in &config.tags {
            create = create.tags(Tag::builder().key(key).value(value).build().map_err(incomplete)?);
        }
        create = with_index(create, config)?;
        if let Some(customize) = &setup.hooks.create_table {
            let keys = create.get_key_schema().clone();
            // What makes it this table, and one that a store can lie in, is not for a hook to change.
            create = customize(create).table_name(self.layout.table()).set_key_schema(keys);
        }
        let mut call = self.call("CreateTable", true)?;
        loop {
            match call.attempt(Box::pin(create.clone().send())).await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(context)) if context.err().is_resource_in_use_exception() => {
                    return Ok(false);
                }
                Err(error) => call.again_if_certain(call.failed(error)).await?,
            }
        }
    }

    /// Asks for the end of the table; `false` when it is being changed and the question must wait.
    async fn delete_table(&self) -> Result<bool> {
        let mut call = self.call("DeleteTable", true)?;
        let delete = self.client.delete_table().table_name(self.layout.table());
        loop {
            match call.attempt(Box::pin(delete.clone().send())).await {
                Ok(_) => return Ok(true),
                Err(SdkError::ServiceError(context)) if context.err().is_resource_not_found_exception() => {
                    return Ok(true);
                }
                Err(SdkError::ServiceError(context)) if context.err().is_resource_in_use_exception() => {
                    return Ok(false);
                }
                Err(error) => call.again_if_certain(call.failed(error)).await?,
            }
        }
    }

    /// When the mark of the store was put, as it says; `None` when there is none.
    async fn mark(&self) -> Result<Option<String>> {
        let Some(mark) = self.get(self.layout.mark(), true, None).await? else {
            return Ok(None);
        };
        let created = mark.get("c").and_then(|created| created.as_n().ok());
        let version = mark.get("v").and_then(|version| version.as_n().ok());
        match version.and_then(|version| version.parse::<u32>().ok()) {
            Some(version) if version <= LAYOUT_VERSION => Ok(Some(created.cloned().unwrap_or_default())),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "the store in table {} has a layout that this version does not know",
                    self.layout.table()
                ),
            )),
        }
    }

    /// Puts the mark of the store and says when; `None` when there is one.
    async fn put_mark(&self) -> Result<Option<String>> {
        // Who marks it twice, because the first answer was lost, finds a mark of its own.
        let id = layout::binary(Bytes::copy_from_slice(&self.environment.random_id()));
        let created = self.now().as_millis();
        let mut call = self.call("PutItem", true)?;
        let put = self
            .client
            .put_item()
            .table_name(self.layout.table())
            .set_item(Some(self.layout.mark()))
            .item("v", layout::decimal(LAYOUT_VERSION))
            .item("c", layout::decimal(created))
            .item("i", id.clone())
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        loop {
            let error = match call.attempt(Box::pin(put.clone().send())).await {
                Ok(_) => return Ok(Some(created.to_string())),
                Err(error) => error,
            };
            if let Some(PutItemError::ConditionalCheckFailedException(refused)) = error.as_service_error() {
                let there = refused.item().and_then(|mark| mark.get("i"));
                return Ok((there == Some(&id)).then(|| created.to_string()));
            }
            call.again(call.failed(error)).await?;
        }
    }
}

/// What to do about a table that is missing.
#[derive(Debug, Clone, Copy)]
enum Missing {
    Create,
    /// It was created, and not every server of DynamoDB knows yet.
    Wait,
    Refuse,
}

impl Missing {
    fn by(config: &DynamoConfig) -> Self {
        match config.create_table {
            true => Self::Create,
            false => Self::Refuse,
        }
    }
}

/// What can be done with a table.
enum State<'a> {
    Usable,
    /// Nothing yet.
    Changing(&'a TableStatus),
}

/// What can be done with a table by its own status: those of its replicas and indexes do not matter.
///
/// # Errors
///
/// For a table that somebody has to do something about first, saying what: `denied` while DynamoDB cannot use its key, `config`
/// when it was archived for that, `unsupported` in a status that this version does not know.
fn state<'a>(config: &DynamoConfig, table: &'a TableDescription) -> Result<State<'a>> {
    let refuse = |kind, status: &str, what: &str| {
        let message = format!("table {} is {status}: {what}", config.table);
        Err(Error::new(kind, message))
    };
    match table.table_status() {
        // The last one is about a replica in another account; reads and writes go on.
        Some(TableStatus::Active | TableStatus::Updating | TableStatus::ReplicationNotAuthorized) => Ok(State::Usable),
        Some(status @ (TableStatus::Creating | TableStatus::Deleting)) => Ok(State::Changing(status)),
        Some(status @ TableStatus::InaccessibleEncryptionCredentials) => refuse(
            ErrorKind::Denied,
            status.as_str(),
            "DynamoDB cannot use the KMS key that it is encrypted with; enable the key and its grants within seven days",
        ),
        Some(status @ (TableStatus::Archiving | TableStatus::Archived)) => refuse(
            ErrorKind::Config,
            status.as_str(),
            "DynamoDB could not use its KMS key for seven days and made a backup of it; restore that as another table",
        ),
        Some(status) => refuse(
            ErrorKind::Unsupported,
            status.as_str(),
            "a status that this version does not know",
        ),
        None => refuse(
            ErrorKind::Unsupported,
            "without a status",
            "not an answer of DynamoDB as it is known",
        ),
    }
}

/// What tells the store from all others: by the id that DynamoDB gives each table, whoever asks, through whatever endpoint. A
/// managed table is not asked for; there the mark of the store has to do, of which no other table of that name has one that
/// was put at the same millisecond.
fn identity(config: &DynamoConfig, table: Option<String>, mark: Option<String>) -> Option<String> {
    let table = match config.managed_table {
        true => format!("{}@{}", config.table, mark?),
        false => table?,
    };
    let namespace = config.namespace.as_deref().unwrap_or_default();
    Some(format!("dynamodb:{table}/{namespace}"))
}

fn no_store(config: &DynamoConfig) -> Error {
    let table = &config.table;
    let message = match &config.namespace {
        Some(namespace) => format!("there is no store {namespace} in table {table}"),
        None => format!("there is no store {table}"),
    };
    Error::new(ErrorKind::NotFound, message)
}

/// Says what was found and what is needed when the keys are not those of the layout.
fn check_keys(config: &DynamoConfig, table: &TableDescription) -> Result<()> {
    let describe = |name: &str, role: &KeyType, scalar: &str| format!("{name} ({scalar}, {role})");
    let found: Vec<String> = table
        .key_schema()
        .iter()
        .map(|key| {
            let definition = table.attribute_definitions().iter();
            let scalar = definition
                .filter(|definition| definition.attribute_name() == key.attribute_name())
                .map(|definition| definition.attribute_type().as_str())
                .next()
                .unwrap_or("?");
            describe(key.attribute_name(), key.key_type(), scalar)
        })
        .collect();
    let needed = KEYS.map(|(name, role, scalar)| describe(name, &role, scalar.as_str()));
    if found == needed {
        return Ok(());
    }
    let (table, found, needed) = (&config.table, found.join(", "), needed.join(", "));
    Err(Error::new(
        ErrorKind::Config,
        format!("table {table} has the keys {found}, but a store needs {needed}"),
    ))
}
