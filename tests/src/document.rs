//! A document as programs have them, for benchmarks: about 1 KB encoded, nested, with text, numbers and lists.

use konserve_core::record::Codec;
use serde::{Deserialize, Serialize};

/// A customer with some orders: about 1 KB in CBOR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The number of the customer.
    pub id: u64,
    /// How often the customer came back: what updates count up.
    pub visits: u64,
    /// The full name.
    pub name: String,
    /// Where mail goes.
    pub email: String,
    /// Whether the account is open.
    pub active: bool,
    /// What the customer is interested in.
    pub interests: Vec<String>,
    /// Where parcels go.
    pub address: Address,
    /// What was bought.
    pub orders: Vec<Order>,
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Address {
    /// Street and number.
    pub street: String,
    /// The city.
    pub city: String,
    /// The postal code.
    pub postal_code: String,
    /// Latitude and longitude, in degrees.
    pub position: (f64, f64),
}

/// Something that was bought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The article.
    pub article: String,
    /// How many of it.
    pub pieces: u32,
    /// The price in cents.
    pub cents: i64,
    /// When, as a Unix time in milliseconds.
    pub ordered: i64,
    /// What was noted down, mostly nothing.
    pub note: Option<String>,
}

impl Customer {
    /// The customer of this number, always the same for the same number.
    pub fn example(id: u64) -> Self {
        let order = |n: u64| Order {
            article: format!("article {:05}", (id * 31 + n * 7) % 100_000),
            pieces: (n % 3 + 1) as u32,
            cents: (id * 97 + n * 1_003) as i64 % 20_000,
            ordered: 1_700_000_000_000 + (id * 1_000 + n) as i64,
            note: (n == 0).then(|| "leave it with the neighbour, please".to_owned()),
        };
        Self {
            id,
            visits: 0,
            name: format!("Customer Number {id:06}"),
            email: format!("customer.{id:06}@example.com"),
            active: !id.is_multiple_of(10),
            interests: ["gardening", "chess", "long walks", "old maps"]
                .map(str::to_owned)
                .to_vec(),
            address: Address {
                street: format!("{} Long Street", id % 500 + 1),
                city: "Springfield".to_owned(),
                postal_code: format!("{:05}", id % 100_000),
                position: (37.77 + id as f64 / 1e4, -122.41),
            },
            orders: (0..11).map(order).collect(),
        }
    }
}

/// The bytes of a customer in the default codec.
pub fn encode(customer: &Customer) -> Vec<u8> {
    Codec::default()
        .encode_typed(customer)
        .expect("a customer can be encoded")
}

/// The customer of these bytes.
pub fn decode(bytes: &[u8]) -> Customer {
    Codec::default().decode_typed(bytes).expect("the bytes of a customer")
}
