//! What a program would see of a store: the spans and events of this thread, and its metrics.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// A span or an event, with all that was ever recorded of it.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) name: &'static str,
    pub(crate) target: String,
    pub(crate) level: Level,
    pub(crate) fields: BTreeMap<&'static str, String>,
    pub(crate) is_span: bool,
    /// The number of the span around it, as it comes in the list.
    pub(crate) parent: Option<usize>,
    pub(crate) closed: bool,
}

/// Collects what is told on this thread, until it is dropped.
pub(crate) struct Collector {
    told: Arc<Mutex<Vec<Told>>>,
    _guard: DefaultGuard,
}

struct Collecting(Arc<Mutex<Vec<Told>>>);

/// Where a span is in the list.
struct Place(usize);

struct Fields<'a>(&'a mut BTreeMap<&'static str, String>);

impl Collector {
    pub(crate) fn start() -> Self {
        let told = Arc::default();
        let subscriber = tracing_subscriber::registry().with(Collecting(Arc::clone(&told)));
        Self {
            told,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Told> {
        self.told.lock().expect("lock").clone()
    }

    /// The spans of requests since the last time.
    pub(crate) fn take_requests(&self) -> Vec<Told> {
        let all = std::mem::take(&mut *self.told.lock().expect("lock"));
        let requests = |told: &Told| told.is_span && told.is_own();
        all.into_iter().filter(requests).collect()
    }
}

impl Told {
    /// A field; empty when it was not recorded.
    pub(crate) fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }

    /// Whether it comes from the store and its engine.
    pub(crate) fn is_own(&self) -> bool {
        self.target.starts_with("konserve")
    }

    fn new(metadata: &Metadata<'static>, is_span: bool, parent: Option<usize>) -> Self {
        Self {
            name: metadata.name(),
            target: metadata.target().to_owned(),
            level: *metadata.level(),
            fields: BTreeMap::new(),
            is_span,
            parent,
            closed: false,
        }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Collecting {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("a span");
        let parent = span
            .parent()
            .and_then(|parent| Some(parent.extensions().get::<Place>()?.0));
        let mut told = Told::new(attributes.metadata(), true, parent);
        attributes.record(&mut Fields(&mut told.fields));
        let mut all = self.0.lock().expect("lock");
        span.extensions_mut().insert(Place(all.len()));
        all.push(told);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let span = context.span(id).expect("a span");
        let place = span.extensions().get::<Place>().expect("a place").0;
        if let Some(told) = self.0.lock().expect("lock").get_mut(place) {
            values.record(&mut Fields(&mut told.fields));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let parent = context.event_span(event);
        let parent = parent.and_then(|parent| Some(parent.extensions().get::<Place>()?.0));
        let mut told = Told::new(event.metadata(), false, parent);
        event.record(&mut Fields(&mut told.fields));
        self.0.lock().expect("lock").push(told);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let span = context.span(&id).expect("a span");
        let place = span.extensions().get::<Place>().expect("a place").0;
        if let Some(told) = self.0.lock().expect("lock").get_mut(place) {
            told.closed = true;
        }
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

/// Collects the metrics of this thread, until it is dropped.
pub(crate) struct Metrics {
    snapshotter: Snapshotter,
    _guard: metrics::LocalRecorderGuard<'static>,
}

impl Metrics {
    pub(crate) fn start() -> Self {
        // The guard borrows its recorder, and a test has no other place for it.
        let recorder: &'static _ = Box::leak(Box::new(DebuggingRecorder::new()));
        Self {
            snapshotter: recorder.snapshotter(),
            _guard: metrics::set_default_local_recorder(recorder),
        }
    }

    /// Since the last time, as `name{label="value"}`, counters as one number and histograms as all of them.
    pub(crate) fn take(&self) -> BTreeMap<String, Vec<f64>> {
        let mut all = BTreeMap::new();
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let labels = key
                .key()
                .labels()
                .map(|label| format!("{}={}", label.key(), label.value()));
            let labels: Vec<_> = labels.filter(|label| label != "table=table").collect();
            let name = format!("{}{{{}}}", key.key().name(), labels.join(","));
            let values = match value {
                DebugValue::Counter(0) => continue,
                DebugValue::Counter(count) => vec![count as f64],
                DebugValue::Gauge(value) => vec![value.into_inner()],
                DebugValue::Histogram(values) => values.into_iter().map(|value| value.into_inner()).collect(),
            };
            all.insert(name, values);
        }
        all.retain(|_, values| !values.is_empty());
        all
    }
}
