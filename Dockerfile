# The hub's image: one binary on a base without a shell, run by nobody in particular.
#
# Built from a committed tree, for both architectures, with equal bytes for equal input:
#
#   git archive HEAD | docker buildx build - \
#     --platform linux/amd64,linux/arm64 --sbom=true --provenance=mode=max \
#     --build-arg SOURCE_DATE_EPOCH="$(git log -1 --format=%ct)" \
#     --build-arg REVISION="$(git rev-parse HEAD)" \
#     --output type=image,name=REPOSITORY:VERSION,rewrite-timestamp=true,push=true
#
# A release names both images below by digest, with --build-arg.
ARG RUST_IMAGE=rust:1.95.0-bookworm
ARG BASE_IMAGE=gcr.io/distroless/cc-debian12:nonroot

FROM ${RUST_IMAGE} AS build
# Kafka over TLS links the OpenSSL that the base has too.
ARG FEATURES=kafka-tls
ARG SOURCE_DATE_EPOCH=0
# No path of the build gets into the binary, nor what an earlier build left.
ENV CARGO_INCREMENTAL=0 \
    RUSTFLAGS="--remap-path-prefix=/src=/opshub --remap-path-prefix=/usr/local/cargo=/cargo" \
    CFLAGS="-ffile-prefix-map=/src=/opshub -ffile-prefix-map=/usr/local/cargo=/cargo"
WORKDIR /src
COPY . .
RUN cargo build --locked --release --package opshub --bin opshub --features "${FEATURES}" \
    && strip target/release/opshub \
    && install -D --mode=0755 target/release/opshub /out/usr/local/bin/opshub \
    && install -D --mode=0644 LICENSE /out/usr/share/doc/opshub/LICENSE

FROM ${BASE_IMAGE}
ARG REVISION=unknown
LABEL org.opencontainers.image.title="opshub" \
      org.opencontainers.image.description="Unified Operations Hub" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /out/ /
USER 65532:65532
WORKDIR /
# API, doors, metrics and health. They listen beyond loopback only by configuration.
EXPOSE 7400 7401 7402
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/opshub"]
CMD ["--help"]
