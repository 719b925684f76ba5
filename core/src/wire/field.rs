//! How each type of field is read and written; a version is known here and in the message tables, nowhere else.

use bytes::Bytes;

use crate::ids::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::fault::{Fault, WireError};
use crate::wire::out::Out;
use crate::wire::reader::Reader;
use crate::wire::records::Records;
use crate::wire::schema::Rows;

/// The circumstances of a field: the message's version, whether it is flexible (KIP-482), and whether null is legal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) version: i16,
    pub(crate) flexible: bool,
    pub(crate) nullable: bool,
}

impl At {
    pub(crate) fn new(version: i16, flexible: bool) -> At {
        At { version, flexible, nullable: false }
    }

    #[inline]
    pub(crate) fn null(self, nullable: bool) -> At {
        At { nullable, ..self }
    }
}

/// A type that a field can have.
pub(crate) trait Field: Sized {
    /// The type's name in Kafka's message definitions.
    const KIND: &'static str;
    /// Whether it is an array.
    const ARRAY: bool = false;
    /// The fewest bytes one value takes on the wire.
    fn min_size(at: At) -> usize;
    fn read(input: &mut Reader<'_>, at: At) -> Result<Self, WireError>;
    fn write(&self, out: &mut Out, at: At) -> Result<(), WireError>;
    /// The fields inside, for structures.
    fn rows(_rows: &mut Rows, _at: At) {}
}

/// A type that can be null in some versions. `Option` of it is a field.
pub(crate) trait Nullable: Field {
    /// The fewest bytes where null is legal.
    fn min_size_or_null(at: At) -> usize {
        Self::min_size(at)
    }
    fn read_or_null(input: &mut Reader<'_>, at: At) -> Result<Option<Self>, WireError>;
    fn write_or_null(value: Option<&Self>, out: &mut Out, at: At) -> Result<(), WireError>;
}

macro_rules! fixed {
    ($($ty:ty, $kind:literal;)*) => {$(
        impl Field for $ty {
            const KIND: &'static str = $kind;
            fn min_size(_at: At) -> usize {
                size_of::<$ty>()
            }
            #[inline]
            fn read(input: &mut Reader<'_>, _at: At) -> Result<Self, WireError> {
                Ok(<$ty>::from_be_bytes(input.array()?))
            }
            #[inline]
            fn write(&self, out: &mut Out, _at: At) -> Result<(), WireError> {
                out.put(&self.to_be_bytes());
                Ok(())
            }
        }
    )*};
}

fixed! {
    i8, "int8";
    i16, "int16";
    u16, "uint16";
    i32, "int32";
    u32, "uint32";
    i64, "int64";
    f64, "float64";
}

impl Field for bool {
    const KIND: &'static str = "bool";
    fn min_size(_at: At) -> usize {
        1
    }
    fn read(input: &mut Reader<'_>, _at: At) -> Result<Self, WireError> {
        let [byte] = input.array()?;
        Ok(byte != 0)
    }
    fn write(&self, out: &mut Out, _at: At) -> Result<(), WireError> {
        out.put(&[u8::from(*self)]);
        Ok(())
    }
}

impl Field for ErrorCode {
    const KIND: &'static str = "int16";
    fn min_size(_at: At) -> usize {
        2
    }
    #[inline]
    fn read(input: &mut Reader<'_>, at: At) -> Result<Self, WireError> {
        i16::read(input, at).map(ErrorCode)
    }
    #[inline]
    fn write(&self, out: &mut Out, at: At) -> Result<(), WireError> {
        self.0.write(out, at)
    }
}

impl Field for TopicId {
    const KIND: &'static str = "uuid";
    fn min_size(_at: At) -> usize {
        16
    }
    fn read(input: &mut Reader<'_>, _at: At) -> Result<Self, WireError> {
        Ok(TopicId(input.array()?))
    }
    fn write(&self, out: &mut Out, _at: At) -> Result<(), WireError> {
        out.put(&self.0);
        Ok(())
    }
}

/// The id of a directory.
impl Field for [u8; 16] {
    const KIND: &'static str = "uuid";
    fn min_size(_at: At) -> usize {
        16
    }
    fn read(input: &mut Reader<'_>, _at: At) -> Result<Self, WireError> {
        Ok(input.array()?)
    }
    fn write(&self, out: &mut Out, _at: At) -> Result<(), WireError> {
        out.put(self);
        Ok(())
    }
}

/// Implements `Field` for a nullable type, whose null is an error unless the field is wrapped in `Option`.
macro_rules! never_null {
    () => {
        fn read(input: &mut Reader<'_>, at: At) -> Result<Self, WireError> {
            Self::read_or_null(input, at)?.ok_or(Fault::Null.into())
        }
        fn write(&self, out: &mut Out, at: At) -> Result<(), WireError> {
            Self::write_or_null(Some(self), out, at)
        }
    };
}

impl Field for String {
    const KIND: &'static str = "string";
    fn min_size(at: At) -> usize {
        if at.flexible { 1 } else { 2 }
    }
    never_null!();
}

impl Nullable for String {
    fn read_or_null(input: &mut Reader<'_>, at: At) -> Result<Option<Self>, WireError> {
        match input.string_length(at.flexible)? {
            Some(length) => Ok(Some(input.string(length)?)),
            None => Ok(None),
        }
    }
    fn write_or_null(value: Option<&Self>, out: &mut Out, at: At) -> Result<(), WireError> {
        out.string_length(at.flexible, value.map(String::len))?;
        out.put(value.map_or(b"", String::as_bytes));
        Ok(())
    }
}

impl Field for Bytes {
    const KIND: &'static str = "bytes";
    fn min_size(at: At) -> usize {
        if at.flexible { 1 } else { 4 }
    }
    never_null!();
}

/// Below this, copying bytes into the buffer is cheaper than one more chunk to write.
const SPLICE_FROM: usize = 1024;

impl Nullable for Bytes {
    fn read_or_null(input: &mut Reader<'_>, at: At) -> Result<Option<Self>, WireError> {
        match input.length(at.flexible)? {
            Some(length) => Ok(Some(input.bytes(length)?)),
            None => Ok(None),
        }
    }
    fn write_or_null(value: Option<&Self>, out: &mut Out, at: At) -> Result<(), WireError> {
        out.length(at.flexible, value.map(Bytes::len))?;
        match value {
            Some(bytes) if bytes.len() >= SPLICE_FROM => out.splice(bytes.clone()),
            Some(bytes) => out.put(bytes),
            None => {}
        }
        Ok(())
    }
}

impl Field for Records {
    const KIND: &'static str = "records";
    fn min_size(at: At) -> usize {
        Bytes::min_size(at)
    }
    never_null!();
}

impl Nullable for Records {
    fn read_or_null(input: &mut Reader<'_>, at: At) -> Result<Option<Self>, WireError> {
        let bytes = Bytes::read_or_null(input, at)?;
        Ok(bytes.map(|b| Records::Held(if b.is_empty() { Vec::new() } else { vec![b] })))
    }
    /// Null is written as no records: librdkafka takes a null as a set of size -1 and rejects the whole answer.
    fn write_or_null(value: Option<&Self>, out: &mut Out, at: At) -> Result<(), WireError> {
        let chunks = match value {
            Some(Records::Held(chunks)) => chunks.as_slice(),
            Some(Records::OnDisk(range)) => panic!("records of {range:?} must be read before they are sent"),
            None => &[],
        };
        out.length(at.flexible, Some(chunks.iter().map(Bytes::len).sum()))?;
        for chunk in chunks {
            out.splice(chunk.clone());
        }
        Ok(())
    }
}

/// Memory reserved for an array before its first element has been read, at most.
const RESERVE_BYTES: usize = 16 * 1024;

impl<T: Field> Field for Vec<T> {
    const KIND: &'static str = T::KIND;
    const ARRAY: bool = true;
    fn min_size(at: At) -> usize {
        if at.flexible { 1 } else { 4 }
    }
    fn rows(rows: &mut Rows, at: At) {
        T::rows(rows, at);
    }
    never_null!();
}

impl<T: Field> Nullable for Vec<T> {
    fn read_or_null(input: &mut Reader<'_>, at: At) -> Result<Option<Self>, WireError> {
        let Some(count) = input.length(at.flexible)? else { return Ok(None) };
        let element = at.null(false);
        if count > input.left() / T::min_size(element) {
            return Err(Fault::TooMany { count, left: input.left() }.into());
        }
        let mut elements = Vec::with_capacity(count.min(RESERVE_BYTES / size_of::<T>()));
        for _ in 0..count {
            elements.push(T::read(input, element)?);
        }
        Ok(Some(elements))
    }
    fn write_or_null(value: Option<&Self>, out: &mut Out, at: At) -> Result<(), WireError> {
        out.length(at.flexible, value.map(Vec::len))?;
        for element in value.into_iter().flatten() {
            element.write(out, at.null(false))?;
        }
        Ok(())
    }
}

impl<T: Nullable> Field for Option<T> {
    const KIND: &'static str = T::KIND;
    const ARRAY: bool = T::ARRAY;
    fn min_size(at: At) -> usize {
        T::min_size_or_null(at)
    }
    #[inline]
    fn read(input: &mut Reader<'_>, at: At) -> Result<Self, WireError> {
        if at.nullable { T::read_or_null(input, at) } else { T::read(input, at).map(Some) }
    }
    #[inline]
    fn write(&self, out: &mut Out, at: At) -> Result<(), WireError> {
        if self.is_none() && !at.nullable {
            return Err(Fault::Null.into());
        }
        T::write_or_null(self.as_ref(), out, at)
    }
    fn rows(rows: &mut Rows, at: At) {
        T::rows(rows, at);
    }
}

/// A nullable structure: a byte, -1 for null and 1 for a structure that follows.
pub(crate) fn read_structure<T: Field>(input: &mut Reader<'_>, at: At) -> Result<Option<T>, WireError> {
    match i8::read(input, at)? {
        -1 => Ok(None),
        1 => T::read(input, at).map(Some),
        marker => Err(Fault::BadMarker(marker).into()),
    }
}

/// The counterpart of [`read_structure`].
pub(crate) fn write_structure<T: Field>(value: Option<&T>, out: &mut Out, at: At) -> Result<(), WireError> {
    out.put(&[if value.is_some() { 1 } else { 0xff }]);
    value.map_or(Ok(()), |structure| structure.write(out, at))
}
