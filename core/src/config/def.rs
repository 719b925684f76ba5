//! One row of a config table: a name, its type, its default, what it accepts and what it does here.

/// The type of a value, as Kafka's `ConfigDef.Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`, in any case.
    Boolean,
    /// Text.
    String,
    /// 32 bits.
    Int,
    /// 16 bits.
    Short,
    /// 64 bits.
    Long,
    /// A floating point number.
    Double,
    /// Words separated by commas.
    List,
    /// The name of a Java class.
    Class,
    /// Text that is never shown.
    Password,
}

impl Kind {
    /// The number that DescribeConfigs gives it (`ConfigEntry.ConfigType`, KIP-569).
    pub fn code(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::String => 2,
            Kind::Int => 3,
            Kind::Short => 4,
            Kind::Long => 5,
            Kind::Double => 6,
            Kind::List => 7,
            Kind::Class => 8,
            Kind::Password => 9,
        }
    }
}

/// Which values of the type are accepted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Valid {
    /// All.
    Any,
    /// Numbers from this one on.
    AtLeast(i64),
    /// Numbers from the first to the second, both included.
    Between(i64, i64),
    /// -1, or a number from the first to the second, both included.
    MinusOneOr(i64, i64),
    /// Numbers from 0 to 1.
    Fraction,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A list of these words, each at most once.
    ListOf(&'static [&'static str]),
    /// Text with at least one character that is not a blank.
    NonEmpty,
    /// `*`, or a list of `partition:broker` (Kafka: `ThrottledReplicaListValidator`).
    ThrottledReplicas,
}

/// What a config does in Quipu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It has effect, and a change has effect at once: for a broker config, it can be altered while the broker runs.
    Live,
    /// It has effect, and is read once, at the start.
    AtStart,
    /// Kafka knows it; here it is accepted, shown and ignored.
    Ignored,
}

/// A broker config that gives a value when a more specific one is not set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Synonym {
    /// The broker config.
    pub name: &'static str,
    /// What its value is multiplied with to get the unit of the config that falls back to it.
    pub scale: i64,
}

/// The same unit.
pub(crate) const fn same(name: &'static str) -> Synonym {
    Synonym { name, scale: 1 }
}

/// Minutes, for a config in milliseconds.
pub(crate) const fn minutes(name: &'static str) -> Synonym {
    Synonym { name, scale: 60_000 }
}

/// Hours, for a config in milliseconds.
pub(crate) const fn hours(name: &'static str) -> Synonym {
    Synonym { name, scale: 3_600_000 }
}

/// One config.
#[derive(Clone, Copy, Debug)]
pub struct ConfigDef {
    /// Its name, as Kafka's documentation spells it.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its value when nobody sets it or a synonym; `None` is Kafka's null.
    pub default: Option<&'static str>,
    /// Which values it accepts.
    pub valid: Valid,
    /// What it does.
    pub effect: Effect,
    /// Where its value comes from when it is not set: the first of these that is set.
    pub synonyms: &'static [Synonym],
    /// Values that Kafka takes and Quipu does not, each with the reason.
    pub refused: &'static [(&'static str, &'static str)],
    /// Not described unless it is set: for tests, or of the past.
    pub hidden: bool,
    /// One line for people.
    pub doc: &'static str,
}

/// Begins a row that has effect at once; the other methods refine it.
pub(crate) const fn def(name: &'static str, kind: Kind, default: &'static str) -> ConfigDef {
    ConfigDef {
        name,
        kind,
        default: Some(default),
        valid: Valid::Any,
        effect: Effect::Live,
        synonyms: &[],
        refused: &[],
        hidden: false,
        doc: "",
    }
}

/// As [`def`], with null as its default.
pub(crate) const fn unset(name: &'static str, kind: Kind) -> ConfigDef {
    let mut row = def(name, kind, "");
    row.default = None;
    row
}

impl ConfigDef {
    pub(crate) const fn valid(mut self, valid: Valid) -> ConfigDef {
        self.valid = valid;
        self
    }

    pub(crate) const fn at_least(self, low: i64) -> ConfigDef {
        self.valid(Valid::AtLeast(low))
    }

    pub(crate) const fn at_start(mut self) -> ConfigDef {
        self.effect = Effect::AtStart;
        self
    }

    pub(crate) const fn ignored(mut self) -> ConfigDef {
        self.effect = Effect::Ignored;
        self
    }

    pub(crate) const fn hidden(mut self) -> ConfigDef {
        self.hidden = true;
        self
    }

    pub(crate) const fn from(mut self, synonyms: &'static [Synonym]) -> ConfigDef {
        self.synonyms = synonyms;
        self
    }

    pub(crate) const fn refuse(mut self, values: &'static [(&'static str, &'static str)]) -> ConfigDef {
        self.refused = values;
        self
    }

    pub(crate) const fn doc(mut self, doc: &'static str) -> ConfigDef {
        self.doc = doc;
        self
    }

    /// Whether its value is never shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }
}
