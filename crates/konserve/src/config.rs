//! The configuration of a store: which engine, its settings, and how the store behaves.

use std::fmt;

use konserve_core::value::{Map, from_value};
use konserve_core::{Error, ErrorKind, Result, Value};
use serde::Deserialize;
use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, Visitor};

#[cfg(feature = "dynamodb")]
use konserve_dynamodb::DynamoConfig;

use crate::Options;

/// Which store to open: the engine with its settings, and how the store behaves.
///
/// Read with `serde` from any self-describing format, or from a URL. The field `backend` names the engine, `store` holds the
/// [`Options`], and all others are the engine's own: those of `DynamoConfig` or of [`MemoryConfig`]. Unknown fields are
/// refused. Neither `Debug` nor any error shows a secret.
///
/// ```
/// use konserve::Config;
///
/// # #[cfg(feature = "dynamodb")] {
/// let config: Config = toml::from_str(
///     r#"
///     backend = "dynamodb"
///     table = "orders"
///     region = "us-west-1"
///
///     [store]
///     consistent_read = true
///     "#,
/// )?;
/// assert!(config.store.consistent_read);
/// let same = Config::from_url("dynamodb://orders?region=us-west-1&store.consistent_read=true")?;
/// assert_eq!(same, config);
///
/// let error = Config::from_url("dynamodb://orders?reqion=us-west-1").unwrap_err();
/// assert!(error.to_string().contains("`reqion`"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The engine with its settings.
    pub engine: Engine,
    /// How the store behaves, whatever the engine.
    pub store: Options,
}

/// An engine with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant)] // there is one for each store, and a box would be in everybody's way
pub enum Engine {
    /// Amazon DynamoDB: `backend = "dynamodb"`.
    #[cfg(feature = "dynamodb")]
    DynamoDb(DynamoConfig),
    /// The memory of this process: `backend = "memory"`.
    #[cfg(feature = "memory")]
    Memory(MemoryConfig),
    /// An engine that this build lacks. It can be configured, so that one configuration serves several builds; whatever is
    /// done with it is answered `unsupported`.
    NotBuilt {
        /// The name of the engine, and of the feature that brings it.
        feature: &'static str,
    },
}

/// The settings of a store in the memory of this process.
///
/// Connecting opens the store of the name, or makes it. Without a name it makes a new store each time, which ends with
/// its last handle.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryConfig {
    /// The name by which this process finds the store again.
    #[serde(default)]
    pub name: Option<String>,
}

/// The engines that there are, in this build or not.
const BACKENDS: [&str; 2] = ["dynamodb", "memory"];

impl Config {
    /// The store of this engine with default options.
    pub fn new(engine: impl Into<Engine>) -> Self {
        Self {
            engine: engine.into(),
            store: Options::default(),
        }
    }

    /// How the store behaves.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.store = options;
        self
    }
}

impl MemoryConfig {
    /// The store of this name.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
        }
    }
}

impl Engine {
    /// The name of the engine, as in the field `backend`.
    pub fn backend(&self) -> &'static str {
        match self {
            #[cfg(feature = "dynamodb")]
            Self::DynamoDb(_) => "dynamodb",
            #[cfg(feature = "memory")]
            Self::Memory(_) => "memory",
            Self::NotBuilt { feature } => feature,
        }
    }

    /// The names of the settings of an engine; `None` when there is no such engine in this build.
    fn settings(backend: &str) -> Option<&'static [&'static str]> {
        match backend {
            #[cfg(feature = "dynamodb")]
            "dynamodb" => Some(crate::fields::names::<DynamoConfig>()),
            #[cfg(feature = "memory")]
            "memory" => Some(crate::fields::names::<MemoryConfig>()),
            _ => None,
        }
    }

    /// The engine of this name with these settings.
    pub(crate) fn read<S: Settings>(backend: &str, settings: S) -> Result<Self> {
        #[cfg(not(any(feature = "dynamodb", feature = "memory")))]
        drop(settings);
        match backend {
            #[cfg(feature = "dynamodb")]
            "dynamodb" => settings.read().map(Self::DynamoDb),
            #[cfg(feature = "memory")]
            "memory" => settings.read().map(Self::Memory),
            // Which settings it has, nobody here knows.
            #[cfg(not(feature = "dynamodb"))]
            "dynamodb" => Ok(Self::NotBuilt { feature: "dynamodb" }),
            #[cfg(not(feature = "memory"))]
            "memory" => Ok(Self::NotBuilt { feature: "memory" }),
            _ => Err(Error::new(ErrorKind::Config, "backend: `dynamodb` or `memory`")),
        }
    }
}

/// The settings of an engine before it is known which engine that is.
pub(crate) trait Settings {
    /// Reads them as those of an engine. Errors name fields and types, never what was found.
    fn read<T: DeserializeOwned>(self) -> Result<T>;
}

impl Settings for Map {
    fn read<T: DeserializeOwned>(self) -> Result<T> {
        from_value(Value::Map(self))
    }
}

/// What to say of an engine that this build lacks.
pub(crate) fn not_built(feature: &str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("this build has no engine {feature}: it takes the feature `{feature}` of the crate konserve"),
    )
}

#[cfg(feature = "dynamodb")]
impl From<DynamoConfig> for Engine {
    fn from(config: DynamoConfig) -> Self {
        Self::DynamoDb(config)
    }
}

#[cfg(feature = "memory")]
impl From<MemoryConfig> for Engine {
    fn from(config: MemoryConfig) -> Self {
        Self::Memory(config)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ConfigVisitor)
    }
}

/// Which engine's settings the other fields are shows only when `backend` was read, and that may come last.
struct ConfigVisitor;

impl<'de> Visitor<'de> for ConfigVisitor {
    type Value = Config;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with the field `backend` and the settings of that engine")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Config, A::Error> {
        let mut backend: Option<String> = None;
        let mut store: Option<Options> = None;
        let mut settings = Map::new();
        while let Some(name) = fields.next_key_seed(Name {
            backend: backend.as_deref(),
        })? {
            let repeated = match name.as_str() {
                "backend" => backend.replace(fields.next_value()?).is_some(),
                "store" => store.replace(fields.next_value()?).is_some(),
                _ => settings
                    .insert(Value::from(name.as_str()), fields.next_value()?)
                    .is_some(),
            };
            if repeated {
                return Err(de::Error::custom(format_args!("{name}: given twice")));
            }
        }
        let backend = backend.ok_or_else(|| de::Error::missing_field("backend"))?;
        Ok(Config {
            engine: Engine::read(&backend, settings).map_err(de::Error::custom)?,
            store: store.unwrap_or_default(),
        })
    }
}

/// Reads the name of a field. One that no engine has is refused here and not later, so that parsers can say where it is.
struct Name<'a> {
    backend: Option<&'a str>,
}

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let name = String::deserialize(deserializer)?;
        let candidates = self.backend.as_slice();
        let candidates = if candidates.is_empty() { &BACKENDS } else { candidates };
        let known: Option<Vec<_>> = candidates.iter().map(|backend| Engine::settings(backend)).collect();
        // Of an engine that is not in this build, nobody here knows the settings.
        let Some(known) = known.map(|known| known.concat()) else {
            return Ok(name);
        };
        if ["backend", "store"].contains(&name.as_str()) || known.contains(&name.as_str()) {
            return Ok(name);
        }
        let known = known.join("`, `");
        let message = format!("unknown field `{name}`, expected one of `backend`, `store`, `{known}`");
        Err(de::Error::custom(message))
    }
}
