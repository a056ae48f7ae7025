//! What `--type` says: how the bytes of an element are read.

use std::fmt;
use std::str::FromStr;

/// A type as given, before the element's size is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Type {
    /// As it was written, for messages.
    text: String,
    content: Content,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// The whole element.
    One(Shape),
    /// Parts of it, one after another without gaps.
    Record(Vec<(String, Shape)>),
}

/// How a part is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Number(Scalar),
    Numbers(Scalar, usize),
    /// Bytes as digits, or as text; of a size, or all there are.
    Hex(Option<usize>),
    Text(Option<usize>),
}

/// A number, little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F32,
    F64,
}

const SCALARS: [(&str, Scalar, usize); 10] = [
    ("u8", Scalar::U8, 1),
    ("u16", Scalar::U16, 2),
    ("u32", Scalar::U32, 4),
    ("u64", Scalar::U64, 8),
    ("i8", Scalar::I8, 1),
    ("i16", Scalar::I16, 2),
    ("i32", Scalar::I32, 4),
    ("i64", Scalar::I64, 8),
    ("f32", Scalar::F32, 4),
    ("f64", Scalar::F64, 8),
];

impl Scalar {
    fn size(self) -> usize {
        SCALARS.iter().find(|(_, scalar, _)| *scalar == self).map_or(0, |(.., size)| *size)
    }
}

impl FromStr for Type {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let content = if text.contains(':') {
            let mut fields: Vec<(String, Shape)> = Vec::new();
            for field in text.split(',') {
                let (name, shape) = field.split_once(':').ok_or_else(|| {
                    format!("{field:?} is no field: write NAME:TYPE, such as celsius:f32")
                })?;
                let (name, shape) = (name.trim(), Shape::parse(shape.trim())?);
                if name.is_empty() {
                    return Err(format!(
                        "the field {field:?} has no name; call it _ to leave it out"
                    ));
                }
                if shape.size().is_none() {
                    return Err(format!("the field {name} needs a size, such as hex[8]"));
                }
                if !name.starts_with('_') && fields.iter().any(|(other, _)| other == name) {
                    return Err(format!("two fields are named {name}"));
                }
                fields.push((name.to_owned(), shape));
            }
            Content::Record(fields)
        } else {
            Content::One(Shape::parse(text.trim())?)
        };
        Ok(Type { text: text.to_owned(), content })
    }
}

impl Shape {
    fn parse(text: &str) -> Result<Shape, String> {
        let unknown = || {
            format!("{text:?} is no type: give u8 to u64, i8 to i64, f32, f64, hex, text, several as f32[3], or a record as ns:u64,celsius:f32")
        };
        let (name, count) = match text.strip_suffix(']') {
            Some(rest) => {
                let (name, count) = rest.split_once('[').ok_or_else(unknown)?;
                let count = count.parse().ok().filter(|count| (1..=1 << 30).contains(count));
                (name, Some(count.ok_or_else(unknown)?))
            }
            None => (text, None),
        };
        let scalar = SCALARS.iter().find(|(text, ..)| *text == name);
        match (scalar, name, count) {
            (Some((_, scalar, _)), _, None) => Ok(Shape::Number(*scalar)),
            (Some((_, scalar, _)), _, Some(count)) => Ok(Shape::Numbers(*scalar, count)),
            (None, "hex" | "bytes", count) => Ok(Shape::Hex(count)),
            (None, "text", count) => Ok(Shape::Text(count)),
            _ => Err(unknown()),
        }
    }

    /// In bytes; none if it takes what there is.
    fn size(self) -> Option<usize> {
        match self {
            Shape::Number(scalar) => Some(scalar.size()),
            Shape::Numbers(scalar, count) => scalar.size().checked_mul(count),
            Shape::Hex(size) | Shape::Text(size) => size,
        }
    }
}

/// How elements of a certain size are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoder {
    content: Content,
    /// No type was given: digits, and for people what they could mean.
    guess: bool,
}

impl Decoder {
    /// For elements of `elem_size` bytes; `name` is for the message.
    pub(super) fn new(of: Option<&Type>, name: &str, elem_size: usize) -> Result<Self, String> {
        let Some(of) = of else {
            return Ok(Decoder { content: Content::One(Shape::Hex(None)), guess: true });
        };
        let size = match &of.content {
            Content::One(shape) => shape.size(),
            Content::Record(fields) => {
                fields.iter().try_fold(0_usize, |sum, (_, shape)| sum.checked_add(shape.size()?))
            }
        };
        match size {
            Some(size) if size != elem_size => Err(format!(
                "{} has {size} bytes, and each element of {name:?} has {elem_size}{}",
                of.text,
                of.suggestion(size, elem_size)
            )),
            _ => Ok(Decoder { content: of.content.clone(), guess: false }),
        }
    }

