//! The yardstick of reads: a service of the same server, behind the same gate, that gives back the
//! message it gets; and a client that neither reads nor writes messages but passes their bytes, so
//! that it costs the same for both.

use std::task::{Context, Poll};

use bytes::{Buf as _, BufMut as _, Bytes};
use prost::Message as _;
use serve::policy::{Access, Entry, Role};
use serve::server::Beside;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::server::{NamedService, UnaryService};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

/// Path of the only method.
pub(super) const ECHO: &str = "/bench.Echo/Echo";
/// As any read of the API: for those who have a role.
const POLICY: &[Entry] =
    &[Entry { path: ECHO, access: Access::Roles(&[Role::Admin]), is_stream: false, needs_owner: false }];

/// What is echoed.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct EchoMessage {
    #[prost(bytes = "vec", tag = "1")]
    body: Vec<u8>,
}

impl EchoMessage {
    /// A message that takes `size` bytes, or a few less, on the wire.
    pub(super) fn of_size(size: usize) -> Bytes {
        let whole = EchoMessage { body: vec![b'e'; size] };
        let head = whole.encoded_len() - size;
        EchoMessage { body: vec![b'e'; size.saturating_sub(head)] }.encode_to_vec().into()
    }
}

/// The echo as a service beside the API.
pub(super) fn beside() -> Beside {
    Beside { policy: POLICY, routes: Routes::new(Echo) }
}

#[derive(Debug, Clone, Copy)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "bench.Echo";
}

impl UnaryService<EchoMessage> for Echo {
    type Response = EchoMessage;
    type Future = std::future::Ready<Result<Response<EchoMessage>, Status>>;

    fn call(&mut self, request: Request<EchoMessage>) -> Self::Future {
        std::future::ready(Ok(Response::new(request.into_inner())))
    }
}

impl Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let codec = ProstCodec::<EchoMessage, EchoMessage>::default();
        Box::pin(async move { Ok(tonic::server::Grpc::new(codec).unary(Echo, request).await) })
    }
}

/// Messages as the bytes that they are.
#[derive(Debug, Clone, Copy, Default)]
struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Plain;
    type Decoder = Plain;

    fn encoder(&mut self) -> Plain {
        Plain
    }

    fn decoder(&mut self) -> Plain {
        Plain
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, bytes: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(bytes.copy_to_bytes(bytes.remaining())))
    }
}

/// Calls a unary method with an encoded message and gives the encoded answer.
///
/// # Errors
/// The status of the call.
pub(super) async fn call(channel: Channel, method: &'static str, message: Bytes) -> Result<Bytes, Status> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let answer = client.unary(Request::new(message), PathAndQuery::from_static(method), Plain).await?;
    Ok(answer.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_serves_has_no_echo() {
        assert!(serve::policy::POLICY.iter().all(|entry| entry.path != ECHO));
        assert!(serve::server::Options::local().beside.policy.is_empty());
    }

    #[test]
    fn a_message_has_the_size_that_was_asked_for() {
        for size in [0, 1, 2, 3, 127, 128, 129, 130, 131, 1_669, 16_384, 16_390] {
            let message = EchoMessage::of_size(size);
            assert!(message.len() <= size && size <= message.len() + 2, "{size}: {}", message.len());
        }
    }
}
