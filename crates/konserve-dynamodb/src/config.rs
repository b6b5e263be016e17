//! The configuration of a store on DynamoDB.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use konserve_core::{Error, ErrorKind, Result};
use serde::Deserialize;

/// Which table a store lives in, and how to reach it.
///
/// Read with `serde` from any format; unknown fields are refused. What is left out comes from the default chains of the
/// AWS SDK (environment, profile, container, instance) or from the defaults named here. `Debug` shows no secret.
///
/// ```
/// use konserve_dynamodb::{Billing, DynamoConfig};
///
/// let mut config = DynamoConfig::new("orders");
/// config.region = Some("us-west-1".into());
/// config.namespace = Some("staging".into());
/// assert_eq!(config.billing, Billing::OnDemand);
/// assert!(config.validate().is_ok());
///
/// config.secret_access_key = Some("xyzzy".into());
/// assert!(!format!("{config:?}").contains("xyzzy"));
/// assert!(config.validate().is_err(), "a secret key without its id");
/// ```
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct DynamoConfig {
    /// The name of the table (3 to 255 of `A-Z a-z 0-9 _ - .`), or its ARN.
    pub table: String,
    /// Lets several stores share one table: 1 to 128 of `A-Z a-z 0-9 _ - .`.
    ///
    /// Without a namespace the store *is* the table: deleting the store drops the table with everything in it, the
    /// stores of all namespaces included. With one, creating, testing and deleting concern the items of the namespace.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The AWS region. Default: `AWS_REGION`, then the profile, then the instance.
    #[serde(default)]
    pub region: Option<String>,
    /// The URL of the endpoint, for local engines and private links. Default: the region's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// Explicit credentials; both this and `secret_access_key`, or neither.
    #[serde(default)]
    pub access_key_id: Option<String>,
    /// Explicit credentials; both this and `access_key_id`, or neither.
    #[serde(default)]
    pub secret_access_key: Option<String>,
    /// The session token that belongs to temporary explicit credentials.
    #[serde(default)]
    pub session_token: Option<String>,
    /// The profile of the AWS configuration files to take region and credentials from.
    #[serde(default)]
    pub profile: Option<String>,
    /// How a table that is created here is paid for. Says nothing about a table that exists.
    #[serde(default)]
    pub billing: Billing,
    /// Whether a table that is created here refuses to be deleted. Says nothing about a table that exists.
    #[serde(default)]
    pub deletion_protection: bool,
    /// The tags of a table that is created here: 50 at most. Says nothing about a table that exists. Needs the right
    /// `dynamodb:TagResource`.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Whether a table that is created here lets DynamoDB erase by itself, at no cost, what ended: expired documents and what
    /// removals leave, a quarter of an hour later or more. Default: yes. Says nothing about a table that exists, where it can be
    /// switched on for the attribute `t` at any time.
    ///
    /// Needs the right `dynamodb:UpdateTimeToLive`. A table where it could not be switched on is used all the same, and a warning
    /// is logged: what ended is absent in any case, and `collect()` removes it as well.
    #[serde(default = "yes")]
    pub ttl: bool,
    /// Whether connecting creates the store when it is missing: the table, and the mark of the namespace. Default: yes.
    #[serde(default = "yes")]
    pub create_table: bool,
    /// The table is somebody else's business: no request is ever made about the table, only about items in it, so that
    /// no rights on the table are needed. The store then has a mark of its own in the table, with or without a
    /// namespace, and deleting the store deletes its items.
    #[serde(default)]
    pub managed_table: bool,
    /// Whether documents are listed through an index that does not have their values, so that what listing costs does not depend on
    /// their size. Default: no.
    ///
    /// The index, `konserve-listing`, is created with the table, or added to a table that exists unless `create_table` is off, and is
    /// used once DynamoDB has put everything into it; until then, listing is a scan. So are consistent listings always: an index
    /// follows its table by and by. Each write of a document takes another write unit for each KB of what is known of it, and a
    /// listing takes 16 requests at least.
    ///
    /// In a managed table it is used once it answers. It must have the partition key `l` and the sort key `pk`, and the attributes
    /// `r`, `m`, `c`, `p`, `x`.
    #[serde(default)]
    pub listing_index: bool,
    /// The most parts of a table that one listing reads at the same time: 1 to 64. A part has a page (1 MB) at least, so that a
    /// small table is read in one. Default: 4.
    #[serde(default = "scan_segments")]
    pub scan_segments: NonZeroU32,
    /// Reports each request to AWS X-Ray, as a subsegment of the current OpenTelemetry context, and sends the trace header
    /// along. Needs the cargo feature `xray`; see `docs/observability.md`.
    #[serde(default)]
    pub x_ray: bool,
    /// Where the X-Ray daemon listens for UDP, as `host:port`. Default: `AWS_XRAY_DAEMON_ADDRESS`, then `127.0.0.1:2000`.
    #[serde(default)]
    pub x_ray_daemon: Option<String>,
    /// Milliseconds to wait for a connection to the endpoint. Default: 3,100.
    #[serde(default = "connect_timeout_ms")]
    pub connect_timeout_ms: u64,
    /// Milliseconds that one attempt of one request may take. Default: 20,000, in which 16 MB come
    /// over a slow line.
    #[serde(default = "attempt_timeout_ms")]
    pub attempt_timeout_ms: u64,
    /// Milliseconds that one request may take with all its attempts, unless its caller's deadline comes first. Default: 60,000; at
    /// most 300,000, so that no request is on its way for longer than tombstones live.
    #[serde(default = "request_timeout_ms")]
    pub request_timeout_ms: u64,
    /// How often a request is sent at most. Default: as often as there is time, and as the budget for repetitions lasts.
    #[serde(default)]
    pub max_attempts: Option<NonZeroU32>,
    /// Milliseconds that connecting or creating may take with all its requests, and that dropping a table may take: mostly the
    /// time that DynamoDB needs to make the table or to drop it. Default: 120,000.
    #[serde(default = "table_timeout_ms")]
    pub table_timeout_ms: u64,
}