    /// The names of the numbers and texts in an element, as they stand in a table's header.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut columns = Vec::new();
        let mut add = |name: &str, shape: Shape| match shape {
            Shape::Numbers(_, count) => {
                columns.extend((0..count).map(|index| format!("{name}[{index}]")));
            }
            _ => columns.push(name.to_owned()),
        };
        match &self.content {
            Content::One(shape) => add("value", *shape),
            Content::Record(fields) => {
                fields.iter().filter(|(name, _)| !hidden(name)).for_each(|(n, s)| add(n, *s));
            }
        }
        columns
    }

    /// What `bytes`, an element, say.
    pub(super) fn decode<'a>(&'a self, bytes: &[u8]) -> Value<'a> {
        match &self.content {
            Content::One(_) if self.guess => Value::One(Part::Guess(bytes.to_vec())),
            Content::One(shape) => Value::One(shape.read(bytes)),
            Content::Record(fields) => {
                let mut rest = bytes;
                let mut parts = Vec::new();
                for (name, shape) in fields {
                    let size = shape.size().unwrap_or(rest.len()).min(rest.len());
                    let (part, after) = rest.split_at(size);
                    rest = after;
                    if !hidden(name) {
                        parts.push((name.as_str(), shape.read(part)));
                    }
                }
                Value::Record(parts)
            }
        }
    }
}

/// A field that is only there to be passed over.
fn hidden(name: &str) -> bool {
    name.starts_with('_')
}

impl Type {
    /// What may have been meant, if it is a number and so many of them fit.
    fn suggestion(&self, size: usize, elem_size: usize) -> String {
        match self.content {
            Content::One(Shape::Number(_)) if size > 0 && elem_size.is_multiple_of(size) => {
                format!("; perhaps {}[{}]?", self.text.trim(), elem_size / size)
            }
            _ => String::new(),
        }
    }
}

impl Shape {
    fn read(self, bytes: &[u8]) -> Part {
        match self {
            Shape::Number(scalar) => Part::Number(scalar.read(bytes)),
            Shape::Numbers(scalar, _) => {
                Part::Numbers(bytes.chunks_exact(scalar.size()).map(|b| scalar.read(b)).collect())
            }
            Shape::Hex(_) => Part::Hex(bytes.to_vec()),
            Shape::Text(_) => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                Part::Text(String::from_utf8_lossy(&bytes[..end]).into_owned())
            }
        }
    }
}

impl Scalar {
    /// Of bytes of its size; there is nothing to read in any other.
    fn read(self, bytes: &[u8]) -> Number {
        macro_rules! read {
            ($type:ty) => {
                bytes.try_into().map(<$type>::from_le_bytes).unwrap_or_default()
            };
        }
        match self {
            Scalar::U8 => Number::Unsigned(read!(u8).into()),
            Scalar::U16 => Number::Unsigned(read!(u16).into()),
            Scalar::U32 => Number::Unsigned(read!(u32).into()),
            Scalar::U64 => Number::Unsigned(read!(u64)),
            Scalar::I8 => Number::Signed(read!(i8).into()),
            Scalar::I16 => Number::Signed(read!(i16).into()),
            Scalar::I32 => Number::Signed(read!(i32).into()),
            Scalar::I64 => Number::Signed(read!(i64)),
            Scalar::F32 => Number::Single(read!(f32)),
            Scalar::F64 => Number::Double(read!(f64)),
        }
    }
}

