//! The URL form of a configuration.

use std::str::FromStr;

use konserve_core::{Error, ErrorKind, Result};
use url::Url;

use crate::Config;
use crate::config::{Engine, Settings};
use crate::text::Table;

impl Config {
    /// Reads a configuration in its URL form. The scheme is the backend, and the query holds the fields, those of the table
    /// `store` as `store.field`:
    ///
    /// ```text
    /// dynamodb://table?region=us-west-1&namespace=x&endpoint=http://localhost:8000
    /// dynamodb://table?billing.provisioned.read=5&billing.provisioned.write=5&store.consistent_read=true
    /// dynamodb://table?billing.on_demand_up_to.read=1000&tags.team=orders&ttl=false
    /// dynamodb:?table=arn:aws:dynamodb:us-west-1:123456789012:table/orders
    /// memory:
    /// memory:name
    /// ```
    ///
    /// In names and values, `&`, `#`, `%` and `+` must be percent-encoded. Credentials are fields like others; URLs tend to be logged,
    /// so better leave them to the default chain of the AWS SDK or to a `profile`.
    ///
    /// ```
    /// use konserve::Config;
    ///
    /// let config = Config::from_url("memory:sessions?store.codec=json")?;
    /// assert_eq!(config.engine.backend(), "memory");
    /// assert!("memory:sessions?colour=red".parse::<Config>().is_err());
    /// # Ok::<(), konserve::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `config`, naming the field. The URL itself is never part of an error.
    pub fn from_url(url: &str) -> Result<Self> {
        let url = Url::parse(url).map_err(|error| refuse("not a URL").with_source(error))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse(
                "no user in the URL: credentials are the fields access_key_id and secret_access_key",
            ));
        }
        if url.port().is_some() || url.fragment().is_some() {
            return Err(refuse("neither a port nor a fragment in the URL of a store"));
        }
        let mut fields = Table::default();
        if let Some(name) = name(&url)? {
            let field = if url.scheme() == "memory" { "name" } else { "table" };
            fields.insert(field, &name)?;
        }
        for (name, text) in url.query_pairs() {
            fields.insert(&name, &text)?;
        }
        let store = fields.take_table("store")?;
        Ok(Self {
            engine: Engine::read(url.scheme(), fields)?,
            store: store.read()?,
        })
    }
}

impl FromStr for Config {
    type Err = Error;

    /// Reads the URL form; see [`Config::from_url`].
    fn from_str(url: &str) -> Result<Self> {
        Self::from_url(url)
    }
}

/// What the URL names: `scheme://this` or `scheme:this`.
fn name(url: &Url) -> Result<Option<String>> {
    let host = url.host_str().unwrap_or_default();
    let name = match url.path() {
        "" | "/" => host,
        path if host.is_empty() && !path.contains('/') => path,
        _ => return Err(refuse("a single name, without slashes, behind the scheme")),
    };
    let pair = format!("name={}", name.replace('+', "%2B").replace('&', "%26"));
    let decoded = url::form_urlencoded::parse(pair.as_bytes()).next();
    Ok(decoded
        .map(|(_, name)| name.into_owned())
        .filter(|name| !name.is_empty()))
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::Config, message)
}