/// How a table is paid for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Billing {
    /// For each request.
    #[default]
    OnDemand,
    /// For each request, up to a limit. Requests beyond it are throttled. One of the two at least.
    OnDemandUpTo {
        /// Read request units for each second.
        read: Option<NonZeroU32>,
        /// Write request units for each second.
        write: Option<NonZeroU32>,
    },
    /// For capacity that is reserved by the hour, whether used or not.
    Provisioned {
        /// Read capacity units for each second.
        read: NonZeroU32,
        /// Write capacity units for each second.
        write: NonZeroU32,
    },
}

const LONGEST_NAMESPACE: usize = 128;

/// Tombstones are purged a quarter of an hour after they were made: an attempt that began after this is long over by then.
const LONGEST_REQUEST_MS: u64 = 5 * 60 * 1000;

/// What DynamoDB takes of tags; lengths in characters.
const MOST_TAGS: usize = 50;
const LONGEST_TAG_KEY: usize = 128;
const LONGEST_TAG_VALUE: usize = 256;

fn yes() -> bool {
    true
}

const MOST_SCAN_SEGMENTS: u32 = 64;

fn scan_segments() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(3)
}

fn connect_timeout_ms() -> u64 {
    3_100
}

fn attempt_timeout_ms() -> u64 {
    20_000
}

fn request_timeout_ms() -> u64 {
    60_000
}

fn table_timeout_ms() -> u64 {
    120_000
}

