//! The codec of every client and server of the contract: prost's, behind the count of elements, in both directions.

use std::marker::PhantomData;
use std::time::{Duration, Instant};

use prost::Message;
use tonic::codec::{Codec, DecodeBuf, Decoder};
use tonic::{Code, Status};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::elements::{self, Excess, Shaped};

/// Elements of all messages of one stream in a second. An honest one needs a third of it where a register is caught up with.
pub const ELEMENTS_PER_SECOND: u32 = 1 << 20;

/// The code of a message with too many elements. Without details it means too large: in elements, or, as the library has it, in
/// bytes.
pub const TOO_MANY: Code = Code::OutOfRange;

/// Encodes `T`, decodes `U`.
pub struct Bounded<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Bounded<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Bounded<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Shaped + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder { inner: ProstDecoder::default(), since: None, elements: 0 }
    }
}

/// Decodes the messages of one call.
pub struct BoundedDecoder<U> {
    inner: ProstDecoder<U>,
    /// When the second began whose elements are counted.
    since: Option<Instant>,
    elements: u32,
}

impl<U: Shaped> BoundedDecoder<U> {
    fn count(&mut self, bytes: &[u8], now: Instant) -> Result<(), Status> {
        let elements = elements::count::<U>(bytes).map_err(|excess| refused(&excess))?;
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            (self.since, self.elements) = (Some(now), 0);
        }
        self.elements = self.elements.saturating_add(elements);
        let within = self.elements <= ELEMENTS_PER_SECOND;
        let about = || format!("{}: more than {ELEMENTS_PER_SECOND} elements in a second", U::SHAPE.name);
        within.then_some(()).ok_or_else(|| Status::new(TOO_MANY, about()))
    }
}

fn refused(excess: &Excess) -> Status {
    match excess {
        Excess::Malformed => Status::internal(excess.to_string()),
        Excess::Elements { .. } | Excess::Items { .. } | Excess::Depth => Status::new(TOO_MANY, excess.to_string()),
    }
}

impl<U: Message + Default + Shaped> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, buf: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // A whole message lies in one piece: the library has gathered it.
        self.count(prost::bytes::Buf::chunk(buf), Instant::now())?;
        self.inner.decode(buf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::v1 as raft;

    #[test]
    fn a_stream_may_not_have_more_elements_in_a_second_than_are_allowed() {
        let message = raft::AppendStreamRequest { entries: vec![raft::Entry::default(); 48], ..Default::default() };
        let bytes = message.encode_to_vec();
        let mut decoder = Bounded::<raft::AppendStreamResponse, raft::AppendStreamRequest>::default().decoder();
        let (begun, each) = (Instant::now(), elements::count::<raft::AppendStreamRequest>(&bytes).unwrap());
        for _ in 0..ELEMENTS_PER_SECOND / each {
            assert!(decoder.count(&bytes, begun).is_ok());
        }
        assert_eq!(decoder.count(&bytes, begun).unwrap_err().code(), TOO_MANY);
        assert!(decoder.count(&bytes, begun + Duration::from_secs(1)).is_ok(), "the next second");
    }
}
