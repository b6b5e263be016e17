//! Records: what they promise about bytes, damage and every value.

mod codecs;
mod damage;
mod envelope;
mod foreign;
mod golden;
mod typed;
mod values;