impl DynamoConfig {
    /// A store that is the table of this name, reached with what the default chains of the AWS SDK provide.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            namespace: None,
            region: None,
            endpoint: None,
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            profile: None,
            billing: Billing::default(),
            deletion_protection: false,
            tags: BTreeMap::new(),
            ttl: yes(),
            create_table: yes(),
            managed_table: false,
            listing_index: false,
            scan_segments: scan_segments(),
            x_ray: false,
            x_ray_daemon: None,
            connect_timeout_ms: connect_timeout_ms(),
            attempt_timeout_ms: attempt_timeout_ms(),
            request_timeout_ms: request_timeout_ms(),
            max_attempts: None,
            table_timeout_ms: table_timeout_ms(),
        }
    }

    /// Checks what can be checked without a request.
    ///
    /// # Errors
    ///
    /// `config`, naming the field and what it must be.
    pub fn validate(&self) -> Result<()> {
        let name = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
        let arn = self.table.starts_with("arn:") && self.table.len() <= 1024;
        let named = name(&self.table) && (3..=255).contains(&self.table.len());
        if !(arn || named) {
            return refuse("table: 3 to 255 letters, digits, `_`, `-` and `.`, or an ARN".into());
        }
        if let Some(namespace) = &self.namespace
            && !(name(namespace) && (1..=LONGEST_NAMESPACE).contains(&namespace.len()))
        {
            return refuse(format!(
                "namespace: 1 to {LONGEST_NAMESPACE} letters, digits, `_`, `-` and `.`"
            ));
        }
        if let Some(endpoint) = &self.endpoint
            && !["http://", "https://"]
                .iter()
                .any(|scheme| endpoint.len() > scheme.len() && endpoint.starts_with(scheme))
        {
            return refuse("endpoint: a URL that begins with http:// or https://".into());
        }
        if self.access_key_id.is_some() != self.secret_access_key.is_some() {
            return refuse("access_key_id and secret_access_key: both or neither".into());
        }
        if self.session_token.is_some() && self.access_key_id.is_none() {
            return refuse("session_token: only with access_key_id and secret_access_key".into());
        }
        if let Billing::OnDemandUpTo {
            read: None,
            write: None,
        } = self.billing
        {
            return refuse("billing: on_demand_up_to with read, write or both".into());
        }
        self.validate_tags()?;
        if self.managed_table
            && (self.billing != Billing::OnDemand || self.deletion_protection || !self.tags.is_empty())
        {
            return refuse(
                "billing, deletion_protection and tags: not with managed_table, which never creates a table".into(),
            );
        }
        check_x_ray(self, cfg!(feature = "xray"))?;
        if self.scan_segments.get() > MOST_SCAN_SEGMENTS {
            return refuse(format!("scan_segments: 1 to {MOST_SCAN_SEGMENTS}"));
        }
        for (field, value) in [
            ("connect_timeout_ms", self.connect_timeout_ms),
            ("attempt_timeout_ms", self.attempt_timeout_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("table_timeout_ms", self.table_timeout_ms),
        ] {
            if value == 0 {
                return refuse(format!("{field}: at least 1"));
            }
        }
        if self.request_timeout_ms > LONGEST_REQUEST_MS {
            return refuse(format!("request_timeout_ms: at most {LONGEST_REQUEST_MS}"));
        }
        Ok(())
    }

    fn validate_tags(&self) -> Result<()> {
        if self.tags.len() > MOST_TAGS {
            return refuse(format!("tags: at most {MOST_TAGS}"));
        }
        for (key, value) in &self.tags {
            let is_named = (1..=LONGEST_TAG_KEY).contains(&key.chars().count()) && !key.starts_with("aws:");
            if !is_named {
                return refuse(format!(
                    "tags: a name of 1 to {LONGEST_TAG_KEY} characters that does not begin with `aws:`"
                ));
            }
            if value.chars().count() > LONGEST_TAG_VALUE {
                return refuse(format!("tags: a value of at most {LONGEST_TAG_VALUE} characters"));
            }
        }
        Ok(())
    }

    /// Whether the store is the whole table, and not marked items in it.
    pub(crate) fn is_whole_table(&self) -> bool {
        self.namespace.is_none() && !self.managed_table
    }

    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    pub(crate) fn table_timeout(&self) -> Duration {
        Duration::from_millis(self.table_timeout_ms)
    }
}

impl fmt::Debug for DynamoConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = |secret: &Option<String>| secret.as_ref().map(|_| "<hidden>");
        f.debug_struct("DynamoConfig")
            .field("table", &self.table)
            .field("namespace", &self.namespace)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint.as_deref().map(without_userinfo))
            .field("access_key_id", &hidden(&self.access_key_id))
            .field("secret_access_key", &hidden(&self.secret_access_key))
            .field("session_token", &hidden(&self.session_token))
            .field("profile", &self.profile)
            .field("billing", &self.billing)
            .field("deletion_protection", &self.deletion_protection)
            .field("tags", &self.tags)
            .field("ttl", &self.ttl)
            .field("create_table", &self.create_table)
            .field("managed_table", &self.managed_table)
            .field("listing_index", &self.listing_index)
            .field("scan_segments", &self.scan_segments)
            .field("x_ray", &self.x_ray)
            .field("x_ray_daemon", &self.x_ray_daemon)
            .field("connect_timeout_ms", &self.connect_timeout_ms)
            .field("attempt_timeout_ms", &self.attempt_timeout_ms)
            .field("request_timeout_ms", &self.request_timeout_ms)
            .field("max_attempts", &self.max_attempts)
            .field("table_timeout_ms", &self.table_timeout_ms)
            .finish()
    }
}

fn check_x_ray(config: &DynamoConfig, compiled: bool) -> Result<()> {
    if config.x_ray && !compiled {
        return refuse("x_ray: this program was built without the cargo feature `xray` of konserve".into());
    }
    if config.x_ray_daemon.is_some() && !config.x_ray {
        return refuse("x_ray_daemon: only with x_ray".into());
    }
    Ok(())
}

fn refuse(message: String) -> Result<()> {
    Err(Error::new(ErrorKind::Config, message))
}

/// A URL can carry a password before its host.
fn without_userinfo(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host_at = rest[..rest.find('/').unwrap_or(rest.len())]
                .rfind('@')
                .map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host_at..])
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x_ray_is_refused_by_a_build_without_it_and_the_feature_is_named() {
        let mut config = DynamoConfig::new("orders");
        assert!(check_x_ray(&config, false).is_ok(), "it is not asked for");
        config.x_ray = true;
        assert!(check_x_ray(&config, true).is_ok());
        let error = check_x_ray(&config, false).expect_err("an error");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("feature `xray`"), "{error}");
    }
}
