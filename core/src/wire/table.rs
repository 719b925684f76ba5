//! The form in which messages are written down: one table a structure, from which everything else follows.
//!
//! A line is `name: type, versions, null versions, tag number, default value => ignorable;`, where all after the versions
//! is left out when it does not apply. A field that a version lacks is dropped silently when it is ignorable or at its
//! default, else it is an error, as in Kafka. `=> dropped` is the same as ignorable for fields that Kafka's definitions do
//! not call so, but that its broker only fills in versions that have them: a hint that an old client goes without. A line with a tag comes behind those without, in the order of tags.

/// Derives from tables: the structures with Kafka's defaults, reading, writing, and the schema as text.
macro_rules! messages {
    ($(
        $(#[$doc:meta])*
        struct $name:ident {
            $(
                $field:ident: $ty:ty $(as $kind:ident)?, $versions:expr
                $(, null $null:expr)? $(, tag $tag:literal)? $(, default $default:expr)? $(=> $ignorable:ident)?;
            )*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(pub $field: $ty,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: messages!(@default $($default)?),)* }
            }
        }

        impl $crate::wire::field::Field for $name {
            const KIND: &'static str = "struct";

            #[inline]
            fn min_size(at: $crate::wire::field::At) -> usize {
                let mut bytes = usize::from(at.flexible);
                $(
                    if messages!(@tag $($tag)?).is_none() && ($versions).contains(&at.version) {
                        bytes += <$ty as $crate::wire::field::Field>::min_size(at);
                    }
                )*
                bytes
            }

            fn read(
                input: &mut $crate::wire::reader::Reader<'_>,
                at: $crate::wire::field::At,
            ) -> Result<Self, $crate::wire::fault::WireError> {
                let mut this = Self::default();
                $(
                    if messages!(@tag $($tag)?).is_none() && ($versions).contains(&at.version) {
                        let at = at.null(false $(|| ($null).contains(&at.version))?);
                        this.$field = $crate::wire::field::Field::read(input, at)
                            .map_err(|e| e.at(stringify!($name), stringify!($field)))?;
                    }
                )*
                if at.flexible {
                    input.tags(|tag, input| {
                        $(
                            if messages!(@tag $($tag)?) == Some(tag) && ($versions).contains(&at.version) {
                                let at = at.null(false $(|| ($null).contains(&at.version))?);
                                this.$field = $crate::wire::field::Field::read(input, at)
                                    .map_err(|e| e.at(stringify!($name), stringify!($field)))?;
                                return Ok(true);
                            }
                        )*
                        Ok(false)
                    }).map_err(|e| e.at(stringify!($name), "tagged fields"))?;
                }
                Ok(this)
            }

            fn write(
                &self,
                out: &mut $crate::wire::out::Out,
                at: $crate::wire::field::At,
            ) -> Result<(), $crate::wire::fault::WireError> {
                $(
                    if ($versions).contains(&at.version) {
                        if messages!(@tag $($tag)?).is_none() {
                            let at = at.null(false $(|| ($null).contains(&at.version))?);
                            $crate::wire::field::Field::write(&self.$field, out, at)
                                .map_err(|e| e.at(stringify!($name), stringify!($field)))?;
                        }
                    } else if messages!(@keep $($ignorable)?) && !messages!(@is_default self.$field, $ty $(, $default)?) {
                        let fault = $crate::wire::fault::Fault::NotInVersion(at.version);
                        return Err($crate::wire::fault::WireError::from(fault)
                            .at(stringify!($name), stringify!($field)));
                    }
                )*
                if at.flexible {
                    let mut set = 0;
                    $(
                        set += u32::from(messages!(@tag $($tag)?).is_some() && ($versions).contains(&at.version)
                            && !messages!(@is_default self.$field, $ty $(, $default)?));
                    )*
                    out.uvarint(set);
                    $(
                        if let Some(tag) = messages!(@tag $($tag)?)
                            && ($versions).contains(&at.version)
                            && !messages!(@is_default self.$field, $ty $(, $default)?)
                        {
                            let at = at.null(false $(|| ($null).contains(&at.version))?);
                            out.tagged(tag, |out| $crate::wire::field::Field::write(&self.$field, out, at))
                                .map_err(|e| e.at(stringify!($name), stringify!($field)))?;
                        }
                    )*
                }
                Ok(())
            }

            fn rows(rows: &mut $crate::wire::schema::Rows, at: $crate::wire::field::At) {
                $(
                    if ($versions).contains(&at.version) {
                        let row = $crate::wire::schema::Row {
                            name: stringify!($field),
                            kind: messages!(@kind $ty $(, $kind)?),
                            array: <$ty as $crate::wire::field::Field>::ARRAY,
                            nullable: false $(|| ($null).contains(&at.version))?,
                            tag: messages!(@tag $($tag)?),
                        };
                        rows.field(&row, |rows| <$ty as $crate::wire::field::Field>::rows(rows, at));
                    }
                )*
            }
        }

        impl $crate::wire::field::Nullable for $name {
            fn min_size_or_null(_at: $crate::wire::field::At) -> usize {
                1
            }
            fn read_or_null(
                input: &mut $crate::wire::reader::Reader<'_>,
                at: $crate::wire::field::At,
            ) -> Result<Option<Self>, $crate::wire::fault::WireError> {
                $crate::wire::field::read_structure(input, at)
            }
            fn write_or_null(
                value: Option<&Self>,
                out: &mut $crate::wire::out::Out,
                at: $crate::wire::field::At,
            ) -> Result<(), $crate::wire::fault::WireError> {
                $crate::wire::field::write_structure(value, out, at)
            }
        }
    )*};
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@is_default $value:expr, $ty:ty) => { $value == <$ty>::default() };
    (@is_default $value:expr, $ty:ty, $default:expr) => { $value == $default };
    (@tag) => { None::<u32> };
    (@tag $tag:literal) => { Some($tag) };
    (@keep) => { true };
    (@keep ignorable) => { false };
    (@keep dropped) => { false };
    (@kind $ty:ty) => { <$ty as $crate::wire::field::Field>::KIND };
    (@kind $ty:ty, $kind:ident) => { stringify!($kind) };
}

pub(crate) use messages;
