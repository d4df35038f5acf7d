# One static image with both commands: the worker (default) and the producer.
#
#   docker build -t hashline:dev .
#   docker run --rm -v hashline:/data hashline:dev worker --redis redis://redis:6379/0
#   docker run --rm -v hashline:/data hashline:dev producer submit
ARG GO=golang:1.26
FROM ${GO} AS build
WORKDIR /src
# Modules first: this layer is rebuilt only when the dependencies change.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# -trimpath keeps the builder's paths out. The code fingerprints do not depend on any of these flags.
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/bin/ ./cmd/producer ./cmd/worker \
 && mkdir -p /out/data /out/tmp && chmod 1777 /out/tmp

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/bin/ /bin/
COPY --from=build --chown=65532:65532 /out/data /data
COPY --from=build --chown=65532:65532 /out/tmp /tmp
ENV PATH=/bin HASHLINE_STORE=/data
USER 65532:65532
VOLUME /data
CMD ["worker"]