/// An element, read.
#[derive(Debug, PartialEq)]
pub(super) enum Value<'a> {
    One(Part),
    Record(Vec<(&'a str, Part)>),
}

/// A part of an element, read.
#[derive(Debug, PartialEq)]
pub(super) enum Part {
    Number(Number),
    Numbers(Vec<Number>),
    Hex(Vec<u8>),
    Text(String),
    /// As `Hex`, of a type that was not given.
    Guess(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Unsigned(u64),
    Signed(i64),
    Single(f32),
    Double(f64),
}

impl Number {
    pub(super) fn as_f64(self) -> f64 {
        match self {
            Number::Unsigned(number) => number as f64,
            Number::Signed(number) => number as f64,
            Number::Single(number) => number.into(),
            Number::Double(number) => number,
        }
    }

    /// The smaller and the larger of two of the same type.
    pub(super) fn less_than(self, other: Number) -> bool {
        match (self, other) {
            (Number::Unsigned(a), Number::Unsigned(b)) => a < b,
            (Number::Signed(a), Number::Signed(b)) => a < b,
            _ => self.as_f64() < other.as_f64(),
        }
    }
}

impl Value<'_> {
    /// The numbers and texts in it, as [`Decoder::columns`] names them.
    pub(super) fn cells(&self) -> Vec<Cell<'_>> {
        let mut cells = Vec::new();
        let mut add = |part| match part {
            &Part::Number(number) => cells.push(Cell::Number(number)),
            Part::Numbers(numbers) => cells.extend(numbers.iter().copied().map(Cell::Number)),
            Part::Hex(bytes) | Part::Guess(bytes) => cells.push(Cell::Hex(bytes)),
            Part::Text(text) => cells.push(Cell::Text(text)),
        };
        match self {
            Value::One(part) => add(part),
            Value::Record(parts) => parts.iter().for_each(|(_, part)| add(part)),
        }
        cells
    }
}

/// One number or text.
#[derive(Debug)]
pub(super) enum Cell<'a> {
    Number(Number),
    Hex(&'a [u8]),
    Text(&'a str),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Unsigned(number) => number.fmt(f),
            Number::Signed(number) => number.fmt(f),
            Number::Single(number) => number.fmt(f),
            Number::Double(number) => number.fmt(f),
        }
    }
}

/// Two digits a byte, in the order of memory.
pub(super) struct Hex<'a>(pub(super) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(text: &str, size: usize) -> Decoder {
        Decoder::new(Some(&text.parse().unwrap()), "it", size).unwrap()
    }

    #[test]
    fn what_is_no_type_is_said() {
        for bad in [
            "",
            "u7",
            "float",
            "f32[",
            "f32[]",
            "f32[0]",
            "f32[-1]",
            "f32]",
            "hex[x]",
            "u8[2000000000]",
        ] {
            assert!(bad.parse::<Type>().unwrap_err().contains("is no type"), "{bad}");
        }
        for (bad, why) in [
            ("a:u8,b", "\"b\" is no field"),
            (":u8", "has no name"),
            ("a:hex", "needs a size"),
            ("a:u8,a:u8", "two fields are named a"),
            ("a:u8,b:u9", "is no type"),
        ] {
            let error = bad.parse::<Type>().unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn sizes_must_be_the_elements() {
        let error =
            |text: &str, size| Decoder::new(Some(&text.parse().unwrap()), "it", size).unwrap_err();
        assert_eq!(error("f64", 4), "f64 has 8 bytes, and each element of \"it\" has 4");
        let found = error("f64", 24);
        assert_eq!(found, "f64 has 8 bytes, and each element of \"it\" has 24; perhaps f64[3]?");
        let found = error("ns:u64,celsius:f32", 16);
        assert!(found.starts_with("ns:u64,celsius:f32 has 12 bytes, and each"), "{found}");
        decoder("hex", 5);
        decoder("text", 5);
        decoder("ns:u64, celsius:f32 ,_:u8[4]", 16);
    }

    #[test]
    fn elements_are_read() {
        let bytes: Vec<u8> =
            [1_u64.to_le_bytes().as_slice(), &(-2_i32).to_le_bytes(), &1.5_f32.to_le_bytes()]
                .concat();
        let decoder = decoder("a:u64,_skip:i32,b:f32", 16);
        assert_eq!(decoder.columns(), ["a", "b"]);
        let expected = vec![
            ("a", Part::Number(Number::Unsigned(1))),
            ("b", Part::Number(Number::Single(1.5))),
        ];
        assert_eq!(decoder.decode(&bytes), Value::Record(expected));
        let of = |text: &str| match self::decoder(text, 16).decode(&bytes) {
            Value::One(part) => part,
            Value::Record(_) => panic!("{text}"),
        };
        let Part::Numbers(numbers) = of("i32[4]") else { panic!() };
        assert_eq!(numbers[..3], [1, 0, -2].map(Number::Signed));
        assert_eq!(of("hex"), Part::Hex(bytes.clone()));
        assert_eq!(of("text"), Part::Text("\u{1}".to_owned()));
        assert_eq!(self::decoder("f32[4]", 16).columns()[3], "value[3]");
    }
}
